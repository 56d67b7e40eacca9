// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"iter"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

func unused(l License, when string) Spec {
	g := DefaultGuard
	return Spec{License: &l, Subject: workflow.SubjectLicense, When: when, Guard: &g}
}

// found is what a LicensePolicy found of the seats of people in Zoom.
func (o *office) found(class model.SeatClass, since model.Date, ids ...string) (out []model.Finding) {
	o.Helper()
	for _, id := range ids {
		p, err := o.store.PersonByEmail(o.Context(), o.tenant, id+"@acme.example")
		o.must(err)
		out = append(out, model.Finding{Policy: "zoom-90d", Integration: "zoom", AccountID: "z-" + id, PlanKey: "pro", PersonID: p.ID, Class: class, Since: since, Reason: "NotUsed",
			Annual: &model.Money{Minor: 19188, Currency: "USD"}})
	}
	return out
}

func (o *office) evaluate(lists ...[]model.Finding) {
	o.Helper()
	var seq iter.Seq2[model.Finding, error] = func(yield func(model.Finding, error) bool) {
		for _, l := range lists {
			for _, f := range l {
				if !yield(f, nil) {
					return
				}
			}
		}
	}
	_, err := o.store.ReplaceFindings(o.Context(), o.tenant, "zoom-90d", seq)
	o.must(err)
}

func (o *office) policy(edit ...func(*store.PolicyState)) {
	o.Helper()
	p := store.PolicyState{Policy: "zoom-90d", UID: "uid", Generation: 1, App: "zoom", Mode: "Report", Rules: []byte(`{}`)}
	for _, e := range edit {
		e(&p)
	}
	o.must(o.store.UpsertPolicy(o.Context(), o.tenant, p))
}

// TestLicenseOfPolicy: acceptance row 12. A seat that the policy found unused has one
// run for each time that it became so; those that nobody may take have none.
func TestLicenseOfPolicy(t *testing.T) {
	eachOffice(t, func(o *office) {
		t := o.T
		o.employ(60)
		o.sync()
		o.policy()
		o.declare(model.AppFacts{Name: "zoom", DisplayName: "Zoom", Sources: []string{"zoom"}})
		ids := []string{"e001", "e002", "e003", "e004", "e005", "e006", "e007"}
		o.list("zoom", seats(t0.AddDate(0, -6, 0), ids...)...)
		o.workflow("reclaim", unused(License{Policy: "zoom-90d"}, "license.cost == 192 && license.planName == 'Pro' && application.name == 'zoom' && person.department == 'Sales'"))
		o.evaluate(o.found(model.SeatInactive, "2026-05-01", "e001"), o.found(model.SeatUnknown, "", "e002"), o.found(model.SeatExempt, "2026-05-01", "e003"),
			o.found(model.SeatProtected, "2026-05-01", "e004"), o.found(model.SeatKept, "2026-05-01", "e005"), o.found(model.SeatHeld, "2026-05-01", "e006"), o.found(model.SeatActive, "", "e007"))
		o.look()
		o.started("reclaim", "e001@acme.example")
		person := o.vars("reclaim")["person"].(map[string]any)
		if accounts := person["accounts"].([]any); person["email"] != "e001@acme.example" || len(accounts) != 1 {
			o.Errorf("the holder is %v", person)
		}
		o.about("reclaim", workflow.About{Seat: &workflow.AboutSeat{Integration: "zoom", AccountID: "z-e001", PlanKey: "pro", Policy: "zoom-90d"}})
		unused := govern.Unused{Store: o.store, Clock: o.clock}
		for id, class := range map[string]model.SeatClass{"e001": model.SeatInactive, "e002": model.SeatUnknown, "e007": model.SeatActive} {
			found, err := unused.Now(t.Context(), o.tenant, "zoom-90d", 0, model.SeatKey{Integration: "zoom", AccountID: "z-" + id, PlanKey: "pro"})
			if err != nil || len(found) != 1 || found[0].Class != class {
				t.Errorf("the seat of %s is found %v, %v", id, found, err)
			}
		}
		o.pass(2 * time.Hour)
		o.started("reclaim", "e001@acme.example")
		o.evaluate(o.found(model.SeatActive, "", "e001"))
		o.pass(time.Hour)
		o.evaluate(o.found(model.SeatInactive, "2026-10-20", "e001")) // used, and unused again
		o.look()
		o.started("reclaim", "e001@acme.example", "e001@acme.example")
	})
}

