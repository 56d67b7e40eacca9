// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Which channels are asked by, where a step names none.
func TestChannelsOfTheOrganization(t *testing.T) {
	ctx := t.Context()
	s := storetest.Open(t, storetest.SQLite(t))
	tenant, err := s.EnsureTenant(ctx, "acme")
	if err != nil {
		t.Fatal(err)
	}
	p := &people{store: s}
	slack := func(name string) workflow.ChannelRef {
		return workflow.ChannelRef{Kind: workflow.ChannelSlack, Integration: name}
	}
	email := workflow.ChannelRef{Kind: workflow.ChannelEmail}
	want := func(when string, refs ...workflow.ChannelRef) {
		t.Helper()
		got, err := p.Channels(ctx, tenant)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(refs, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", when, d)
		}
	}
	add := func(name, connector string) {
		t.Helper()
		if _, err := s.UpsertIntegration(ctx, tenant, store.IntegrationSpec{Name: name, UID: name, Connector: connector, Interval: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	want("nothing", email)
	add("zoom", "zoom")
	add("slack", "slack")
	want("the only one", slack("slack"), email)
	add("customers", "slack")
	want("two, and none declared", email)
	facts := factsOf(&v1alpha1.OrganizationSpec{Notifications: &v1alpha1.Notifications{Channels: []v1alpha1.NotificationChannel{
		{Email: "it@acme.example"}, {Integration: "zoom", Channel: "x"}, {Integration: "slack", Channel: "#it"}, {Integration: "slack", Channel: "#ops"}, {Integration: "gone", Channel: "#it"},
	}}})
	if err := s.SetTenantFacts(ctx, tenant, facts); err != nil {
		t.Fatal(err)
	}
	want("declared", slack("slack"), email)
}
