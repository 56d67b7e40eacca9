// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package licensepolicy_test

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/govern/governtest"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

const okta = `
spec: {connector: okta, permission: ReadAndAct, interval: 1h, credentialsRef: {name: okta}}`

const policyByGroup = `
spec: {applicationRef: {name: zoom}, plans: [Licensed], mode: Auto, removal: {via: IdentityProvider, integration: okta, group: zoom-users}}`

// directory makes an identity provider that gives Zoom by a group: to all idle
// people but idle0008, who has no account there, and idle0009, who is not in
// the group. Integration okta is as the text says; "" makes none.
func (f *fixture) directory(integration string, edit ...func(*governtest.App)) *governtest.App {
	f.Helper()
	idp := governtest.New(f.store, f.tenant, "okta", f.clock.Now)
	idp.AccountsOnly = true
	if integration == "" {
		return idp
	}
	create(f, "okta", integration, &v1alpha1.Integration{})
	var members []string
	for _, id := range []string{"idle0000", "idle0001", "idle0002", "idle0003", "idle0004", "idle0005", "idle0006", "idle0007"} {
		idp.Add("u-"+id, 1, func(a *model.Account) { a.PersonKey = id + "@acme.example" })
		members = append(members, "u-"+id)
	}
	idp.Add("u-idle0009", 1, func(a *model.Account) { a.PersonKey = "idle0009@acme.example" })
	idp.AddGroup("00g1", "zoom-users", members...)
	idp.AddGroup("00g2", "twice")
	idp.AddGroup("00g3", "twice")
	for _, e := range edit {
		e(idp)
	}
	idp.Sync(f)
	return idp
}

func (f *fixture) reasons() map[string]string {
	f.Helper()
	list, err := f.store.Findings(f.Context(), f.tenant, store.FindingQuery{Policy: "zoom-90d"})
	f.must(err)
	out := map[string]string{}
	for _, v := range list {
		out[v.AccountID] = string(v.Class) + "/" + v.Reason
	}
	return out
}

func TestRemovalByGroup(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		clock := clocktesting.NewFakeClock(t0)
		f := newFixture(t, open(storetest.WithClock(clock)), clock)
		f.company()
		f.directory(okta, func(idp *governtest.App) {
			idp.Account("u-idle0001").Kind = model.AccountService
			idp.Account("u-idle0002").IsAdmin = true
			idp.Add("u2-idle0003", 1, func(a *model.Account) { a.PersonKey = "idle0003@acme.example" })
			idp.AddGroup("00g1", "zoom-users", "u2-idle0003")
		})
		p := f.policy(policyByGroup)
		f.steady(p)
		f.wantReady(p, metav1.ConditionTrue, v1alpha1.ReasonReconciled, "5 of 85 seats unused", "1 whose person has no account there (NoDirectoryAccount)",
			"1 whose person is not in the group (NotGroupMember)", "1 whose person is in the group with several accounts (DirectoryAccountAmbiguous)")
		got := f.reasons()
		for id, want := range map[string]string{
			"idle0001": "Protected/ServiceAccount", "idle0002": "Protected/DirectoryAdmin", "idle0003": "Held/DirectoryAccountAmbiguous",
			"idle0008": "Held/NoDirectoryAccount", "idle0009": "Held/NotGroupMember",
		} {
			if got[id] != want {
				t.Errorf("%s: %s, want %s", id, got[id], want)
			}
		}
		if e := p.Status.Evaluated; e.Held != 3 || e.Exempt != 2 || e.InFlight != 5 {
			t.Errorf("%+v", e)
		}
		f.wantRuns(5)
		for _, run := range f.runs() {
			var vars struct {
				Seat struct {
					AccountID, Effect string
					Via               struct{ Integration, GroupID, AccountID string }
				}
				With map[string]any
			}
			f.must(json.Unmarshal(run.Vars, &vars))
			if via := vars.Seat.Via; via.Integration != "okta" || via.GroupID != "00g1" || via.AccountID != "u-"+vars.Seat.AccountID ||
				vars.With["userId"] != via.AccountID || vars.With["groupId"] != "00g1" ||
				!strings.Contains(vars.Seat.Effect, "removed from group zoom-users in okta") || strings.Contains(vars.Seat.Effect, "your account stays") {
				t.Errorf("%+v", vars)
			}
		}
	})
}

