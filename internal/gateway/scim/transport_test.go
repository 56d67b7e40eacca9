// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"testing"
)

// A filter that was dropped would select everybody.
func TestQueryThatCannotBeRead(t *testing.T) {
	eachKit(t, func(k *kit) {
		k.add("only")
		for _, query := range []string{`filter=userName%20eq%20"a;b@acme.example"`, `filter=userName%20eq%20"100%zz"`, `count=1;filter=x`} {
			k.do("GET", "/Users?"+query, nil).fails(400, "invalidFilter")
			k.do("GET", "/?"+query, nil).fails(400, "invalidFilter")
		}
		k.do("GET", "/Users?filter=userName%20eq%20%22a%3Bb@acme.example%22&aadOptscim062020", nil).want(200)
		r := k.do("POST", "/Bulk", object{"schemas": []string{bulkURN}, "Operations": []object{
			{"method": "POST", "bulkId": "a", "path": "/Users?attributes=userName;id", "data": user("b@acme.example")},
		}}).want(200)
		if got := at(r.list("Operations")[0], "response", "scimType"); got != "invalidFilter" {
			t.Errorf("in a bulk request: %s", r.raw)
		}
		k.token = "wrong"
		k.do("GET", "/Users?%zz", nil).fails(401, "")
	})
}
