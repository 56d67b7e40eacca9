// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scimtest_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/scim/scimtest"
)

const rounds = 4000

// TestFiltersTellApart wants the filters to be worth comparing on: each is
// valid, and many hold for some resources and not for others.
func TestFiltersTellApart(t *testing.T) {
	var resources []*scim.Resource
	for n := range 40 {
		resources = append(resources, scimtest.Seed(uint64(n)).Resource(n))
	}
	telling := 0
	for n := range uint64(rounds) {
		text := scimtest.Seed(n).Filter(scim.User)
		e, err := scim.ParseFilter(scim.User, text, scim.Strict)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		hits := 0
		for _, r := range resources {
			if scim.Match(e, r) {
				hits++
			}
		}
		if hits > 0 && hits < len(resources) {
			telling++
		}
	}
	if telling < rounds/3 {
		t.Errorf("%d of %d filters tell resources apart", telling, rounds)
	}
}

// TestPatchesChange wants the changes to be worth trying: many are accepted and
// change something, and each kind of refusal comes up.
func TestPatchesChange(t *testing.T) {
	changed, kinds := 0, map[scim.ScimType]int{}
	for n := range uint64(rounds) {
		s := scimtest.Seed(n)
		r := s.Resource(1)
		p, err := scim.ParsePatch(scim.User, s.Patch(scim.User), scim.Strict)
		var res *scim.PatchResult
		if err == nil {
			res, err = p.Apply(r, nil)
		}
		if e, ok := scim.AsError(err); ok {
			kinds[e.Type]++
		} else if len(res.Changed) > 0 {
			changed++
		}
	}
	if changed < rounds/8 {
		t.Errorf("%d of %d patches change something", changed, rounds)
	}
	for _, kind := range []scim.ScimType{scim.InvalidValue, scim.Mutability, scim.NoTarget} {
		if kinds[kind] == 0 {
			t.Errorf("none is refused as %s", kind)
		}
	}
	t.Logf("%d change something; refused: %v", changed, kinds)
}

// recorder counts what would fail a test.
type recorder struct {
	testing.TB
	failed int
}

func (r *recorder) Helper()               {}
func (r *recorder) Logf(string, ...any)   {}
func (r *recorder) Errorf(string, ...any) { r.failed++ }

// TestCompare wants a store that is right to pass, and one that is wrong in one
// thing not to.
func TestCompare(t *testing.T) {
	var resources []*scim.Resource
	for n := range 30 {
		r := scimtest.Seed(uint64(n)).Resource(n)
		r.Attributes["id"] = fmt.Sprintf("id%02d", n)
		resources = append(resources, r)
	}
	list := func(match func(scim.Expr, *scim.Resource) bool, order func(*scim.Sort) func(a, b *scim.Resource) int) scimtest.Lister {
		return func(filter scim.Expr, sort *scim.Sort) (ids []string, _ error) {
			var out []*scim.Resource
			for _, r := range resources {
				if match(filter, r) {
					out = append(out, r)
				}
			}
			if sort != nil {
				slices.SortFunc(out, order(sort))
			}
			for _, r := range out {
				ids = append(ids, r.ID())
			}
			return ids, nil
		}
	}
	right := func(s *scim.Sort) func(a, b *scim.Resource) int { return s.Compare }
	for name, tt := range map[string]struct {
		list scimtest.Lister
		ok   bool
	}{
		"right": {list(scim.Match, right), true},
		"ne of an absent one is false": {list(func(e scim.Expr, r *scim.Resource) bool {
			c, ok := e.(*scim.Compare)
			return scim.Match(e, r) && !(ok && c.Op == scim.OpNe && scim.Match(&scim.Not{Term: &scim.Present{Attr: c.Attr}}, r))
		}, right), false},
		"descending is ignored": {list(scim.Match, func(s *scim.Sort) func(a, b *scim.Resource) int {
			return (&scim.Sort{By: s.By}).Compare
		}), false},
		"everything is refused": {func(scim.Expr, *scim.Sort) ([]string, error) {
			return nil, &scim.Error{Status: 400, Type: scim.InvalidFilter}
		}, false},
	} {
		r := &recorder{TB: t}
		scimtest.Compare(r, scim.User, resources, 500, tt.list)
		if (r.failed == 0) != tt.ok {
			t.Errorf("%s: %d failures", name, r.failed)
		}
	}
}

func TestSameDataSameChoices(t *testing.T) {
	for n := range uint64(100) {
		a, b := scimtest.Seed(n), scimtest.Seed(n)
		if !reflect.DeepEqual(a.User(1), b.User(1)) || a.Filter(scim.Group) != b.Filter(scim.Group) || !reflect.DeepEqual(a.Group(1), b.Group(1)) {
			t.Fatalf("seed %d chooses differently", n)
		}
		if _, err := scim.Decode(scim.Group, a.Group(1), scim.Strict); err != nil {
			t.Fatal(err)
		}
	}
}
