// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/scim/scimtest"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Filters and orders mean the same in SQL as in the evaluator, on both
// databases, whatever is in the literals.
func TestSCIMFiltersAgree(t *testing.T) {
	eachWorld(t, func(w *world) {
		const seeds = 1500
		users := w.randomUsers(40)
		scimtest.Compare(t, scim.User, users, seeds, w.lister(scim.User))
		groups := w.randomGroups(25)
		scimtest.Compare(t, scim.Group, groups, seeds, w.lister(scim.Group))
	})
}

// FuzzSCIMFilter is the same for filters that the fuzzer finds.
func FuzzSCIMFilter(f *testing.F) {
	for _, seed := range []string{`userName eq "x"`, `emails[type eq "work" and value co "%"].value sw "_"`, `not (title pr) or meta.created gt "2026-01-01T00:00:00Z"`, `displayName ew "\\'\";--"`} {
		f.Add(seed)
	}
	dir := f.TempDir()
	var w *world
	var users []*scim.Resource
	f.Fuzz(func(t *testing.T, text string) {
		if w == nil {
			w = fuzzWorld(t, dir)
			users = w.randomUsers(20)
		}
		w.T = t
		filter, err := scim.ParseFilter(scim.User, text, scim.Dialect{BareLiterals: true, StringBooleans: true})
		if err != nil {
			return
		}
		got, err := w.lister(scim.User)(filter, nil)
		if _, refused := scim.AsError(err); refused {
			return
		}
		w.must(err)
		n := 0
		for _, u := range users {
			if scim.Match(filter, u) {
				n++
			}
		}
		if n != len(got) {
			t.Errorf("%s: SQL selects %d, the evaluator %d", filter, len(got), n)
		}
	})
}

func (w *world) lister(rt *scim.ResourceType) scimtest.Lister {
	return func(filter scim.Expr, sort *scim.Sort) ([]string, error) {
		rows, total, err := w.s.ListSCIM(w.Context(), w.tenant, rt, store.SCIMQuery{Filter: filter, Sort: sort, Limit: 1000})
		if err != nil {
			return nil, err
		}
		_, counted, err := w.s.ListSCIM(w.Context(), w.tenant, rt, store.SCIMQuery{Filter: filter, Sort: sort})
		if err != nil || counted != total || total != int64(len(rows)) {
			return nil, fmt.Errorf("listed %d of %d, counted %d: %w", len(rows), total, counted, err)
		}
		out := make([]string, len(rows))
		for i, r := range rows {
			out[i] = r.ID
		}
		return out, nil
	}
}

// answered is a resource as the store has it.
func answered(rt *scim.ResourceType, r store.SCIMResource) *scim.Resource {
	out := (&scim.Resource{Type: rt, Attributes: r.Attributes}).Clone()
	out.Attributes["id"] = r.ID
	out.SetMeta(scim.Meta{Created: r.CreatedAt, LastModified: r.ModifiedAt})
	return out
}

func (w *world) randomUsers(n int) (out []*scim.Resource) {
	w.Helper()
	for i := range n {
		r := scimtest.Seed(uint64(i)).Resource(i)
		if r.Type != scim.User {
			w.Fatal("no user")
		}
		delete(r.Attributes, "id")
		delete(r.Attributes, "meta")
		delete(r.Attributes, "groups")
		if _, ok := r.Bool("active"); !ok {
			r.Attributes["active"] = i%2 == 0
		}
		w.step(time.Duration(i%3) * time.Second)
		written, err := w.s.WriteSCIMUser(w.Context(), w.tenant, idp, store.SCIMUserKey{UserName: r.Text("userName")},
			func(*store.SCIMTx, *store.SCIMResource) (scim.Object, error) { return r.Attributes, nil })
		w.must(err)
		if written.Outcome != store.SCIMCreated {
			w.Fatalf("user %d: %s", i, written.Outcome)
		}
		stored, err := w.s.SCIMUser(w.Context(), w.tenant, written.ID)
		w.must(err)
		out = append(out, answered(scim.User, stored))
	}
	return out
}

func (w *world) randomGroups(n int) (out []*scim.Resource) {
	w.Helper()
	for i := range n {
		doc := scimtest.Seed(uint64(1000 + i)).Group(i)
		r, err := scim.Decode(scim.Group, doc, scim.Dialect{AnySchemas: true})
		w.must(err)
		members := r.TakeMembers()
		for m := range members {
			members[m].Type = []string{"User", "Group"}[m%2]
		}
		w.step(time.Second)
		written, err := w.s.WriteSCIMGroup(w.Context(), w.tenant, idp, "", func(*store.SCIMTx, *store.SCIMResource) (*store.SCIMGroupChange, error) {
			return &store.SCIMGroupChange{Attributes: r.Attributes, Members: &scim.MemberDelta{Add: members}}, nil
		})
		w.must(err)
		stored, err := w.s.SCIMGroup(w.Context(), w.tenant, written.ID)
		w.must(err)
		full := answered(scim.Group, stored)
		var list []any
		for _, m := range members {
			list = append(list, scim.Object{"value": m.Value, "type": m.Type})
		}
		if len(list) > 0 {
			full.Attributes["members"] = list
		}
		out = append(out, full)
	}
	return out
}

// fuzzWorld is a world for a whole run of the fuzzer, on SQLite.
func fuzzWorld(t *testing.T, dir string) *world {
	s, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + dir})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, s: s, clock: clocktesting.NewFakePassiveClock(t0)}
	w.must(s.Migrate(t.Context()))
	w.tenant, err = s.EnsureTenant(t.Context(), "acme")
	w.must(err)
	return w
}
