// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

func apps(events []string, when string) Spec {
	return Spec{Application: &Application{Events: events}, Subject: workflow.SubjectApplication, When: when}
}

// app is an app as a source lists it, with accounts of these people behind it.
func app(origin, id, name string, people ...string) (out []model.Record) {
	out = append(out, model.Record{App: &model.DiscoveredApp{ExternalID: id, Name: name, Source: origin}})
	for _, p := range people {
		out = append(out, model.Record{Account: &model.Account{AppExternalID: id, ExternalID: id + "-" + p, PersonKey: p + "@acme.example", Status: model.AccountActive}})
	}
	return out
}

func all(lists ...[]model.Record) (out []model.Record) {
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// TestAppDiscovered: acceptance row 9. What a source lists first was there before, and
// an app is new once, however many sources come to know it.
func TestAppDiscovered(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(5)
		o.sync()
		o.workflow("triage", apps([]string{Discovered}, ""))
		figma, miro := app("oauth", "f1", "Figma", "e001"), app("oauth", "m1", "Miro")
		o.list("google", figma...)
		o.look()
		o.started("triage")
		o.declare(model.AppFacts{Name: "loom", KnownAs: model.AppIdentity{Domains: []string{"loom.com"}}})
		loom := model.Record{App: &model.DiscoveredApp{ExternalID: "l1", Name: "Loom Inc", URL: "https://www.loom.com/login", Source: "oauth"}}
		o.pass(time.Hour)
		o.list("google", append(all(figma, miro), loom)...)
		o.look()
		o.started("triage", "Miro")
		o.about("triage", workflow.About{App: "google/m1"})
		o.list("browser", app("browser", "x", "Notion")...)
		o.pass(time.Hour)
		o.list("browser", all(app("browser", "x", "Notion"), app("browser", "y", "FIGMA"), app("browser", "z", "miro "))...)
		o.look()
		o.list("google", all(figma, miro)...)
		o.look()
		o.started("triage", "Miro")
		if got := o.vars("triage")["application"].(map[string]any); got["declared"] != false || got["name"] != "Miro" {
			o.Errorf("the app is %v", got)
		}
	})
}

// TestAppNotInIDP: acceptance row 10. As long as nobody knows, nobody is told.
func TestAppNotInIDP(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(5)
		o.sync()
		o.workflow("shadow", apps([]string{NotInIDP}, "application.users >= 2"))
		o.list("browser", app("browser", "a", "Asana", "e001", "e002")...)
		o.pass(time.Hour)
		seen := all(app("browser", "a", "Asana", "e001", "e002"), app("browser", "m", "Miro", "e001", "e002"), app("browser", "n", "Notion", "e001", "e002"), app("browser", "s", "Small", "e001"), app("browser", "e", "Empty"))
		o.list("browser", seen...)
		o.look()
		o.started("shadow")
		o.notStarted("shadow", "Empty waiting SubjectNotFound", "Miro waiting SubjectNotFound", "Notion waiting SubjectNotFound", "Small waiting SubjectNotFound")
		o.list("okta", app("idp", "o1", "Notion")...)
		o.pass(time.Hour)
		o.started("shadow", "Miro") // Notion is in it, and Small is too small
		o.notStarted("shadow", "Empty waiting SubjectNotFound")
		o.pass(8 * 24 * time.Hour)
		o.notStarted("shadow", "Empty skipped SubjectNotFound")
		o.started("shadow", "Miro")
	})
}

