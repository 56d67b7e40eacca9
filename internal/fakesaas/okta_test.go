// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestOktaAuthorization(t *testing.T) {
	h := start(t, 10)
	h.sloppy = true
	for token, code := range map[string]string{"": "E0000005", "SSWS wrong": "E0000011", "Bearer " + SimOktaToken: "E0000011"} {
		a, err := h.try(Okta, http.MethodGet, "/api/v1/users", nil, token)
		if err != nil {
			t.Fatal(err)
		}
		if a.want(t, http.StatusUnauthorized); a.json["errorCode"] != code || a.json["errorSummary"] == "" {
			t.Errorf("%q: %s", token, a.body)
		}
	}
}

func TestOktaOrgAndUser(t *testing.T) {
	h := start(t, 50)
	org := h.get(Okta, "/api/v1/org").want(t, http.StatusOK)
	if org.json["id"] != h.state.Company.OktaOrgID || org.json["subdomain"] != "acme" {
		t.Errorf("org %s", org.body)
	}
	person := h.state.Company.People[1]
	a := h.get(Okta, "/api/v1/users/"+url.PathEscape(person.Email)).want(t, http.StatusOK)
	if a.json["profile"].(map[string]any)["employeeNumber"] != person.EmployeeID {
		t.Errorf("user by login: %s", a.body)
	}
	if got := h.get(Okta, "/api/v1/users/00uNobody").want(t, http.StatusNotFound); got.json["errorCode"] != "E0000007" {
		t.Errorf("%s", got.body)
	}
}

