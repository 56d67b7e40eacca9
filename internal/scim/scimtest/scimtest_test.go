// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scimtest_test

import (
	"reflect"
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
