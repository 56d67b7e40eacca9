// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// edited is a Workflow that somebody changes while its runs are under way.
var edited = load{
	name: "edited",
	start: func(ctx context.Context, s *store.Store, tenant model.TenantID, c config) error {
		_, err := s.Workflow(ctx, tenant, "edited")
		switch {
		case errors.Is(err, store.ErrNotFound):
			return startOne(workflow.Definition{Steps: []workflow.Step{
				zoomStep("seat", "license.remove"),
				{Name: "pause", Wait: &workflow.WaitStep{For: workflow.Span{Elapsed: 200 * time.Millisecond}}},
				deskStep(workflow.ClassKeyed),
			}})(ctx, s, tenant, c)
		case err != nil:
			return err
		}
		return startEach(ctx, s, tenant, "edited", c.Seats)
	},
	want: expectation{
		outcomes: map[string]int{"": 1}, audits: map[string]int{"license.remove": 1, "http.post": 1},
		zoom: map[string]int{"license.remove": 1, "user.deactivate": 0}, desk: map[string]int{"keyed": 1},
	},
}

// TestEditedWhileKilled changes the definition while the process is dead in the
// middle of a run, which goes on as it began.
func TestEditedWhileKilled(t *testing.T) {
	killedAt(t, edited, 1, []string{failpoint.AfterEffectBeforeOutcome, failpoint.WaitFiredBeforeCommit}, func(w *world, _ string) {
		w.between = func(s *store.Store, tenant model.TenantID) error {
			return putWorkflow(w.t.Context(), s, tenant, byHand("edited"), workflow.Definition{Steps: []workflow.Step{
				zoomStep("account", "user.deactivate"),
			}})
		}
	})
}

// stopped are the runs of leavers, which somebody stops.
var stopped = load{name: "stopped", start: leavers.start}

// TestStoppedWhileKilled stops a run while the process is dead with a call under
// way. What came of the call is found out first; then no further step begins.
func TestStoppedWhileKilled(t *testing.T) {
	for point, effects := range map[string]int{
		failpoint.AfterEffectBeforeOutcome: 1, // found by the precheck of what is sent again, and booked
		failpoint.AfterIntentBeforeSend:    0,
	} {
		t.Run(point, func(t *testing.T) {
			eachStore(t, func(t *testing.T, fresh func(testing.TB) string) {
				t.Parallel()
				w := newWorld(t, fresh(t), stopped, 1)
				w.load.want = expectation{
					outcomes: map[string]int{"stopped": 1}, audits: map[string]int{"run.stop": 1, "user.deactivate": 0},
					zoom: map[string]int{"license.remove": effects, "user.deactivate": 0},
				}
				w.between = func(s *store.Store, tenant model.TenantID) error {
					runs, err := s.ListRuns(t.Context(), tenant, store.RunFilter{})
					if err != nil {
						return err
					}
					r, err := s.StopRun(t.Context(), tenant, runs[0].ID, store.Decider{Actor: "eve", Kind: model.ActorUser})
					if err == nil && r.State != store.RunInFlight {
						t.Errorf("the run is %s before its call is resolved", r.State)
					}
					return err
				}
				r, kills := w.toTheEnd(once(point + ":1"))
				w.check(r)
				if kills != 1 {
					t.Errorf("killed %d times", kills)
				}
			})
		})
	}
}
