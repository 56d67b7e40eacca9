// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manager wires the manager: controllers on the leader, sync workers
// and the run executor on every replica, the store, and with SQLite the gateway
// as well. It can be embedded in tests.
package manager

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	knownapps "github.com/seatkeeper/seatkeeper/internal/catalog"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/version"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;create;update;patch,namespace=seatkeeper-system

// leaderElectionID names the lease. It guards status writes only: every effect
// in SQL is fenced by epoch.
const leaderElectionID = "manager.seatkeeper.dev"

// stopTimeout bounds a graceful stop.
const stopTimeout = 30 * time.Second

// App is a manager.
type App struct {
	options Options
	scheme  *runtime.Scheme
}

// New checks the options.
func New(o Options) (*App, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return &App{options: o, scheme: scheme}, nil
}

// Start opens and migrates the store and runs until ctx ends or something
// that the manager cannot do without fails.
func (a *App) Start(ctx context.Context) (err error) {
	o := a.options
	ctrl.SetLogger(logr.FromSlogHandler(o.Log.Handler()))
	if o.RestConfig == nil {
		if o.RestConfig, err = ctrlconfig.GetConfig(); err != nil {
			return fmt.Errorf("find the API server: %w; set --kubeconfig's file in KUBECONFIG, or run in a cluster", err)
		}
	}
	st, err := store.Open(ctx, store.Options{DSN: o.Store, Clock: o.Clock, Apps: knownapps.Default()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if err := st.Migrate(ctx); err != nil {
		return err
	}
	keys, keyFile, err := loadKeyring(o)
	if err != nil {
		return err
	}
	if n, err := st.Reseal(ctx, keys); err != nil {
		return err
	} else if n > 0 {
		o.Log.Info("Sealed stored secrets with the newest key", "count", n)
	}
	o.Log.Info("Opened the store", "dialect", st.Dialect(), "version", version.Version)

	if o.opened != nil {
		o.opened(st)
	}
	mgr, err := a.newManager(o, st)
	if err != nil {
		return err
	}
	w := &wiring{Manager: mgr, options: o, store: st, keys: keys, keyFile: keyFile, spaces: newTenantNames(st)}
	if err := w.add(ctx); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

func (a *App) newManager(o Options, st *store.Store) (ctrl.Manager, error) {
	namespaces := map[string]cache.Config{}
	for _, ns := range o.WatchNamespaces {
		namespaces[ns] = cache.Config{}
	}
	if len(namespaces) == 0 {
		namespaces = nil
	}
	serving := metricsserver.Options{BindAddress: o.MetricsBindAddress}
	if o.MetricsSecure {
		serving.SecureServing, serving.FilterProvider = true, filters.WithAuthenticationAndAuthorization
	}
	mgr, err := ctrl.NewManager(o.RestConfig, ctrl.Options{
		Scheme: a.scheme,
		Cache: cache.Options{
			DefaultNamespaces: namespaces, DefaultTransform: cache.TransformStripManagedFields(),
			// An informer that nobody asked for is a list of the whole cluster.
			ReaderFailOnMissingInformer: true,
		},
		Client: client.Options{
			FieldOwner:      v1alpha1.FieldOwnerPrefix + "manager",
			FieldValidation: "Strict",
			Cache:           &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.Namespace{}}},
		},
		Controller:              config.Controller{UsePriorityQueue: ptr.To(false), SkipNameValidation: ptr.To(true)},
		Metrics:                 serving,
		HealthProbeBindAddress:  o.HealthBindAddress,
		PprofBindAddress:        o.PprofBindAddress,
		LeaderElection:          o.LeaderElect,
		LeaderElectionID:        leaderElectionID,
		LeaderElectionNamespace: o.LeaderElectionNamespace,
		// The process ends when the manager does, so the lease may go at once.
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       ptr.To(stopTimeout),
		WebhookServer:                 webhook.NewServer(webhook.Options{Port: -1}),
	})
	if err != nil {
		return nil, fmt.Errorf("create the manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", func(*http.Request) error { return nil }); err != nil {
		return nil, err
	}
	return mgr, mgr.AddReadyzCheck("store", func(r *http.Request) error {
		if err := st.Ping(r.Context()); err != nil {
			return err
		}
		return st.CheckSchema(r.Context())
	})
}

// newOwner names this start of this process in leases.
func newOwner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "/" + uuid.NewString()
}

// everywhere is a runnable for every replica, leader or not.
type everywhere func(context.Context) error

// Start implements manager.Runnable.
func (f everywhere) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (everywhere) NeedLeaderElection() bool { return false }
