// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/gateway"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// pending are events that were received.
type pending []string

func (p pending) PendingEvents(context.Context, time.Duration, int) (out []store.Event, _ error) {
	for _, id := range p {
		out = append(out, store.Event{ID: id})
	}
	return out, nil
}

// An answer at which the program fails holds up no other.
func TestDrainGoesOnAfterAPanic(t *testing.T) {
	var handled []string
	d := &gateway.Drainer{Events: pending{"a", "b", "c"}, Log: slog.New(slog.DiscardHandler), Process: func(_ context.Context, e store.Event) error {
		if e.ID == "b" {
			panic("ada@acme.example")
		}
		handled = append(handled, e.ID)
		return nil
	}}
	d.Drain(t.Context())
	if !slices.Equal(handled, []string{"a", "c"}) {
		t.Errorf("handled %v", handled)
	}
}
