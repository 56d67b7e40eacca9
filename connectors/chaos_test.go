// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connectors_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// scenario is one way in which a vendor misbehaves. It returns false if it
// cannot be played to the stream.
type scenario struct {
	name string
	play func(t *testing.T, b *baseline) bool
}

// Every stream of every manifest that has fixtures, read from a vendor that
// misbehaves: nothing is lost, nothing is complete that is not, and every
// failure has a class.
func TestChaos(t *testing.T) {
	var mu sync.Mutex
	played := map[string]int{}
	for _, name := range connectors.Names() {
		m, err := connectors.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		if m.Native() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			f, err := fixture.Load(name + "/testdata/fixtures.yaml")
			if err != nil {
				t.Fatal(err)
			}
			for _, st := range streamsOn(t, m, f) {
				b := behaved(t, m, f, st)
				if len(b.own) == 0 {
					t.Errorf("%s sends no request of its own", st)
					continue
				}
				for _, s := range scenarios {
					t.Run(st+"/"+s.name, func(t *testing.T) {
						if !s.play(t, b) {
							t.Skip("this cannot happen to the stream, or its manifest declares nothing of it")
						}
						mu.Lock()
						played[s.name]++
						mu.Unlock()
					})
				}
			}
		})
	}
	for _, s := range scenarios {
		if played[s.name] == 0 {
			t.Errorf("%s was played to nothing", s.name)
		}
	}
}

func streamsOn(t *testing.T, m *connector.Manifest, f *fixture.Fixture) []string {
	t.Helper()
	srv, err := f.Serve(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = srv.Close() }()
	s, err := srv.Open(m)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out []string
	for _, st := range s.Streams() {
		out = append(out, st.Name)
	}
	return out
}

var scenarios = []scenario{
	{"429 storm, silent", storm(func(*baseline, time.Time) (string, string) { return "", "" })},
	{"429 storm, retry after seconds", storm(func(b *baseline, _ time.Time) (string, string) { return b.limits.RetryAfter, "7" })},
	{"429 storm, retry after date", storm(func(b *baseline, now time.Time) (string, string) {
		return b.limits.RetryAfter, now.Add(9 * time.Second).UTC().Format(http.TimeFormat)
	})},
	{"429 storm, reset", storm(func(b *baseline, now time.Time) (string, string) {
		return b.limits.Reset, resetText(b.limits.ResetFormat, now, 11*time.Second)
	})},
	{"429 storm, reset of a clock that is late", storm(func(b *baseline, now time.Time) (string, string) {
		if b.limits.ResetFormat == "seconds" {
			return "", ""
		}
		return b.limits.Reset, resetText(b.limits.ResetFormat, now, -26*time.Hour)
	})},
	{"a long limit", longLimit},
	{"500 that passes", func(t *testing.T, b *baseline) bool {
		b.whole(t, b.read(t, b.m, b.strike(times(2, refuse(http.StatusInternalServerError, `{"message":"chaos"}`)))))
		return true
	}},
	{"500 in mid-list", func(t *testing.T, b *baseline) bool {
		b.failed(t, b.read(t, b.m, b.strike(b.atVictim(refuse(http.StatusInternalServerError, `{"message":"chaos"}`)))), connector.ClassTransient, connector.ClassRateLimit)
		return true
	}},
	{"200 with an error body", func(t *testing.T, b *baseline) bool {
		b.failed(t, b.read(t, b.m, b.strike(b.atVictim(refuse(http.StatusOK, errorBody)))), notTransport...)
		return true
	}},
	{"empty 200", func(t *testing.T, b *baseline) bool {
		b.failed(t, b.read(t, b.m, b.strike(b.atVictim(refuse(http.StatusOK, "")))), notTransport...)
		return true
	}},
	{"200 with a sign-in page", func(t *testing.T, b *baseline) bool {
		b.failed(t, b.read(t, b.m, b.strike(b.atVictim(refuse(http.StatusOK, "<!DOCTYPE html><html><body>Sign in</body></html>")))), notTransport...)
		return true
	}},
	{"half an answer", func(t *testing.T, b *baseline) bool {
		got := b.read(t, b.m, b.strike(b.atVictim(func(x exchange, _ *http.Request, w http.ResponseWriter) bool {
			send(w, x.status, x.header, x.body[:len(x.body)/2])
			return true
		})))
		if b.listing.Decode == "" || b.listing.Decode == "json" || b.listing.Decode == "xml" {
			b.failed(t, got, notTransport...)
		}
		return true
	}},
	{"a connection that breaks once in mid-answer", func(t *testing.T, b *baseline) bool {
		b.whole(t, b.read(t, b.m, b.strike(times(1, broken))))
		return true
	}},
	{"a connection that breaks in mid-answer", func(t *testing.T, b *baseline) bool {
		b.failed(t, b.read(t, b.m, b.strike(b.atVictim(broken))), connector.ClassTransient)
		return true
	}},
	{"token ends in mid-list", func(t *testing.T, b *baseline) bool {
		got := b.read(t, b.m, b.strike(b.atVictim(times(1, refuse(http.StatusUnauthorized, `{}`)))))
		if b.renews {
			b.whole(t, got)
		} else {
			b.failed(t, got, connector.ClassAuth)
		}
		return true
	}},
	{"token ends for good", func(t *testing.T, b *baseline) bool {
		b.failed(t, b.read(t, b.m, b.strike(b.atVictim(refuse(http.StatusUnauthorized, `{}`)))), connector.ClassAuth)
		return true
	}},
	{"the vendor's clock is off", func(t *testing.T, b *baseline) bool {
		for _, off := range []time.Duration{-26 * time.Hour, 26 * time.Hour} {
			b.whole(t, b.read(t, b.m, b.strike(func(x exchange, _ *http.Request, w http.ResponseWriter) bool {
				header := x.header.Clone()
				header.Set("Date", b.f.Now.Add(off).Format(http.TimeFormat))
				send(w, x.status, header, x.body)
				return true
			})))
		}
		return true
	}},
	{"changed enum", changedEnum},
	{"duplicate records", duplicates},
	{"short page", shortPage},
	{"repeated cursor", repeatedCursor},
	{"endless list", endless},
}

