// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

func wantClass(t *testing.T, err error, class ErrorClass) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Class != class {
		t.Fatalf("got %v, want class %s", err, class)
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Fatalf("the error tells the secret: %v", err)
	}
	return e
}

// users serves three pages of a cursor listing, one of them short.
func users(w http.ResponseWriter, r *http.Request) {
	_, _ = w.Write([]byte(map[string]string{
		"":   `{"users":[{"id":"1","email":"A@x.example","state":"on","seen":"2026-11-01T00:00:00Z"},{"id":"2","state":"off"}],"next":"c1"}`,
		"c1": `{"users":[{"id":"3","state":"brand-new","team":"blue","n":9007199254740993}],"next":"c2"}`,
		"c2": `{"users":[{"id":"4","state":"on"},{"id":"5","state":"on"}],"next":""}`,
	}[r.URL.Query().Get("cursor")]))
}

func TestShortPageInMidListIsNoEnd(t *testing.T) {
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/users": users})
	s, _ := session(t, v)
	recs, res, err := read(t, s, "users")
	if err != nil || !res.AbsenceProves() || len(recs) != 5 || res.Requests != 3 {
		t.Fatalf("got %d records, %+v, %v", len(recs), res, err)
	}
	seen := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	want := []model.Record{
		{Account: &model.Account{ExternalID: "1", PersonKey: "a@x.example", Status: "active", RawStatus: "on", ActivityReported: true, LastActivityAt: &seen}},
		{Account: &model.Account{ExternalID: "2", Status: "suspended", RawStatus: "off", ActivityReported: true}},
		// A changed enum is unknown with the vendor's word, and a 64-bit number survives.
		{Account: &model.Account{ExternalID: "3", Status: "unknown", RawStatus: "brand-new", ActivityReported: true, Custom: map[string]any{"team": "blue", "n": int64(9007199254740993)}}},
	}
	if d := cmp.Diff(want, recs[:3]); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestEndlessPaging(t *testing.T) {
	v := newVendor(t, map[string]http.HandlerFunc{
		"/v1/users": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"users":[{"id":"%d","state":"on"}],"next":"same"}`, time.Now().UnixNano())
		},
		"/v1/linked": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", `<https://api.chaos.example/v1/linked>; rel="next"`)
			fmt.Fprintf(w, `[{"id":"%d","name":"x"}]`, time.Now().UnixNano())
		},
		// The vendor ignores the page parameter and repeats the last page (Adobe).
		"/v1/pages": say(`{"items":[{"id":"a"}],"pages":1000}`),
	})
	s, _ := session(t, v)
	for _, stream := range []string{"users", "linked", "pages"} {
		_, res, err := read(t, s, stream)
		wantClass(t, err, ClassPaginationStuck)
		if res.Complete || res.AbsenceProves() {
			t.Errorf("%s: %+v", stream, res)
		}
	}
	n := 0
	endless := newVendor(t, map[string]http.HandlerFunc{"/v1/pages": func(w http.ResponseWriter, r *http.Request) {
		n++
		fmt.Fprintf(w, `{"items":[{"id":"%d"}],"pages":1000}`, n)
	}})
	s, _ = session(t, endless)
	_, _, err := read(t, s, "pages")
	if e := wantClass(t, err, ClassPaginationStuck); !strings.Contains(e.Message, "20 pages") || n != 20 {
		t.Errorf("%v after %d requests", e, n)
	}
}

func TestEmptyPageInTheMiddle(t *testing.T) {
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/pages": func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(map[string]string{"1": `{"items":[{"id":"a"}],"pages":3}`, "2": `{"items":[],"pages":3}`, "3": `{"items":[{"id":"b"}],"pages":3}`}[r.URL.Query().Get("page")]))
	}})
	s, _ := session(t, v)
	if recs, res, err := read(t, s, "pages"); err != nil || len(recs) != 2 || res.Requests != 3 {
		t.Fatalf("got %d, %+v, %v", len(recs), res, err)
	}
}

