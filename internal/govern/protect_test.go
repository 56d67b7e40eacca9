// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package govern_test

import (
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// TestProtectedCalls is invariant 5 right before a call: whatever names a protected
// account, by its id or by an address, at any depth of the input.
func TestProtectedCalls(t *testing.T) {
	each(t, func(w *world) {
		w.app.Add("ada", 3)
		w.app.Add("robot", 3, func(a *model.Account) { a.Kind = model.AccountService })
		w.app.Add("boss", 3)
		w.app.Add("listed", 3)
		w.app.Add("ruled", 3)
		w.sync()
		must(w, w.store.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{
			LifecycleIntegration: "zoom", Protected: []string{"Boss@acme.example", "glass@acme.example"}, ProtectedAccounts: map[string][]string{"zoom": {"listed"}},
			ProtectedWhen: "account.username == 'ruled'",
		}))
		r := govern.NewRechecker(w.store, w.clock)
		for name, tc := range map[string]struct {
			integration string
			input       map[string]any
			protected   bool
		}{
			"an account":                {"zoom", map[string]any{"userId": "ada"}, false},
			"by address":                {"zoom", map[string]any{"email": "ada@acme.example"}, false},
			"nobody known":              {"zoom", map[string]any{"userId": "stranger", "n": 7}, false},
			"nothing":                   {"zoom", nil, false},
			"a service account":         {"zoom", map[string]any{"userId": "robot"}, true},
			"a listed account":          {"zoom", map[string]any{"userId": "listed"}, true},
			"of another Integration":    {"okta", map[string]any{"userId": "listed"}, false},
			"an account of a person":    {"zoom", map[string]any{"userId": "boss"}, true},
			"a person by address":       {"zoom", map[string]any{"email": "BOSS@acme.example"}, true},
			"a person without accounts": {"zoom", map[string]any{"email": "glass@acme.example"}, true},
			"by a rule":                 {"zoom", map[string]any{"userId": "ruled"}, true},
			"deep inside":               {"zoom", map[string]any{"users": []any{map[string]any{"id": "ada"}, map[string]any{"id": "listed"}}}, true},
		} {
			why, err := r.Protected(w.Context(), w.tenant, tc.integration, tc.input)
			must(w, err)
			if (why != "") != tc.protected || tc.protected && !strings.Contains(why, "protected") {
				w.Errorf("%s: %q, want protected %t", name, why, tc.protected)
			}
		}
	})
}
