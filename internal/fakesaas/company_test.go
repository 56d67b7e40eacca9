// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestGenerateIsDeterministic(t *testing.T) {
	encode := func(seed uint64) string {
		data, err := json.Marshal(Generate(Config{Seed: seed, People: 200, Now: testNow}))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	first, again := encode(1), encode(1)
	if first != again {
		t.Error("the same seed gave two companies")
	}
	if first == encode(2) {
		t.Error("two seeds gave the same company")
	}
}

func TestCompanyHasNoImpossibleRecords(t *testing.T) {
	for _, people := range []int{1, 10, 500, 5000} {
		for seed := range uint64(3) {
			c := Generate(Config{Seed: seed, People: people, Now: testNow})
			if len(c.People) != people {
				t.Fatalf("%d people, want %d", len(c.People), people)
			}
			addresses := map[string]bool{}
			for _, p := range c.People {
				for _, address := range append([]string{p.Email}, p.Aliases...) {
					if addresses[strings.ToLower(address)] || strings.ContainsFunc(address, func(r rune) bool { return r > 127 }) {
						t.Errorf("address %q is taken or not ASCII", address)
					}
					addresses[strings.ToLower(address)] = true
				}
				if p.ManagerID == p.EmployeeID || (p.ManagerID != "" && c.Person(p.ManagerID) == nil) {
					t.Errorf("%s has manager %q", p.EmployeeID, p.ManagerID)
				}
				if _, err := time.LoadLocation(p.TimeZone); err != nil || p.TimeZone == "" || p.Title == "" || p.Department == "" {
					t.Errorf("%+v: %v", p, err)
				}
				if (p.Lifecycle == LifecyclePast) != (p.EndDate != "") || (p.Lifecycle == LifecycleFuture) != (p.StartDate > testNow.Format(time.DateOnly)) {
					t.Errorf("%s is %s from %s to %q", p.EmployeeID, p.Lifecycle, p.StartDate, p.EndDate)
				}
			}
			ids := map[string]bool{}
			for _, z := range c.ZoomUsers {
				if z.ID != "" && ids[z.ID] {
					t.Errorf("zoom id %s twice", z.ID)
				}
				ids[z.ID] = true
				if z.LastLogin != nil && (z.LastLogin.After(testNow) || (z.CreatedAt != nil && z.LastLogin.Before(*z.CreatedAt))) {
					t.Errorf("zoom user %s was made %v and used %v", z.Email, z.CreatedAt, z.LastLogin)
				}
			}
			for _, m := range c.SlackMembers {
				if ids[m.ID] {
					t.Errorf("slack id %s twice", m.ID)
				}
				ids[m.ID] = true
			}
		}
	}
}

// TestRandomAccountsKeepOffTheEdge proves that counting a little later, or by
// calendar days of a zone, moves none but the named cases.
func TestRandomAccountsKeepOffTheEdge(t *testing.T) {
	for seed := range uint64(5) {
		c := Generate(Config{Seed: seed, People: 1000, Now: testNow})
		exact := c.ZoomUserOf(c.Cases[CaseExactlyWindow])
		exact.LastLogin = nil // the one that is on the edge on purpose
		exact.CreatedAt = nil
		want := c.Truth(TruthOptions{})
		for _, o := range []TruthOptions{
			{Now: testNow.Add(36 * time.Hour)}, {Zone: "Europe/Berlin"}, {Zone: "Pacific/Auckland"}, {Zone: "America/Sao_Paulo"},
		} {
			got := c.Truth(o)
			if diff := cmp.Diff(want.Seats, got.Seats); diff != "" {
				t.Errorf("seed %d, %+v: %s", seed, o, diff)
			}
		}
	}
}

