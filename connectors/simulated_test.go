// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connectors_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

var config = fakesaas.Config{Seed: 11, People: 120, Now: now, Domain: "acme.example"}

// secrets are what the simulators accept, by the vendor that they play.
var secrets = map[string]map[string]string{
	"okta":  {"token": fakesaas.SimOktaToken},
	"slack": {"token": fakesaas.SimSlackBotToken, "adminToken": fakesaas.SimSlackAdminToken},
	"zoom":  {"accountId": fakesaas.SimZoomAccountID, "clientId": fakesaas.SimZoomClientID, "clientSecret": fakesaas.SimZoomClientSecret},
	"csv":   {"token": fakesaas.SimHRISToken},
}

// testdata is where the vendors' descriptions are. They are no part of the
// project, but its own gate must not forget them.
func testdata(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SEATKEEPER_TESTDATA")
	if dir == "" && os.Getenv("CI") != "" {
		t.Fatal("CI is set and SEATKEEPER_TESTDATA is not: the vendors' descriptions would go unchecked")
	}
	return dir
}

func simulate(t *testing.T, change ...func(*fakesaas.Options)) *fakesaas.Server {
	t.Helper()
	opts := fakesaas.Options{
		Company: fakesaas.Generate(config), Clock: clocktesting.NewFakeClock(now),
	}
	if dir := testdata(t); dir != "" {
		opts.SpecDir = filepath.Join(dir, "vendor-specs")
	}
	for _, c := range change {
		c(&opts)
	}
	srv, err := fakesaas.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if found := srv.Violations(); len(found) > 0 {
			t.Errorf("requests that the vendor would not take: %+v", found)
		}
	})
	return srv
}

func open(t *testing.T, srv *fakesaas.Server, name string, change ...func(*connector.Options)) *connector.Session {
	t.Helper()
	m, err := connectors.Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config
	o := connector.Options{
		Manifest: m, Secrets: secrets[name], Endpoints: srv.Endpoints(), Permission: connector.PermissionReadAndAct,
		Clock: leaping{clocktesting.NewFakeClock(now)},
	}
	switch name {
	case "okta":
		o.Config = map[string]any{"domain": cfg.OktaHost()}
	case "zoom":
		o.Config = map[string]any{"purchasedSeats": true}
	case "csv":
		o.Config = map[string]any{"url": "https://" + cfg.HRISHost() + "/export/people.csv", "columns": map[string]any{
			"employee_id": "person.externalId", "first_name": "person.givenName", "last_name": "person.familyName",
			"display_name": "person.displayName", "email": "person.email", "title": "person.title", "status": "-",
			"aliases": "person.aliases", "lifecycle": "person.lifecycle",
		}}
	}
	for _, c := range change {
		c(&o)
	}
	s, err := connector.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// leaping is a clock on which every wait is over at once, and has taken its time.
type leaping struct{ *clocktesting.FakeClock }

func (c leaping) NewTimer(d time.Duration) clock.Timer {
	t := c.FakeClock.NewTimer(d)
	c.Step(d)
	return t
}

// collected counts what a session read, by data type, and keeps the records.
type collected struct {
	counts  map[model.DataType]int
	records []model.Record
	results map[string]connector.ReadResult
}

func readAll(t *testing.T, s *connector.Session) collected {
	t.Helper()
	c := collected{counts: map[model.DataType]int{}, results: map[string]connector.ReadResult{}}
	for _, st := range s.Streams() {
		res, err := s.Read(t.Context(), st.Name, func(_ context.Context, _ string, recs []model.Record) error {
			for _, r := range recs {
				c.counts[r.Type()]++
			}
			c.records = append(c.records, recs...)
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", st.Name, err)
		}
		if res.Quarantined > 0 {
			t.Errorf("%s: %d records quarantined: %+v", st.Name, res.Quarantined, res.QuarantineSample)
		}
		if !res.AbsenceProves() {
			t.Errorf("%s: absence proves nothing: %+v", st.Name, res)
		}
		c.results[st.Name] = res
	}
	return c
}

// The manifests of vendors that have a simulator: the connect test passes, and
// the numbers are the simulators' own.
func TestReadsWhatTheVendorsHave(t *testing.T) {
	srv := simulate(t)
	truth := srv.Truth(fakesaas.TruthOptions{})
	accounts := map[string]map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		t.Run(name, func(t *testing.T) {
			s := open(t, srv, name)
			if !s.EndpointOverridden() {
				t.Error("the override does not show")
			}
			rep := s.Test(t.Context())
			if rep.Outcome != connector.AllPassed || rep.Account.ID == "" || rep.AccountError != "" {
				t.Fatalf("connect test: %+v", rep)
			}
			c := readAll(t, s)
			states := map[string]int{}
			for _, r := range c.records {
				if r.Account != nil && r.Account.AppExternalID == "" {
					states[string(r.Account.Status)]++
				}
			}
			accounts[name] = states
			switch name {
			case "csv":
				if c.counts[model.DataPeople] != truth.People {
					t.Errorf("people: got %d, want %d", c.counts[model.DataPeople], truth.People)
				}
				return
			case "okta":
				if c.counts[model.DataApps] != truth.Apps || c.counts[model.DataGroups] != truth.Groups["okta"] {
					t.Errorf("apps %d, groups %d; want %d, %d", c.counts[model.DataApps], c.counts[model.DataGroups], truth.Apps, truth.Groups["okta"])
				}
				if w := c.results["ssoEvents"].Window; w == nil || w.End.Sub(w.Start) < 30*24*time.Hour {
					t.Errorf("the window of sign-on events is %v", w)
				}
			case "slack":
				if w := c.results["accessLogs"].Window; w == nil || now.Sub(w.Start) < 90*24*time.Hour {
					t.Errorf("the access logs cover %v", w)
				}
			case "zoom":
				if c.counts[model.DataPlans] != 1 {
					t.Errorf("plans: %d", c.counts[model.DataPlans])
				}
			}
			if d := cmp.Diff(truth.AccountStates[name], states); d != "" {
				t.Errorf("account states (-want +got):\n%s", d)
			}
			paid := 0
			for _, r := range c.records {
				if r.Assignment != nil && r.Assignment.Paid {
					paid++
				}
			}
			if want := truth.Seats[name]; want != nil && paid != want.Paid {
				t.Errorf("paid seats: got %d, want %d", paid, want.Paid)
			}
		})
	}
}
