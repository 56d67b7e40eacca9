// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package delegate_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/gateway/delegate"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

var t0 = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// guard lets ada delegate in the namespace acme.
type guard struct{}

func (guard) Check(r *http.Request, want access.Request) (string, access.Decision, string, error) {
	user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !ok:
		return "", access.Unauthenticated, "no token", nil
	case user == "ada" && want == access.Request{Verb: "create", Namespace: "acme", Resource: "integrations", Subresource: "delegate", Name: want.Name}:
		return user, access.Allowed, "", nil
	}
	return user, access.Forbidden, "", nil
}

type world struct {
	*testing.T
	s      *store.Store
	ring   *store.Keyring
	clock  *clocktesting.FakePassiveClock
	tenant model.TenantID
	url    string
	log    *bytes.Buffer
}

func eachWorld(t *testing.T, fn func(w *world)) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		w := &world{T: t, clock: clocktesting.NewFakePassiveClock(t0), log: &bytes.Buffer{}}
		w.s = open(storetest.WithClock(w.clock))
		var err error
		w.ring, err = store.ParseKeyring("k1 " + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32)))
		w.must(err)
		w.tenant, err = w.s.EnsureTenant(t.Context(), "acme")
		w.must(err)
		w.connect("zoom", "uid-zoom", handover.Spec{Connector: "zoom", SecretName: "zoom"})
		mux := http.NewServeMux()
		(&delegate.Handler{Store: w.s, Keyring: w.ring, Guard: guard{}, Limiter: ratelimit.NewMemory(w.clock), Clock: w.clock,
			Manifest: (&syncer.Sessions{Builtin: connectors.Builtin}).Manifest, Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}).Register(mux)
		srv := httptest.NewServer(mux)
		t.Cleanup(srv.Close)
		w.url = srv.URL
		fn(w)
	})
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) connect(name, uid string, spec handover.Spec) {
	w.Helper()
	spec.Namespace = "acme"
	raw, err := json.Marshal(spec)
	w.must(err)
	_, err = w.s.UpsertIntegration(w.Context(), w.tenant, store.IntegrationSpec{Name: name, UID: uid, Connector: spec.Connector, Spec: raw})
	w.must(err)
}

func (w *world) send(method, path, contentType, body string, header ...string) (int, string, http.Header) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, w.url+path, strings.NewReader(body))
	w.must(err)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	w.must(err)
	defer func() { _ = resp.Body.Close() }()
	out, err := io.ReadAll(resp.Body)
	w.must(err)
	return resp.StatusCode, string(out), resp.Header
}

const formType = "application/x-www-form-urlencoded"

// link makes a link for zoom and returns its path.
func (w *world) link() string {
	w.Helper()
	code, body, _ := w.send("POST", "/apis/v1/namespaces/acme/integrations/zoom/delegation", "application/json", `{"expiresIn":"1h"}`, "Authorization", "Bearer ada")
	var l delegate.Link
	if code != 200 || json.Unmarshal([]byte(body), &l) != nil || !l.ExpiresAt.Equal(t0.Add(time.Hour)) || l.Secret != "zoom" {
		w.Fatalf("link: %d %s", code, body)
	}
	return l.Path
}

// filled is the form as the owner of Zoom fills it in.
func filled(change ...string) string {
	f := url.Values{"auth": {"serverToServer"}, "secret.accountId": {" acc "}, "secret.clientId": {"id"}, "secret.clientSecret": {value}}
	for i := 0; i < len(change); i += 2 {
		f.Set(change[i], change[i+1])
	}
	return f.Encode()
}

const value = "hunter2-of-the-owner"

func (w *world) waiting() []store.Delegation {
	w.Helper()
	all, err := w.s.SubmittedDelegations(w.Context(), "", 10)
	w.must(err)
	return all
}

