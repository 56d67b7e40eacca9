// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/catalog"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// company is a store with what its Integrations have found.
type company struct {
	*testing.T
	s      *store.Store
	clock  *clocktesting.FakePassiveClock
	tenant model.TenantID
}

func eachCompany(t *testing.T, fn func(c *company)) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		clock := clocktesting.NewFakePassiveClock(time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC))
		s := open(storetest.WithClock(clock), func(o *store.Options) { o.Apps = catalog.Default() })
		tenant, err := s.EnsureTenant(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		fn(&company{t, s, clock, tenant})
	})
}

// found syncs what an Integration finds, in one stream.
func (c *company) found(integration, connector string, records ...model.Record) {
	c.Helper()
	must := func(err error) {
		c.Helper()
		if err != nil {
			c.Fatal(err)
		}
	}
	ctx := c.Context()
	c.clock.SetTime(c.clock.Now().Add(2 * time.Hour))
	_, err := c.s.UpsertIntegration(ctx, c.tenant, store.IntegrationSpec{Name: integration, UID: integration, Generation: 1, Connector: connector,
		RequestedAt: c.clock.Now().String(), Interval: time.Hour})
	must(err)
	claims, err := c.s.ClaimDueIntegrations(ctx, "replica-1", 100, time.Minute)
	must(err)
	i := slices.IndexFunc(claims, func(d store.Claim) bool { return d.Name == integration })
	if i < 0 {
		c.Fatalf("integration %q was not due: %v", integration, claims)
	}
	y, err := c.s.BeginSync(ctx, claims[i])
	must(err)
	must(y.Stage(ctx, "all", "", records))
	_, err = y.FinishStream(ctx, "all", store.StreamOutcome{Complete: true, Guard: model.DefaultShrinkGuard, Types: []model.DataType{
		model.DataPeople, model.DataAccounts, model.DataApps, model.DataTransactions}})
	must(err)
	must(y.Close(ctx))
	must(c.s.FinishIntegration(ctx, claims[i], store.IntegrationResult{Status: json.RawMessage(`{}`), Synced: true}))
}

func person(id string) model.Record {
	return model.Record{Person: &model.Person{ExternalID: id, Email: id + "@acme.example", DisplayName: id, Lifecycle: model.LifecycleCurrent}}
}

// used is an app at a source, with accounts of these people.
func used(origin, id, name, url string, people ...string) (out []model.Record) {
	out = append(out, model.Record{App: &model.DiscoveredApp{ExternalID: id, Name: name, URL: url, Source: origin, State: "active"}})
	for _, p := range people {
		out = append(out, model.Record{Account: &model.Account{AppExternalID: id, ExternalID: p, PersonKey: p + "@acme.example", Username: p, Status: model.AccountActive}})
	}
	return out
}

func bought(id, vendor string, date model.Date, minor int64) model.Record {
	return model.Record{Transaction: &model.Transaction{ExternalID: id, Date: date, Amount: model.Money{Minor: minor, Currency: "EUR"}, VendorName: vendor, Kind: model.TransactionCard}}
}

// listed returns the items of a list.
func listed[T any](c *company, path string) (int, []T, string) {
	c.Helper()
	mux := http.NewServeMux()
	(&API{Store: c.s, Guard: everybody{}, Log: slog.New(slog.DiscardHandler), Clock: c.clock}).Register(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/apis/v1/namespaces/acme/"+path, nil))
	var l List[T]
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil {
			c.Fatal(err)
		}
	}
	return w.Code, l.Items, w.Body.String()
}