func TestOktaListsUsers(t *testing.T) {
	h := start(t, 300)
	live, pages := h.oktaAll("/api/v1/users?limit=50")
	if pages < 5 {
		t.Errorf("%d pages", pages)
	}
	for _, u := range live {
		if u["status"] == "DEPROVISIONED" {
			t.Fatal("a list without filter shows a deactivated user")
		}
	}
	gone, _ := h.oktaAll("/api/v1/users?filter=" + url.QueryEscape(`status eq "DEPROVISIONED"`))
	if len(gone) == 0 || len(gone)+len(live) != len(h.state.Company.OktaUsers) {
		t.Errorf("%d gone and %d live of %d", len(gone), len(live), len(h.state.Company.OktaUsers))
	}
	a := h.get(Okta, "/api/v1/users?limit=1")
	for _, name := range []string{"X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Reset"} {
		if a.header.Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
	since := testNow.AddDate(0, 0, -30)
	changed, _ := h.oktaAll("/api/v1/users?filter=" + url.QueryEscape(`lastUpdated gt "`+since.Format(time.RFC3339)+`"`))
	want := 0
	for _, u := range h.state.Company.OktaUsers {
		if u.LastUpdated.After(since) {
			want++
		}
	}
	if len(changed) != want || want == 0 {
		t.Errorf("%d changed since %s, want %d", len(changed), since, want)
	}
}

func TestOktaLinksToItsOwnHost(t *testing.T) {
	h := start(t, 50, func(o *Options) { o.LocalLinks = false })
	if next := h.get(Okta, "/api/v1/users?limit=5").next(); !strings.HasPrefix(next, "https://acme.okta.com/api/v1/users?after=") {
		t.Errorf("next link %q", next)
	}
}

func TestOktaGroupsAndApps(t *testing.T) {
	h := start(t, 100)
	groups, _ := h.oktaAll("/api/v1/groups?limit=3")
	members, pages := h.oktaAll("/api/v1/groups/" + groups[0]["id"].(string) + "/users?limit=20")
	if len(members) != len(h.state.Company.OktaGroups[0].Members) || pages < 3 {
		t.Errorf("%d members on %d pages", len(members), pages)
	}
	app := h.state.Company.OktaApps[1]
	a := h.get(Okta, "/api/v1/apps/"+app.ID).want(t, http.StatusOK)
	if a.json["name"] != "zoomus" || a.json["label"] != "Zoom" {
		t.Errorf("app %s", a.body)
	}
	h.get(Okta, "/api/v1/apps/0oaNone/users").want(t, http.StatusNotFound)
	user := app.Assignments[0].UserID
	h.get(Okta, "/api/v1/apps/"+app.ID+"/users/"+user).want(t, http.StatusOK)
	h.do(Okta, http.MethodDelete, "/api/v1/apps/"+app.ID+"/users/"+user, nil).want(t, http.StatusNoContent)
	h.do(Okta, http.MethodDelete, "/api/v1/apps/"+app.ID+"/users/"+user, nil).want(t, http.StatusNotFound)
	if h.EffectCount(Okta, "app.unassign", user) != 1 || h.NoopCount(Okta, "app.unassign", user) != 1 {
		t.Errorf("effects %+v", h.Effects())
	}
}

func TestOktaLogs(t *testing.T) {
	h := start(t, 100)
	query := url.Values{
		"since": {testNow.AddDate(0, 0, -30).Format(time.RFC3339)}, "until": {testNow.Format(time.RFC3339)}, "limit": {"100"},
		"sortOrder": {"ASCENDING"}, "filter": {`eventType eq "user.authentication.sso" and outcome.result eq "SUCCESS"`},
	}
	events, pages := h.oktaAll("/api/v1/logs?" + query.Encode())
	if len(events) < 100 || pages < 2 {
		t.Fatalf("%d events on %d pages", len(events), pages)
	}
	last := ""
	seen := map[string]bool{}
	for _, e := range events {
		if at := e["published"].(string); at < last {
			t.Fatalf("%s after %s", at, last)
		} else {
			last = at
		}
		if id := e["uuid"].(string); seen[id] {
			t.Fatalf("event %s twice", id)
		} else {
			seen[id] = true
		}
	}
	if polling := h.get(Okta, "/api/v1/logs?limit=1000"); polling.next() == "" {
		t.Error("without until there must always be a next link")
	}
	h.sloppy = true
	h.get(Okta, "/api/v1/logs?since=yesterday").want(t, http.StatusBadRequest)
}

func TestOktaLifecycle(t *testing.T) {
	h := start(t, 50)
	u := h.state.Company.OktaUserOf(h.state.Company.Cases[CaseExactlyWindow])
	path := "/api/v1/users/" + u.ID
	status := func(want string) {
		t.Helper()
		if got := h.get(Okta, path).want(t, http.StatusOK).json["status"]; got != want {
			t.Fatalf("status %v, want %s", got, want)
		}
	}
	h.do(Okta, http.MethodPost, path+"/lifecycle/suspend", nil).want(t, http.StatusOK)
	status("SUSPENDED")
	if got := h.do(Okta, http.MethodPost, path+"/lifecycle/suspend", nil).want(t, http.StatusBadRequest); got.json["errorCode"] != "E0000001" {
		t.Errorf("%s", got.body)
	}
	h.do(Okta, http.MethodPost, path+"/lifecycle/unsuspend", nil).want(t, http.StatusOK)
	status("ACTIVE")
	h.do(Okta, http.MethodPost, path+"/lifecycle/deactivate?sendEmail=false", "{}").want(t, http.StatusOK)
	status("DEPROVISIONED")
	h.do(Okta, http.MethodPost, path+"/lifecycle/deactivate", nil).want(t, http.StatusOK)
	h.do(Okta, http.MethodPost, path+"/lifecycle/activate?sendEmail=false", nil).want(t, http.StatusOK)
	status("PROVISIONED")
	h.do(Okta, http.MethodDelete, path, nil).want(t, http.StatusNoContent)
	status("DEPROVISIONED")
	h.do(Okta, http.MethodDelete, path, nil).want(t, http.StatusNoContent)
	h.get(Okta, path).want(t, http.StatusNotFound)
	if h.EffectCount(Okta, "user.suspend", u.ID) != 1 || h.EffectCount(Okta, "user.deactivate", u.Email) != 2 ||
		h.NoopCount(Okta, "user.deactivate", u.ID) != 1 || h.EffectCount(Okta, "user.delete", "") != 1 || h.Writes(Okta) != 8 {
		t.Errorf("effects %+v", h.Effects())
	}
}

func TestOktaSignOutAndMembership(t *testing.T) {
	h := start(t, 50)
	u := h.state.Company.OktaUserOf(h.state.Company.Cases[CaseCEO])
	for range 2 {
		h.do(Okta, http.MethodDelete, "/api/v1/users/"+u.ID+"/sessions?oauthTokens=true", nil).want(t, http.StatusNoContent)
	}
	if h.EffectCount(Okta, "user.signOut", u.ID) != 1 || h.NoopCount(Okta, "user.signOut", u.ID) != 1 {
		t.Errorf("effects %+v", h.Effects())
	}
	group := "/api/v1/groups/" + h.state.Company.OktaGroups[2].ID + "/users/" + u.ID
	h.do(Okta, http.MethodPut, group, nil).want(t, http.StatusNoContent)
	h.do(Okta, http.MethodPut, group, nil).want(t, http.StatusNoContent)
	h.do(Okta, http.MethodDelete, group, nil).want(t, http.StatusNoContent)
	if h.EffectCount(Okta, "group.addMember", u.ID) != 1 || h.EffectCount(Okta, "group.removeMember", u.ID) != 1 {
		t.Errorf("effects %+v", h.Effects())
	}
	builtin := "/api/v1/groups/" + h.state.Company.OktaGroups[0].ID + "/users/" + u.ID
	h.do(Okta, http.MethodDelete, builtin, nil).want(t, http.StatusForbidden)
}

func TestOktaFilter(t *testing.T) {
	record := map[string]string{"status": "ACTIVE", "profile.login": `a"b@acme.example`, "lastUpdated": "2026-11-02T10:00:00.000Z"}
	for text, want := range map[string]bool{
		`status eq "ACTIVE"`: true,
		`status eq "ACTIVE" and lastUpdated gt "2026-11-02T10:00:00Z"`:                        false,
		`status eq "ACTIVE" and lastUpdated ge "2026-11-02T10:00:00Z"`:                        true,
		`status eq "X" or status eq "ACTIVE" and status ne "Y"`:                               true,
		`(status eq "X" or status eq "ACTIVE") and lastUpdated lt "2026-11-02T09:00:00Z"`:     false,
		`(status eq "X" or (status sw "act")) and lastUpdated gt "2026-11-02T10:00:00+02:00"`: true,
		`profile.login eq "a\"b@acme.example"`:                                                true,
	} {
		matches, err := parseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := matches(record); got != want {
			t.Errorf("%s is %v", text, got)
		}
	}
	for _, text := range []string{"", "status", `status eq ACTIVE`, `status is "X"`, `(status eq "X"`, `status eq "X" status eq "Y"`, strings.Repeat("(", 100)} {
		if _, err := parseFilter(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func FuzzOktaFilter(f *testing.F) {
	for _, seed := range []string{`status eq "ACTIVE"`, `(a co "b" or c sw "\"") and d ge "2026-11-02T10:00:00Z"`, `(((`, "\"", "é eq \"x\""} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if matches, err := parseFilter(text); err == nil {
			matches(map[string]string{"status": "ACTIVE"})
		}
	})
}