// TestUsedAgainBeforeTheRun: what the guard holds is looked at again.
func TestUsedAgainBeforeTheRun(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(400)
		o.sync()
		o.policy()
		var ids []string
		for i := range 25 {
			ids = append(ids, o.people[i].Person.ExternalID)
		}
		o.list("zoom", seats(t0.AddDate(0, -6, 0), ids...)...)
		o.workflow("reclaim", unused(License{Policy: "zoom-90d"}, ""))
		o.evaluate(o.found(model.SeatInactive, "2026-05-01", ids...))
		o.look()
		if n := len(o.runs("reclaim")); n != 20 {
			o.Fatalf("%d of 25 unused seats have runs, want 20", n)
		}
		held := o.starts("reclaim")
		var used []string
		for _, id := range ids {
			if held[0][:4] == id {
				used = append(used, id)
			}
		}
		var rest []string
		for _, id := range ids {
			if id != used[0] {
				rest = append(rest, id)
			}
		}
		o.evaluate(o.found(model.SeatInactive, "2026-05-01", rest...), o.found(model.SeatActive, "", used...))
		o.release("reclaim")
		o.look()
		if n := len(o.runs("reclaim")); n != 24 {
			o.Fatalf("%d runs, want 24: one of those held is used again", n)
		}
		o.notStarted("reclaim")
	})
}

// TestPolicyGone: what a policy found that is gone, or suspended, starts nothing.
func TestPolicyGone(t *testing.T) {
	for name, end := range map[string]func(o *office){
		"suspended": func(o *office) {
			o.policy(func(p *store.PolicyState) { p.Suspended, p.Generation = true, 2 })
		},
		"removed": func(o *office) { o.must(o.store.RemovePolicy(o.Context(), o.tenant, "zoom-90d")) },
		"never":   func(*office) {},
	} {
		t.Run(name, func(t *testing.T) {
			eachOffice(t, func(o *office) {
				o.employ(50)
				o.sync()
				o.list("zoom", seats(t0.AddDate(0, -6, 0), "e001")...)
				if name != "never" {
					o.policy()
				}
				end(o)
				o.evaluate(o.found(model.SeatInactive, "2026-05-01", "e001"))
				o.workflow("reclaim", unused(License{Policy: "zoom-90d"}, ""))
				o.pass(2 * time.Hour)
				o.started("reclaim")
			})
		})
	}
}

// TestLicenseInactiveFor: whatever the app, by a signal that is trusted. Of a seat
// whose source tells nothing of use nobody knows.
func TestLicenseInactiveFor(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(60)
		o.sync()
		facts, err := o.store.TenantFacts(o.Context(), o.tenant)
		o.must(err)
		facts.Protected = []string{"e004@acme.example"}
		o.must(o.store.SetTenantFacts(o.Context(), o.tenant, facts))
		ago := func(days int) time.Time { return t0.AddDate(0, 0, -days) }
		silent := seats(ago(200), "e005")
		silent[0].Account.ActivityReported, silent[0].Account.LastActivityAt = false, nil
		free := seats(ago(200), "e006")
		free[1].Assignment.Paid = false
		list := func(recent time.Time) {
			o.list("zoom", all(seats(ago(100), "e001"), seats(recent, "e002"), seats(ago(300), "e004"), silent, free)...)
		}
		list(ago(80))
		o.workflow("reclaim", unused(License{InactiveFor: 90}, "license.daysUnused >= 90"))
		o.look()
		o.started("reclaim", "e001@acme.example")
		for range 12 { // a listing that is old proves nothing
			o.clock.Step(24 * time.Hour)
			list(ago(80))
			o.look()
		}
		o.started("reclaim", "e001@acme.example", "e002@acme.example")
	})
}