const errorBody = `{"ok":false,"error":"chaos","message":"chaos","errors":[{"message":"chaos"}],"code":"chaos"}`

// notTransport are the classes of an answer that is none.
var notTransport = []connector.ErrorClass{
	connector.ClassMapping, connector.ClassInvalid, connector.ClassPermission, connector.ClassPlan, connector.ClassAuth, connector.ClassTransient,
}

// strikes decides about one answer.
type strikes = func(x exchange, r *http.Request, w http.ResponseWriter) bool

func refuse(status int, body string) strikes {
	return func(_ exchange, _ *http.Request, w http.ResponseWriter) bool {
		if body != "" {
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

// broken sends half of an answer, and nothing more.
func broken(x exchange, _ *http.Request, w http.ResponseWriter) bool {
	maps.Copy(w.Header(), x.header)
	w.Header().Set("Content-Length", fmt.Sprint(len(x.body)+1))
	w.WriteHeader(x.status)
	_, _ = w.Write(x.body[:len(x.body)/2])
	panic(http.ErrAbortHandler)
}

// times strikes each request so many times.
func times(n int, hit strikes) strikes {
	count := map[string]int{}
	var mu sync.Mutex
	return func(x exchange, r *http.Request, w http.ResponseWriter) bool {
		mu.Lock()
		count[x.key]++
		over := count[x.key] > n
		mu.Unlock()
		return !over && hit(x, r, w)
	}
}

// atVictim strikes only the last request that lists something.
func (b *baseline) atVictim(hit strikes) strikes {
	v, _, _ := b.victim()
	return func(x exchange, r *http.Request, w http.ResponseWriter) bool { return x.key == v.key && hit(x, r, w) }
}

// storm refuses every request three times, with a header if one is declared.
func storm(header func(b *baseline, now time.Time) (name, value string)) func(*testing.T, *baseline) bool {
	return func(t *testing.T, b *baseline) bool {
		name, _ := header(b, b.f.Now)
		if name == "" && !strings.HasSuffix(t.Name(), "silent") {
			return false // the manifest declares no such header
		}
		got := b.read(t, b.m, b.strike(times(3, func(x exchange, r *http.Request, w http.ResponseWriter) bool {
			if name, value := header(b, b.f.Now); name != "" {
				w.Header().Set(name, value)
			}
			return refuse(http.StatusTooManyRequests, `{}`)(x, r, w)
		})))
		b.whole(t, got)
		if got.waits.Waited() == 0 {
			t.Error("nothing was waited for")
		}
		return true
	}
}

func resetText(format string, now time.Time, in time.Duration) string {
	switch format {
	case "epoch_s":
		return fmt.Sprint(now.Add(in).Unix())
	case "epoch_ms":
		return fmt.Sprint(now.Add(in).UnixMilli())
	case "seconds":
		return fmt.Sprint(int(in.Seconds()))
	}
	return now.Add(in).UTC().Format(http.TimeFormat)
}

// A limit that is longer than a read may wait ends it, with the time to come
// back.
func longLimit(t *testing.T, b *baseline) bool {
	name, value := b.limits.RetryAfter, "7200"
	if name == "" {
		name, value = b.limits.Reset, resetText(b.limits.ResetFormat, b.f.Now, 2*time.Hour)
	}
	if name == "" {
		return false
	}
	got := b.read(t, b.m, b.strike(b.atVictim(func(x exchange, r *http.Request, w http.ResponseWriter) bool {
		w.Header().Set(name, value)
		return refuse(http.StatusTooManyRequests, `{}`)(x, r, w)
	})))
	b.failed(t, got, connector.ClassRateLimit)
	var e *connector.Error
	if errors.As(got.err, &e) && (e.RetryAfter < 90*time.Minute || e.RetryAfter > 3*time.Hour) {
		t.Errorf("come back in %s", e.RetryAfter)
	}
	return true
}

// A state that nobody knew reads as unknown, with the vendor's own word, and
// loses no account.
func changedEnum(t *testing.T, b *baseline) bool {
	const changed = "a_brand_new_state"
	var words []string
	accounts := 0
	for i := range b.all {
		if a := b.all[i].Account; a != nil {
			accounts++
			if a.RawStatus != "" && !slices.Contains(words, a.RawStatus) {
				words = append(words, a.RawStatus)
			}
		}
	}
	if len(words) == 0 {
		return false
	}
	got := b.read(t, b.m, b.strike(func(x exchange, _ *http.Request, w http.ResponseWriter) bool {
		body := string(x.body)
		for _, word := range words {
			quoted, err := json.Marshal(word)
			if err != nil {
				t.Error(err)
			}
			body = strings.ReplaceAll(body, string(quoted), `"`+changed+`"`)
		}
		send(w, x.status, x.header, []byte(body))
		return true
	}))
	if got.err != nil && connector.ClassOf(got.err) == "" {
		t.Errorf("the failure has no class: %v", got.err)
	}
	n := 0
	for i := range got.all {
		if a := got.all[i].Account; a != nil {
			n++
			if a.RawStatus == changed && a.Status != model.AccountUnknown {
				t.Errorf("an unknown state reads as %s", a.Status)
			}
		}
	}
	if n+got.res.Quarantined < accounts && got.res.AbsenceProves() {
		t.Errorf("%d of %d accounts are left, and the list is complete", n, accounts)
	}
	return true
}

// Records that come twice are the same records.
func duplicates(t *testing.T, b *baseline) bool {
	v, _, ok := b.victim()
	if !ok {
		return false
	}
	b.whole(t, b.read(t, b.m, b.strike(func(x exchange, _ *http.Request, w http.ResponseWriter) bool {
		list, ok := b.listOf(x)
		if !ok || len(list) == 0 || b.listing.Paging == "offset" && (x.key != v.key || b.listing.Total == "") { // an offset counts what came
			return false
		}
		var body any
		if err := json.Unmarshal(x.body, &body); err != nil {
			return false
		}
		path, _ := b.recordsPath()
		raw, err := json.Marshal(put(body, path, append(slices.Clone(list), list...)))
		if err != nil {
			t.Error(err)
		}
		send(w, x.status, x.header, raw)
		return true
	})))
	return true
}

// A page that is shorter than others, or empty, ends nothing while the vendor
// says that more follows.
func shortPage(t *testing.T, b *baseline) bool {
	v, list, ok := b.victim()
	counted := b.listing.Paging == "page" && b.listing.Last == "" || b.listing.Paging == "offset" // steps over an empty page
	if !ok || !b.pages() || b.listing.StopOnShortPage || counted && len(list) < 2 {
		return false
	}
	half := len(list) / 2
	b.whole(t, b.read(t, b.m, b.invent(func(nth int) (http.Header, []byte) {
		switch nth {
		case 0:
			return b.page(t, v, list[:half], 2)
		case 1:
			return b.page(t, v, list[half:], 0)
		}
		return b.page(t, v, []any{}, 0)
	})))
	return true
}

// A vendor that gives the same next page again and again.
func repeatedCursor(t *testing.T, b *baseline) bool {
	v, list, ok := b.victim()
	if !ok || !b.pages() || b.listing.StopWhen != "" { // which ends a list before its vendor does
		return false
	}
	b.failed(t, b.read(t, b.m, b.invent(func(int) (http.Header, []byte) { return b.page(t, v, list, 1001) })), connector.ClassPaginationStuck)
	return true
}

// A list without end is ended by maxPages.
func endless(t *testing.T, b *baseline) bool {
	v, list, ok := b.victim()
	if !ok || !b.pages() || b.listing.StopWhen != "" { // which ends a list before its vendor does
		return false
	}
	const most = 25
	m := withMaxPages(t, b.m.Name(), b.stream, most)
	asked := 0
	got := b.read(t, m, b.invent(func(nth int) (http.Header, []byte) {
		asked = nth + 1
		header, body := b.page(t, v, list, 1001+nth)
		var object map[string]any
		if json.Unmarshal(body, &object) == nil { // else every page is the same one
			object["chaos"] = nth
			raw, err := json.Marshal(object)
			if err != nil {
				t.Error(err)
			}
			body = raw
		}
		return header, body
	}))
	b.failed(t, got, connector.ClassPaginationStuck)
	if asked > most*max(1, len(got.res.Parts)) {
		t.Errorf("asked for %d pages", asked)
	}
	return true
}

// withMaxPages is the manifest with a lower bound: 10,000 pages prove no more
// than 25.
func withMaxPages(t *testing.T, name, stream string, most int) *connector.Manifest {
	t.Helper()
	file := name + "/connector.yaml"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	page := doc["spec"].(map[string]any)["streams"].(map[string]any)[stream].(map[string]any)["page"].(map[string]any)
	page["maxPages"] = most
	if raw, err = yaml.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	m, err := connector.LoadBuiltin(file, raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