func TestDelegation(t *testing.T) {
	eachWorld(t, func(w *world) {
		path := w.link()
		var page string
		for range 3 {
			code, body, head := w.send("GET", path, "", "")
			if code != 200 || head.Get("Cache-Control") != "no-store" || head.Get("Referrer-Policy") != "no-referrer" || head.Get("X-Frame-Options") != "DENY" {
				t.Fatalf("%d %v\n%s", code, head, body)
			}
			page = body
			checkPage(t, body, head)
		}
		for _, want := range []string{"Zoom", "ada", "20 November 2026, 13:00 UTC", "name=\"secret.clientSecret\"",
			`href="https://github.com/seatkeeper/seatkeeper/blob/main/connectors/zoom/README.md" target="_blank" rel="noopener noreferrer"`} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q:\n%s", want, page)
			}
		}
		if len(w.waiting()) != 0 {
			t.Fatal("looking at the page submitted something")
		}
		code, body, head := w.send("POST", path, formType, filled(), "Sec-Fetch-Site", "same-origin")
		if code != 200 || !strings.Contains(body, "Thank you") || strings.Contains(body, value) {
			t.Fatalf("%d %s", code, body)
		}
		checkPage(t, body, head)
		got := w.waiting()
		if len(got) != 1 || got[0].Integration != "zoom" {
			t.Fatalf("%+v", got)
		}
		values, err := w.s.DelegatedCredential(t.Context(), w.ring, got[0])
		w.must(err)
		if len(values) != 3 || values["clientSecret"] != value || values["accountId"] != "acc" {
			t.Error("other values were kept than were supplied")
		}
		for _, method := range []string{"GET", "POST"} { // a replay
			if code, body, _ := w.send(method, path, formType, filled("secret.clientSecret", "other")); code != http.StatusGone || !strings.Contains(body, "has ended") {
				t.Errorf("%s again: %d %s", method, code, body)
			}
		}
		values, err = w.s.DelegatedCredential(t.Context(), w.ring, got[0])
		w.must(err)
		if values["clientSecret"] != value {
			t.Error("a replay changed the value")
		}
		audit, err := w.s.Audit(t.Context(), w.tenant, store.AuditQuery{})
		w.must(err)
		raw, err := json.Marshal(audit)
		w.must(err)
		_, token, _ := strings.Cut(path, ".")
		for name, text := range map[string]string{"the audit": string(raw), "the log": w.log.String()} {
			if strings.Contains(text, value) || strings.Contains(text, token) {
				t.Errorf("%s holds the value or the token", name)
			}
		}
	})
}

var (
	inputs = regexp.MustCompile(`<(?:input|textarea) id="([^"]+)"`)
	styles = regexp.MustCompile(`(?s)<style>(.*)</style>`)
)

// checkPage checks what holds of every page: no script, a style that the policy
// lets through, markup that parses, a language, one heading, a label for each
// field.
func checkPage(t *testing.T, body string, head http.Header) {
	t.Helper()
	if dir := os.Getenv("SEATKEEPER_A11Y_PAGES"); dir != "" { // for `make a11y`
		sum := sha256.Sum256([]byte(body))
		if err := os.WriteFile(filepath.Join(dir, "delegate-"+hex.EncodeToString(sum[:4])+".html"), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	policy := head.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
	}
	style := styles.FindStringSubmatch(body)
	if style == nil {
		t.Fatal("no style")
	}
	sum := sha256.Sum256([]byte(style[1]))
	if !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("the policy refuses the page's own style")
	}
	if strings.Contains(strings.ToLower(body), "<script") || strings.Contains(body, " on") && regexp.MustCompile(` on[a-z]+=`).MatchString(body) {
		t.Error("the page has script")
	}
	if !strings.Contains(body, `<html lang="en">`) || strings.Count(body, "<h1>") != 1 || strings.Count(body, "<title>") != 1 || strings.Count(body, "<main") != 1 {
		t.Errorf("language, title, main or heading:\n%s", body)
	}
	seen := map[string]bool{}
	for _, m := range inputs.FindAllStringSubmatch(body, -1) {
		if seen[m[1]] || strings.Count(body, `<label for="`+m[1]+`">`) != 1 {
			t.Errorf("field %s has no label of its own", m[1])
		}
		seen[m[1]] = true
	}
	dec := xml.NewDecoder(strings.NewReader(body))
	dec.Strict, dec.AutoClose, dec.Entity = false, append(xml.HTMLAutoClose, "META"), xml.HTMLEntity
	for depth := 0; ; {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			if depth != 0 {
				t.Errorf("%d elements are not closed", depth)
			}
			return
		}
		if err != nil {
			t.Fatalf("the page does not parse: %v", err)
		}
		switch tok.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
	}
}

