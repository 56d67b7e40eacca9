// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

func TestEndpoints(t *testing.T) {
	h := start(t, 1)
	got := h.Endpoints()
	for _, host := range []string{"acme.okta.com", "slack.com", "api.slack.com", "hooks.slack.com", "zoom.us", "api.zoom.us", "hris.acme.example"} {
		if !strings.HasPrefix(got[host], "http://127.0.0.1:") {
			t.Errorf("%s goes to %q", host, got[host])
		}
	}
	if h.URL(Okta) == h.URL(Zoom) {
		t.Error("two vendors share a listener")
	}
}

func TestCompanyIsACopy(t *testing.T) {
	h := start(t, 10)
	c, err := h.Company()
	if err != nil {
		t.Fatal(err)
	}
	c.ZoomUsers[0].Type = 99
	again, err := h.Company()
	if err != nil || again.ZoomUsers[0].Type == 99 || again.Person("E01001") == nil {
		t.Errorf("%+v, %v", again.ZoomUsers[0], err)
	}
}

func TestFixedPortThatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	port := l.Addr().(*net.TCPAddr).Port
	_, err = Start(t.Context(), Options{Company: Generate(Config{People: 1, Now: testNow}), Ports: map[string]int{Zoom: port}})
	if err == nil || !strings.Contains(err.Error(), "simulated zoom") || !strings.Contains(err.Error(), strconv.Itoa(port)) {
		t.Errorf("%v", err)
	}
}

func (h *harness) sim(method, target string, body any) *answer {
	h.t.Helper()
	a, err := h.try(Admin, method, target, body, "")
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

func TestAdminTruth(t *testing.T) {
	h := start(t, 200)
	c := h.state.Company
	var got TruthReport
	decode := func(a *answer) TruthReport {
		got = TruthReport{}
		if err := json.Unmarshal(a.want(t, http.StatusOK).body, &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := h.Truth(TruthOptions{Protected: []string{c.Cases[CaseCEO]}})
	if got := decode(h.sim(http.MethodGet, "/_sim/truth?protected="+c.Cases[CaseCEO], nil)); got.Total != want.Total || got.Total.Exempt != 1 {
		t.Errorf("%+v, want %+v", got.Total, want.Total)
	}
	if got := decode(h.sim(http.MethodPost, "/_sim/truth", TruthOptions{IncludeSeats: true})); len(got.Verdicts) != want.Total.Paid || got.Total.Exempt != 0 {
		t.Errorf("%d verdicts of %d", len(got.Verdicts), want.Total.Paid)
	}
	if got := decode(h.sim(http.MethodGet, "/_sim/truth?window=9600h", nil)); got.Total.Idle >= want.Total.Idle {
		t.Errorf("%d idle for 400 days, %d for 90", got.Total.Idle, want.Total.Idle)
	}
	for _, bad := range []string{"window=90d", "now=today", "zone=Mars/Olympus"} {
		h.sim(http.MethodGet, "/_sim/truth?"+bad, nil).want(t, http.StatusBadRequest)
	}
	h.sim(http.MethodPost, "/_sim/truth", `{"windw": 1}`).want(t, http.StatusBadRequest)
}

func TestAdminFaults(t *testing.T) {
	h := start(t, 10)
	h.sim(http.MethodPost, "/_sim/faults", Fault{Kind: FaultError, Vendor: Okta, Times: 1}).want(t, http.StatusCreated)
	h.sim(http.MethodPost, "/_sim/faults", []Fault{{Kind: FaultError, Vendor: HRIS}, {Kind: FaultLatency}}).want(t, http.StatusCreated)
	h.get(Okta, "/api/v1/org").want(t, http.StatusServiceUnavailable)
	if a := h.sim(http.MethodGet, "/_sim/faults", nil); len(a.list) != 3 || a.list[0]["hits"] != float64(1) {
		t.Errorf("%s", a.body)
	}
	for _, bad := range []string{`{"kind":"sulk"}`, `{"kind":"error","vendor":"jira"}`, `{"kind":"error","path":"["}`, `nonsense`} {
		h.sim(http.MethodPost, "/_sim/faults", bad).want(t, http.StatusBadRequest)
	}
	h.sim(http.MethodDelete, "/_sim/faults", nil).want(t, http.StatusNoContent)
	if got := h.Faults(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestAdminLists(t *testing.T) {
	h := start(t, 10)
	h.sloppy = true
	h.get(Okta, "/api/v1/nothing").want(t, http.StatusNotFound)
	z := h.state.Company.ZoomUserOf(h.state.Company.Cases[CaseExactlyWindow])
	h.do(Zoom, http.MethodPatch, "/v2/users/"+z.ID, map[string]any{"type": 1}).want(t, http.StatusNoContent)
	for target, want := range map[string]string{
		"/_sim/effects": `"action": "license.remove"`, "/_sim/violations": "no such path", "/_sim/requests": "PATCH /v2/users/{id}",
		"/_sim/endpoints": "api.zoom.us", "/_sim/messages": "[]",
	} {
		for _, vendor := range []string{Admin, Zoom} {
			a, err := h.try(vendor, http.MethodGet, target, nil, "")
			if err != nil {
				t.Fatal(err)
			}
			if a.want(t, http.StatusOK); !strings.Contains(string(a.body), want) {
				t.Errorf("%s of %s: %s", target, vendor, a.body)
			}
		}
	}
	h.sim(http.MethodPost, "/_sim/expire-tokens", nil).want(t, http.StatusNoContent)
	h.get(Zoom, "/v2/users").want(t, http.StatusUnauthorized)
}

// TestPage answers a question as a person in front of `make up` does.
func TestPage(t *testing.T) {
	h := start(t, 50)
	r := newReceiver(t, h.clock.Now)
	if a := h.sim(http.MethodGet, "/", nil).want(t, http.StatusOK); !strings.Contains(string(a.body), "None yet") {
		t.Errorf("%s", a.body)
	}
	m := h.state.Company.SlackMemberOf(h.state.Company.Cases[CaseExactlyWindow])
	_, ts := h.question(m.ID, "prompt-1")
	page := h.sim(http.MethodGet, "/_sim/", nil).want(t, http.StatusOK)
	text := string(page.body)
	if !strings.Contains(text, "<button>Reclaim</button>") || !strings.Contains(text, "money &amp; nobody") || strings.Contains(text, "<script") ||
		!strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("page %s", text)
	}
	form := url.Values{"messageTs": {ts}, "actionId": {"reclaim"}, "user": {m.ID}}
	h.sim(http.MethodPost, "/_sim/click", form).want(t, http.StatusBadGateway)
	h.SetInteractivityURL(r.URL)
	h.sim(http.MethodPost, "/_sim/click", form).want(t, http.StatusOK)
	a := h.sim(http.MethodPost, "/_sim/click", map[string]any{"messageTs": ts, "actionId": "keep", "forge": true}).want(t, http.StatusOK)
	if a.json["status"] != float64(401) || len(r.payloads) != 1 {
		t.Errorf("%s, %d payloads", a.body, len(r.payloads))
	}
	if a := h.sim(http.MethodGet, "/_sim/messages?user="+url.QueryEscape(m.Email), nil); len(a.list) != 1 || len(a.list[0]["buttons"].([]any)) != 3 {
		t.Errorf("%s", a.body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL(Admin)+"/_sim/click", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", "https://evil.example")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusForbidden {
		t.Errorf("another site's page may click: %d", resp.StatusCode)
	}
}
