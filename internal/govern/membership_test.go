// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package govern_test

import (
	"encoding/json"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/govern/governtest"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// A run that ends a membership ends that of the account that it was started
// for, or none: not of one that left meanwhile, is another person's, or that
// the Organization protects since.
func TestRecheckOfAMembership(t *testing.T) {
	each(t, func(w *world) {
		r := govern.NewRechecker(w.store, w.clock)
		w.app.AddMany("idle", 5, 97)
		w.sync()
		idp := governtest.New(w.store, w.tenant, "okta", w.clock.Now)
		idp.AccountsOnly = true
		for _, id := range []string{"idle0000", "idle0001", "idle0002", "idle0003"} {
			idp.Add("u-"+id, 1, func(a *model.Account) { a.PersonKey = id + "@acme.example" })
		}
		idp.AddGroup("00g1", "zoom-users", "u-idle0000", "u-idle0001", "u-idle0003")
		idp.Sync(w)
		w.put()
		want := func(seat, account string, decision workflow.Decision, reason string) {
			w.Helper()
			about := subject(w, seat)
			var err error
			about.Vars, err = json.Marshal(map[string]any{"seat": workflow.ReclaimSeat{Integration: "zoom", AccountID: seat, PlanKey: governtest.Plan,
				Via: &workflow.ReclaimVia{Integration: "okta", GroupID: "00g1", Group: "zoom-users", AccountID: account}}})
			must(w, err)
			v, err := r.Recheck(w.Context(), w.tenant, about)
			must(w, err)
			if v.Decision != decision || v.Reason != reason {
				w.Errorf("%s, %s: %+v, want %s %s", seat, account, v, decision, reason)
			}
		}
		want("idle0000", "u-idle0000", workflow.Go, "")
		want("idle0000", "u-idle0001", workflow.Drop, policy.ReasonNotGroupMember) // another person's
		want("idle0002", "u-idle0002", workflow.Drop, policy.ReasonNotGroupMember) // not in the group
		want("idle0004", "u-idle0004", workflow.Drop, policy.ReasonNotGroupMember) // no account
		w.rules.Protected.Accounts = map[string][]string{"okta": {"u-idle0001"}}
		w.put()
		want("idle0001", "u-idle0001", workflow.Drop, govern.ReasonProtected)
		w.rules.Protected = policy.Protected{When: "account.username == 'u-idle0003'"}
		w.put()
		want("idle0003", "u-idle0003", workflow.Drop, govern.ReasonProtected)
		want("idle0001", "u-idle0001", workflow.Go, "")
		idp.Remove("u-idle0001")
		w.sync()
		idp.Sync(w)
		want("idle0001", "u-idle0001", workflow.Drop, policy.ReasonNotGroupMember)
	})
}
