// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// TestNothingToStart: a Workflow that only people start is no work: a look ends (invariant 13).
func TestNothingToStart(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.byHand("man")
		ctx, cancel := context.WithTimeout(o.Context(), 3*time.Second)
		defer cancel()
		_, err := o.starter.Look(ctx)
		if err != nil {
			t.Errorf("Look never ends: %v", err)
		}
	})
}

// TestBackWhileHeld: who is back is not offboarded when the window of the guard has moved on.
func TestBackWhileHeld(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(400)
		o.sync()
		o.workflow("offboard", joiners(on(Left)))
		leavers(o, 0, 30, func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
		o.sync()
		o.look()
		o.pass(time.Hour)
		leavers(o, 0, 30, func(p *model.Person) { p.Lifecycle = model.LifecycleCurrent })
		o.sync()
		o.look()
		o.pass(25 * time.Hour)
		if n := len(o.runs("offboard")); n != 20 {
			t.Errorf("%d runs: ten offboardings of people who are back", n)
		}
	})
}

// TestBackWhileSuspended: nor when the Workflow goes on.
func TestBackWhileSuspended(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.sync()
		o.workflow("offboard", joiners(on(Left)), func(w *store.WorkflowState) { w.Suspended = true })
		leavers(o, 0, 1, func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
		o.sync()
		o.look()
		leavers(o, 0, 1, func(p *model.Person) { p.Lifecycle = model.LifecycleCurrent })
		o.pass(time.Hour)
		o.sync()
		o.look()
		o.workflow("offboard", joiners(on(Left)))
		o.pass(time.Hour)
		if n := len(o.runs("offboard")); n != 0 {
			t.Errorf("%d runs: offboarding of somebody who is back", n)
		}
	})
}

// TestReleaseOfMany: all of a released set starts, however many looks it takes.
func TestReleaseOfMany(t *testing.T) {
	eachOffice(t, func(o *office) {
		for i := range 2000 {
			o.people = append(o.people, person(fmt.Sprintf("e%04d", i)))
		}
		o.sync()
		o.workflow("offboard", joiners(on(Left)))
		for i := range 900 {
			o.change(fmt.Sprintf("e%04d", i), func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
		}
		o.syncUnguarded()
		o.look()
		n0 := len(o.runs("offboard"))
		hold := o.release("offboard")
		o.look()
		n1 := len(o.runs("offboard"))
		if int64(n1-n0) != hold.Count {
			t.Errorf("released %d, started %d", hold.Count, n1-n0)
		}
	})
}

// syncUnguarded lists everybody, however many are gone.
func (o *office) syncUnguarded() {
	o.shrink = model.Guard{MinItems: 10000, MaxPercent: 100}
	o.sync()
	o.shrink = model.DefaultShrinkGuard
}

// TestJoinedWithAnOldDate: who joins with a start date of long ago has joined.
func TestJoinedWithAnOldDate(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.sync()
		o.workflow("onboard", joiners(on(Joined, StartsOn)))
		o.people = append(o.people, person("ada", func(p *model.Person) { p.StartDate = "2026-10-10" }))
		o.sync()
		o.look()
		o.started("onboard", "ada@acme.example")
	})
}

// TestLeftBesideTheDate: who leaves before the end date has left, and a date that
// came too late to count keeps nobody from leaving.
func TestLeftBesideTheDate(t *testing.T) {
	for name, end := range map[string]model.Date{"before the end": "2026-12-31", "after a late date": "2026-10-10"} {
		t.Run(name, func(t *testing.T) {
			eachOffice(t, func(o *office) {
				o.employ(50)
				o.sync()
				o.workflow("off", joiners(on(Left, EndsOn)))
				o.change("e001", func(p *model.Person) { p.EndDate = end })
				o.sync()
				o.look()
				o.pass(time.Hour)
				o.change("e001", func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
				o.sync()
				o.look()
				o.pass(48 * time.Hour)
				o.started("off", "e001@acme.example")
			})
		})
	}
}

// TestLeftWithTheDate: the date and the departure may come in one listing.
func TestLeftWithTheDate(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(100)
		o.sync()
		o.workflow("off", joiners(on(Left, EndsOn)))
		leavers(o, 0, 12, func(p *model.Person) { p.EndDate, p.Lifecycle = "2026-10-10", model.LifecyclePast })
		o.sync()
		o.look()
		if n := len(o.runs("off")); n != 12 {
			t.Errorf("%d of 12 leavers; %v", n, o.starts("off"))
		}
	})
}