// The same app at sign-on, among OAuth grants and on a card statement is one app,
// and it says by what (acceptance rows 1 and 4).
func TestAnAppIsOneHoweverItWasFound(t *testing.T) {
	eachCompany(t, func(c *company) {
		c.found("hris", "workday", person("ada"), person("bob"), person("eve"))
		c.found("okta", "okta", slices.Concat(used("idp", "o1", "Figma (SAML)", "https://acme.okta.com/home/figma", "ada", "bob"), used("idp", "o2", "Sketch", "", "bob", "eve"),
			used("idp", "o3", "Acme Intranet", "https://intranet.acme.example", "ada"), used("idp", "o4", "Google", "", "ada"))...)
		c.found("google", "google-workspace", used("oauth", "g1", "Figma", "https://www.figma.com", "ada", "eve")...)
		c.found("ramp", "ramp", bought("t1", "FIGMA MONTHLY RENEWAL", "2026-11-02", 4500), bought("t2", "FIGMA MONTHLY RENEWAL", "2026-10-02", 4500),
			bought("t3", "FIGMA MONTHLY RENEWAL", "2020-10-02", 99), bought("t4", "CANVA* I04112-8837712", "2026-10-09", 1200), bought("t5", "BLUE MONDAY DONUTS", "2026-11-02", 800))

		code, apps, body := listed[App](c, "apps?state=Discovered")
		if code != http.StatusOK {
			c.Fatal(code, body)
		}
		euro := func(n int64) []model.Money { return []model.Money{{Minor: n, Currency: "EUR"}} }
		want := []App{
			{ID: "known/canva", Name: "Canva", Vendor: "Canva", Category: "design", Domains: []string{"canva.com"}, Spend: euro(1200), Known: "canva",
				MatchedBy: []string{"ramp: vendor CANVA* I04112-8837712, name canva"}},
			{ID: "known/figma", Name: "Figma", Vendor: "Figma", Category: "design", Domains: []string{"figma.com"}, Users: 3, Spend: euro(9000), Known: "figma",
				Sources: []string{"google", "okta"}, MatchedBy: []string{"google: domain www.figma.com", "okta: name figma", "ramp: vendor FIGMA MONTHLY RENEWAL, name figma"}},
			{ID: "known/sketch", Name: "Sketch", Vendor: "Sketch B.V.", Category: "design", Domains: []string{"sketch.com"}, Users: 2, Known: "sketch",
				Sources: []string{"okta"}, MatchedBy: []string{"okta: name sketch"}},
		}
		var have []App
		for _, v := range apps {
			if v.Category == "design" {
				have = append(have, v)
			}
		}
		for i := range want {
			want[i].State = "Discovered"
		}
		if d := cmp.Diff(want, have); d != "" {
			c.Errorf("apps (-want +got):\n%s", d)
		}
		if n := len(apps); n != 3+4+2 { // what the Integrations read themselves, and what is unknown
			c.Errorf("%d apps: %s", n, body)
		}

		_, apps, _ = listed[App](c, "apps?view=unmatched")
		if len(apps) != 2 || apps[0].Name != "Acme Intranet" || apps[1].Name != "Google" || !slices.Contains(apps[1].Among, "google-workspace") {
			c.Errorf("unmatched: %+v", apps)
		}
		_, vendors, body := listed[Vendor](c, "vendors?view=unmatched")
		if len(vendors) != 1 || vendors[0].Name != "BLUE MONDAY DONUTS" {
			c.Errorf("unmatched vendors: %s", body)
		}
		_, vendors, body = listed[Vendor](c, "vendors")
		if len(vendors) != 3 || !strings.Contains(body, `"known":"figma","matchedBy":"name figma","amount":{"minor":9000`) {
			c.Errorf("vendors: %s", body)
		}
		_, apps, body = listed[App](c, "apps?view=duplicates")
		if len(apps) != 1 || apps[0].Category != "design" || apps[0].SharedUsers != 2 || apps[0].Users != 3 || !slices.Equal(apps[0].Apps, []string{"Figma", "Sketch", "Canva"}) {
			c.Errorf("duplicates: %s", body)
		}
		for _, path := range []string{"apps?view=new", "apps?state=Old", "apps?view=unmatched&state=Declared", "vendors?view=new"} {
			if code, _, body := listed[App](c, path); code != http.StatusBadRequest {
				c.Errorf("%s: %d %s", path, code, body)
			}
		}
	})
}

// What an Application says of itself wins over the catalogue, and two of them are
// never made one.
func TestAnApplicationsOwnNamesWin(t *testing.T) {
	known := catalog.Default()
	declared := func(name string, names, domains []string, sources ...string) store.DeclaredApp {
		return store.DeclaredApp{Name: name, Sources: sources, Facts: model.AppFacts{Category: "Ours", KnownAs: model.AppIdentity{Names: append([]string{name}, names...), Domains: domains}}}
	}
	seen := func(integration, id, name, slug string) store.Sighting {
		return store.Sighting{Integration: integration, ExternalID: id, Name: name, Match: model.AppMatch{App: slug, Rule: "name " + slug}}
	}
	for name, tt := range map[string]struct {
		declared []store.DeclaredApp
		seen     []store.Sighting
		want     map[string][]string // ids of sightings by app
	}{
		"the one Application that is the known app": {
			[]store.DeclaredApp{declared("chat", nil, []string{"slack.com"})},
			[]store.Sighting{seen("okta", "o1", "Slack Grid", "slack"), seen("okta", "o2", "Zoom Meetings", "zoom")},
			map[string][]string{"application/chat": {"o1"}, "known/zoom": {"o2"}},
		},
		"an alias of an Application that is something else": {
			[]store.DeclaredApp{declared("sales", []string{"zendesk (emea)"}, []string{"salesforce.com"})},
			[]store.Sighting{seen("okta", "o1", "Zendesk (EMEA)", "zendesk"), seen("okta", "o2", "Zendesk", "zendesk"), seen("okta", "o3", "SFDC", "salesforce")},
			map[string][]string{"application/sales": {"o1", "o3"}, "known/zendesk": {"o2"}},
		},
		"two Applications of the same known app": {
			[]store.DeclaredApp{declared("slack-eu", []string{"slack eu"}, []string{"acme-eu.slack.com"}), declared("slack-us", []string{"slack us"}, []string{"acme-us.slack.com"})},
			[]store.Sighting{seen("okta", "o1", "Slack EU", "slack"), seen("okta", "o2", "Slack US", "slack"), seen("google", "g1", "Slack", "slack")},
			map[string][]string{"application/slack-eu": {"o1"}, "application/slack-us": {"o2"}, "known/slack": {"g1"}},
		},
		"an Integration that an Application names": {
			[]store.DeclaredApp{declared("meetings", nil, nil, "zoom-emea")},
			[]store.Sighting{{Integration: "zoom-emea", Match: model.AppMatch{App: "zoom", Rule: "connector zoom"}}, {Integration: "zoom-us", Match: model.AppMatch{App: "zoom", Rule: "connector zoom"}}},
			map[string][]string{"application/meetings": {""}, "known/zoom": {""}},
		},
	} {
		e := assign(known, tt.declared, tt.seen)
		got := map[string][]string{}
		for id, list := range e.sightings {
			for _, g := range list {
				got[id] = append(got[id], g.ExternalID)
			}
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		v := App{ID: "application/" + tt.declared[0].Name}
		if e.describe(known, &v); v.Category != "Ours" {
			t.Errorf("%s: the category is %q, not the Application's own", name, v.Category)
		}
	}
}
