// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package compat_test

import (
	"reflect"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/scim/compat"
	"github.com/seatkeeper/seatkeeper/internal/scim/scimtest"
)

// FuzzNormalise wants that normalising changes nothing that it is given, that
// twice is the same as once, and that what comes of it is read or refused.
func FuzzNormalise(f *testing.F) {
	for n := range uint64(8) {
		f.Add([]byte(jsonOf(f, scimtest.Seed(n).User(1))))
		f.Add([]byte(jsonOf(f, scimtest.Seed(n).Patch(scim.User))))
		f.Add([]byte(jsonOf(f, scimtest.Seed(n).Patch(scim.Group))))
	}
	f.Add([]byte(`{"Operations":[{"op":"Add","value":[{"name.givenName":"x","emails[type eq \"home\"].value":"h","id":"u1","manager":[{"value":"u"}]}]}]}`))
	f.Add([]byte(`{"userName":["a"],"urn:ietf:params:scim:schemas:extension:enterprise:2.0User":{"manager":"u2"},"department":"D","active":"True"}`))
	u := scimtest.Seed(3).Resource(1)
	u.Attributes["id"] = "u1"
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, err := scim.ParseJSON(body)
		if err != nil {
			return
		}
		request, before := jsonOf(t, doc), jsonOf(t, u)
		for _, rt := range scim.ResourceTypes() {
			once := compat.Resource(rt, doc)
			if jsonOf(t, doc) != request {
				t.Fatalf("%s was changed", request)
			}
			if twice := compat.Resource(rt, once); !reflect.DeepEqual(once, twice) {
				t.Fatalf("%s comes to %s, then to %s", request, jsonOf(t, once), jsonOf(t, twice))
			}
			if r, err := scim.Decode(rt, once, compat.Dialect); err == nil {
				if _, err := scim.Restore(rt, []byte(jsonOf(t, r))); err != nil {
					t.Fatal(err)
				}
			} else if _, ok := scim.AsError(err); !ok {
				t.Fatal(err)
			}
		}
		patch := compat.Patch(scim.User, "u1", doc)
		if jsonOf(t, doc) != request {
			t.Fatalf("%s was changed", request)
		}
		p, err := scim.ParsePatch(scim.User, patch, compat.Dialect)
		if err == nil {
			_, err = p.Apply(u, nil)
		}
		if _, ok := scim.AsError(err); err != nil && !ok {
			t.Fatal(err)
		}
		if jsonOf(t, u) != before {
			t.Fatalf("%s changed what is stored", request)
		}
	})
}