func TestCases(t *testing.T) {
	c := Generate(Config{Seed: 3, People: 500, Now: testNow})
	verdicts := map[string]SeatVerdict{}
	for _, v := range c.Truth(TruthOptions{IncludeSeats: true, Protected: []string{c.Cases[CaseCEO], c.Cases[CaseServiceIdle]}}).Verdicts {
		if v.Vendor == Zoom {
			verdicts[strings.ToLower(v.Email)] = v
		}
	}
	for is, want := range map[Case]struct {
		use         Use
		disposition Disposition
	}{
		CaseCEO:            {UseIdle, Exempt},
		CaseServiceIdle:    {UseIdle, Exempt},
		CaseOnLeaveIdle:    {UseIdle, Held},
		CaseExactlyWindow:  {UseIdle, Candidate},
		CaseJustInside:     {UseActive, ""},
		CaseNoSignal:       {UseUnknown, ""},
		CaseRecentAccount:  {UseUnknown, ""},
		CaseNeverUsed:      {UseNever, Candidate},
		CaseUpperCase:      {UseIdle, Candidate},
		CaseAlias:          {UseIdle, Candidate},
		CaseContractor:     {UseIdle, Candidate},
		CasePastLicensed:   {UseIdle, Candidate},
		CaseManagerLeft:    {UseIdle, Candidate},
		CaseNoSlack:        {UseIdle, Candidate},
		CaseSlackSuspended: {UseIdle, Candidate},
	} {
		account := c.ZoomUserOf(c.Cases[is])
		if account == nil {
			t.Errorf("%s has no Zoom account", is)
			continue
		}
		if got := verdicts[strings.ToLower(account.Email)]; got.Use != want.use || got.Disposition != want.disposition {
			t.Errorf("%s is %q %q, want %q %q", is, got.Use, got.Disposition, want.use, want.disposition)
		}
	}
	if m := c.SlackMemberOf(c.Cases[CaseNoSlack]); m != nil {
		t.Errorf("%s is in Slack", CaseNoSlack)
	}
	if manager := c.Person(c.PersonByEmail(c.Cases[CaseManagerLeft]).ManagerID); manager.Lifecycle != LifecyclePast {
		t.Errorf("the manager who left is %s", manager.Lifecycle)
	}
	if z := c.ZoomUserOf(c.Cases[CaseAlias]); c.PersonByEmail(z.Email).Email == strings.ToLower(z.Email) {
		t.Error("the alias is the person's own address")
	}
}

func TestTruthOptions(t *testing.T) {
	c := Generate(Config{Seed: 3, People: 500, Now: testNow})
	base := c.Truth(TruthOptions{})
	if base.Seats[Zoom].Held == 0 || base.Seats[Zoom].Never == 0 || base.Seats[Zoom].Unknown == 0 || base.Seats[Zoom].PastHolders == 0 {
		t.Fatalf("a company of 500 lacks a situation: %+v", base.Seats[Zoom])
	}
	if got := c.Truth(TruthOptions{EvaluateOnLeave: true}).Total; got.Held != 0 || got.Candidates != base.Total.Candidates+base.Total.Held {
		t.Errorf("people on leave, evaluated: %+v", got)
	}
	if got := c.Truth(TruthOptions{NeverUsedAfter: 30 * 24 * time.Hour}).Seats[Zoom]; got.Never <= base.Seats[Zoom].Never {
		t.Errorf("never used after 30 days: %d, after 90: %d", got.Never, base.Seats[Zoom].Never)
	}
	if got := c.Truth(TruthOptions{WithoutSlackAdmin: true}).Seats[Slack].Paid; got != 0 {
		t.Errorf("%d paid Slack seats without the admin token", got)
	}
	price := map[string]int64{Zoom: 100}
	if got := c.Truth(TruthOptions{PriceMinorPerMonth: price}).Total; got.YearlyMinor != int64(base.Seats[Zoom].Paid)*1200 ||
		got.YearlyCandidateMinor != int64(base.Seats[Zoom].Candidates)*1200 {
		t.Errorf("money: %+v", got)
	}
}

