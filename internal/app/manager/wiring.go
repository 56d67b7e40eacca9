// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlmanager "sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/controllers/apikey"
	"github.com/seatkeeper/seatkeeper/controllers/application"
	"github.com/seatkeeper/seatkeeper/controllers/connector"
	"github.com/seatkeeper/seatkeeper/controllers/contract"
	"github.com/seatkeeper/seatkeeper/controllers/inert"
	"github.com/seatkeeper/seatkeeper/controllers/integration"
	"github.com/seatkeeper/seatkeeper/controllers/licensepolicy"
	"github.com/seatkeeper/seatkeeper/controllers/organization"
	"github.com/seatkeeper/seatkeeper/controllers/workflow"
	"github.com/seatkeeper/seatkeeper/controllers/workflowrun"
	"github.com/seatkeeper/seatkeeper/internal/app/gateway"
	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/runmetrics"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/trigger"
	"github.com/seatkeeper/seatkeeper/internal/version"
)

// wiring puts the parts of one running manager together.
type wiring struct {
	ctrl.Manager
	options  Options
	store    *store.Store
	keys     *store.Keyring
	keyFile  string
	spaces   *tenantNames
	sessions *syncer.Sessions
	worker   *syncer.Worker
	starter  *trigger.Starter
	poller   *poller
	keyWatch *keyWatch
}

// add registers everything that runs.
func (w *wiring) add(ctx context.Context) error {
	o := w.options
	// What runs beside the controllers reads these, on replicas that do not lead
	// as well, where no controller starts their informers.
	for _, kind := range []client.Object{&v1alpha1.Application{}, &v1alpha1.Integration{}, &v1alpha1.LicensePolicy{}, &v1alpha1.Organization{}} {
		if _, err := w.GetCache().GetInformer(ctx, kind, cache.BlockUntilSynced(false)); err != nil {
			return fmt.Errorf("watch %T: %w", kind, err)
		}
	}
	w.sessions = w.newSessions()
	w.worker = syncer.New(syncer.Options{
		Store: w.store, Open: openerOf(w.sessions), Owner: newOwner(), Concurrency: o.SyncWorkers, Clock: o.Clock,
		Log: o.Log.With("component", "syncer"), Metrics: metrics.Registry,
	})
	w.poller = newPoller(w.store, w.spaces, w.GetCache(), o.Clock, o.StatusInterval, o.Log.With("component", "poller"))
	w.keyWatch = newKeyWatch(w.store, w.spaces, o.Clock, o.StatusInterval, o.Log.With("component", "keys"))
	runnables := []ctrlmanager.Runnable{w.worker, w.poller, w.keyWatch, &janitor{store: w.store, clock: o.Clock, log: o.Log.With("component", "janitor")},
		&scimLeavers{store: w.store, clock: o.Clock, log: o.Log.With("component", "scim")},
		&leaderMetrics{registry: metrics.Registry, log: o.Log.With("component", "metrics"), of: []prometheus.Collector{
			&inventoryAge{store: w.store, clock: o.Clock, log: o.Log.With("component", "metrics")},
			&connectionCoverage{store: w.store, clock: o.Clock, log: o.Log.With("component", "metrics")},
			&runmetrics.Backlog{Store: w.store, Clock: o.Clock, Log: o.Log.With("component", "metrics")},
		}},
		&delegations{store: w.store, keys: w.keys, spaces: w.spaces, secrets: w.GetClient(), manifest: w.sessions.Manifest, clock: o.Clock,
			written: func(ctx context.Context, namespace, name string) {
				w.poller.send(ctx, w.poller.integrations, namespace, name)
			},
			log: o.Log.With("component", "delegations")}}
	runmetrics.Count(w.store)
	engine, err := w.engine()
	if err != nil {
		return err
	}
	w.starter = w.newStarter()
	runnables = append(runnables, w.starter)
	drainers, gw, err := w.gateway()
	if err != nil {
		return err
	}
	runnables = append(runnables, drainers...)
	for i, r := range runnables {
		runnables[i] = lasting{r, o.Clock, o.Log}
	}
	// These contain what goes wrong in one run or request themselves.
	runnables = append(append(runnables, engine), gw...)
	if o.Ready != nil {
		runnables = append(runnables, everywhere(func(context.Context) error { o.Ready(); return nil }))
	}
	for _, r := range runnables {
		if err := w.Add(r); err != nil {
			return err
		}
	}
	return w.controllers()
}

// engine wires the run executor, which runs on every replica.
func (w *wiring) engine() (ctrlmanager.Runnable, error) {
	key, err := promptKey(w.keyFile)
	if err != nil {
		return nil, err
	}
	recheck := govern.NewRechecker(w.store, w.options.Clock)
	act := w.mails(newActions(w.store, w.sessions, w.options.Clock, recheck))
	links := answerLinks(w.options.PublicURL, w.keys.AnswerKeys())
	who := &people{store: w.store, objects: w.GetCache(), spaces: w.spaces}
	e, err := newEngine(w.options, w.store, act, recheck, who, w.leavers(who), w.httpSender(), w.keys, key, links)
	if err != nil {
		return nil, err
	}
	return engineRunnable(e), nil
}

