// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package govern_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

var zoomApp = model.AppIdentity{Names: []string{"zoom"}, Domains: []string{"zoom.us"}}

// sees has another source report apps and their use, as a push does: nothing of
// what it reported before goes.
func (w *world) sees(integration string, records ...model.Record) {
	w.Helper()
	w.clock.SetTime(w.clock.Now().Add(time.Minute))
	_, err := w.store.UpsertIntegration(w.Context(), w.tenant, store.IntegrationSpec{
		Name: integration, UID: "uid-" + integration, Generation: 1, Connector: "push", RequestedAt: w.clock.Now().String(), Interval: time.Hour,
	})
	must(w, err)
	claims, err := w.store.ClaimDueIntegrations(w.Context(), "test", 100, time.Minute)
	must(w, err)
	for _, c := range claims {
		if c.Name != integration {
			continue
		}
		y, err := w.store.BeginSync(w.Context(), c)
		must(w, err)
		must(w, y.Stage(w.Context(), "records", "", records))
		_, err = y.FinishStream(w.Context(), "records", store.StreamOutcome{Complete: true, KeepAbsent: true, Types: []model.DataType{model.DataApps, model.DataUsage}, Guard: model.DefaultShrinkGuard})
		must(w, err)
		must(w, y.Close(w.Context()))
		must(w, w.store.FinishIntegration(w.Context(), c, store.IntegrationResult{Status: json.RawMessage(`{}`), Synced: true}))
		return
	}
	w.Fatalf("%s was not due", integration)
}

func app(id, name, url string) model.Record {
	return model.Record{App: &model.DiscoveredApp{ExternalID: id, Name: name, URL: url, Source: "browser"}}
}

func (w *world) usedAt(app, person, kind string, daysAgo int) model.Record {
	return model.Record{Usage: &model.UsageEvent{AppExternalID: app, PersonKey: person + "@acme.example", Kind: kind, At: w.clock.Now().AddDate(0, 0, -daysAgo), Source: "browser-extension"}}
}

// about says by what other sources know the app.
func (w *world) about(id model.AppIdentity) {
	src := w.rules.Sources["zoom"]
	src.KnownAs = id
	w.rules.Sources["zoom"] = src
}

func (w *world) class(account string) model.SeatClass {
	w.Helper()
	list, err := w.store.Findings(w.Context(), w.tenant, store.FindingQuery{Policy: name})
	must(w, err)
	for _, f := range list {
		if f.AccountID == account {
			return f.Class
		}
	}
	return ""
}

// Use that another source saw keeps a seat, if the policy trusts its kind and
// it is the app's.
func TestUseSeenElsewhereKeepsTheSeat(t *testing.T) {
	each(t, func(w *world) {
		w.app.AddMany("active", 40, 3)
		w.app.AddMany("idle", 6, 97)
		w.sync()
		w.about(zoomApp)
		w.sees("extension", app("z", "Zoom", ""), app("site", "Meetings", "https://acme.zoom.us/j"), app("miro", "Miro", "https://miro.example"),
			w.usedAt("z", "idle0000", "activity", 2),     // by name
			w.usedAt("site", "idle0001", "activity", 2),  // by domain
			w.usedAt("z", "idle0002", "visit", 2),        // a kind that is not trusted
			w.usedAt("miro", "idle0003", "activity", 2),  // another app
			w.usedAt("z", "idle0004", "activity", 91),    // before the window
			w.usedAt("z", "active0000", "activity", 200)) // older than what the vendor knows
		w.sees("okta", app("0oa1", "zoom", ""), w.usedAt("0oa1", "idle0005", "sso_login", 2))

		res := w.evaluate()
		if res.Counts.Active != 42 || res.Counts.Inactive != 4 || res.Started != 4 {
			w.Errorf("%+v, started %d", res.Counts, res.Started)
		}
		for account, want := range map[string]model.SeatClass{"idle0000": model.SeatActive, "idle0001": model.SeatActive, "idle0002": model.SeatInactive,
			"idle0003": model.SeatInactive, "idle0004": model.SeatInactive, "idle0005": model.SeatInactive, "active0000": model.SeatActive} {
			if got := w.class(account); got != want {
				w.Errorf("%s: %s, want %s", account, got, want)
			}
		}
		if runs := w.runs(); len(runs) != 4 {
			w.Errorf("runs: %v", runs)
		}
	})
}

// A sign-on, or a visit, counts where the policy lists it.
func TestUseOfAKindThatThePolicyLists(t *testing.T) {
	each(t, func(w *world) {
		w.app.AddMany("idle", 3, 97)
		w.sync()
		w.about(zoomApp)
		w.rules.Signals = append(w.rules.Signals, "sso_login")
		w.sees("okta", app("0oa1", "zoom", ""), w.usedAt("0oa1", "idle0000", "sso_login", 2), w.usedAt("0oa1", "idle0001", "visit", 2))
		if res := w.evaluate(); res.Counts.Active != 1 || res.Counts.Inactive != 2 {
			w.Errorf("%+v", res.Counts)
		}
	})
}

