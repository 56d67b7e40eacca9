// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

var idp = store.SCIMCaller{Actor: "apikey/entra/k1", KeyID: "k1", CorrelationID: "c1"}

func scimUser(name string, edit ...func(scim.Object)) scim.Object {
	o := scim.Object{"userName": name, "active": true, "userType": "Employee", "displayName": "User " + name}
	for _, e := range edit {
		e(o)
	}
	return o
}

// provision creates or changes a user by userName.
func (w *world) provision(o scim.Object) store.SCIMWritten {
	w.Helper()
	out, err := w.s.WriteSCIMUser(w.Context(), w.tenant, idp, store.SCIMUserKey{UserName: o["userName"].(string)},
		func(*store.SCIMTx, *store.SCIMResource) (scim.Object, error) { return o, nil })
	w.must(err)
	return out
}

func (w *world) setActive(id string, active bool) {
	w.Helper()
	_, err := w.s.WriteSCIMUser(w.Context(), w.tenant, idp, store.SCIMUserKey{ID: id}, func(_ *store.SCIMTx, have *store.SCIMResource) (scim.Object, error) {
		o := scim.Object{}
		for k, v := range have.Attributes {
			o[k] = v
		}
		o["active"] = active
		return o, nil
	})
	w.must(err)
}

func (w *world) deprovision(id string) {
	w.Helper()
	_, err := w.s.WriteSCIMUser(w.Context(), w.tenant, idp, store.SCIMUserKey{ID: id},
		func(*store.SCIMTx, *store.SCIMResource) (scim.Object, error) { return nil, nil })
	w.must(err)
}

func TestSCIMUserIsAPerson(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.must(w.s.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{Domains: []string{"acme.example"}}))
		w.sync("hris", complete("people", []model.DataType{model.DataPeople}, person("7", "ann@acme.example")))
		w.events()
		boss := w.provision(scimUser("bo@acme.example"))
		ann := w.provision(scimUser("Ann@acme.example", func(o scim.Object) {
			o["title"] = "Engineer"
			o["emails"] = []any{scim.Object{"value": "a.lee@acme.example", "type": "work"}, scim.Object{"value": "bo@acme.example", "type": "other"}, scim.Object{"value": "ann@home.example", "type": "home"}}
			o["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] = scim.Object{"department": "R&D", "manager": scim.Object{"value": boss.ID}}
		}))
		if boss.Outcome != store.SCIMCreated || ann.Outcome != store.SCIMCreated || ann.Version != 1 {
			t.Fatalf("created %v and %v", boss, ann)
		}
		people := w.people()
		if len(people) != 2 {
			t.Fatalf("the directory has %d people, want Ann of both sources and Bo", len(people))
		}
		p, err := w.s.Person(w.Context(), w.tenant, people["ann@acme.example"].ID)
		w.must(err)
		if p.Title != "Engineer" || p.Department != "R&D" || p.DisplayName != "Person 7" || p.ManagerID != people["bo@acme.example"].ID {
			t.Errorf("merged person is %+v", p)
		}
		if len(p.Sources) != 2 || p.Sources[0].Integration != store.SCIMSource || p.Sources[0].ExternalID != ann.ID || p.Sources[1].Integration != "hris" {
			t.Errorf("provenance is %+v", p.Sources)
		}
		if _, err := w.s.PersonByEmail(w.Context(), w.tenant, "ann@home.example"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a private address stands for a person: %v", err)
		}
		if byAlias, err := w.s.PersonByEmail(w.Context(), w.tenant, "a.lee@acme.example"); err != nil || byAlias.ID != p.ID {
			t.Errorf("the work address stands for %v, %v", byAlias.ID, err)
		}
		if bo, err := w.s.PersonByEmail(w.Context(), w.tenant, "bo@acme.example"); err != nil || bo.ID != people["bo@acme.example"].ID {
			t.Errorf("writing down another's address took it over: %v", err)
		}
		if p.Lifecycle != model.LifecycleCurrent && p.Lifecycle != "" {
			t.Errorf("lifecycle is %q", p.Lifecycle)
		}
		again := w.provision(ann.Attributes)
		if again.Outcome != store.SCIMUnchanged || again.Version != 1 {
			t.Errorf("writing the same changed something: %+v", again)
		}
		states, err := w.s.ListIntegrations(w.Context(), w.tenant)
		w.must(err)
		if len(states) != 1 {
			t.Errorf("SCIM shows as an Integration: %+v", states)
		}
	})
}

// Decision 4: without the declaration nobody's lifecycle follows SCIM.
func TestSCIMLeaversWithoutDeclaration(t *testing.T) {
	eachWorld(t, func(w *world) {
		ids := w.staff(40)
		w.events()
		for _, id := range ids[:12] {
			w.setActive(id, false)
		}
		w.deprovision(ids[12])
		w.step(time.Hour)
		left, held, err := w.s.SettleSCIMLeavers(w.Context(), w.tenant)
		w.must(err)
		if left != 0 || held != nil {
			t.Errorf("%d left, held %v", left, held)
		}
		if e := w.events(); len(e[model.EventPersonLeft]) != 0 || len(e[model.EventPersonChanged]) != 0 {
			t.Errorf("events: %v", e)
		}
	})
}