// TestTruthMatchesTheWire counts everything again from what the vendors answer
// over HTTP, knowing only what an outsider can know.
func TestTruthMatchesTheWire(t *testing.T) {
	sizes := []int{1, 10, 500, 5000}
	if testing.Short() {
		sizes = sizes[:3]
	}
	for _, people := range sizes {
		for seed := range uint64(3) {
			if people == 5000 && seed > 0 {
				continue
			}
			t.Run(fmt.Sprintf("%d people seed %d", people, seed), func(t *testing.T) {
				h := start(t, people, func(o *Options) { o.Company = Generate(Config{Seed: seed, People: people, Now: testNow}) })
				protected := []string{h.state.Company.Cases[CaseCEO]}
				want := h.Truth(TruthOptions{Protected: protected})
				checkSums(t, want)
				h.compareOkta(want)
				lifecycle := h.compareHRIS(want)
				h.compareZoom(want, lifecycle, protected[0])
				h.compareSlack(want, lifecycle)
			})
		}
	}
}

func checkSums(t *testing.T, r *TruthReport) {
	t.Helper()
	total := 0
	for _, n := range r.ByLifecycle {
		total += n
	}
	if total != r.People {
		t.Errorf("lifecycles add up to %d of %d", total, r.People)
	}
	for name, s := range r.Seats {
		if s.Paid != s.Active+s.Idle+s.Never+s.Unknown || s.Unused != s.Idle+s.Never || s.Unused != s.Candidates+s.Exempt+s.Held {
			t.Errorf("%s does not add up: %+v", name, s)
		}
	}
}

func (h *harness) compareOkta(want *TruthReport) {
	all := `status eq "ACTIVE" or status eq "DEPROVISIONED" or status eq "LOCKED_OUT" or status eq "PASSWORD_EXPIRED" or ` +
		`status eq "PROVISIONED" or status eq "RECOVERY" or status eq "STAGED" or status eq "SUSPENDED"`
	users, _ := h.oktaAll("/api/v1/users?limit=200&filter=" + url.QueryEscape("("+all+")"))
	if len(users) != want.Accounts[Okta] {
		h.t.Errorf("okta lists %d users, truth is %d", len(users), want.Accounts[Okta])
	}
	apps, _ := h.oktaAll("/api/v1/apps?limit=7")
	if len(apps) != want.Apps {
		h.t.Errorf("okta lists %d apps, truth is %d", len(apps), want.Apps)
	}
	for i, app := range want.DiscoveredApps {
		if assigned, _ := h.oktaAll("/api/v1/apps/" + app.ID + "/users?limit=500"); len(assigned) != app.Assignments || apps[i]["id"] != app.ID {
			h.t.Errorf("%s has %d users, truth is %d", app.Label, len(assigned), app.Assignments)
		}
	}
	if groups, _ := h.oktaAll("/api/v1/groups?limit=5"); len(groups) != want.Groups[Okta] {
		h.t.Errorf("okta lists %d groups, truth is %d", len(groups), want.Groups[Okta])
	}
}