func TestRateLimits(t *testing.T) {
	tests := map[string]struct {
		header map[string]string
		waits  time.Duration // 0: parked
		parked time.Duration
	}{
		"retry-after seconds": {map[string]string{"Retry-After": "7"}, 7 * time.Second, 0},
		"retry-after date":    {map[string]string{"Retry-After": testNow.Add(6 * time.Second).Format(http.TimeFormat)}, 6 * time.Second, 0},
		"retry-after rfc850":  {map[string]string{"Retry-After": testNow.Add(6 * time.Second).Format("Monday, 02-Jan-06 15:04:05 GMT")}, 6 * time.Second, 0},
		"reset moment":        {map[string]string{"X-Reset": fmt.Sprint(testNow.Add(5 * time.Second).Unix())}, 5 * time.Second, 0},
		"long":                {map[string]string{"Retry-After": "3600"}, 0, time.Hour},
		"nothing said":        {nil, 0, defaultPause},
		"nonsense":            {map[string]string{"Retry-After": "soon"}, 0, defaultPause},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			calls := 0
			v := newVendor(t, map[string]http.HandlerFunc{"/v1/users": func(w http.ResponseWriter, r *http.Request) {
				if calls++; calls == 2 {
					for k, v := range tt.header {
						w.Header().Set(k, v)
					}
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				users(w, r)
			}})
			s, c := session(t, v)
			recs, res, err := read(t, s, "users")
			if tt.parked > 0 {
				e := wantClass(t, err, ClassRateLimit)
				if e.RetryAfter != tt.parked || res.Complete {
					t.Errorf("parked for %s (%+v)", e.RetryAfter, res)
				}
				// Whoever shares the budget is parked too, without a request.
				before := v.count("/v1/users")
				if _, _, err := read(t, s, "users"); ClassOf(err) != ClassRateLimit || v.count("/v1/users") != before {
					t.Errorf("the budget is not blocked: %v", err)
				}
				return
			}
			if err != nil || len(recs) != 5 || c.total() < tt.waits || c.total() > tt.waits+time.Second {
				t.Errorf("%d records, waited %s, %v", len(recs), c.total(), err)
			}
		})
	}
}

func TestReserveIsLeftToOthers(t *testing.T) {
	remaining := 60
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/users": func(w http.ResponseWriter, r *http.Request) {
		remaining -= 5
		w.Header().Set("X-Limit", "100")
		w.Header().Set("X-Remaining", fmt.Sprint(remaining))
		w.Header().Set("X-Reset", fmt.Sprint(testNow.Add(40*time.Second).Unix()))
		users(w, r)
	}})
	half := 50
	s, _ := session(t, v, func(o *Options) { o.ReservePercent = &half })
	_, _, err := read(t, s, "users")
	if e := wantClass(t, err, ClassRateLimit); e.RetryAfter != 40*time.Second || v.count("/v1/users") != 2 {
		t.Errorf("%v after %d requests", e, v.count("/v1/users"))
	}
}

// A listing that takes more than a minute's share goes on in the next minute.
func TestListingLongerThanTheLimit(t *testing.T) {
	var c *leaping
	used, window := 0, time.Time{}
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/pages": func(w http.ResponseWriter, r *http.Request) {
		if minute := c.Now().Truncate(time.Minute); minute != window {
			used, window = 0, minute
		}
		if used++; used > 8 {
			t.Error("the vendor's limit is overrun")
		}
		w.Header().Set("X-Limit", "8")
		w.Header().Set("X-Remaining", fmt.Sprint(8-used))
		w.Header().Set("X-Reset", fmt.Sprint(window.Add(time.Minute).Unix()))
		page := r.URL.Query().Get("page")
		fmt.Fprintf(w, `{"items":[{"id":"i%s"}],"pages":18}`, page)
	}})
	half := 50
	s, clk := session(t, v, func(o *Options) { o.ReservePercent, o.MaxWait = &half, 0 })
	c = clk
	recs, res, err := read(t, s, "pages")
	if err != nil || len(recs) != 18 || !res.Complete || c.total() < 3*time.Minute {
		t.Errorf("%d records, waited %s, %v", len(recs), c.total(), err)
	}
}

