// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"log/slog"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/defect"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

const (
	drainEvery = 5 * time.Second
	// drainAge leaves the replica that received an event the time to handle it.
	drainAge   = 10 * time.Second
	drainBatch = 100
)

// PendingEvents lists what was received and not handled.
type PendingEvents interface {
	PendingEvents(ctx context.Context, minAge time.Duration, limit int) ([]store.Event, error)
}

// Drainer handles what a person answered and was told to be taken, where the
// replica that took it could not handle it: its process ended, or the store was
// slow at that moment. What webhooks receive has a drainer of its own.
type Drainer struct {
	Events PendingEvents
	Clock  clock.WithTicker
	Log    *slog.Logger
	// Process handles one event; it is safe to repeat.
	Process func(ctx context.Context, e store.Event) error
}

// Run drains until ctx ends.
func (d *Drainer) Run(ctx context.Context) {
	tick := d.Clock.NewTicker(drainEvery)
	defer tick.Stop()
	for {
		d.Drain(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C():
		}
	}
}

// Drain handles what is pending now.
func (d *Drainer) Drain(ctx context.Context) {
	events, err := d.Events.PendingEvents(ctx, drainAge, drainBatch)
	if err != nil {
		if ctx.Err() == nil {
			d.Log.Error("Received events cannot be read", "error", err)
		}
		return
	}
	for _, e := range events {
		err := defect.Guard(func() error { return d.Process(ctx, e) })
		if err != nil && ctx.Err() == nil {
			d.Log.Warn("A received event could not be handled yet", append([]any{"endpoint", e.Endpoint, "event", e.ID}, defect.Attrs(err)...)...)
		}
	}
}
