// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"slices"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// requestLog are the requests that the tenant's log has, oldest first.
func (k *kit) requestLog() []store.SCIMRequest {
	k.Helper()
	k.requests.Flush(k.Context())
	out, _, err := k.store.SCIMLog(k.Context(), k.tenant, store.SCIMLogQuery{Page: store.Page{Limit: 500}})
	k.must(err)
	slices.Reverse(out)
	return out
}

// audited are the objects of the tenant's audit of an action.
func (k *kit) audited(action string) (objects []string) {
	k.Helper()
	rows, err := k.store.Audit(k.Context(), k.tenant, store.AuditQuery{Action: action, Limit: 1000})
	k.must(err)
	for _, r := range rows {
		objects = append(objects, r.ObjectName)
	}
	return objects
}

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

// What somebody takes for an id may be an address, and the log has no personal
// data.
func TestIDsOfOthersAreNotLogged(t *testing.T) {
	eachKit(t, func(k *kit) {
		k.do("PATCH", "/Users/canary.person@acme.example", patch(op("replace", "active", false))).fails(404, "")
		k.do("GET", "/Groups/Layoffs%20Q3", nil).fails(404, "")
		k.do("POST", "/Bulk", object{"schemas": []string{bulkURN}, "Operations": []object{{"method": "DELETE", "path": "/Users/canary.person@acme.example"}}}).want(200)
		const own = "0190b5c8-0000-7000-8000-000000000000"
		k.do("DELETE", "/Users/"+own, nil).fails(404, "")
		var ids []string
		for _, l := range k.requestLog() {
			ids = append(ids, l.ResourceID)
		}
		if slices.Sort(ids); !slices.Equal(ids, []string{"", own, "{id}", "{id}", "{id}"}) {
			t.Errorf("the log names %q", ids)
		}
		if got := k.audited("scim.refused"); len(got) != 3 || slices.ContainsFunc(got, func(id string) bool { return id != own && id != "{id}" }) {
			t.Errorf("the audit names %q", got)
		}
	})
}
