// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/offboarding"
)

// TestOffboardingOfEveryConnector says what each connector does with a leaver's
// account if nobody declares anything and it may do everything, and that what an
// Application would declare for it passes.
func TestOffboardingOfEveryConnector(t *testing.T) {
	to := []offboarding.Recipient{{Role: "Manager"}}
	tests := map[string]struct {
		byDefault string
		deletes   bool // takes deleteAfter
		hands     bool // takes transferTo, if with deleteAfter
		side      string
	}{
		"atlassian":        {byDefault: "user.suspend", deletes: true},
		"csv":              {},
		"entra":            {byDefault: "user.suspend", deletes: true},
		"google-sheets":    {},
		"google-workspace": {byDefault: "user.suspend", deletes: true, hands: true, side: "token.revoke"},
		"notion":           {byDefault: "user.deactivate"},
		"okta":             {byDefault: "user.suspend", deletes: true, side: "app.unassign"},
		"push":             {},
		"ramp":             {byDefault: "user.deactivate"},
		"salesforce":       {byDefault: "user.suspend"},
		"scim":             {byDefault: "user.suspend", deletes: true},
		"slack":            {byDefault: "user.deactivate"},
		"workday":          {},
		"zendesk":          {byDefault: "user.suspend"},
		"zoho-desk":        {},
		"zoom":             {byDefault: "user.deactivate", deletes: true, hands: true},
	}
	for _, name := range connectors.Names() {
		want, ok := tests[name]
		if !ok {
			t.Errorf("connector %s is new: say what it does with a leaver's account", name)
			continue
		}
		i := &v1alpha1.Integration{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.IntegrationSpec{
			Connector: name, Permission: v1alpha1.PermissionReadAndAct, DestructiveActions: []v1alpha1.ActionName{"user.deactivate", "user.delete"},
		}}
		in := (&catalog{}).Offboarding(t.Context(), i)
		e, _ := offboarding.DefaultOf(&in)
		if e.Action != want.byDefault {
			t.Errorf("%s: by default %q, want %q", name, e.Action, want.byDefault)
		}
		fits := func(e offboarding.Entry, own bool) bool { return offboarding.Check(e, &in, own) == nil }
		if want.byDefault != "" {
			e.DeleteAfter = 14
			if got := fits(e, true); got != want.deletes {
				t.Errorf("%s: deleteAfter is taken: %v, want %v", name, got, want.deletes)
			}
			if e.TransferTo = to; !want.deletes {
				e.DeleteAfter = 0
			}
			if got := fits(e, true); got != want.hands {
				t.Errorf("%s: transferTo is taken: %v, want %v", name, got, want.hands)
			}
		}
		for _, action := range []string{"token.revoke", "app.unassign", "user.suspend", "user.deactivate"} {
			if got := fits(offboarding.Entry{Method: offboarding.Automatic, Action: action}, false); got != (action == want.side) {
				t.Errorf("%s: %s is taken for accounts that are only seen from the side: %v", name, action, got)
			}
		}
		i.Spec.Permission = v1alpha1.PermissionRead
		in = (&catalog{}).Offboarding(t.Context(), i)
		if e, ok := offboarding.DefaultOf(&in); ok {
			t.Errorf("%s: %s would be sent with permission Read", name, e.Action)
		}
	}
	if d := cmp.Diff(len(connectors.Names()), len(tests)); d != "" {
		t.Error("the table has connectors that are not there")
	}
}
