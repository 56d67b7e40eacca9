// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package syncer is the sync worker that runs on every replica. It claims
// Integrations that are due, reads their Secret, runs the connect test where
// one is asked for, streams every data type into the store and leaves a status
// behind for the controller. It never writes to a vendor.
package syncer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// Store is what a worker needs of the store.
type Store interface {
	ClaimDueIntegrations(ctx context.Context, owner string, limit int, lease time.Duration) ([]store.Claim, error)
	RenewClaim(ctx context.Context, c store.Claim, lease time.Duration) error
	FinishIntegration(ctx context.Context, c store.Claim, r store.IntegrationResult) error
	TakeAccount(ctx context.Context, c store.Claim, remote store.RemoteAccount) (owner string, err error)
	RestoreIntegration(ctx context.Context, c store.Claim, remote store.RemoteAccount) (store.Claim, bool, error)
	ReplaceAccount(ctx context.Context, c store.Claim, remote store.RemoteAccount, retainFor time.Duration) (store.Claim, error)
	IntegrationState(ctx context.Context, tenant model.TenantID, name string) (store.IntegrationState, error)
	StreamStates(ctx context.Context, tenant model.TenantID, integration string) (map[string]store.StreamState, error)
	Counts(ctx context.Context, tenant model.TenantID, integration string) (map[model.DataType]int64, error)
	BeginSync(ctx context.Context, c store.Claim) (*store.Sync, error)
	Uploads(ctx context.Context, tenant model.TenantID, integration string) ([]store.Upload, error)
	SetUploadState(ctx context.Context, tenant model.TenantID, id, state string) error
}

// Session is what a worker needs of a connector: reading, nothing else.
type Session interface {
	Streams() []connector.StreamInfo
	Test(ctx context.Context) connector.TestReport
	Read(ctx context.Context, stream string, sink connector.Sink) (connector.ReadResult, error)
	Close()
}

// Opener opens a session for one sync.
type Opener func(ctx context.Context, key Key, spec handover.Spec, state map[string]connector.StreamState) (Session, error)

// Options configure a Worker.
type Options struct {
	Store Store
	Open  Opener
	// Owner is unique per start of a process.
	Owner string
	// Concurrency bounds syncs at the same time; 0 is 4.
	Concurrency int
	// Lease is how long a claim lasts without renewal; 0 is one minute.
	Lease time.Duration
	// Busy and Idle are the intervals of the due-work query; 0 is 1 s and 5 s.
	Busy, Idle time.Duration
	Clock      clock.WithTicker
	Log        *slog.Logger
	Metrics    prometheus.Registerer
}

// Worker claims and syncs Integrations until its context ends.
type Worker struct {
	o       Options
	metrics *metrics
	wake    chan struct{}
	slots   chan struct{}
}

// New returns a worker.
func New(o Options) *Worker {
	if o.Concurrency <= 0 {
		o.Concurrency = 4
	}
	if o.Lease <= 0 {
		o.Lease = time.Minute
	}
	if o.Busy <= 0 {
		o.Busy = time.Second
	}
	if o.Idle <= 0 {
		o.Idle = 5 * time.Second
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Worker{o: o, metrics: newMetrics(o.Metrics), wake: make(chan struct{}, 1), slots: make(chan struct{}, o.Concurrency)}
}

// Wake asks for a due-work query now.
func (w *Worker) Wake() {
	select {
	case w.wake <- struct{}{}:
	default: // one is asked for already
	}
}

// NeedLeaderElection tells controller-runtime to run the worker on every
// replica.
func (w *Worker) NeedLeaderElection() bool { return false }

// Start claims and syncs until ctx ends; then it gives claims back and returns.
func (w *Worker) Start(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		claimed, err := w.claim(ctx, &running)
		if err != nil && ctx.Err() == nil {
			w.o.Log.Error("Could not claim due integrations", "error", err)
		}
		wait := w.o.Idle
		if claimed > 0 || len(w.slots) > 0 {
			wait = w.o.Busy
		}
		timer := w.o.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-w.wake:
			timer.Stop()
		case <-timer.C():
		}
	}
}

// claim takes as much due work as there are free slots, and starts it.
func (w *Worker) claim(ctx context.Context, running *sync.WaitGroup) (int, error) {
	free := cap(w.slots) - len(w.slots)
	if free == 0 {
		return 0, nil
	}
	claims, err := w.o.Store.ClaimDueIntegrations(ctx, w.o.Owner, free, w.o.Lease)
	for _, c := range claims {
		w.slots <- struct{}{}
		running.Add(1)
		go func() {
			defer running.Done()
			defer func() {
				<-w.slots
				w.Wake() // the next may be due already
			}()
			w.Sync(ctx, c)
		}()
	}
	return len(claims), err
}

// finishGrace bounds the recording of an outcome after the sync's own context
// has ended.
const finishGrace = 30 * time.Second

// Sync carries out one claimed sync and records its outcome.
func (w *Worker) Sync(ctx context.Context, c store.Claim) {
	a := newAttempt(w, c)
	start := w.o.Clock.Now()
	work, cancel := context.WithTimeoutCause(ctx, a.spec.Timeout, errSyncTimeout)
	if a.spec.Timeout <= 0 {
		work, cancel = context.WithCancel(ctx)
	}
	stopRenewing := w.renew(work, cancel, c)
	a.run(work)
	stopRenewing()
	cancel()

	finish, done := context.WithTimeout(context.WithoutCancel(ctx), finishGrace)
	defer done()
	err := a.finish(finish, ctx.Err() != nil)
	switch {
	case errors.Is(err, store.ErrFenced):
		a.log.Info("Another replica, or a disconnect, took the sync over; nothing more was written")
	case err != nil:
		a.log.Error("Could not record the outcome of the sync", "error", err)
	}
	w.metrics.observe(a, w.o.Clock.Since(start))
}

var errSyncTimeout = errors.New("the sync took longer than spec.timeout")

// renew extends the claim until the function returned is called, and cancels
// the sync if the claim is lost.
func (w *Worker) renew(ctx context.Context, cancel context.CancelFunc, c store.Claim) (stop func()) {
	return renewClaim(ctx, cancel, w.o.Store, c, w.o.Lease, w.o.Clock, w.o.Log)
}

// claimRenewer extends claims.
type claimRenewer interface {
	RenewClaim(ctx context.Context, c store.Claim, lease time.Duration) error
}

func renewClaim(ctx context.Context, cancel context.CancelFunc, r claimRenewer, c store.Claim, lease time.Duration, ck clock.WithTicker, log *slog.Logger) (stop func()) {
	ctx, end := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := ck.NewTicker(lease / 3)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C():
			}
			err := r.RenewClaim(ctx, c, lease)
			if errors.Is(err, store.ErrFenced) {
				cancel()
				return
			}
			if err != nil && ctx.Err() == nil {
				log.Warn("Could not renew the claim of a sync", "integration", c.Name, "error", err)
			}
		}
	}()
	return func() { end(); <-ended }
}
