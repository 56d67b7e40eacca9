// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestZoomToken(t *testing.T) {
	h := start(t, 10)
	h.get(Zoom, "/v2/users").want(t, http.StatusOK)
	h.clock.Step(time.Hour)
	if a := h.get(Zoom, "/v2/users").want(t, http.StatusUnauthorized); a.json["code"] != float64(124) {
		t.Errorf("an hour later: %s", a.body)
	}
	h.zoom = ""
	h.get(Zoom, "/v2/users").want(t, http.StatusOK)
	h.ExpireTokens()
	h.get(Zoom, "/v2/users").want(t, http.StatusUnauthorized)

	for _, target := range []string{"/oauth/token?grant_type=account_credentials&account_id=another", "/oauth/token?grant_type=password&account_id=" + SimZoomAccountID} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL(Zoom)+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(SimZoomClientID, SimZoomClientSecret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", target, resp.StatusCode)
		}
	}
}

func TestZoomListsOnlyActiveByDefault(t *testing.T) {
	h := start(t, 300)
	states := map[string]int{}
	for _, status := range []string{"", ZoomActive, ZoomInactive, ZoomPending} {
		target := "/v2/users?page_size=30"
		if status != "" {
			target += "&status=" + status
		}
		users, sizes := h.cursorAll(Zoom, target, "next_page_token", "users", zoomCursor)
		states[status] = len(users)
		if status == "" && len(sizes) < 3 {
			t.Errorf("pages %v", sizes)
		}
		for _, u := range users {
			if _, hasID := u["id"]; hasID == (status == ZoomPending) {
				t.Fatalf("%s user %v", status, u)
			}
		}
	}
	if states[""] != states[ZoomActive] || states[ZoomInactive] == 0 || states[ZoomPending] == 0 {
		t.Errorf("%v", states)
	}
	h.sloppy = true
	h.get(Zoom, "/v2/users?status=asleep").want(t, http.StatusBadRequest)
}

func TestZoomLicenseRoundTrip(t *testing.T) {
	h := start(t, 50)
	z := h.state.Company.ZoomUserOf(h.state.Company.Cases[CaseExactlyWindow])
	before := h.Truth(TruthOptions{}).Seats[Zoom].Paid
	for range 2 {
		h.do(Zoom, http.MethodPatch, "/v2/users/"+z.ID, map[string]any{"type": 1}).want(t, http.StatusNoContent)
	}
	if a := h.get(Zoom, "/v2/users/"+z.ID).want(t, http.StatusOK); a.json["type"] != float64(1) || a.json["account_id"] != SimZoomAccountID {
		t.Errorf("user %s", a.body)
	}
	if h.EffectCount(Zoom, "license.remove", z.ID) != 1 || h.NoopCount(Zoom, "license.remove", strings.ToUpper(z.Email)) != 1 || h.Writes(Zoom) != 2 {
		t.Errorf("effects %+v", h.Effects())
	}
	if got := h.Truth(TruthOptions{}).Seats[Zoom].Paid; got != before-1 {
		t.Errorf("%d paid seats after removing one of %d", got, before)
	}
	h.do(Zoom, http.MethodPatch, "/v2/users/"+z.ID, map[string]any{"type": 2}).want(t, http.StatusNoContent)
	if err := h.Update(func(c *Company) { c.ZoomSeats = before }); err != nil {
		t.Fatal(err)
	}
	for _, other := range h.state.Company.ZoomUsers {
		if other.Status == ZoomActive && other.Type == ZoomBasic {
			a := h.do(Zoom, http.MethodPatch, "/v2/users/"+other.ID, map[string]any{"type": 2}).want(t, http.StatusBadRequest)
			if a.json["code"] != float64(2034) {
				t.Errorf("no seat left: %s", a.body)
			}
			break
		}
	}
	if a := h.get(Zoom, "/v2/accounts/me/plans").want(t, http.StatusOK); a.json["plan_base"].(map[string]any)["hosts"] != float64(before) {
		t.Errorf("plans %s", a.body)
	}
	h.get(Zoom, "/v2/accounts/other/plans").want(t, http.StatusNotFound)
}

func TestZoomStatusSignOutDelete(t *testing.T) {
	h := start(t, 50)
	z := h.state.Company.ZoomUserOf(h.state.Company.Cases[CaseNeverUsed])
	path := "/v2/users/" + z.ID
	h.do(Zoom, http.MethodDelete, path+"/token", nil).want(t, http.StatusNoContent)
	h.do(Zoom, http.MethodPut, path+"/status", map[string]any{"action": "deactivate"}).want(t, http.StatusNoContent)
	h.do(Zoom, http.MethodPut, path+"/status", map[string]any{"action": "deactivate"}).want(t, http.StatusNoContent)
	h.do(Zoom, http.MethodPut, path+"/status", map[string]any{"action": "activate"}).want(t, http.StatusNoContent)
	h.do(Zoom, http.MethodDelete, path+"?action=delete&transfer_email=a@acme.example&transfer_recording=true", nil).want(t, http.StatusNoContent)
	if a := h.get(Zoom, path).want(t, http.StatusNotFound); a.json["code"] != float64(1001) {
		t.Errorf("%s", a.body)
	}
	for action, want := range map[string]int{"user.signOut": 1, "user.deactivate": 1, "user.activate": 1, "user.delete": 1} {
		if got := h.EffectCount(Zoom, action, z.ID); got != want {
			t.Errorf("%s happened %d times", action, got)
		}
	}
	if a := h.get(Zoom, "/v2/users/me").want(t, http.StatusOK); !strings.EqualFold(a.json["email"].(string), h.state.Company.Cases[CaseCEO]) {
		t.Errorf("me is %s", a.body)
	}
}

