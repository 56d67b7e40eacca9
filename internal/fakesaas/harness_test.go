// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

var testNow = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// harness is a running simulator and what a client of it needs.
type harness struct {
	*Server
	t     *testing.T
	clock *clocktesting.FakeClock
	zoom  string // access token
	// sloppy tests send malformed requests on purpose.
	sloppy bool
}

// specDir is where the vendors' descriptions are; they are no part of the
// project, but the project's own gate must not forget them.
func specDir(t *testing.T) string {
	t.Helper()
	data := os.Getenv("SEATKEEPER_TESTDATA")
	if data == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("CI is set and SEATKEEPER_TESTDATA is not: the vendors' descriptions would go unchecked")
		}
		return ""
	}
	return filepath.Join(data, "vendor-specs")
}

func start(t *testing.T, people int, change ...func(*Options)) *harness {
	t.Helper()
	h := &harness{t: t, clock: clocktesting.NewFakeClock(testNow)}
	opts := Options{
		Company: Generate(Config{Seed: 7, People: people, Now: testNow}), Clock: h.clock, SpecDir: specDir(t), LocalLinks: true,
	}
	for _, c := range change {
		c(&opts)
	}
	srv, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	h.Server = srv
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if found := srv.Violations(); len(found) > 0 && !h.sloppy {
			t.Errorf("violations: %+v", found)
		}
	})
	return h
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
	json   map[string]any
	list   []map[string]any
}

func (h *harness) try(vendor, method, target string, body any, token string) (*answer, error) {
	h.t.Helper()
	if !strings.HasPrefix(target, "http") {
		target = h.URL(vendor) + target
	}
	var reader io.Reader
	contentType := ""
	switch b := body.(type) {
	case nil:
	case url.Values:
		reader, contentType = strings.NewReader(b.Encode()), "application/x-www-form-urlencoded"
	case string:
		reader, contentType = strings.NewReader(b), "application/json"
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			h.t.Fatal(err)
		}
		reader, contentType = bytes.NewReader(encoded), "application/json"
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, target, reader)
	if err != nil {
		h.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	// No reuse: a client that retries on a stale connection would hide a fault.
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	a := &answer{status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	if json.Unmarshal(a.body, &a.json) != nil {
		_ = json.Unmarshal(a.body, &a.list)
	}
	return a, nil
}

func (h *harness) do(vendor, method, target string, body any) *answer {
	h.t.Helper()
	token := map[string]string{Okta: "SSWS " + SimOktaToken, Slack: "Bearer " + SimSlackBotToken, HRIS: "Bearer " + SimHRISToken}[vendor]
	if vendor == Zoom {
		token = "Bearer " + h.zoomToken()
	}
	a, err := h.try(vendor, method, target, body, token)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, target, err)
	}
	return a
}

func (h *harness) get(vendor, target string) *answer {
	h.t.Helper()
	return h.do(vendor, http.MethodGet, target, nil)
}

// admin calls Slack with the admin token.
func (h *harness) admin(method, target string, body any) *answer {
	h.t.Helper()
	a, err := h.try(Slack, method, target, body, "Bearer "+SimSlackAdminToken)
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

func (h *harness) zoomToken() string {
	h.t.Helper()
	if h.zoom == "" {
		req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost,
			h.URL(Zoom)+"/oauth/token?grant_type=account_credentials&account_id="+SimZoomAccountID, nil)
		if err != nil {
			h.t.Fatal(err)
		}
		req.SetBasicAuth(SimZoomClientID, SimZoomClientSecret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			h.t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		var token struct {
			AccessToken string `json:"access_token"`
			ExpiresIn   int    `json:"expires_in"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&token); err != nil || token.ExpiresIn != 3600 {
			h.t.Fatalf("token: %+v %v", token, err)
		}
		h.zoom = token.AccessToken
	}
	return h.zoom
}

func (a *answer) want(t *testing.T, status int) *answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// wantSlack checks for ok, or for an error code.
func (a *answer) wantSlack(t *testing.T, code string) *answer {
	t.Helper()
	a.want(t, http.StatusOK)
	got, _ := a.json["error"].(string)
	if got != code || a.json["ok"] != (code == "") {
		t.Fatalf("slack answered %s, want error %q", a.body, code)
	}
	return a
}

// next is the Link header's next URL.
func (a *answer) next() string {
	for _, l := range a.header.Values("Link") {
		if target, found := strings.CutSuffix(l, `>; rel="next"`); found {
			return strings.TrimPrefix(target, "<")
		}
	}
	return ""
}

// oktaAll follows the links of a list.
func (h *harness) oktaAll(target string) (all []map[string]any, pages int) {
	h.t.Helper()
	for target != "" {
		a := h.get(Okta, target).want(h.t, http.StatusOK)
		all = append(all, a.list...)
		if pages++; pages > 1000 {
			h.t.Fatal("endless paging")
		}
		target = a.next()
	}
	return all, pages
}

// cursorAll follows the cursors of a list in the body.
func (h *harness) cursorAll(vendor, target, param, items string, cursor func(map[string]any) string) (all []map[string]any, sizes []int) {
	h.t.Helper()
	at := ""
	for {
		a := h.get(vendor, target+"&"+param+"="+url.QueryEscape(at)).want(h.t, http.StatusOK)
		page, _ := a.json[items].([]any)
		for _, item := range page {
			all = append(all, item.(map[string]any))
		}
		sizes = append(sizes, len(page))
		if at = cursor(a.json); at == "" {
			return all, sizes
		}
	}
}

func slackCursor(body map[string]any) string {
	metadata, _ := body["response_metadata"].(map[string]any)
	next, _ := metadata["next_cursor"].(string)
	return next
}

func zoomCursor(body map[string]any) string {
	next, _ := body["next_page_token"].(string)
	return next
}