// Decision 4: with it the guard counts.
func TestSCIMLeaversWithDeclaration(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.must(w.s.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{LifecycleSCIM: true, SCIM: store.SCIMFacts{Enabled: true}}))
		ids := w.staff(100)
		if e := w.events(); len(e[model.EventPersonJoined]) != 100 {
			t.Fatalf("%d joined, want 100", len(e[model.EventPersonJoined]))
		}
		settle := func(wantLeft int64, wantHeld bool) *store.Hold {
			t.Helper()
			left, held, err := w.s.SettleSCIMLeavers(w.Context(), w.tenant)
			w.must(err)
			if left != wantLeft || (held != nil) != wantHeld {
				t.Fatalf("%d left, held %v; want %d, %v", left, held, wantLeft, wantHeld)
			}
			return held
		}
		// One leaves: not before it has been quiet, then once.
		w.setActive(ids[0], false)
		settle(0, false)
		w.step(store.LeaversQuiet)
		settle(1, false)
		if e := w.events(); len(e[model.EventPersonLeft]) != 1 {
			t.Fatalf("events: %v", e)
		}
		settle(0, false)
		// Who returns in time has not left, and who returns later joins again.
		w.setActive(ids[1], false)
		w.setActive(ids[1], true)
		w.setActive(ids[0], true)
		w.step(time.Hour)
		settle(0, false)
		if e := w.events(); len(e[model.EventPersonLeft]) != 0 || len(e[model.EventPersonJoined]) != 1 {
			t.Fatalf("events: %v", e)
		}
		// 30 of 100 are held, deleted ones with them, until a person releases them.
		for _, id := range ids[10:35] {
			w.setActive(id, false)
		}
		for _, id := range ids[35:40] {
			w.deprovision(id)
		}
		held := settle(0, true)
		if held.Count != 30 || held.Total != 100 || held.Allowed != 20 {
			t.Errorf("hold %+v", held)
		}
		w.step(24 * time.Hour)
		settle(0, true)
		if e := w.events(); len(e) != 0 {
			t.Errorf("held leavers made events: %v", e)
		}
		if _, err := w.s.ReleaseHold(w.Context(), w.tenant, store.SCIMLeaversHold(), held.Digest, model.Actor{Name: "ann", Kind: model.ActorUser}, ""); err != nil {
			t.Fatal(err)
		}
		settle(30, false)
		if e := w.events(); len(e[model.EventPersonLeft]) != 30 {
			t.Fatalf("events: %v", e)
		}
		settle(0, false)
		if e := w.events(); len(e) != 0 {
			t.Errorf("ending the rows of deleted users made events: %v", e)
		}
		counts, err := w.s.PeopleCounts(w.Context(), w.tenant)
		w.must(err)
		if counts[model.LifecycleCurrent] != 70 || counts[model.LifecyclePast] != 30 {
			t.Errorf("counts %v", counts)
		}
	})
}

// staff provisions n active users and returns their ids.
func (w *world) staff(n int) []string {
	w.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = w.provision(scimUser(fmt.Sprintf("u%04d@acme.example", i))).ID
	}
	return ids
}

// What identity providers push as a group is a group for policies.
func TestSCIMGroupPeople(t *testing.T) {
	eachWorld(t, func(w *world) {
		ids := w.staff(3)
		_, err := w.s.WriteSCIMGroup(w.Context(), w.tenant, idp, "", func(*store.SCIMTx, *store.SCIMResource) (*store.SCIMGroupChange, error) {
			return &store.SCIMGroupChange{Attributes: scim.Object{"displayName": "On Call"},
				Members: &scim.MemberDelta{Add: []scim.Member{{Value: ids[0], Type: "User"}, {Value: ids[2], Type: "User"}}}}, nil
		})
		w.must(err)
		people := w.people()
		got, err := w.s.GroupPeople(w.Context(), w.tenant, []string{"on call", "other"})
		w.must(err)
		want := []string{people["u0000@acme.example"].ID, people["u0002@acme.example"].ID}
		slices.Sort(want)
		if !slices.Equal(got["on call"], want) || len(got["other"]) != 0 {
			t.Errorf("people of groups: %v, want %v", got, want)
		}
		names, err := w.s.PersonGroups(w.Context(), w.tenant, want[0])
		w.must(err)
		if !slices.Equal(names, []string{"On Call"}) {
			t.Errorf("groups of a person: %q", names)
		}
	})
}

