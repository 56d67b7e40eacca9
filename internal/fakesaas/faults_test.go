// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// later lets a request that waits for the clock go on.
func (h *harness) later(d time.Duration) (stop func()) {
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
				if h.clock.HasWaiters() {
					h.clock.Step(d)
					return
				}
				// Yield to the request; there is no event to wait for.
				time.Sleep(time.Millisecond)
			}
		}
	}()
	return func() { close(done); <-stopped }
}

func TestFaultRateLimit(t *testing.T) {
	h := start(t, 10)
	h.AddFault(Fault{Kind: FaultRateLimit, Vendor: Okta, RetryAfter: 45, Times: 2})
	for range 2 {
		a := h.get(Okta, "/api/v1/users").want(t, http.StatusTooManyRequests)
		if a.header.Get("X-Rate-Limit-Reset") != strconv.FormatInt(testNow.Unix()+45, 10) || a.header.Get("X-Rate-Limit-Remaining") != "0" || a.json["errorCode"] != "E0000047" {
			t.Errorf("%v %s", a.header, a.body)
		}
	}
	h.get(Okta, "/api/v1/users").want(t, http.StatusOK)
	h.AddFault(Fault{Kind: FaultRateLimit, Vendor: Slack, RetryAfter: 7, Path: "/api/users.list"})
	if a := h.get(Slack, "/api/users.list").want(t, http.StatusTooManyRequests); a.header.Get("Retry-After") != "7" || a.json["error"] != "ratelimited" {
		t.Errorf("%v %s", a.header, a.body)
	}
	h.get(Slack, "/api/auth.test").wantSlack(t, "")
	id := h.AddFault(Fault{Kind: FaultRateLimit, Vendor: Zoom, RetryAfter: 60, Hint: HintDate})
	a, err := h.try(Zoom, http.MethodGet, "/v2/users", nil, "Bearer x")
	if err != nil {
		t.Fatal(err)
	}
	if at, err := http.ParseTime(a.header.Get("Retry-After")); err != nil || !at.Equal(testNow.Add(time.Minute)) {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	h.RemoveFault(id)
	h.get(Zoom, "/v2/users").want(t, http.StatusOK)
}

func TestFaultInMidList(t *testing.T) {
	h := start(t, 100)
	h.AddFault(Fault{Kind: FaultError, Status: 502, Vendor: Okta, Path: "/api/v1/users", Page: 2, Times: 1})
	first := h.get(Okta, "/api/v1/users?limit=20").want(t, http.StatusOK)
	h.get(Okta, first.next()).want(t, http.StatusBadGateway)
	h.get(Okta, first.next()).want(t, http.StatusOK)

	h.AddFault(Fault{Kind: FaultError, Skip: 1, Times: 1, Vendor: HRIS})
	h.get(HRIS, "/export/people.csv").want(t, http.StatusOK)
	h.get(HRIS, "/export/people.csv").want(t, http.StatusServiceUnavailable)
	h.get(HRIS, "/export/people.csv").want(t, http.StatusOK)
}

func TestFaultPaging(t *testing.T) {
	h := start(t, 100)
	h.AddFault(Fault{Kind: FaultRepeatCursor, Vendor: Okta, Path: "/api/v1/users", Page: 2})
	first := h.get(Okta, "/api/v1/users?limit=20")
	second := h.get(Okta, first.next())
	if first.next() != second.next() {
		t.Errorf("the cursor went from %s to %s", first.next(), second.next())
	}
	h.AddFault(Fault{Kind: FaultRepeatCursor, Vendor: Zoom})
	users := h.get(Zoom, "/v2/users?page_size=10")
	if again := h.get(Zoom, "/v2/users?page_size=10&next_page_token="+zoomCursor(users.json)); zoomCursor(again.json) != zoomCursor(users.json) {
		t.Error("Zoom went on")
	}
	h.ClearFaults()
	h.AddFault(Fault{Kind: FaultShortPage, Vendor: Slack, PageSize: 3})
	if _, sizes := h.cursorAll(Slack, "/api/users.list?limit=200", "cursor", "members", slackCursor); sizes[0] != 3 || len(sizes) < 20 {
		t.Errorf("pages %v", sizes)
	}
	h.AddFault(Fault{Kind: FaultShrink, Percent: 40})
	want := len(h.state.Company.ZoomUsers)
	total := 0
	for _, status := range []string{ZoomActive, ZoomInactive, ZoomPending} {
		total += int(h.get(Zoom, "/v2/users?status="+status).json["total_records"].(float64))
	}
	if total != want*60/100 {
		t.Errorf("%d of %d users left", total, want)
	}
	h.ClearFaults()
	h.AddFault(Fault{Kind: FaultShrink, Percent: 100, Vendor: Okta})
	if a := h.get(Okta, "/api/v1/users").want(t, http.StatusOK); strings.TrimSpace(string(a.body)) != "[]" {
		t.Errorf("%s", a.body)
	}
}

func TestFaultBodies(t *testing.T) {
	h := start(t, 50)
	h.AddFault(Fault{Kind: FaultEmptyBody, Vendor: Okta})
	if a := h.get(Okta, "/api/v1/users").want(t, http.StatusOK); len(a.body) != 0 {
		t.Errorf("%s", a.body)
	}
	h.AddFault(Fault{Kind: FaultTruncate, Vendor: HRIS})
	if _, err := h.try(HRIS, http.MethodGet, "/export/people.csv", nil, "Bearer "+SimHRISToken); err == nil {
		t.Error("a truncated body was read to its end")
	}
	h.ClearFaults()
	h.AddFault(Fault{Kind: FaultNotOK, Vendor: Slack, Error: "fatal_error", Times: 1})
	h.get(Slack, "/api/auth.test").wantSlack(t, "fatal_error")
	h.AddFault(Fault{Kind: FaultExpiredToken, Times: 4})
	h.get(Slack, "/api/auth.test").wantSlack(t, "token_expired")
	h.get(HRIS, "/export/people.csv").want(t, http.StatusUnauthorized)
	h.ClearFaults()
	h.AddFault(Fault{Kind: FaultMissingScope, Error: "user:read:admin"})
	if a := h.get(Slack, "/api/auth.test").wantSlack(t, "missing_scope"); a.json["needed"] != "user:read:admin" {
		t.Errorf("%s", a.body)
	}
	if a := h.get(Okta, "/api/v1/users").want(t, http.StatusForbidden); a.json["errorCode"] != "E0000006" {
		t.Errorf("%s", a.body)
	}
	h.ClearFaults()
	h.zoomToken()
	h.AddFault(Fault{Kind: FaultMissingScope, Vendor: Zoom})
	if a := h.get(Zoom, "/v2/users").want(t, http.StatusBadRequest); a.json["code"] != float64(4711) {
		t.Errorf("%s", a.body)
	}
}

func TestFaultAccountChanged(t *testing.T) {
	h := start(t, 10)
	read := func() [3]any {
		return [3]any{h.get(Okta, "/api/v1/org").json["id"], h.get(Slack, "/api/auth.test").json["team_id"], h.get(Zoom, "/v2/users/me").json["account_id"]}
	}
	before := read()
	h.AddFault(Fault{Kind: FaultAccountChanged})
	after := read()
	for i := range before {
		if before[i] == nil || before[i] == after[i] {
			t.Errorf("account %v became %v", before[i], after[i])
		}
	}
}

// TestFaultLostResponse is what the crash tests build on: done but not
// answered, and not done at all, look the same to the caller.
func TestFaultLostResponse(t *testing.T) {
	h := start(t, 50)
	z := h.state.Company.ZoomUserOf(h.state.Company.Cases[CaseExactlyWindow])
	token := "Bearer " + h.zoomToken()
	patch := func() error {
		_, err := h.try(Zoom, http.MethodPatch, "/v2/users/"+z.ID, map[string]any{"type": 1}, token)
		return err
	}
	h.AddFault(Fault{Kind: FaultDropConnection, Method: http.MethodPatch, Times: 1})
	if patch() == nil || h.Writes(Zoom) != 0 {
		t.Errorf("dropped: %+v", h.Effects())
	}
	h.AddFault(Fault{Kind: FaultLostResponse, Method: http.MethodPatch, Times: 1, Path: "/v2/users/**"})
	if patch() == nil || h.EffectCount(Zoom, "license.remove", z.ID) != 1 {
		t.Errorf("lost: %+v", h.Effects())
	}
	if err := patch(); err != nil || h.EffectCount(Zoom, "license.remove", z.ID) != 1 || h.NoopCount(Zoom, "license.remove", z.ID) != 1 {
		t.Errorf("repeated: %v %+v", err, h.Effects())
	}
	m := h.state.Company.SlackMemberOf(h.state.Company.Cases[CaseExactlyWindow])
	h.AddFault(Fault{Kind: FaultLostResponse, Path: "/api/chat.postMessage", Times: 1})
	if _, err := h.try(Slack, http.MethodPost, "/api/chat.postMessage", url.Values{"channel": {m.ID}, "text": {"hello"}}, "Bearer "+SimSlackBotToken); err == nil {
		t.Error("the answer arrived")
	}
	if h.EffectCount(Slack, "message.send", m.ID) != 1 {
		t.Errorf("effects %+v", h.Effects())
	}
}

func TestFaultLatency(t *testing.T) {
	h := start(t, 10)
	h.AddFault(Fault{Kind: FaultLatency, Vendor: Okta, LatencyMS: 5000, Times: 1})
	stop := h.later(5 * time.Second)
	h.get(Okta, "/api/v1/org").want(t, http.StatusOK)
	stop()
	if waited := h.clock.Now().Sub(testNow); waited != 5*time.Second {
		t.Errorf("waited %s", waited)
	}
}

func TestEnforcedRateLimit(t *testing.T) {
	h := start(t, 10, func(o *Options) { o.RateLimit = 3 })
	for range 3 {
		h.get(Okta, "/api/v1/org").want(t, http.StatusOK)
	}
	h.get(Okta, "/api/v1/org").want(t, http.StatusTooManyRequests)
	h.get(Okta, "/api/v1/users").want(t, http.StatusOK)
	h.clock.Step(time.Minute)
	h.get(Okta, "/api/v1/org").want(t, http.StatusOK)
}

func TestStateOutlivesARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sim.json")
	persistent := func(o *Options) { o.StateFile = file }
	h := start(t, 50, persistent)
	z := h.state.Company.ZoomUserOf(h.state.Company.Cases[CaseExactlyWindow])
	m := h.state.Company.SlackMemberOf(h.state.Company.Cases[CaseExactlyWindow])
	h.do(Zoom, http.MethodPatch, "/v2/users/"+z.ID, map[string]any{"type": 1}).want(t, http.StatusNoContent)
	channel, ts := h.question(m.ID, "prompt-1")
	want := h.Truth(TruthOptions{}).Seats[Zoom].Paid
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}

	again := start(t, 50, persistent)
	if got := again.Truth(TruthOptions{}).Seats[Zoom].Paid; got != want {
		t.Errorf("%d paid seats, want %d", got, want)
	}
	if again.EffectCount(Zoom, "license.remove", z.ID) != 1 || again.Messages()[0].TS != ts || len(again.Messages()[0].Buttons()) != 3 {
		t.Errorf("effects %+v, messages %+v", again.Effects(), again.Messages())
	}
	if reopened, next := again.question(m.ID, "prompt-2"); reopened != channel || next <= ts {
		t.Errorf("channel %s, message %s after %s", reopened, next, ts)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}

	other := Options{Company: Generate(Config{Seed: 8, People: 50, Now: testNow}), StateFile: file}
	if _, err := Start(t.Context(), other); err == nil || !strings.Contains(err.Error(), "seed 7") {
		t.Errorf("another company: %v", err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), other); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged file: %v", err)
	}
	if leftovers, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".sim-*")); len(leftovers) != 0 {
		t.Errorf("left over: %v", leftovers)
	}
}
