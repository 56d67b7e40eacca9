// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"strings"
	"testing"
)

// with is the kit for a caller with another key of the same tenant.
func (k *kit) with(token string) *kit {
	other := *k
	other.token = token
	return &other
}

// Who administers is not for every key to say: it takes a scope that no key has
// unasked.
func TestAdminsNeedAScope(t *testing.T) {
	eachKit(t, func(k *kit) {
		k.facts(roles("Owner!", "IT Admin!", "Finance"))
		k.add("root", object{"userType": "Owner"})
		ann, off := k.add("ann", object{"userType": "IT Admin"}), k.add("off", object{"userType": "Owner", "active": false})
		k = k.with("unscoped")
		eve := k.add("eve", object{"userType": "Finance"})

		admin := object{"userType": "Owner"}
		for name, try := range map[string]func() reply{
			"PATCH":              func() reply { return k.edit(eve, op("replace", "userType", "Owner")) },
			"PATCH without path": func() reply { return k.edit(eve, op("add", "", admin)) },
			"PATCH of a name":    func() reply { return k.edit(eve, op("Replace", coreUser+":USERTYPE", "Owner")) },
			"PUT":                func() reply { return k.do("PUT", "/Users/"+eve, user("eve@acme.example", admin)) },
			"POST":               func() reply { return k.do("POST", "/Users", user("mal@acme.example", admin)) },
			"POST, inactive": func() reply {
				return k.do("POST", "/Users", user("mal@acme.example", object{"userType": "Owner", "active": false}))
			},
			"POST, active again":   func() reply { return k.do("POST", "/Users", user("off@acme.example", admin)) },
			"active again":         func() reply { return k.edit(off, op("replace", "active", true)) },
			"another such role":    func() reply { return k.edit(ann, op("replace", "userType", "Owner")) },
			"active again, by PUT": func() reply { return k.do("PUT", "/Users/"+off, user("off@acme.example", object{"active": true})) },
		} {
			if r := try().fails(403, ""); !strings.Contains(r.text("detail"), "scim:admins") || !strings.Contains(r.text("detail"), "spec.scopes") {
				t.Errorf("%s: the detail %q does not say how to mend it", name, r.text("detail"))
			}
		}
		r := k.do("POST", "/Bulk", object{"schemas": []string{bulkURN}, "Operations": []object{{"method": "PATCH", "path": "/Users/" + eve, "data": patch(op("replace", "userType", "Owner"))}}}).want(200)
		if got := at(r.list("Operations")[0], "status"); got != "403" {
			t.Errorf("in bulk: %v", got)
		}
		if got := k.do("GET", "/Users/"+eve, nil).want(200).text("userType"); got != "Finance" {
			t.Errorf("eve is %s", got)
		}

		// Who administers already goes on, and may be demoted.
		for _, r := range []reply{
			k.do("PUT", "/Users/"+ann, user("ann@acme.example", object{"title": "x"})).want(200),
			k.do("PUT", "/Users/"+ann, user("ann@acme.example", object{"title": "y", "userType": "IT Admin"})).want(200),
			k.edit(ann, op("replace", "title", "z")).want(200),
		} {
			if r.text("userType") != "IT Admin" {
				t.Errorf("%s", r.raw)
			}
		}
		k.edit(off, op("replace", "title", "z")).want(200)
		k.edit(ann, op("replace", "userType", "Finance")).want(200)
		k.edit(ann, op("replace", "userType", "IT Admin")).fails(403, "")
		k.with("acme").edit(ann, op("replace", "userType", "IT Admin")).want(200)
	})
}

// A key that reads changes nothing, and one that writes reads nothing.
func TestScopesOfReadingAndWriting(t *testing.T) {
	eachKit(t, func(k *kit) {
		id := k.add("ann")
		team := k.addGroup("ops", id)
		search := object{"schemas": []string{searchURN}}
		reads := []func(k *kit) reply{
			func(k *kit) reply { return k.do("GET", "/Users", nil) },
			func(k *kit) reply { return k.do("GET", "/Users/"+id, nil) },
			func(k *kit) reply { return k.do("GET", "/Groups/"+team, nil) },
			func(k *kit) reply { return k.do("GET", "/", nil) },
			func(k *kit) reply { return k.do("POST", "/.search", search) },
			func(k *kit) reply { return k.do("POST", "/Users/.search", search) },
			func(k *kit) reply { return k.do("GET", "/ServiceProviderConfig", nil) },
		}
		writes := []func(k *kit) reply{
			func(k *kit) reply { return k.edit(id, op("replace", "title", "x")) },
			func(k *kit) reply { return k.do("PUT", "/Users/"+id, user("ann@acme.example")) },
			func(k *kit) reply { return k.do("POST", "/Groups", group("other")) },
			func(k *kit) reply { return k.do("DELETE", "/Groups/"+team, nil) },
			func(k *kit) reply {
				return k.do("POST", "/Bulk", object{"schemas": []string{bulkURN}, "Operations": []object{{"method": "DELETE", "path": "/Users/" + id}}})
			},
		}
		for _, tc := range []struct {
			token, lacks string
			refused      []func(k *kit) reply
			allowed      []func(k *kit) reply
		}{{"reader", "scim:write", writes, reads}, {"writer", "scim:read", reads, writes}} {
			for i, do := range tc.refused {
				if r := do(k.with(tc.token)).fails(403, ""); !strings.Contains(r.text("detail"), tc.lacks) {
					t.Errorf("%s, %d: the detail %q does not name %s", tc.token, i, r.text("detail"), tc.lacks)
				}
			}
			for i, do := range tc.allowed {
				if r := do(k.with(tc.token)); r.status >= 400 {
					t.Errorf("%s, %d: %d %s", tc.token, i, r.status, r.raw)
				}
			}
		}
		if _, err := k.store.SCIMUser(t.Context(), k.tenant, id); err == nil {
			t.Error("who may write deleted nobody")
		}
	})
}