// TestCorrectedDate: a date that is put right counts.
func TestCorrectedDate(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.sync()
		o.workflow("prep", joiners(on(StartsOn)))
		o.people = append(o.people, person("ada", startsAt("2025-11-20")))
		o.sync()
		o.look()
		o.change("ada", startsAt("2026-11-20"))
		o.sync()
		o.look()
		for range 24 * 20 {
			o.pass(time.Hour)
		}
		o.started("prep", "ada@acme.example")
	})
}

// TestChangedTrigger: what was written down for another trigger starts nothing.
func TestChangedTrigger(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.sync()
		o.workflow("w", joiners(on(StartsOn)))
		o.people = append(o.people, person("ada", startsAt("2026-11-20")))
		o.sync()
		o.look()
		o.workflow("w", joiners(on(Left)))
		o.started("w")
		o.clock.SetTime(time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC))
		o.look()
		o.started("w") // nobody left
	})
}

// TestDateOfAnEarlierEmployment: the date of an earlier employment is none of the next.
func TestDateOfAnEarlierEmployment(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.sync()
		o.workflow("off", joiners(on(EndsOn)))
		o.change("e001", func(p *model.Person) { p.EndDate = "2026-12-31" })
		o.sync()
		o.look()
		o.change("e001", func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
		o.sync()
		o.look()
		o.pass(time.Hour)
		o.change("e001", func(p *model.Person) { p.Lifecycle, p.EndDate = model.LifecycleCurrent, "2027-01-31" })
		o.sync()
		o.look()
		o.clock.SetTime(time.Date(2027, 2, 1, 9, 0, 0, 0, time.UTC))
		o.look()
		o.started("off", "e001@acme.example")
	})
}

// TestScheduleOfABrokenWorkflow: the times that passed while a Workflow was broken are caught up with once.
func TestScheduleOfABrokenWorkflow(t *testing.T) {
	eachOffice(t, func(o *office) {
		s := Spec{Schedule: &Schedule{Cron: "*/5 * * * *"}}
		o.workflow("poll", s)
		o.workflow("poll", s, func(w *store.WorkflowState) { w.State, w.Trigger, w.Message = store.WorkflowInvalid, "", "broken" })
		for range 12 * 24 {
			o.pass(5 * time.Minute)
		}
		o.workflow("poll", s)
		o.pass(time.Minute)
		if n := len(o.runs("poll")); n > 24 {
			t.Errorf("%d runs at once", n)
		}
	})
}

// TestHoldEndsWithTheTrigger: a guard that holds nothing any more has no hold.
func TestHoldEndsWithTheTrigger(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(400)
		o.sync()
		o.workflow("offboard", joiners(on(Left)))
		leavers(o, 0, 30, func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
		o.sync()
		o.look()
		o.byHand("offboard")
		o.clock.Step(time.Hour)
		ctx, cancel := context.WithTimeout(o.Context(), 2*time.Second)
		defer cancel()
		_, _ = o.starter.Look(ctx)
		h, err := o.store.Hold(o.Context(), o.tenant, store.WorkflowHold("offboard"))
		if err == nil {
			t.Errorf("stale hold %+v; starts %v", h, o.starts("offboard"))
		}
	})
}

// TestOddBodies: no body keeps the other Workflows of a tenant waiting.
func TestOddBodies(t *testing.T) {
	for name, c := range map[string]struct {
		hook Webhook
		body string
	}{
		"nul-email":  {Webhook{Match: []Match{{MatchEmail, "${body.email}"}}}, `{"email": "a\u0000b@acme.example"}`},
		"nul-emp":    {Webhook{Match: []Match{{MatchEmployeeID, "${body.email}"}}, Create: true, Fields: map[string]string{"email": "x@acme.example"}}, `{"email": "a\u0000b"}`},
		"nul-create": {Webhook{Match: []Match{{MatchExternalID, "${body.id}"}}, Create: true, Fields: map[string]string{"email": "${body.email}"}}, `{"id": "1", "email":"a@acme.example"}`},
		"long-ext":   {Webhook{Match: []Match{{MatchExternalID, "${body.id}"}}, Create: true, Fields: map[string]string{"email": "${body.email}"}}, `{"id": "` + noise(9000) + `", "email":"a@acme.example"}`},
	} {
		t.Run(name, func(t *testing.T) {
			eachOffice(t, func(o *office) {
				o.employ(50)
				o.sync()
				g := DefaultGuard
				o.workflow("hire", Spec{Webhook: &c.hook, Subject: workflow.SubjectPerson, Guard: &g})
				o.workflow("other", joiners())
				o.hook("hire", c.body)
				o.look()
				o.people = append(o.people, person("ada"))
				o.sync()
				_, err := o.starter.Look(o.Context())
				if err != nil || len(o.runs("other")) != 1 {
					t.Errorf("tenant stalls: %v", err)
				}
			})
		})
	}
}

