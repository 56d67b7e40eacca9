// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package coverage

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

func TestMatchingOfApps(t *testing.T) {
	m := newMatcher([]Connectable{
		{"entra", "Microsoft Entra ID and Microsoft 365", []string{"microsoft.com"}}, {"zoom", "Zoom", []string{"zoom.us"}}, {"workday", "Workday (Report as a Service)", nil},
		{"okta", "Okta", []string{"okta.com"}}, {"resource/rota", "Duty rota", []string{"rota.example"}},
	})
	for want, apps := range map[string][]model.DiscoveredApp{
		"entra":         {{Name: "Microsoft 365"}, {Name: "Mail", URL: "https://admin.microsoft.com/x"}, {Name: "microsoft entra ID"}},
		"zoom":          {{Name: "Video", CatalogHint: "zoomus"}, {Name: " ZOOM "}, {Name: "x", URL: "https://acme.Zoom.us"}},
		"workday":       {{Name: "Workday"}},
		"resource/rota": {{Name: "rota"}, {Name: "x", URL: "https://acme.rota.example/login"}},
		"":              {{Name: "ZoomInfo"}, {Name: "x", URL: "https://zoom.us.evil.example"}, {Name: "y", URL: "https://acme.okta.com/home/y"}, {Name: "z", URL: "::"}, {}},
	} {
		for _, a := range apps {
			if got := m.connector(a, "okta"); got != want {
				t.Errorf("%+v: %q, want %q", a, got, want)
			}
		}
	}
}

// TestSeveralConnectorsOfOneApp counts the app once: for the one that is
// connected, else for the namespace's own.
func TestSeveralConnectorsOfOneApp(t *testing.T) {
	all := []Connectable{{"zoom", "Zoom", []string{"zoom.us"}}, {"resource/meetings", "Meetings", []string{"zoom.us"}}}
	app := App{Integration: "okta", Users: 9, DiscoveredApp: model.DiscoveredApp{Name: "Video", URL: "https://zoom.us", State: "active"}}
	for _, tc := range []struct {
		name      string
		connected []Connected
		used      string
		want      model.Coverage
	}{
		{"neither", nil, "resource/meetings", model.NewCoverage(0, 1, 1)},
		{"the built-in", []Connected{{Name: "z", Connector: "zoom", Read: true}}, "zoom", model.NewCoverage(1, 1, 1)},
		{"the own", []Connected{{Name: "m", Connector: "resource/meetings", Read: true}}, "resource/meetings", model.NewCoverage(1, 1, 1)},
		{"the own, not read yet", []Connected{{Name: "m", Connector: "resource/meetings"}}, "resource/meetings", model.NewCoverage(0, 1, 1)},
		{"both", []Connected{{Name: "m", Connector: "resource/meetings"}, {Name: "z", Connector: "zoom", Read: true}}, "zoom", model.NewCoverage(1, 2, 1)},
	} {
		tally := NewTally(all, tc.connected)
		tally.Add(app)
		tally.Add(App{Integration: "okta", DiscoveredApp: model.DiscoveredApp{Name: "Zoom", State: "inactive"}})
		if d := cmp.Diff(map[string]Use{tc.used: {App: "Video", Users: 9, By: []string{"okta"}}}, tally.Used()); d != "" {
			t.Errorf("%s: used (-want +got)\n%s", tc.name, d)
		}
		if d := cmp.Diff(tc.want, tally.Coverage()); d != "" {
			t.Errorf("%s: coverage (-want +got)\n%s", tc.name, d)
		}
	}
}
