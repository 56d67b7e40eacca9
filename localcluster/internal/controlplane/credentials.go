// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"

	"crypto/x509"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/seatkeeper/seatkeeper/localcluster/internal/datadir"
	"github.com/seatkeeper/seatkeeper/localcluster/internal/pki"
)

const (
	// serviceRange and serviceIP are what in-cluster clients would see. Nothing
	// routes them here.
	serviceRange = "10.96.0.0/20"
	serviceIP    = "10.96.0.1"

	mastersGroup = "system:masters"
	contextName  = "localcluster"
)

var (
	clientUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	serverUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	// bothUsages: etcd's own listener dials itself.
	bothUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
)

// credentials is everything that the parts authenticate each other with.
type credentials struct {
	// cluster signs the serving certificate and the certificates of people.
	cluster         *pki.Authority
	serving, admin  *pki.Pair
	saKeyFile       string
	etcd            *pki.Authority
	etcdServer      *pki.Pair
	etcdClient      *pki.Pair
	frontProxy      *pki.Authority
	frontProxyAgent *pki.Pair
}

// ensureCredentials loads or creates every certificate of the data directory.
// etcd and the aggregation layer have authorities of their own, because a
// certificate of either is worth more than any that the cluster authority signs
// for a person.
func ensureCredentials(dir *datadir.Dir, bindAddress string, now func() time.Time) (*credentials, error) {
	c := &credentials{saKeyFile: dir.Path("pki", "service-account.key")}
	if err := pki.EnsureKey(c.saKeyFile); err != nil {
		return nil, fmt.Errorf("create service account key: %w", err)
	}
	for _, authority := range []struct {
		into       **pki.Authority
		base, name string
	}{
		{&c.cluster, dir.Path("ca"), "localcluster"},
		{&c.etcd, dir.Path("pki", "etcd-ca"), "localcluster-etcd"},
		{&c.frontProxy, dir.Path("pki", "front-proxy-ca"), "localcluster-front-proxy"},
	} {
		var err error
		if *authority.into, err = pki.OpenAuthority(authority.base, authority.name, now); err != nil {
			return nil, err
		}
	}
	for _, leaf := range []struct {
		into   **pki.Pair
		signer *pki.Authority
		base   string
		req    pki.Request
	}{
		{&c.serving, c.cluster, "apiserver", pki.Request{User: "kube-apiserver", Hosts: servingHosts(bindAddress), Usage: serverUsage}},
		{&c.admin, c.cluster, "admin", pki.Request{User: "localcluster-admin", Groups: []string{mastersGroup}, Usage: clientUsage}},
		{&c.etcdServer, c.etcd, "etcd-server", pki.Request{User: "etcd", Hosts: []string{"127.0.0.1", "localhost"}, Usage: bothUsages}},
		{&c.etcdClient, c.etcd, "etcd-client", pki.Request{User: "kube-apiserver", Usage: clientUsage}},
		{&c.frontProxyAgent, c.frontProxy, "front-proxy-client", pki.Request{User: "front-proxy-client", Usage: clientUsage}},
	} {
		var err error
		if *leaf.into, err = leaf.signer.Ensure(dir.Path("pki", leaf.base), leaf.req); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func servingHosts(bindAddress string) []string {
	return []string{
		bindAddress, "127.0.0.1", "localhost", serviceIP,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	}
}

// restConfig authenticates as the owner of the pair.
func (c *credentials) restConfig(server string, pair *pki.Pair) *rest.Config {
	return &rest.Config{
		Host: server,
		TLSClientConfig: rest.TLSClientConfig{
			CAData:   c.cluster.CertPEM,
			CertData: pair.CertPEM,
			KeyData:  pair.KeyPEM,
		},
	}
}

// controllerConfig authenticates as the service account that upstream's
// controller manager uses for the named controller, whose rights the API
// server's bootstrap policy grants.
func (c *credentials) controllerConfig(server, controller string) (*rest.Config, error) {
	pair, err := c.cluster.Issue(pki.Request{
		User:   "system:serviceaccount:kube-system:" + controller,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:kube-system"},
		Usage:  clientUsage,
	})
	if err != nil {
		return nil, err
	}
	config := c.restConfig(server, pair)
	config.UserAgent = "localcluster/" + controller
	// The API server's own priority and fairness is the only limit needed.
	config.QPS = -1
	return config, nil
}

// writeKubeconfig writes the administrator's kubeconfig with embedded
// certificates.
func (c *credentials) writeKubeconfig(path, server string) error {
	config := clientcmdapi.NewConfig()
	config.Clusters[contextName] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: c.cluster.CertPEM}
	config.AuthInfos[contextName] = &clientcmdapi.AuthInfo{ClientCertificateData: c.admin.CertPEM, ClientKeyData: c.admin.KeyPEM}
	config.Contexts[contextName] = &clientcmdapi.Context{Cluster: contextName, AuthInfo: contextName, Namespace: "default"}
	config.CurrentContext = contextName
	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("encode kubeconfig: %w", err)
	}
	if err := datadir.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}