// Decision 7: user, person, events and audit commit together or not at all.
func TestSCIMCommitsTogether(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.must(w.s.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{LifecycleSCIM: true, SCIM: store.SCIMFacts{Enabled: true}}))
		ctx, cancel := context.WithCancel(w.Context())
		failpoint.Set(func(name string) {
			if name == store.SCIMBeforeCommit {
				cancel()
			}
		})
		t.Cleanup(func() { failpoint.Set(nil) })
		create := func(ctx context.Context) error {
			_, err := w.s.WriteSCIMUser(ctx, w.tenant, idp, store.SCIMUserKey{UserName: "ann@acme.example"},
				func(*store.SCIMTx, *store.SCIMResource) (scim.Object, error) {
					return scimUser("ann@acme.example"), nil
				})
			return err
		}
		if err := create(ctx); err == nil {
			t.Fatal("a write that was cut off is acknowledged")
		}
		failpoint.Set(nil)
		count := func() (users int64, people, events, records int) {
			_, users, err := w.s.ListSCIM(w.Context(), w.tenant, scim.User, store.SCIMQuery{})
			w.must(err)
			pending, err := w.s.NewEvents(w.Context(), w.tenant, 100)
			w.must(err)
			audit, err := w.s.Audit(w.Context(), w.tenant, store.AuditQuery{})
			w.must(err)
			return users, len(w.people()), len(pending), len(audit)
		}
		if users, people, events, records := count(); users+int64(people+events+records) != 0 {
			t.Errorf("it left %d users, %d people, %d events, %d audit records", users, people, events, records)
		}
		w.must(create(w.Context()))
		if users, people, events, records := count(); users != 1 || people != 1 || events != 2 || records != 1 {
			t.Errorf("the next one left %d users, %d people, %d events, %d audit records", users, people, events, records)
		}
	})
}

// A tenant in which nothing can move is not looked at again and again.
func TestSCIMLeaverTenantsAreThoseThatMove(t *testing.T) {
	eachWorld(t, func(w *world) {
		looked := func(want bool, when string) {
			t.Helper()
			tenants, err := w.s.SCIMLeaverTenants(w.Context())
			w.must(err)
			got := slices.ContainsFunc(tenants, func(x store.Tenant) bool { return x.ID == w.tenant })
			if got != want {
				t.Errorf("%s: looked at %v, want %v", when, got, want)
			}
		}
		settle := func() {
			t.Helper()
			_, _, err := w.s.SettleSCIMLeavers(w.Context(), w.tenant)
			w.must(err)
		}
		facts := func(lifecycle, enabled bool, protected ...string) {
			t.Helper()
			w.must(w.s.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{LifecycleSCIM: lifecycle, SCIM: store.SCIMFacts{Enabled: enabled}, Protected: protected}))
		}
		facts(false, true)
		ids := w.staff(30)
		w.setActive(ids[0], false)
		looked(false, "disabled, without the declaration")
		facts(true, true)
		looked(true, "waiting")
		facts(true, false)
		looked(false, "switched off")
		facts(true, true, "u0000@acme.example")
		looked(true, "protected since")
		settle()
		looked(false, "protected and held")
		facts(true, true)
		looked(true, "not protected any more")
		w.step(store.LeaversPatience)
		settle()
		looked(false, "left")
		w.step(25 * time.Hour)
		looked(true, "a day later")
		settle()
		looked(false, "forgotten")
		w.deprovision(ids[1])
		looked(true, "deleted, waiting")
		facts(false, true)
		looked(true, "deleted, the declaration gone")
		settle()
		looked(false, "ended")
	})
}

// The audit says who became a member, who is none any more, and who left.
func TestSCIMAuditNamesThem(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.must(w.s.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{LifecycleSCIM: true, SCIM: store.SCIMFacts{Enabled: true}}))
		ids := w.staff(60)
		write := func(id string, change *store.SCIMGroupChange) string {
			t.Helper()
			out, err := w.s.WriteSCIMGroup(w.Context(), w.tenant, idp, id, func(*store.SCIMTx, *store.SCIMResource) (*store.SCIMGroupChange, error) { return change, nil })
			w.must(err)
			return out.ID
		}
		var all []scim.Member
		for _, id := range ids {
			all = append(all, scim.Member{Value: id, Type: "User"})
		}
		name := scim.Object{"displayName": "VPN"}
		g := write("", &store.SCIMGroupChange{Attributes: name, Members: &scim.MemberDelta{Add: all}})
		write(g, &store.SCIMGroupChange{Attributes: name, Members: &scim.MemberDelta{Remove: []string{ids[0], "unknown"}}})
		write(g, nil)
		audit, err := w.s.Audit(w.Context(), w.tenant, store.AuditQuery{ObjectName: g})
		w.must(err)
		if len(audit) != 3 || audit[2].Detail["addedCount"] != "60" || strings.Count(audit[2].Detail["added"], ",") != 49 ||
			audit[1].Detail["removed"] != ids[0] || audit[1].Detail["removedCount"] != "1" || audit[0].Detail["removedCount"] != "59" {
			t.Errorf("audit of the group: %+v", audit)
		}
		for _, id := range ids[:2] {
			w.setActive(id, false)
		}
		w.step(store.LeaversPatience)
		_, _, err = w.s.SettleSCIMLeavers(w.Context(), w.tenant)
		w.must(err)
		left, err := w.s.Audit(w.Context(), w.tenant, store.AuditQuery{Action: "scim.leavers.pass"})
		w.must(err)
		if len(left) != 2 || left[0].PersonID == "" || left[0].PersonID == left[1].PersonID || !slices.Contains(ids[:2], left[0].ObjectName) {
			t.Errorf("audit of the leavers: %+v", left)
		}
	})
}