// compareHRIS gives the lifecycle by address and alias.
func (h *harness) compareHRIS(want *TruthReport) map[string]string {
	rows, err := csv.NewReader(strings.NewReader(string(h.get(HRIS, "/export/people.csv").want(h.t, http.StatusOK).body))).ReadAll()
	if err != nil {
		h.t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	counts, lifecycle := map[string]int{}, map[string]string{}
	for _, row := range rows[1:] {
		state := row[column["lifecycle"]]
		counts[state]++
		for _, address := range append(strings.Split(row[column["aliases"]], "|"), row[column["email"]]) {
			lifecycle[strings.ToLower(address)] = state
		}
	}
	if diff := cmp.Diff(want.ByLifecycle, counts); diff != "" {
		h.t.Error(diff)
	}
	return lifecycle
}

func (h *harness) compareZoom(want *TruthReport, lifecycle map[string]string, protected string) {
	states, got, accounts := map[string]int{}, SeatCount{}, 0
	window := testNow.Add(-DefaultWindow)
	moment := func(v any) (at time.Time, given bool) {
		text, given := v.(string)
		at, _ = time.Parse(time.RFC3339, text)
		return at, given
	}
	for status, canonical := range map[string]string{ZoomActive: "active", ZoomInactive: "deactivated", ZoomPending: "invited"} {
		users, _ := h.cursorAll(Zoom, "/v2/users?page_size=100&status="+status, "next_page_token", "users", zoomCursor)
		for _, u := range users {
			accounts++
			states[canonical]++
			if status != ZoomActive || u["type"] != float64(ZoomLicensed) {
				continue
			}
			got.Paid++
			email := strings.ToLower(u["email"].(string))
			last, used := moment(u["last_login_time"])
			created, dated := moment(u["created_at"])
			switch {
			case used && last.After(window):
				got.Active++
				continue
			case used:
				got.Idle++
			case dated && !created.After(window):
				got.Never++
			default:
				got.Unknown++
				continue
			}
			switch {
			case email == protected:
				got.Exempt++
			case lifecycle[email] == LifecycleOnLeave:
				got.Held++
			default:
				got.Candidates++
			}
		}
	}
	truth := want.Seats[Zoom]
	wanted := SeatCount{Paid: truth.Paid, Active: truth.Active, Idle: truth.Idle, Never: truth.Never, Unknown: truth.Unknown, Candidates: truth.Candidates, Exempt: truth.Exempt, Held: truth.Held}
	if diff := cmp.Diff(wanted, got); diff != "" {
		h.t.Errorf("zoom seats, truth against wire: %s", diff)
	}
	if diff := cmp.Diff(want.AccountStates[Zoom], states); diff != "" && accounts > 0 {
		h.t.Errorf("zoom accounts: %s", diff)
	}
}

func (h *harness) compareSlack(want *TruthReport, lifecycle map[string]string) {
	members, _ := h.cursorAll(Slack, "/api/users.list?limit=90", "cursor", "members", slackCursor)
	if len(members)-1 != want.Accounts[Slack] {
		h.t.Errorf("slack lists %d members with slackbot, truth is %d", len(members), want.Accounts[Slack])
	}
	billing := h.admin(http.MethodGet, "/api/team.billableInfo", nil).wantSlack(h.t, "").json["billable_info"].(map[string]any)
	last := map[string]time.Time{}
	for page, pages := 1, 1; page <= pages; page++ {
		a := h.admin(http.MethodGet, fmt.Sprintf("/api/team.accessLogs?count=1000&page=%d", page), nil).wantSlack(h.t, "")
		for _, item := range a.json["logins"].([]any) {
			line := item.(map[string]any)
			at := time.Unix(int64(line["date_last"].(float64)), 0)
			if id := line["user_id"].(string); at.After(last[id]) {
				last[id] = at
			}
		}
		pages = int(a.json["paging"].(map[string]any)["pages"].(float64))
	}
	got := SeatCount{}
	for _, m := range members {
		id := m["id"].(string)
		if info := billing[id].(map[string]any); info["billing_active"] != true {
			continue
		}
		got.Paid++
		email, _ := m["profile"].(map[string]any)["email"].(string)
		switch at, seen := last[id]; {
		case !seen:
			got.Unknown++
		case at.After(testNow.Add(-DefaultWindow)):
			got.Active++
		default:
			got.Idle++
			if lifecycle[strings.ToLower(email)] == LifecycleOnLeave {
				got.Held++
			}
		}
	}
	truth := want.Seats[Slack]
	wanted := SeatCount{Paid: truth.Paid, Active: truth.Active, Idle: truth.Idle, Unknown: truth.Unknown, Held: truth.Held}
	if diff := cmp.Diff(wanted, got); diff != "" {
		h.t.Errorf("slack seats, truth against wire: %s", diff)
	}
}
