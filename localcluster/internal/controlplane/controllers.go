// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/certificates/rootcacertpublisher"
	"k8s.io/kubernetes/pkg/controller/clusterroleaggregation"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
)

const (
	namespaceWorkers  = 5
	collectorWorkers  = 10
	collectorInitial  = 30 * time.Second
	aggregatorWorkers = 2
	// discoveryInterval is how soon the collector notices a new custom resource
	// definition. Upstream's 30 s would make every test of owner references slow.
	discoveryInterval = 5 * time.Second
)

// controllers starts the few controllers without which the API server's own
// objects do not behave: namespaces would never finish terminating, owner
// references would mean nothing, the roles view, edit and admin would be empty,
// and namespaces would lack their service account and CA bundle.
type controllers struct {
	ctx     context.Context
	creds   *credentials
	server  string
	running sync.WaitGroup
}

func startControllers(ctx context.Context, creds *credentials, server string) (*controllers, error) {
	c := &controllers{ctx: ctx, creds: creds, server: server}

	// The collector's rights are to read and delete everything, so that it can
	// own the informers that all share.
	config, err := creds.controllerConfig(server, "generic-garbage-collector")
	if err != nil {
		return nil, err
	}
	shared, err := newClients(config)
	if err != nil {
		return nil, err
	}
	typed := informers.NewSharedInformerFactory(shared.kube, 0)
	untyped := metadatainformer.NewSharedInformerFactory(shared.metadata, 0)
	started := make(chan struct{})

	for _, start := range []func() error{
		func() error {
			return c.collectGarbage(shared, informerfactory.NewInformerFactory(typed, untyped), started)
		},
		func() error { return c.deleteNamespaces(typed) },
		func() error { return c.aggregateClusterRoles(typed) },
		func() error { return c.ensureServiceAccounts(typed) },
		func() error { return c.publishRootCA(typed) },
	} {
		if err := start(); err != nil {
			return nil, fmt.Errorf("start controllers: %w", err)
		}
	}
	typed.Start(ctx.Done())
	untyped.Start(ctx.Done())
	close(started)
	return c, nil
}

// wait returns when all controllers have ended after their context did.
func (c *controllers) wait() { c.running.Wait() }

type clients struct {
	kube     *kubernetes.Clientset
	metadata metadata.Interface
}

func newClients(config *rest.Config) (*clients, error) {
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &clients{kube: kube, metadata: meta}, nil
}

// clientsFor has the rights that bootstrap policy grants to the controller.
func (c *controllers) clientsFor(controller string) (*clients, error) {
	config, err := c.creds.controllerConfig(c.server, controller)
	if err != nil {
		return nil, err
	}
	return newClients(config)
}

func (c *controllers) collectGarbage(shared *clients, factory informerfactory.InformerFactory, started <-chan struct{}) error {
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(shared.kube.Discovery()))
	collector, err := garbagecollector.NewGarbageCollector(c.ctx, shared.kube, shared.metadata, mapper,
		garbagecollector.DefaultIgnoredResources(), factory, started)
	if err != nil {
		return err
	}
	c.running.Go(func() { collector.Run(c.ctx, collectorWorkers, collectorInitial) })
	c.running.Go(func() { collector.Sync(c.ctx, shared.kube.Discovery(), discoveryInterval) })
	return nil
}

func (c *controllers) deleteNamespaces(typed informers.SharedInformerFactory) error {
	own, err := c.clientsFor("namespace-controller")
	if err != nil {
		return err
	}
	discover := func() ([]*metav1.APIResourceList, error) {
		return discovery.ServerPreferredNamespacedResources(own.kube.Discovery())
	}
	controller := namespace.NewNamespaceController(c.ctx, own.kube, own.metadata, discover,
		typed.Core().V1().Namespaces(), 5*time.Minute, v1.FinalizerKubernetes)
	c.running.Go(func() { controller.Run(c.ctx, namespaceWorkers) })
	return nil
}

func (c *controllers) aggregateClusterRoles(typed informers.SharedInformerFactory) error {
	own, err := c.clientsFor("clusterrole-aggregation-controller")
	if err != nil {
		return err
	}
	controller := clusterroleaggregation.NewClusterRoleAggregation(typed.Rbac().V1().ClusterRoles(), own.kube.RbacV1())
	c.running.Go(func() { controller.Run(c.ctx, aggregatorWorkers) })
	return nil
}

func (c *controllers) ensureServiceAccounts(typed informers.SharedInformerFactory) error {
	own, err := c.clientsFor("service-account-controller")
	if err != nil {
		return err
	}
	controller, err := serviceaccount.NewServiceAccountsController(klog.FromContext(c.ctx), typed.Core().V1().ServiceAccounts(),
		typed.Core().V1().Namespaces(), own.kube, serviceaccount.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return err
	}
	c.running.Go(func() { controller.Run(c.ctx, 1) })
	return nil
}

func (c *controllers) publishRootCA(typed informers.SharedInformerFactory) error {
	own, err := c.clientsFor("root-ca-cert-publisher")
	if err != nil {
		return err
	}
	controller, err := rootcacertpublisher.NewPublisher(typed.Core().V1().ConfigMaps(), typed.Core().V1().Namespaces(),
		own.kube, c.creds.cluster.CertPEM)
	if err != nil {
		return err
	}
	c.running.Go(func() { controller.Run(c.ctx, 1) })
	return nil
}
