// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// recogniser knows slack by its name anywhere, and cannot tell vendors.
type recogniser struct {
	version string
	asked   *[]string
	slack   string // the slug that it gives
}

func (r recogniser) Version() string { return r.version }

func (r recogniser) Recognise(s model.AppSignal) model.AppMatch {
	*r.asked = append(*r.asked, string(s.Kind)+" "+s.Text)
	switch text := strings.ToLower(s.Text); {
	case strings.Contains(text, "slack"):
		return model.AppMatch{App: r.slack, Rule: "name slack"}
	case strings.Contains(text, "vendor"):
		return model.AppMatch{Rule: "name vendor", Among: []string{"a", "b"}}
	}
	return model.AppMatch{}
}

// eachKnowing runs a test on both databases; reopen opens the store with another
// recogniser.
func eachKnowing(t *testing.T, fn func(reopen func(recogniser) *world)) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		w := &world{T: t, clock: clocktesting.NewFakePassiveClock(t0)}
		fn(func(r recogniser) *world {
			if w.s != nil {
				w.must(w.s.Close())
			}
			w.s = open(storetest.WithClock(w.clock), func(o *store.Options) { o.Apps = r })
			var err error
			w.tenant, err = w.s.EnsureTenant(t.Context(), "acme")
			w.must(err)
			return w
		})
	})
}

func discovered(id, name, origin string) model.Record {
	return model.Record{App: &model.DiscoveredApp{ExternalID: id, Name: name, Source: origin, State: "active"}}
}

func appsOf(records ...model.Record) listing {
	return complete("apps", []model.DataType{model.DataApps}, records...)
}

func spendOf(records ...model.Record) listing {
	return complete("transactions", []model.DataType{model.DataTransactions}, records...)
}

func paid(id, vendor string, minor int64) model.Record {
	return spend(id, func(t *model.Transaction) {
		t.VendorName, t.Amount, t.Date = vendor, model.Money{Minor: minor, Currency: "EUR"}, "2026-11-01"
	})
}

// What sources discover is recognised as it comes, each row once until it changes.
func TestDiscoveredAppsAreRecognisedAsTheyCome(t *testing.T) {
	eachKnowing(t, func(reopen func(recogniser) *world) {
		var asked []string
		w := reopen(recogniser{"1", &asked, "slack"})
		w.sync("okta", appsOf(discovered("o1", "Slack (SAML)", "idp"), discovered("o2", "Wiki", "idp")))
		w.step(time.Hour)
		w.sync("google", appsOf(discovered("g1", "Slack for Gmail", "oauth")))
		w.sync("ramp", spendOf(paid("t1", "SLACK T01", 500), paid("t2", "SLACK T01", 700), paid("t3", "A VENDOR", 40), paid("t4", "LUNCH", 9)))
		slices.Sort(asked)
		if d := cmp.Diff([]string{"expense A VENDOR", "expense LUNCH", "expense SLACK T01", "oauth Slack for Gmail", "signon Slack (SAML)", "signon Wiki"}, asked); d != "" {
			w.Errorf("asked (-want +got):\n%s", d)
		}

		got, err := w.s.Sightings(w.Context(), w.tenant)
		w.must(err)
		var have []string
		for _, g := range got {
			have = append(have, g.Integration+"/"+g.ExternalID+" "+g.Match.App+" by "+g.Match.Rule)
		}
		if d := cmp.Diff([]string{"google/g1 slack by name slack", "okta/o1 slack by name slack"}, have); d != "" {
			w.Errorf("sightings (-want +got):\n%s", d)
		}
		money, err := w.s.KnownSpend(w.Context(), w.tenant, "2026-01-01")
		w.must(err)
		want := []store.KnownSpend{{App: "slack", Amount: model.Money{Minor: 1200, Currency: "EUR"}, Transactions: 2, LastOn: "2026-11-01", Integration: "ramp", Vendor: "SLACK T01", Rule: "name slack"}}
		if d := cmp.Diff(want, money); d != "" {
			w.Errorf("spend (-want +got):\n%s", d)
		}
		var vendors []store.Vendor
		for q := (store.VendorQuery{Page: store.Page{Limit: 1}, Since: "2026-01-01", Unmatched: true}); ; {
			some, next, err := w.s.Vendors(w.Context(), w.tenant, q)
			w.must(err)
			vendors = append(vendors, some...)
			if q.Cursor = next; next == "" {
				break
			}
		}
		if len(vendors) != 2 || vendors[0].Name != "A VENDOR" || !slices.Equal(vendors[0].Match.Among, []string{"a", "b"}) || vendors[1].Name != "LUNCH" || vendors[1].Amount.Minor != 9 {
			w.Errorf("unknown vendors: %+v", vendors)
		}
		apps, _, err := w.s.ListApps(w.Context(), w.tenant, store.AppQuery{Unmatched: true})
		w.must(err)
		if len(apps) != 1 || apps[0].Name != "Wiki" {
			w.Errorf("unmatched apps: %+v", apps)
		}

		for id, want := range map[string]bool{"okta/o1": false, "okta/o2": false, "google/g1": true} {
			integration, id, _ := strings.Cut(id, "/")
			if known, err := w.s.KnownBefore(w.Context(), w.tenant, integration, id); err != nil || known != want {
				w.Errorf("%s/%s was known before: %v, %v, want %v", integration, id, known, err, want)
			}
		}

		// The same again asks nothing; a new name asks once.
		asked = nil
		w.step(time.Hour)
		w.sync("okta", appsOf(discovered("o1", "Slack (SAML)", "idp"), discovered("o2", "Slack Wiki", "idp")))
		w.sync("ramp", spendOf(paid("t1", "SLACK T01", 500), paid("t2", "SLACK T01", 700), paid("t3", "A VENDOR", 40), paid("t4", "LUNCH", 9), paid("t5", "LUNCH", 12)))
		if d := cmp.Diff([]string{"signon Slack Wiki"}, asked); d != "" {
			w.Errorf("asked again (-want +got):\n%s", d)
		}

		// Another version of the catalogue looks at all once, at the next sync.
		asked = nil
		w = reopen(recogniser{"0", &asked, "slack-chat"})
		w.sync("google", appsOf(discovered("g1", "Slack for Gmail", "oauth")))
		if len(asked) != 6 {
			w.Errorf("another version asked %q, want each row once", asked)
		}
		got, err = w.s.Sightings(w.Context(), w.tenant)
		w.must(err)
		if len(got) != 3 || got[0].Match.App != "slack-chat" {
			w.Errorf("sightings by another version: %+v", got)
		}
	})
}