// Whatever is wrong with the way through the identity provider, nothing starts.
func TestRemovalByGroupThatCannotAct(t *testing.T) {
	group := func(name string) string { return strings.ReplaceAll(policyByGroup, "zoom-users", name) }
	for _, tc := range []struct {
		name, policy, integration string
		status                    metav1.ConditionStatus
		reason                    string
		words                     []string
	}{
		{"no Integration", policyByGroup, "", metav1.ConditionFalse, v1alpha1.ReasonReferenceNotFound, []string{"spec.removal.integration", `"okta"`}},
		{"unknown group", group("nobody"), okta, metav1.ConditionFalse, v1alpha1.ReasonGroupNotFound, []string{`"nobody"`, "none of the 3 groups"}},
		{"written otherwise", group("Zoom-Users"), okta, metav1.ConditionFalse, v1alpha1.ReasonGroupNotFound, []string{`"zoom-users" (id 00g1)`}},
		{"ambiguous", group("twice"), okta, metav1.ConditionFalse, v1alpha1.ReasonGroupAmbiguous, []string{"00g2", "00g3", "by its id"}},
		{"by id, in which nobody is", group("00g2"), okta, metav1.ConditionTrue, v1alpha1.ReasonReconciled, []string{"0 of 85 seats", "9 whose person is not in the group"}},
		{"permission Read", policyByGroup, strings.ReplaceAll(okta, "ReadAndAct", "Read"), metav1.ConditionTrue, v1alpha1.ReasonPermissionRead, []string{"Integration okta"}},
		{"destructive there", policyByGroup, strings.ReplaceAll(okta, "interval: 1h", "interval: 1h, config: {domain: acme.okta.com}"), metav1.ConditionTrue, v1alpha1.ReasonActionNotAllowed,
			[]string{"group.removeMember", "Integration okta"}},
		{"no such action", strings.ReplaceAll(policyByGroup, "integration: okta, group: zoom-users", "integration: zoom, group: zoom-users"), okta, metav1.ConditionFalse, v1alpha1.ReasonGroupNotFound,
			[]string{"none of the 0 groups", "Integration zoom"}},
		{"downgrade", "spec: {applicationRef: {name: zoom}, mode: Auto, removal: {via: Downgrade, plan: Basic}}", okta, metav1.ConditionFalse, v1alpha1.ReasonNotImplemented, []string{"Downgrade does not act yet"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			on(t, func(f *fixture) {
				f.company()
				f.directory(tc.integration)
				p := f.policy(tc.policy)
				f.steady(p)
				f.wantReady(p, tc.status, tc.reason, tc.words...)
				f.wantRuns(0)
			})
		})
	}
}

// Accounts that the Organization protects in the identity provider stay in
// their groups.
func TestProtectedInTheDirectory(t *testing.T) {
	on(t, func(f *fixture) {
		f.company()
		f.directory(okta)
		org := &v1alpha1.Organization{}
		f.must(f.client.Get(f.Context(), client.ObjectKey{Namespace: f.namespace, Name: v1alpha1.OrganizationName}, org))
		org.Spec.Protected.Accounts = []v1alpha1.ProtectedAccounts{{Integration: "okta", ExternalIDs: []string{"u-idle0004"}}}
		f.must(f.client.Update(f.Context(), org))
		p := f.policy(policyByGroup)
		f.steady(p)
		if got := f.reasons()["idle0004"]; got != "Protected/ProtectedAccount" {
			f.Error(got)
		}
		f.wantRuns(7)
	})
}
