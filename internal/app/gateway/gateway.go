// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gateway wires the gateway: the query API, Slack's callbacks and
// health on one listener. It runs in a process of its own with PostgreSQL and
// inside the manager with SQLite.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/answerlink"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/coverage"
	"github.com/seatkeeper/seatkeeper/internal/defect"
	"github.com/seatkeeper/seatkeeper/internal/gateway"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/gateway/answer"
	"github.com/seatkeeper/seatkeeper/internal/gateway/delegate"
	"github.com/seatkeeper/seatkeeper/internal/gateway/push"
	"github.com/seatkeeper/seatkeeper/internal/gateway/query"
	restapi "github.com/seatkeeper/seatkeeper/internal/gateway/rest"
	"github.com/seatkeeper/seatkeeper/internal/gateway/scim"
	"github.com/seatkeeper/seatkeeper/internal/gateway/slack"
	"github.com/seatkeeper/seatkeeper/internal/gateway/webhook"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
)

// Options configure a gateway.
type Options struct {
	Store   *store.Store
	Keyring *store.Keyring
	// RestConfig reaches the API server, which says who callers are and what
	// they may do.
	RestConfig *rest.Config

	Listen            string // host:port
	CertFile, KeyFile string // both empty: plain HTTP, behind a proxy that ends TLS
	// ClientCA is the cluster's authority of client certificates; empty: bearer
	// tokens only.
	ClientCA string
	// ConnectorEndpoints redirects the hosts of vendors, as the manager's flag
	// of the same name (decision 27).
	ConnectorEndpoints map[string]string
	// Proxies are believed when they say for whom they forward.
	Proxies access.Proxies

	// HookReceived, if not nil, is called after a webhook's event was committed.
	HookReceived func()

	Clock clock.WithTicker
	Log   *slog.Logger
	// Listening, if not nil, is told the address.
	Listening func(net.Addr)
}

// App is a gateway that is ready to start.
type App struct {
	options Options
	router  *access.Router
	slack   *slack.Handler
	// provisioned keeps the log of SCIM.
	provisioned *scim.Recorder
	refusals    *access.Refusals
}