// gateway wires the gateway where it runs in this process, and the drainer of
// events that any gateway received, which always does.
func (w *wiring) gateway() (drainers, serving []ctrlmanager.Runnable, err error) {
	o := w.options
	opts := gateway.Options{
		Store: w.store, Keyring: w.keys, RestConfig: o.RestConfig, Listen: o.GatewayOptions.Listen, CertFile: o.GatewayOptions.CertFile,
		KeyFile: o.GatewayOptions.KeyFile, ClientCA: o.GatewayOptions.ClientCA, Proxies: o.GatewayOptions.Proxies, ConnectorEndpoints: o.ConnectorEndpoints,
		Clock: o.Clock, Log: o.Log.With("component", "gateway"), Listening: o.GatewayOptions.Listening,
	}
	drainer, hooks := gateway.NewDrainer(opts), w.hooks()
	opts.HookReceived = hooks.Hint
	drainers = []ctrlmanager.Runnable{hooks, ctrlmanager.RunnableFunc(func(ctx context.Context) error { drainer.Run(ctx); return nil })}
	if !o.Gateway {
		return drainers, nil, nil
	}
	app, err := gateway.New(opts)
	if err != nil {
		return nil, nil, err
	}
	return drainers, []ctrlmanager.Runnable{app}, nil
}

func (w *wiring) controllers() error {
	o := w.options
	env := &reconcile.Env{
		Client: w.GetClient(), Clock: o.Clock, Writes: reconcile.NewWriteLimiter(),
		Events: reconcile.NewEvents(w.GetEventRecorder("seatkeeper"), o.Clock),
	}
	backend := govern.Backend{Store: w.store}
	known := &catalog{reader: w.GetClient()}
	mail := w.mailChecks()
	for _, c := range []struct {
		kind  string
		setup func() error
	}{
		{v1alpha1.KindOrganization, func() error {
			return (&organization.Reconciler{Env: env, Backend: organizations{w.store, o.Clock}, Mail: mail}).SetupWithManager(w, w.poller.organizations, o.Workers)
		}},
		{v1alpha1.KindIntegration, func() error {
			b := &integrations{store: w.store, sessions: w.sessions, keys: w.keys, wake: w.worker.Wake}
			return (&integration.Reconciler{Env: env, Backend: b, Reader: w.GetAPIReader(), Addresses: w.addresses()}).SetupWithManager(w, w.poller.integrations, o.Workers)
		}},
		{v1alpha1.KindApplication, func() error {
			b := &applications{catalog: known, store: w.store, clock: o.Clock}
			return (&application.Reconciler{Env: env, Backend: b}).SetupWithManager(w, w.poller.applications, o.Workers)
		}},
		{v1alpha1.KindLicensePolicy, func() error {
			return (&licensepolicy.Reconciler{Env: env, Backend: backend, Connectors: known, Mail: mail}).SetupWithManager(w, w.poller.policies, o.Workers)
		}},
		{v1alpha1.KindContract, func() error {
			return (&contract.Reconciler{Env: env, Backend: backend, Connectors: known}).SetupWithManager(w, o.Workers)
		}},
		{v1alpha1.KindConnector, func() error {
			return (&connector.Reconciler{Env: env, Manifests: manifests{}, Catalogue: ownConnectors{w.store}}).SetupWithManager(w, o.Workers)
		}},
		{v1alpha1.KindAPIKey, func() error {
			role := func(namespace string) string {
				return (&syncer.SecretDeniedError{Namespace: namespace, ServiceAccountNamespace: o.ServiceAccount.Namespace, ServiceAccount: o.ServiceAccount.Name}).RoleBinding()
			}
			return (&apikey.Reconciler{Env: env, Backend: apiKeys{w.store, o.Clock}, TenantRole: role}).SetupWithManager(w, w.keyWatch.changed, o.Workers)
		}},
		{v1alpha1.KindWorkflow, func() error {
			return (&workflow.Reconciler{Env: env, Backend: workflows{w.store}, Connectors: stepActions{known}, Language: expr.Workflow{}, Requests: requestRules{w.requester(), w.secretReader()}, Webhooks: w.workflowHooks(), Mail: mail}).SetupWithManager(w, o.Workers)
		}},
		{v1alpha1.KindWorkflowRun, func() error {
			return (&workflowrun.Reconciler{Env: env, Backend: workflows{w.store}}).SetupWithManager(w, o.Workers)
		}},
		{"the others", func() error { return inert.SetupWithManager(w, env, o.Workers) }},
	} {
		if err := c.setup(); err != nil {
			return fmt.Errorf("set up the controller of %s: %w", c.kind, err)
		}
	}
	return nil
}

func (w *wiring) newSessions() *syncer.Sessions {
	o := w.options
	return &syncer.Sessions{
		Builtin: connectors.Builtin,
		Secrets: secretReader{reader: w.GetAPIReader(), serviceAccount: o.ServiceAccount},
		Budget:  budgets(w.store), Upload: uploads(w.store),
		KeepSigning: func(ctx context.Context, key syncer.Key, secrets map[string]string) error {
			return w.store.PutSigningSecrets(ctx, w.keys, key.Tenant, key.Name, secrets)
		},
		Vault:     vaults(w.store, w.keys),
		Endpoints: o.ConnectorEndpoints, AllowedNetworks: o.AllowedNetworks,
		MaxWait: syncer.SyncWait, Clock: o.Clock, UserAgent: "seatkeeper/" + version.Version,
	}
}