func TestServerErrorInMidList(t *testing.T) {
	fails := 2
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/users": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") == "c1" && fails > 0 {
			fails--
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		users(w, r)
	}})
	s, _ := session(t, v)
	if recs, _, err := read(t, s, "users"); err != nil || len(recs) != 5 {
		t.Fatalf("a passing error: %d, %v", len(recs), err)
	}
	fails = 1000
	recs, res, err := read(t, s, "users")
	wantClass(t, err, ClassTransient)
	if res.Complete || len(recs) != 2 {
		t.Errorf("got %d records, %+v", len(recs), res)
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	tests := map[string]struct {
		body  string
		class ErrorClass
	}{
		"200 with an error":    {`{"error":"no_scope","hint":"needs users:read"}`, ClassPermission},
		"200 and signed out":   {`{"error":"dead"}`, ClassAuth},
		"200 and nothing":      {``, ClassMapping},
		"200 and a web page":   {`<html>Sign in</html>`, ClassMapping},
		"200 and half a page":  {`{"users":[{"id":"1"`, ClassMapping},
		"200 and another form": {`{"people":[]}`, ClassMapping},
		"200 and no list":      {`{"users":{"id":"1"}}`, ClassMapping},
		"200 and null":         {`null`, ClassMapping},
		"two values":           {`{"users":[]}{"users":[]}`, ClassMapping},
		"all records broken":   {`{"users":[{"name":"x"},{"name":"y"}]}`, ClassMapping},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := session(t, newVendor(t, map[string]http.HandlerFunc{"/v1/users": say(tt.body)}))
			recs, res, err := read(t, s, "users")
			wantClass(t, err, tt.class)
			if res.Complete || len(recs) > 0 {
				t.Errorf("got %d records, %+v", len(recs), res)
			}
		})
	}
}

func TestBadRecordIsQuarantinedAlone(t *testing.T) {
	s, _ := session(t, newVendor(t, map[string]http.HandlerFunc{"/v1/users": say(
		`{"users":[{"id":"1","state":"on"},{"id":"bad@x.example","state":"on","seen":"yesterday evening"},{"id":"3","state":"on\u0000!"},"nonsense"]}`)}))
	recs, res, err := read(t, s, "users")
	if err != nil || len(recs) != 2 || res.Quarantined != 2 || !res.Complete || res.AbsenceProves() {
		t.Fatalf("got %d records, %+v, %v", len(recs), res, err)
	}
	if recs[1].Account.RawStatus != "on\uFFFD!" {
		t.Errorf("NUL is kept: %q", recs[1].Account.RawStatus)
	}
	q := res.QuarantineSample[0]
	if q.Key != "…@x.example" || q.Field != "Account.lastActivityAt" || strings.Contains(q.Message, "yesterday") {
		t.Errorf("sample %+v", q)
	}
	if !cmp.Equal(res.Held, []HeldRecord{{DataType: model.DataAccounts, ExternalID: "bad@x.example"}}) || !res.HeldUnknown {
		t.Errorf("held %+v, %v", res.Held, res.HeldUnknown)
	}
}

func TestPartitions(t *testing.T) {
	v := newVendor(t, map[string]http.HandlerFunc{
		"/v1/linked": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("p") == "" {
				w.Header().Add("Link", `<https://api.chaos.example/v1/linked>; rel="self"`)
				w.Header().Add("Link", `</v1/linked?p=2>; title="a, b"; rel="next"`)
				_, _ = w.Write([]byte(`[{"id":"a/b","name":"A"},{"id":"skip","name":"S"},{"id":"gone","name":"G"}]`))
				return
			}
			_, _ = w.Write([]byte(`[{"id":"denied","name":"D"},{"id":"z","name":"Z"}]`))
		},
		"/v1/linked/{id}/members": func(w http.ResponseWriter, r *http.Request) {
			switch r.PathValue("id") {
			case "gone":
				w.WriteHeader(http.StatusNotFound)
			case "denied":
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(`{"message":"not yours"}`))
			default:
				_, _ = w.Write([]byte(`[{"id":"u1"},{"id":"u2"}]`))
			}
		},
	})
	s, _ := session(t, v)
	recs, res, err := read(t, s, "members")
	if e := wantClass(t, err, ClassPermission); e.Message != "not yours" || res.Complete {
		t.Errorf("%v, %+v", e, res)
	}
	var got []string
	for _, p := range res.Parts {
		got = append(got, fmt.Sprintf("%s %v %v %d", p.Part, p.Complete, p.Skipped, p.Records))
	}
	if d := cmp.Diff([]string{"a/b true false 2", "gone true true 0", "denied false false 0", "z true false 2"}, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if len(recs) != 4 || v.count("/v1/linked/a%2Fb") != 0 && v.count("/v1/linked/a/b") == 0 {
		t.Errorf("got %d records", len(recs))
	}
}