// TestApplicationChanges: what happens to an Application that somebody declared.
func TestApplicationChanges(t *testing.T) {
	yes, no := true, false
	euro := func(units int64) *model.Money { return &model.Money{Minor: units * 100, Currency: "EUR"} }
	base := model.AppFacts{Name: "zoom", DisplayName: "Zoom", State: "Sanctioned", Connected: true, InIDP: &yes, Users: 9, Spend: euro(9000), Terms: []string{"zoom-2026"}}
	with := func(edit func(*model.AppFacts)) model.AppFacts { a := base; edit(&a); return a }
	for name, tc := range map[string]struct {
		event, when string
		was, is     model.AppFacts
		starts      bool
	}{
		"state":               {StateChanged, "application.state == 'NeedToClose' && event.data.was == 'Sanctioned'", base, with(func(a *model.AppFacts) { a.State = "NeedToClose" }), true},
		"another state":       {StateChanged, "application.state == 'NeedToClose'", base, with(func(a *model.AppFacts) { a.State = "Closed" }), false},
		"the same state":      {StateChanged, "", base, with(func(a *model.AppFacts) { a.Users = 10 }), false},
		"spend (row 11)":      {SpendChanged, "application.spend > 10000 && event.data.spendWas <= 10000", base, with(func(a *model.AppFacts) { a.Spend = euro(12000) }), true},
		"spend that is small": {SpendChanged, "application.spend > 10000", base, with(func(a *model.AppFacts) { a.Spend = euro(9500) }), false},
		"spend that is known": {SpendChanged, "application.spend > 1000 && !has(event.data.spendWas)", with(func(a *model.AppFacts) { a.Spend = nil }), base, true},
		"a contract":          {SpendChanged, "", base, with(func(a *model.AppFacts) { a.Terms = []string{"zoom-2027"} }), true},
		"the same spend":      {SpendChanged, "", base, with(func(a *model.AppFacts) { a.Spend, a.State = euro(9000), "Closed" }), false},
		"left the directory":  {NotInIDP, "", base, with(func(a *model.AppFacts) { a.InIDP = &no }), true},
		"has its first user":  {NotInIDP, "", with(func(a *model.AppFacts) { a.InIDP, a.Users = &no, 0 }), with(func(a *model.AppFacts) { a.InIDP = &no }), true},
		"was never in it":     {NotInIDP, "", with(func(a *model.AppFacts) { a.InIDP = &no }), with(func(a *model.AppFacts) { a.InIDP, a.Users = &no, 10 }), false},
		"nobody knew":         {NotInIDP, "", with(func(a *model.AppFacts) { a.InIDP = nil }), with(func(a *model.AppFacts) { a.InIDP = &no }), false},
		"nobody knows":        {NotInIDP, "", base, with(func(a *model.AppFacts) { a.InIDP = nil }), false},
		"was connected":       {NotInIDP, "", with(func(a *model.AppFacts) { a.InIDP, a.Connected, a.Users = &no, false, 0 }), with(func(a *model.AppFacts) { a.InIDP = &no }), false},
	} {
		t.Run(name, func(t *testing.T) {
			eachOffice(t, func(o *office) {
				o.workflow("changed", apps([]string{tc.event}, tc.when))
				o.declare(tc.was)
				o.look()
				o.started("changed") // seen first is not changed
				o.declare(tc.is)
				o.look()
				o.declare(tc.is)
				o.pass(time.Hour)
				if tc.starts {
					o.started("changed", "Zoom")
				} else {
					o.started("changed")
				}
			})
		})
	}
}

// TestChangeThatIsOver: what changed back while the Workflow was suspended starts
// nothing.
func TestChangeThatIsOver(t *testing.T) {
	eachOffice(t, func(o *office) {
		state := func(s string) { o.declare(model.AppFacts{Name: "zoom", State: s}) }
		state("Sanctioned")
		o.workflow("closing", apps([]string{StateChanged}, ""), func(w *store.WorkflowState) { w.Suspended = true })
		state("NeedToClose")
		o.look()
		state("Sanctioned")
		o.look()
		o.notStarted("closing", "zoom waiting WorkflowSuspended", "zoom waiting WorkflowSuspended")
		o.workflow("closing", apps([]string{StateChanged}, ""))
		o.pass(time.Hour)
		o.started("closing", "zoom")
		if was := o.vars("closing")["event"].(map[string]any)["data"].(map[string]any)["was"]; was != "NeedToClose" {
			o.Errorf("it was %v", was)
		}
	})
}