// A source that goes takes its vendors along; one that is hidden hides them.
func TestVendorsGoWithTheirSource(t *testing.T) {
	eachKnowing(t, func(reopen func(recogniser) *world) {
		var asked []string
		w := reopen(recogniser{"1", &asked, "slack"})
		w.sync("ramp", spendOf(paid("t1", "SLACK T01", 500)))
		w.must(w.s.HideIntegration(w.Context(), w.tenant, "ramp", time.Hour))
		money, err := w.s.KnownSpend(w.Context(), w.tenant, "2026-01-01")
		w.must(err)
		if len(money) != 0 {
			w.Errorf("a hidden source's spend is counted: %+v", money)
		}
		w.step(2 * time.Hour)
		if n, err := w.s.PurgeHidden(w.Context()); err != nil || n != 1 {
			w.Fatalf("purged %d: %v", n, err)
		}
		w.sync("ramp", spendOf(paid("t2", "LUNCH", 9)))
		vendors, _, err := w.s.Vendors(w.Context(), w.tenant, store.VendorQuery{Since: "2026-01-01"})
		w.must(err)
		if len(vendors) != 1 || vendors[0].Name != "LUNCH" {
			w.Errorf("vendors after the purge: %+v", vendors)
		}
	})
}

// The same person at two sources is one user of an app, and one who uses two apps
// is shared.
func TestUsersOfKnownApps(t *testing.T) {
	eachKnowing(t, func(reopen func(recogniser) *world) {
		var asked []string
		w := reopen(recogniser{"1", &asked, "slack"})
		w.withTruth("hris")
		w.sync("hris", peopleOf(person("1", "ada@acme.example"), person("2", "bob@acme.example")))
		at := func(app, id, mail string) model.Record {
			return account(id, func(a *model.Account) { a.AppExternalID, a.PersonKey = app, mail })
		}
		w.sync("okta", appsOf(discovered("o1", "Slack", "idp"), discovered("o2", "Wiki", "idp")),
			accountsOf(at("o1", "a", "ada@acme.example"), at("o1", "b", "bob@acme.example"), at("o2", "a", "ada@acme.example"), at("o1", "c", "nobody@acme.example")))
		w.sync("google", appsOf(discovered("g1", "Slack", "oauth")), accountsOf(at("g1", "a", "ada@acme.example")))
		seen, err := w.s.Sightings(w.Context(), w.tenant)
		w.must(err)
		wiki := seen[len(seen)-1] // of okta, as its o1
		wiki.ExternalID = "o2"
		groups := map[string][]store.Sighting{"slack": seen, "wiki": {wiki}}
		users, err := w.s.UsersOf(w.Context(), w.tenant, groups)
		w.must(err)
		if d := cmp.Diff(map[string]int64{"slack": 3, "wiki": 1}, users); d != "" {
			w.Errorf("users (-want +got):\n%s", d)
		}
		shared, either, err := w.s.SharedUsers(w.Context(), w.tenant, groups)
		w.must(err)
		if shared != 1 || either != 2 {
			w.Errorf("%d of %d people use both, want 1 of 2", shared, either)
		}
	})
}

// More vendors than fit into a transaction or a page are each looked at once, and
// listed once, with each currency.
func TestManyVendorsAreRecognisedInBatches(t *testing.T) {
	eachKnowing(t, func(reopen func(recogniser) *world) {
		var asked []string
		w := reopen(recogniser{"1", &asked, "slack"})
		var records []model.Record
		for i := range 1200 {
			records = append(records, paid(fmt.Sprintf("t%04d", i), fmt.Sprintf("SHOP %04d", i), 100))
		}
		records = append(records, spend("usd", func(t *model.Transaction) { t.VendorName, t.Date, t.Amount.Currency = "SHOP 0001", "2026-11-03", "USD" }))
		w.sync("ramp", spendOf(records...))
		if len(asked) != 1200 {
			w.Errorf("asked %d times, want 1200", len(asked))
		}
		seen := map[string]int{}
		for q := (store.VendorQuery{Page: store.Page{Limit: 500}, Since: "2026-01-01", Unmatched: true}); ; {
			some, next, err := w.s.Vendors(w.Context(), w.tenant, q)
			w.must(err)
			for _, v := range some {
				seen[v.Name]++
			}
			if q.Cursor = next; next == "" {
				break
			}
		}
		if len(seen) != 1200 || seen["SHOP 0001"] != 2 || seen["SHOP 1199"] != 1 {
			w.Errorf("%d vendors listed, SHOP 0001 %d times", len(seen), seen["SHOP 0001"])
		}
	})
}