// The recheck right before the effect sees what came after the run began, also
// from an app and a source that nobody knew of then.
func TestRecheckSeesUseElsewhere(t *testing.T) {
	each(t, func(w *world) {
		w.app.AddMany("idle", 3, 97)
		w.sync()
		w.about(zoomApp)
		w.evaluate()
		r := govern.NewRechecker(w.store, w.clock)
		want := func(account string, decision workflow.Decision, reason string) {
			w.Helper()
			if v, err := r.Recheck(w.Context(), w.tenant, subject(w, account)); err != nil || v.Decision != decision || v.Reason != reason {
				w.Errorf("%s: %+v, %v; want %s %s", account, v, err, decision, reason)
			}
		}
		want("idle0000", workflow.Go, "")
		w.sees("extension", app("z", "Zoom", ""), w.usedAt("z", "idle0000", "activity", 0), w.usedAt("z", "idle0001", "visit", 0))
		want("idle0000", workflow.Drop, govern.ReasonRenewedUse)
		want("idle0001", workflow.Go, "")
		w.sees("extension", w.usedAt("z", "idle0002", "activity", 0))
		want("idle0002", workflow.Drop, govern.ReasonRenewedUse)

		// Rules that were stored without it know the app by its name.
		w.about(model.AppIdentity{})
		w.put()
		want("idle0000", workflow.Drop, govern.ReasonRenewedUse)
		want("idle0001", workflow.Go, "")
	})
}

// What one source saw stays proof when another is disconnected, and what the
// disconnected saw is none any more.
func TestUseSeenElsewhereOutlivesOtherSources(t *testing.T) {
	each(t, func(w *world) {
		w.app.AddMany("idle", 2, 97)
		w.sync()
		w.about(zoomApp)
		w.sees("extension", app("z", "Zoom", ""), w.usedAt("z", "idle0000", "activity", 2))
		w.sees("agent", app("zoom.exe", "Zoom", ""), w.usedAt("zoom.exe", "idle0000", "activity", 1), w.usedAt("zoom.exe", "idle0001", "activity", 1))
		if res := w.evaluate(); res.Counts.Active != 2 {
			w.Fatalf("%+v", res.Counts)
		}
		must(w, w.store.HideIntegration(w.Context(), w.tenant, "agent", 30*24*time.Hour))
		if res := w.evaluate(); res.Counts.Active != 1 || res.Counts.Inactive != 1 {
			w.Errorf("%+v", res.Counts)
		}
		if got := w.class("idle0000"); got != model.SeatActive {
			w.Errorf("what the extension saw: %s", got)
		}
	})
}

// A policy over two apps does not take the use of one for that of the other.
func TestUseElsewhereIsThatOfTheSeatsApp(t *testing.T) {
	each(t, func(w *world) {
		w.app.AddMany("idle", 2, 97)
		w.sync()
		w.about(zoomApp)
		w.rules.Sources["slack"] = policy.Source{App: "slack", KnownAs: model.AppIdentity{Names: []string{"slack"}}, StaleAfter: 24 * time.Hour, FirstSyncedAt: t0}
		w.sees("extension", app("z", "Zoom", ""), app("s", "Slack", ""), w.usedAt("z", "idle0000", "activity", 2), w.usedAt("s", "idle0001", "activity", 2))
		if res := w.evaluate(); res.Counts.Active != 1 || res.Counts.Inactive != 1 {
			w.Errorf("%+v", res.Counts)
		}
		if got := w.class("idle0001"); got != model.SeatInactive {
			w.Errorf("idle0001: %s", got)
		}
	})
}

// What starts a run reads the seat as what judged it did.
func TestActSeesUseElsewhere(t *testing.T) {
	each(t, func(w *world) {
		w.app.AddMany("idle", 4, 97)
		w.sync()
		w.about(zoomApp)
		w.sees("extension", app("z", "Zoom", ""), w.usedAt("z", "idle0000", "visit", 2))
		seen := 0
		w.evaluate(func(r *govern.Request) {
			r.NewRun = func(s model.Seat, c policy.Candidate, annual *model.Money) (store.NewRun, error) {
				if s.AccountExternalID == "idle0000" && len(s.Usage) == 1 && s.Usage[0].Integration == "extension" {
					seen++
				}
				return newRun(s, c, annual)
			}
		})
		if seen != 1 {
			w.Errorf("the use was seen %d times", seen)
		}
	})
}
