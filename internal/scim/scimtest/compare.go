// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scimtest

import (
	"slices"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/scim"
)

// Lister is what a store answers: the ids that a filter selects, in the order
// of sort where it is not nil.
type Lister func(filter scim.Expr, sort *scim.Sort) ([]string, error)

// Compare holds a store against scim.Match and Sort.Compare: for each seed a
// filter and an order over resources, which are all that the store has, as it
// would answer them. A store may refuse what it has no column for with a
// *scim.Error, but not more than one in twenty.
func Compare(t testing.TB, rt *scim.ResourceType, resources []*scim.Resource, seeds uint64, list Lister) {
	t.Helper()
	ids, times := known(resources)
	refused := uint64(0)
	for seed := range seeds {
		s := Seed(seed)
		s.IDs, s.Times = ids, times
		text := s.Filter(rt)
		filter, err := scim.ParseFilter(rt, text, scim.Strict)
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, text, err)
		}
		by, order := s.Sort(rt)
		sort, err := scim.ParseSort(rt, by, order)
		if err != nil {
			sort = nil
		}
		got, err := list(filter, sort)
		if _, ok := scim.AsError(err); ok {
			refused++
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, filter, err)
		}
		want := expected(resources, filter, sort)
		if sort == nil {
			slices.Sort(got)
			slices.Sort(want)
		}
		if !slices.Equal(got, want) {
			report(t, seed, filter, sort, resources, got, want)
		}
	}
	if refused > seeds/20 {
		t.Errorf("%d of %d filters and orders were refused", refused, seeds)
	}
}

// known are ids and instants that the resources have, and ids that they have not.
func known(resources []*scim.Resource) (ids []string, times []time.Time) {
	for _, r := range resources {
		ids = append(ids, r.ID())
		for _, name := range []string{"meta.created", "meta.lastModified"} {
			if at, err := scim.ParseTime(r.Text(name)); err == nil && !slices.ContainsFunc(times, at.Equal) {
				times = append(times, at)
			}
		}
	}
	if len(times) == 0 {
		times = []time.Time{time.Unix(0, 0)}
	}
	return append(ids, "u1", "", "'"), times
}

func expected(resources []*scim.Resource, filter scim.Expr, sort *scim.Sort) []string {
	var out []*scim.Resource
	for _, r := range resources {
		if scim.Match(filter, r) {
			out = append(out, r)
		}
	}
	if sort != nil {
		slices.SortStableFunc(out, sort.Compare)
	}
	ids := make([]string, len(out))
	for i, r := range out {
		ids[i] = r.ID()
	}
	return ids
}

// report says of the first difference what it is about.
func report(t testing.TB, seed uint64, filter scim.Expr, sort *scim.Sort, resources []*scim.Resource, got, want []string) {
	t.Helper()
	for _, r := range resources {
		has := slices.Contains(got, r.ID())
		if has == slices.Contains(want, r.ID()) {
			continue
		}
		t.Errorf("seed %d: the store selects %s: %v; Match says %v\n%s", seed, filter, has, !has, quote(r))
		return
	}
	by := "nothing"
	if sort != nil {
		by = sort.By.String()
	}
	t.Errorf("seed %d: %s sorted by %s (descending %v)\n got %q\nwant %q", seed, filter, by, sort != nil && sort.Descending, got, want)
	byID := map[string]*scim.Resource{}
	for _, r := range resources {
		byID[r.ID()] = r
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] && sort != nil {
			t.Logf("at %d: got %q, want %q", i, sort.Value(byID[got[i]]), sort.Value(byID[want[i]]))
			return
		}
	}
}