func TestWindows(t *testing.T) {
	fail := ""
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/events": func(w http.ResponseWriter, r *http.Request) {
		since := r.URL.Query().Get("since")
		if fail != "" && strings.HasPrefix(since, fail) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `[{"id":"1","who":"u","at":%q}]`, since)
	}})
	s, _ := session(t, v)
	var parts []string
	sink := func(_ context.Context, part string, recs []model.Record) error {
		parts = append(parts, part)
		return nil
	}
	res, err := s.Read(t.Context(), "events", sink)
	// Whole UTC days from three days ago, the last one up to now minus the lag.
	want := []string{"2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"}
	end := testNow.Add(-5 * time.Minute)
	if err != nil || !cmp.Equal(parts, want) || !res.State.WindowEnd.Equal(end) || !res.Window.Start.Equal(testNow.Truncate(24*time.Hour).AddDate(0, 0, -3)) {
		t.Fatalf("parts %v, %+v, %v", parts, res, err)
	}
	// The next read begins with the day that was not over, and stops where it fails.
	parts, fail = nil, "2026-11-21"
	s, _ = session(t, v, func(o *Options) {
		o.State = map[string]StreamState{"events": {WindowEnd: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)}}
	})
	res, err = s.Read(t.Context(), "events", sink)
	wantClass(t, err, ClassPermission)
	if !cmp.Equal(parts, []string{"2026-11-20T00:00:00Z"}) || !res.State.WindowEnd.Equal(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)) || res.Complete {
		t.Errorf("parts %v, %+v", parts, res)
	}
}

func TestRedirects(t *testing.T) {
	var leaked []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked = append(leaked, r.Header.Get("Authorization"))
		_, _ = w.Write([]byte(`{"users":[]}`))
	}))
	t.Cleanup(elsewhere.Close)
	target := ""
	v := newVendor(t, map[string]http.HandlerFunc{
		"/v1/users": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) },
		"/v1/moved": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			users(w, &http.Request{URL: r.URL})
		},
		"/v1/users/{id}": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://api.chaos.example/v1/moved", http.StatusTemporaryRedirect)
		},
	})
	s, _ := session(t, v)
	for _, target = range []string{elsewhere.URL, "https://evil.example/x", "http://api.chaos.example/v1/moved", "https://127.0.0.1/x", "/v1/users"} {
		_, _, err := read(t, s, "users")
		wantClass(t, err, ClassHostRefused)
	}
	if len(leaked) > 0 {
		t.Errorf("the other host was reached with %q", leaked)
	}
	target = "https://api.chaos.example/v1/moved?cursor=c2"
	if recs, _, err := read(t, s, "users"); err != nil || len(recs) != 2 {
		t.Errorf("within the host: %d, %v", len(recs), err)
	}
	// A write is never redirected.
	res, err := s.Execute(t.Context(), ActionCall{Name: "license.remove", Input: map[string]any{"userId": "1"}})
	if err == nil || res.Class != ResultFailed || v.count("/v1/moved") != 1 {
		t.Errorf("write: %+v, %v", res, err)
	}
}

// A credential stays with the host that it was sent to, also where a redirect
// leads to another host that the connector declares, and whatever its header.
func TestRedirectTakesNoCredentialToAnotherHost(t *testing.T) {
	arrived := http.Header{}
	v := newVendor(t, map[string]http.HandlerFunc{
		"/v1/users": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Api-Key") != "s3cret" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			http.Redirect(w, r, "https://files.chaos.example/export", http.StatusFound)
		},
		"/files/export": func(w http.ResponseWriter, r *http.Request) {
			arrived = r.Header.Clone()
			_, _ = w.Write([]byte(`{"users":[]}`))
		},
	})
	manifest := strings.NewReplacer(`type: bearer, token: "${secret.token}"`, `type: header, headers: {X-Api-Key: "${secret.token}"}`,
		"    baseURL:", "    hosts: {files: https://files.chaos.example}\n    baseURL:").Replace(chaosManifest)
	s, _ := session(t, v, func(o *Options) {
		o.Manifest = load1(t, manifest)
		o.Endpoints["files.chaos.example"] = v.URL + "/files"
	})
	if _, _, err := read(t, s, "users"); err != nil {
		t.Fatal(err)
	}
	if len(arrived) == 0 || strings.Contains(fmt.Sprint(arrived), "s3cret") {
		t.Errorf("the other host was sent %v", arrived)
	}
}