// What is wrong is said beside its field; the values are not shown again.
func TestFaultsAreSaid(t *testing.T) {
	eachWorld(t, func(w *world) {
		path := w.link()
		for name, tc := range map[string]struct{ form, want string }{
			"missing":      {filled("secret.clientId", " "), `<a href="#serverToServer-clientId">`},
			"two lines":    {filled("secret.clientSecret", value+"\nmore"), "one line only"},
			"long":         {filled("secret.clientSecret", strings.Repeat(value, 4000)), "longer than 64 KiB"},
			"no way":       {filled("auth", "other"), "choose one of those"},
			"nothing else": {"", "choose one of those"},
		} {
			code, body, head := w.send("POST", path, formType, tc.form)
			if code != http.StatusUnprocessableEntity || !strings.Contains(body, tc.want) || !strings.Contains(body, `role="alert"`) || strings.Contains(body, value) {
				t.Errorf("%s: %d %s", name, code, body)
			}
			checkPage(t, body, head)
		}
		for name, got := range map[string]int{
			"another type": first(w.send("POST", path, "application/json", `{}`)),
			"another site": first(w.send("POST", path, formType, filled(), "Sec-Fetch-Site", "cross-site")),
			"endless":      first(w.send("POST", path, formType, strings.Repeat("x", 300<<10))),
		} {
			if got/100 != 4 || len(w.waiting()) != 0 {
				t.Errorf("%s: %d", name, got)
			}
		}
		if code, _, _ := w.send("POST", path, formType, filled()); code != 200 {
			t.Errorf("after all that the link still works once: %d", code)
		}
	})
}

func first(code int, _ string, _ http.Header) int { return code }

func TestLinksEnd(t *testing.T) {
	eachWorld(t, func(w *world) {
		gone := func(name, path string, want int) {
			t.Helper()
			for _, method := range []string{"GET", "POST"} {
				if code, body, head := w.send(method, path, formType, filled()); code != want || len(w.waiting()) != 0 {
					t.Errorf("%s, %s: %d %s", name, method, code, body)
				} else {
					checkPage(t, body, head)
				}
			}
		}
		gone("unknown", "/delegate/1.AAAA", 404)
		one := w.link()
		two := w.link()
		gone("replaced", one, 410)
		w.clock.SetTime(t0.Add(time.Hour))
		gone("expired", two, 410)
		w.clock.SetTime(t0)
		three := w.link()
		w.connect("zoom", "uid-of-another", handover.Spec{Connector: "zoom", SecretName: "zoom"})
		gone("another Integration of the name", three, 410)
		w.connect("zoom", "uid-zoom", handover.Spec{Connector: "zoom", SecretName: "zoom"})
		four := w.link()
		w.must(w.s.HideIntegration(t.Context(), w.tenant, "zoom", time.Hour))
		gone("disconnected", four, 410)
	})
}

func TestWhoMayMakeLinks(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.connect("bare", "uid-bare", handover.Spec{Connector: "zoom"})
		w.connect("push", "uid-push", handover.Spec{Connector: "push", SecretName: "x"})
		path := func(ns, name string) string {
			return "/apis/v1/namespaces/" + ns + "/integrations/" + name + "/delegation"
		}
		for name, tc := range map[string]struct {
			path, user, body, want string
			code                   int
		}{
			"nobody":         {path("acme", "zoom"), "", "{}", "unauthorised", 401},
			"no role":        {path("acme", "zoom"), "eve", "{}", "may not create integrations/delegate", 403},
			"another tenant": {path("beta", "zoom"), "ada", "{}", "may not", 403},
			"not there":      {path("acme", "nothing"), "ada", "{}", "no Integration", 404},
			"no Secret":      {path("acme", "bare"), "ada", "{}", "spec.credentialsRef.name", 409},
			"needs none":     {path("acme", "push"), "ada", "{}", "needs no credential", 409},
			"too long":       {path("acme", "zoom"), "ada", `{"expiresIn":"720h"}`, "want 5m0s to 168h0m0s", 400},
			"too short":      {path("acme", "zoom"), "ada", `{"expiresIn":"1s"}`, "want 5m0s", 400},
			"nonsense":       {path("acme", "zoom"), "ada", `soon`, "expiresIn", 400},
		} {
			header := []string{}
			if tc.user != "" {
				header = []string{"Authorization", "Bearer " + tc.user}
			}
			code, body, _ := w.send("POST", tc.path, "application/json", tc.body, header...)
			if code != tc.code || !strings.Contains(body, tc.want) {
				t.Errorf("%s: %d %s", name, code, body)
			}
		}
	})
}

func TestRequestsAreLimited(t *testing.T) {
	eachWorld(t, func(w *world) {
		for i := range 100 {
			code, body, head := w.send("GET", fmt.Sprintf("/delegate/1.guess%d", i), "", "")
			if code == http.StatusTooManyRequests {
				if head.Get("Retry-After") == "" || i < 10 {
					t.Errorf("after %d: %v", i, head)
				}
				checkPage(t, body, head)
				return
			}
		}
		t.Error("a hundred guesses in a moment were answered")
	})
}