func noise(n int) string {
	b := make([]byte, n)
	x := uint32(12345)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[(x>>16)%62]
	}
	return string(b)
}

// racing does something between what a look reads and what it writes.
type racing struct {
	Store
	before func()
}

func (r *racing) ApplyStarts(ctx context.Context, t model.TenantID, b store.StartBatch) (int, error) {
	if f := r.before; f != nil {
		r.before = nil
		f()
	}
	return r.Store.ApplyStarts(ctx, t, b)
}

// TestDeletedMeanwhile: a Workflow that is deleted during a look starts nothing.
func TestDeletedMeanwhile(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(400)
		o.sync()
		o.workflow("off", joiners(on(Left)))
		leavers(o, 0, 30, func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
		o.sync()
		o.starter.Store = &racing{o.store, func() {
			o.must(o.store.DeleteWorkflow(o.Context(), o.tenant, "off", true, store.Decider{Actor: "x", Kind: model.ActorSystem}))
		}}
		o.look()
		if n := len(o.runs("off")); n != 0 {
			t.Errorf("%d runs of a deleted Workflow", n)
		}
		o.pass(time.Hour)
		if h, err := o.store.Hold(o.Context(), o.tenant, store.WorkflowHold("off")); err == nil {
			t.Errorf("hold of a deleted workflow stays: %d", h.Count)
		}
	})
}

// TestDeletedWhileHeld: nor does a look bring back what the guard held of one.
func TestDeletedWhileHeld(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(400)
		o.sync()
		o.workflow("off", joiners(on(Left)))
		leavers(o, 0, 20, func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
		o.sync()
		o.look() // as many as the guard lets
		leavers(o, 20, 25, func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
		o.sync()
		o.starter.Store = &racing{o.store, func() {
			o.must(o.store.DeleteWorkflow(o.Context(), o.tenant, "off", true, store.Decider{Actor: "x", Kind: model.ActorSystem}))
		}}
		o.look()
		if h, err := o.store.Hold(o.Context(), o.tenant, store.WorkflowHold("off")); err == nil {
			t.Errorf("a hold of a deleted Workflow: %d", h.Count)
		}
		o.notStarted("off")
		if n := len(o.starter.watches); n != 0 {
			t.Errorf("%d Workflows that are gone are kept", n)
		}
	})
}

// TestLeavesTwiceByWayOfExternal: who comes back as a contractor and then as an employee leaves a second time.
func TestLeavesTwiceByWayOfExternal(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.sync()
		o.workflow("off", joiners(on(Left)))
		for _, l := range []model.Lifecycle{model.LifecyclePast, model.LifecycleExternal, model.LifecycleCurrent, model.LifecyclePast} {
			leavers(o, 1, 2, func(p *model.Person) { p.Lifecycle = l })
			o.sync()
			o.pass(time.Hour)
		}
		if n := len(o.runs("off")); n != 2 {
			t.Errorf("%d runs, left twice", n)
		}
	})
}

// TestReleasedMeanwhile: a release during a look counts for what it released.
func TestReleasedMeanwhile(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(400)
		o.sync()
		o.workflow("off", joiners(on(Left)))
		leavers(o, 0, 30, func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
		o.sync()
		o.look()
		leavers(o, 30, 31, func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
		o.sync()
		o.starter.Store = &racing{o.store, func() { o.release("off") }}
		o.look()
		o.pass(time.Hour)
		if n := len(o.runs("off")); n != 30 {
			t.Errorf("%d runs, want the 30 after an acknowledged release of ten", n)
		}
	})
}