func TestNextLinkToAnotherHost(t *testing.T) {
	s, _ := session(t, newVendor(t, map[string]http.HandlerFunc{"/v1/linked": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", `<https://evil.example/next>; rel=next`)
		_, _ = w.Write([]byte(`[{"id":"1","name":"x"}]`))
	}}))
	_, res, err := read(t, s, "linked")
	wantClass(t, err, ClassHostRefused)
	if res.Complete {
		t.Error("complete")
	}
}

// Without the operator's override the same server is refused: it is loopback.
func TestPrivateAddressesAreRefused(t *testing.T) {
	hit := false
	v := newVendor(t, map[string]http.HandlerFunc{"/": func(http.ResponseWriter, *http.Request) { hit = true }})
	_, port, _ := strings.Cut(strings.TrimPrefix(v.URL, "http://"), ":")
	for _, host := range []string{"127.0.0.1:" + port, "localhost:" + port, "[::1]:" + port} {
		m := load1(t, strings.Replace(chaosManifest, "https://api.chaos.example/v1", "https://"+host, 1))
		s, err := Open(Options{Manifest: m, Secrets: map[string]string{"token": "s3cret"}, Clock: newLeaping()})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = read(t, s, "users")
		wantClass(t, err, ClassHostRefused)
		rep := s.Test(t.Context())
		if rep.Outcome != Failed || rep.Err.Class != ClassHostRefused {
			t.Errorf("%s: %+v", host, rep)
		}
		s.Close()
		// The operator may allow the network; then TLS fails, for the server speaks plain HTTP.
		s, err = Open(Options{Manifest: m, Secrets: map[string]string{"token": "s3cret"}, Clock: newLeaping(),
			AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = read(t, s, "users")
		if class := ClassOf(err); class != ClassUnreachable && class != ClassTransient {
			t.Errorf("%s allowed: %v", host, err)
		}
		s.Close()
	}
	if hit {
		t.Error("a request arrived")
	}
	for addr, refused := range map[string]bool{"8.8.8.8": false, "10.1.2.3": true, "169.254.169.254": true, "::ffff:127.0.0.1": true, "::ffff:100.64.0.1": true, "::ffff:0.0.0.1": true, "::127.0.0.1": true,
		"64:ff9b::6440:1": true, "64:ff9b::7f00:1": true,
		"64:ff9b::808:808": false, "2002:7f00:1::": true, "fe80::1": true, "fd00::1": true, "100.64.0.1": true, "0.0.0.0": true, "2606:4700::1111": false, "224.0.0.1": true} {
		if got := refusedAddress(netip.MustParseAddr(addr), nil) != ""; got != refused {
			t.Errorf("%s: refused %v, want %v", addr, got, refused)
		}
	}
}

func TestUnreachable(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	s, _ := session(t, &vendor{Server: closed})
	_, _, err := read(t, s, "users")
	wantClass(t, err, ClassUnreachable)
	rep := s.Test(t.Context())
	if rep.Outcome != Failed || rep.Err.Class != ClassUnreachable {
		t.Errorf("%+v", rep)
	}
	slow := newVendor(t, map[string]http.HandlerFunc{"/v1/users": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }})
	s, _ = session(t, slow)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err = s.Read(ctx, "users", func(context.Context, string, []model.Record) error { return nil })
	wantClass(t, err, ClassCanceled)
}

func TestAnswerIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("sends 64 MiB")
	}
	chunk := []byte(strings.Repeat(" ", 1<<20))
	s, _ := session(t, newVendor(t, map[string]http.HandlerFunc{"/v1/users": func(w http.ResponseWriter, _ *http.Request) {
		for range 66 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}}))
	_, _, err := read(t, s, "users")
	if e := wantClass(t, err, ClassMapping); !strings.Contains(e.Message, "64 MiB") {
		t.Error(e)
	}
}