func TestHRISExport(t *testing.T) {
	h := start(t, 50, func(o *Options) { o.HRISDelimiter, o.HRISWithBOM = ';', true })
	a := h.get(HRIS, "/export/people.csv").want(t, http.StatusOK)
	text, marked := bytes.CutPrefix(a.body, []byte("\ufeff"))
	if !marked || !strings.HasPrefix(a.header.Get("Content-Type"), "text/csv") {
		t.Errorf("begins %q, is %s", a.body[:10], a.header.Get("Content-Type"))
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma = ';'
	rows, err := r.ReadAll()
	if err != nil || len(rows) != 51 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if got := strings.Join(rows[0], ","); got != strings.Join(hrisColumns, ",") {
		t.Errorf("columns %s", got)
	}
	if ceo := rows[1]; ceo[0] != "E01001" || ceo[4] != h.state.Company.Cases[CaseCEO] || ceo[15] != "Active" || ceo[16] != "current" {
		t.Errorf("first row %v", ceo)
	}
	a, err = h.try(HRIS, http.MethodGet, "/export/people.csv", nil, "Bearer wrong")
	if err != nil {
		t.Fatal(err)
	}
	a.want(t, http.StatusUnauthorized)
}

// TestShape proves that what a vendor would not understand is refused in its
// own words and noted.
func TestShape(t *testing.T) {
	h := start(t, 10)
	h.sloppy = true
	z := h.state.Company.ZoomUserOf(h.state.Company.Cases[CaseExactlyWindow])
	for _, bad := range []struct {
		vendor, method, target string
		body                   any
		status                 int
		what                   string
	}{
		{Okta, http.MethodGet, "/api/v1/people", nil, 404, "no such path"},
		{Okta, http.MethodPatch, "/api/v1/users", nil, 405, "method"},
		{Okta, http.MethodGet, "/api/v1/users?colour=red", nil, 400, "colour"},
		{Okta, http.MethodGet, "/api/v1/users?filter=status", nil, 400, "filter"},
		{Zoom, http.MethodPatch, "/v2/users/" + z.ID, map[string]any{"typ": 1}, 400, "typ"},
		{Zoom, http.MethodPatch, "/v2/users/" + z.ID, "[1]", 400, "JSON"},
		{Zoom, http.MethodPatch, "/v2/users/" + z.ID, url.Values{"type": {"1"}}, 400, "form"},
		{Slack, http.MethodGet, "/api/users.everything", nil, 404, "no such path"},
		{Slack, http.MethodGet, "/api/users.info?usr=U1", nil, 200, "usr"},
		{HRIS, http.MethodGet, "/export/salaries.csv", nil, 404, "no such path"},
		{HRIS, http.MethodGet, "/export/people.csv?since=1", nil, 400, "since"},
	} {
		seen := len(h.Violations())
		a := h.do(bad.vendor, bad.method, bad.target, bad.body)
		found := h.Violations()[seen:]
		if a.status != bad.status || len(found) != 1 || !strings.Contains(found[0].What, bad.what) {
			t.Errorf("%s %s: %d %s, violations %+v", bad.method, bad.target, a.status, a.body, found)
		}
	}
	if len(h.Effects()) != 0 {
		t.Errorf("a refused request had an effect: %+v", h.Effects())
	}
}

// TestDescriptions proves that the vendors' descriptions are really consulted:
// each request has a good shape and breaks a rule that only they state.
func TestDescriptions(t *testing.T) {
	if specDir(t) == "" {
		t.Skip("SEATKEEPER_TESTDATA is not set: the vendors' descriptions are no part of the project")
	}
	h := start(t, 10)
	h.sloppy = true
	z := h.state.Company.ZoomUserOf(h.state.Company.Cases[CaseExactlyWindow])
	for _, bad := range []struct {
		vendor, method, target string
		body                   any
	}{
		{Okta, http.MethodGet, "/api/v1/apps?limit=5000", nil},
		{Okta, http.MethodDelete, "/api/v1/users/00u1/sessions?oauthTokens=perhaps", nil},
		{Zoom, http.MethodPut, "/v2/users/" + z.ID + "/status", map[string]any{"action": "suspend"}},
		{Zoom, http.MethodPatch, "/v2/users/" + z.ID, map[string]any{"type": "basic"}},
		{Slack, http.MethodPost, "/api/chat.postMessage", map[string]any{"text": "no channel"}},
		{Slack, http.MethodGet, "/api/users.lookupByEmail", nil},
		{Slack, http.MethodGet, "/api/users.list?limit=many", nil},
	} {
		seen := len(h.Violations())
		a := h.do(bad.vendor, bad.method, bad.target, bad.body)
		found := h.Violations()[seen:]
		if len(found) != 1 || !strings.Contains(found[0].What, "description") {
			t.Errorf("%s %s: %d %s, violations %+v", bad.method, bad.target, a.status, a.body, found)
		}
	}
}