// New wires a gateway.
func New(o Options) (*App, error) {
	client, err := kubernetes.NewForConfig(o.RestConfig)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	guard, err := access.NewGuard(client, o.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	a := &App{options: o, slack: NewSlack(o)}
	a.refusals = access.NewRefusals(o.Store, o.Clock, o.Log)
	mux := &access.Router{Refusals: a.refusals}
	a.slack.Register(mux)
	(&query.API{Store: o.Store, Guard: guard, Keyring: o.Keyring, Clock: o.Clock, Log: o.Log, Connectors: coverage.Builtin()}).Register(mux)
	pushed, err := connectors.Builtin(connector.NativePush)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	keys := access.NewKeys(o.Store, o.Clock, o.Log)
	guard.Failures = keys.Failures
	callers := &access.Callers{Guard: guard, Keys: keys, Tenants: o.Store}
	(&push.API{
		Store: o.Store, Guard: guard, Callers: callers, Clock: o.Clock, Log: o.Log,
		Pusher: &syncer.Pusher{Store: o.Store, Streams: pushed.Streams(), Clock: o.Clock, Log: o.Log},
	}).Register(mux)
	a.provisioned = scim.NewRecorder(o.Store, o.Clock, o.Log)
	(&scim.API{Store: o.Store, Keys: keys, Clock: o.Clock, Log: o.Log, Requests: a.provisioned}).Register(mux)
	(&restapi.API{Store: o.Store, Callers: callers, Log: o.Log}).Register(mux)
	if o.Keyring != nil {
		(&delegate.Handler{
			Store: o.Store, Keyring: o.Keyring, Guard: guard, Limiter: ratelimit.NewMemory(o.Clock),
			Manifest: (&syncer.Sessions{Builtin: connectors.Builtin}).Manifest, Clock: o.Clock, Log: o.Log,
		}).Register(mux)
	}
	if o.Keyring != nil {
		(&answer.Handler{Store: o.Store, Keys: answerlink.Keys(o.Keyring.AnswerKeys()), Limiter: ratelimit.NewMemory(o.Clock), Log: o.Log}).Register(mux)
		(&webhook.Handler{
			Endpoints: &webhook.Endpoints{Store: o.Store, Keyring: o.Keyring, Manifest: (&syncer.Sessions{Builtin: connectors.Builtin}).Manifest, Clock: o.Clock},
			Inbox:     o.Store, Tokens: o.Store, Limiter: ratelimit.NewMemory(o.Clock), Clock: o.Clock, Log: o.Log, Received: o.HookReceived,
		}).Register(mux)
	}
	health := gateway.Health(o.Store)
	mux.Handle("GET /healthz", health)
	mux.Handle("GET /readyz", health)
	a.router = mux
	return a, mux.Check()
}

// Routes lists what the gateway serves, and by what callers of each prove who
// they are.
func (a *App) Routes() []access.Route { return a.router.Routes() }

// Start serves until ctx ends.
func (a *App) Start(ctx context.Context) error {
	o := a.options
	defer a.slack.Drain()
	recording, stop := context.WithCancel(context.WithoutCancel(ctx))
	var recorder sync.WaitGroup
	for part, run := range map[string]func(context.Context){"requests": a.provisioned.Run, "refusals": a.refusals.Run} {
		recorder.Go(func() {
			_ = defect.Outlast(recording, o.Clock, o.Log, part, func(ctx context.Context) error { run(ctx); return nil })
		})
	}
	defer func() { stop(); recorder.Wait() }() // after the last answer
	return gateway.Serve(ctx, gateway.ServerOptions{Listen: o.Listen, CertFile: o.CertFile, KeyFile: o.KeyFile, Log: o.Log}, o.Proxies.Handler(a.router), func(addr net.Addr) {
		o.Log.Info("Gateway serves", "address", addr.String(), "tls", o.CertFile != "")
		if o.Listening != nil {
			o.Listening(addr)
		}
	})
}

// NeedLeaderElection says that every replica serves.
func (*App) NeedLeaderElection() bool { return false }

// NewSlack wires the handler of Slack's callbacks; the manager's drainer uses
// it as well.
func NewSlack(o Options) *slack.Handler {
	return &slack.Handler{
		Inbox: o.Store, Directory: directory{o.Store, o.Keyring}, Answers: answers{o.Store},
		Replier: slack.NewHTTPReplier(o.ConnectorEndpoints), Clock: o.Clock, Log: o.Log,
	}
}

// NewDrainer wires what handles events that were left over.
func NewDrainer(o Options) *gateway.Drainer {
	handler := NewSlack(o)
	return &gateway.Drainer{Events: o.Store, Clock: o.Clock, Log: o.Log, Process: func(ctx context.Context, e store.Event) error {
		if slack.Handles(e) {
			return handler.Process(ctx, e)
		}
		return o.Store.FinishEvent(ctx, e.Tenant, e.ID, "no part of this version handles endpoint "+e.Endpoint)
	}}
}

// directory is the store with the keys that open its signing secrets.
type directory struct {
	*store.Store
	keys *store.Keyring
}

func (d directory) SigningSecret(ctx context.Context, tenant model.TenantID, integration string) ([]byte, error) {
	return d.Store.SigningSecret(ctx, d.keys, tenant, integration)
}

// answers turns a pressed button into an answer to a prompt.
type answers struct{ *store.Store }

// AnswerFromSlack implements slack.Answers. An accepted answer needs no reply:
// the message itself is updated.
func (a answers) AnswerFromSlack(ctx context.Context, tenant model.TenantID, in slack.Answer) (string, error) {
	user, err := a.slackUser(ctx, tenant, in)
	if err != nil {
		return "", err
	}
	out, err := a.AnswerPrompt(ctx, tenant, store.AnswerRequest{
		Token: in.Token, Choice: in.Choice, Reason: in.Text, Actor: store.Identity{SlackIntegration: in.Integration, SlackUserID: user},
	})
	if err != nil || out.Status == store.AnswerAccepted {
		return "", err
	}
	return out.Message, nil
}

// slackUser is who pressed the button. A Slack user id means somebody only
// within its workspace, and an app that is installed in several signs for all
// of them with one secret: whoever is elsewhere is nobody here.
func (a answers) slackUser(ctx context.Context, tenant model.TenantID, in slack.Answer) (string, error) {
	state, err := a.IntegrationState(ctx, tenant, in.Integration)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return in.UserID, nil // disconnected: the open question says what happened
	case err != nil:
		return "", err
	case in.TeamID != "" && state.RemoteID != "" && in.TeamID != state.RemoteID:
		return in.TeamID + "/" + in.UserID, nil
	}
	return in.UserID, nil
}
