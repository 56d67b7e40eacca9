// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// reclaims ask each holder for their seat.
var reclaims = load{
	name:    "reclaim",
	start:   startReclaims,
	choices: []string{"Reclaim"},
	want: expectation{
		outcomes: map[string]int{"reclaimed": 1},
		audits:   map[string]int{"license.remove": 1, "message.send": 1, "message.update": 1, "prompt.answer": 1},
		ledger:   map[string]int{"potential": 1},
		zoom:     map[string]int{"license.remove": 1},
		slack:    map[string]int{"message.send": 1, "message.update": 1},
	},
}

func startReclaims(ctx context.Context, s *store.Store, tenant model.TenantID, c config) error {
	var runs []store.NewRun
	timeout := workflow.Hours(1)
	if c.Timeout > 0 {
		timeout = workflow.Span{Elapsed: c.Timeout}
	}
	for _, one := range c.Seats {
		spec := workflow.ReclaimSpec{
			Policy: "zoom-90d", Generation: 1, Mode: workflow.ModeAsk, IdleSince: "2026-07-01",
			Seat: workflow.ReclaimSeat{
				App: "zoom", AppTitle: "Zoom", Asker: "Acme IT", Why: "seats that were not used for 90 days are given back", Integration: "zoom",
				AccountID: one.AccountID, PlanKey: "zoom.type.2", PlanName: "Licensed", PersonID: one.PersonID, PersonName: one.Name, Email: one.Email,
				Source: "zoom.last_login_time", YearlyCost: &model.Money{Minor: 18000, Currency: "EUR"},
				Effect: "your seat is downgraded to Basic; your account stays", GetBack: "ask IT", Contact: "it@acme.example",
			},
			Ask: &workflow.ReclaimAsk{
				Channels: []workflow.ChannelRef{{Kind: workflow.ChannelSlack, Integration: "slack"}}, Options: []string{"Reclaim", "Keep"},
				Timeout: timeout, OnTimeout: "Reclaim", KeepFor: workflow.Days(90),
			},
			Removal: workflow.ReclaimRemoval{Action: "license.remove", With: map[string]any{"userId": one.AccountID},
				Retry: workflow.Retry{Base: workflow.Span{Elapsed: 50 * time.Millisecond}}},
		}
		run, err := spec.NewRun()
		if err != nil {
			return err
		}
		runs = append(runs, run)
	}
	_, err := s.CreateRuns(ctx, tenant, runs)
	return err
}

// TestKilledAtEveryFailpoint kills the process at each named instant.
func TestKilledAtEveryFailpoint(t *testing.T) {
	killedAt(t, reclaims, 1, failpoint.All, func(w *world, point string) {
		if point == failpoint.WaitFiredBeforeCommit {
			w.timeout = 300 * time.Millisecond
			w.load.want.audits = without(w.load.want.audits, "prompt.answer")
		}
	})
}

// TestKilledAtRandom kills the process while many people are asked.
func TestKilledAtRandom(t *testing.T) {
	killedAtRandom(t, reclaims, 20, 1, failpoint.All)
}

// TestVendorsMisbehave loses answers instead of killing the process.
func TestVendorsMisbehave(t *testing.T) {
	for _, l := range []load{reclaims, approvals} {
		t.Run(l.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, fresh func(testing.TB) string) {
				t.Parallel()
				w := newWorld(t, fresh(t), l, 5)
				w.misbehave()
				r, _ := w.toTheEnd(once(""))
				for _, f := range w.sim.Faults() {
					if f.Hits == 0 {
						t.Errorf("fault %s of %s did not happen", f.Kind, f.Path)
					}
				}
				w.check(r)
			})
		})
	}
}
