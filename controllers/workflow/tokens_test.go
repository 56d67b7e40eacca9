// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/tokens"
)

// TestTokens shows what a webhook received, sorted and bounded, and says of
// expressions what was never received, without keeping runs from starting.
func TestTokens(t *testing.T) {
	k := newKit(t)
	w := k.workflow("hire", `
trigger: {webhook: {person: {match: [{email: "${body.email}"}], create: true, fields: {givenName: "${body.fist_name}"}}}}
when: "!has(event.data.body.test)"
steps:
- {name: rest, wait: {for: 1h}}
`)
	teach := func(body string) {
		t.Helper()
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Fatal(err)
		}
		if _, err := tokens.Teach(t.Context(), k.store.Store, k.store.tenant, "hire", tokens.Body{Value: v, At: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}); err != nil {
			t.Fatal(err)
		}
	}
	condition := func(want string) {
		t.Helper()
		k.settles(w, fine)
		got := ""
		if c := meta.FindStatusCondition(w.Status.Conditions, v1alpha1.ConditionPathsUnreceived); c != nil {
			got = fmt.Sprintf("%s %s %s", c.Status, c.Reason, c.Message)
		}
		if got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
	condition("") // nothing is known yet
	teach(`{"email": "a@acme.example", "first_name": "Ada", "items": [{"sku": 1}]}`)
	condition("True NeverReceived spec.trigger.webhook.person.fields.givenName: body.fist_name was never received; did you mean body.first_name?; `seatkeeper workflow tokens hire` lists what was received")
	if want := []string{"email", "first_name", "items[].sku"}; !slices.Equal(w.Status.Tokens, want) {
		t.Errorf("tokens %q, want %q", w.Status.Tokens, want)
	}
	before := w.ResourceVersion
	teach(`{"email": "b@acme.example"}`)
	reconciletest.Steady(t, k.client, w, k.r)
	if w.ResourceVersion != before {
		t.Error("a status without news was written")
	}
	teach(`{"fist_name": "Ada"}`)
	condition("")
	var many []string
	for i := range 10 {
		many = append(many, fmt.Sprintf(`"f%c%c": {"a": 1, "b": 2}`, 'a'+i/26, 'a'+i%26))
	}
	teach("{" + strings.Join(many[:7], ",") + `, "more": {` + strings.Join(many[7:10], ",") + "}, " + strings.Join(names(110), ",") + "}")
	k.settles(w, fine)
	if n := len(w.Status.Tokens); n != maxTokens || !slices.IsSorted(w.Status.Tokens) {
		t.Errorf("%d tokens, sorted %t", n, slices.IsSorted(w.Status.Tokens))
	}
	w.Spec.Trigger = v1alpha1.Trigger{Manual: &v1alpha1.ManualTrigger{}}
	w.Spec.When = ""
	if err := k.client.Update(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	condition("")
	if w.Status.Tokens != nil {
		t.Errorf("a Workflow without a webhook has tokens %q", w.Status.Tokens)
	}
}

func names(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf(`"n%c%c": 1`, 'a'+i/26, 'a'+i%26))
	}
	return out
}
