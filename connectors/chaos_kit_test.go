// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connectors_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// exchange is one request of a stream and its answer, while the vendor behaved.
type exchange struct {
	key    string
	host   string
	path   string
	auth   bool // signing in, not listing
	status int
	header http.Header
	body   []byte
}

// madeUp is what randomPassword yields: another text each time.
var madeUp = regexp.MustCompile(`aA1-[A-Z2-7]{32}`)

// keyOf is the same for the same request, however its query is ordered. It
// leaves the body to be read again.
func keyOf(r *http.Request, param string) string {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return strings.Join([]string{r.Method, r.Host, r.URL.EscapedPath(), r.URL.Query().Encode(), madeUp.ReplaceAllString(string(body), "*"), r.Header.Get(param)}, " ")
}

// baseline is what a stream yields while the vendor behaves.
type baseline struct {
	m       *connector.Manifest
	f       *fixture.Fixture
	stream  string
	listing connector.Listing
	limits  connector.LimitHeaders
	own     []exchange // the stream's requests, without signing in and the parent's
	renews  bool       // signing in is a request, which can be made again
	outcome
}

// outcome is what a read yields.
type outcome struct {
	res   connector.ReadResult
	err   error
	parts map[string]map[string]bool // records by partition, as text
	all   []model.Record
	waits *fixture.Clock
	asked int
}

// read reads the stream once from a vendor that wrap stands before.
func (b *baseline) read(t *testing.T, m *connector.Manifest, wrap func(http.Handler) http.Handler) outcome {
	t.Helper()
	srv, err := b.f.Serve(wrap)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = srv.Close() }()
	s, err := srv.Open(m)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out := outcome{parts: map[string]map[string]bool{}, waits: srv.Clock}
	out.res, out.err = s.Read(t.Context(), b.stream, func(_ context.Context, part string, recs []model.Record) error {
		if out.parts[part] == nil {
			out.parts[part] = map[string]bool{}
		}
		for i := range recs {
			raw, err := json.Marshal(recs[i])
			if err != nil {
				return err
			}
			out.parts[part][string(raw)] = true
		}
		out.all = append(out.all, recs...)
		return nil
	})
	out.asked = srv.Requests()
	return out
}

// behaved reads the stream from a vendor that behaves, and notes what it asks.
func behaved(t *testing.T, m *connector.Manifest, f *fixture.Fixture, stream string) *baseline {
	t.Helper()
	b := &baseline{m: m, f: f, stream: stream, limits: m.LimitHeaders()}
	b.listing, _ = m.Listing(stream)
	var seen []exchange
	b.outcome = b.read(t, m, recording(b.listing.Param, &seen))
	if b.err != nil {
		t.Fatalf("a vendor that behaves: %v", b.err)
	}
	parents := map[string]bool{}
	if b.listing.Parent != "" {
		p := &baseline{m: m, f: f, stream: b.listing.Parent}
		var theirs []exchange
		p.read(t, m, recording(b.listing.Param, &theirs))
		for _, x := range theirs {
			parents[x.key] = true
		}
	}
	known := map[string]bool{}
	for _, x := range seen {
		b.renews = b.renews || x.auth
		if !x.auth && !parents[x.key] && !known[x.key] {
			known[x.key] = true
			b.own = append(b.own, x)
		}
	}
	return b
}

// recording notes every exchange.
func recording(param string, seen *[]exchange) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key := keyOf(r, param)
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			x := exchange{key: key, host: r.Host, path: r.URL.EscapedPath(), status: rec.Code, header: rec.Header().Clone(), body: rec.Body.Bytes()}
			var token struct {
				Access any `json:"access_token"`
			}
			x.auth = json.Unmarshal(x.body, &token) == nil && token.Access != nil || r.Method == http.MethodPost && strings.HasSuffix(x.path, "/token") || strings.Contains(x.path, "login")
			*seen = append(*seen, x)
			send(w, x.status, x.header, x.body)
		})
	}
}

func send(w http.ResponseWriter, status int, header http.Header, body []byte) {
	maps.Copy(w.Header(), header)
	w.Header().Del("Content-Length")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// victim is the exchange that goes wrong: the last one that lists something.
func (b *baseline) victim() (exchange, []any, bool) {
	for i := len(b.own) - 1; i >= 0; i-- {
		if list, ok := b.listOf(b.own[i]); ok && len(list) > 0 {
			return b.own[i], list, true
		}
	}
	return b.own[len(b.own)-1], nil, false
}

// strike replaces the answers that hit returns true for. Pages that a vendor
// invents are asked for like the victim's.
func (b *baseline) strike(hit func(x exchange, r *http.Request, w http.ResponseWriter) bool) func(http.Handler) http.Handler {
	own := map[string]exchange{}
	for _, x := range b.own {
		own[x.key] = x
	}
	v, _, _ := b.victim()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key := keyOf(r, b.listing.Param)
			x, ok := own[key]
			if !ok && (strings.Contains(key, mark) || r.Host == v.host && r.URL.EscapedPath() == v.path) {
				x, ok = v, true
				x.key = key
			}
			if !ok || !hit(x, r, w) {
				next.ServeHTTP(w, r)
			}
		})
	}
}

// invent replaces the victim and everything that follows from it: nth says the
// how manieth page is asked for, from 0.
func (b *baseline) invent(answer func(nth int) (http.Header, []byte)) func(http.Handler) http.Handler {
	v, _, _ := b.victim()
	pages, after := map[string]int{}, false
	for _, x := range b.own {
		after = after || x.key == v.key
		if !after || x.path != v.path {
			pages[x.key] = -1
		}
	}
	var mu sync.Mutex
	next := 0
	return b.strike(func(x exchange, _ *http.Request, w http.ResponseWriter) bool {
		mu.Lock()
		defer mu.Unlock()
		nth, known := pages[x.key]
		if !known {
			nth = next
			pages[x.key] = nth
			next++
		}
		if nth < 0 {
			return false
		}
		header, body := answer(nth)
		send(w, v.status, header, body)
		return true
	})
}

// mark names the pages that a misbehaving vendor invents.
const mark = "chaos-"

var (
	wholeAnswer = regexp.MustCompile(`^resp$`)
	inHeader    = regexp.MustCompile(`headers.*?["']([\w-]+)["']`)
	dottedPath  = regexp.MustCompile(`get\(resp,\s*["']([^"']+)["']\)|resp\[["']([^"']+)["']\]|resp\.([a-zA-Z_][\w.]*)`)
)

// pathsIn finds the places in the answer that an expression reads.
func pathsIn(source string) (out [][]string) {
	if wholeAnswer.MatchString(strings.TrimSpace(source)) {
		return [][]string{nil}
	}
	for _, m := range dottedPath.FindAllStringSubmatch(source, -1) {
		if m[2] != "" {
			out = append(out, []string{m[2]})
		} else {
			out = append(out, strings.Split(m[1]+m[3], "."))
		}
	}
	return out
}

// recordsPath is where the records are in an answer.
func (b *baseline) recordsPath() ([]string, bool) {
	switch b.listing.Decode {
	case "":
		// The list is what the expression ends with; what is before says when.
		if all := pathsIn(b.listing.Records); len(all) > 0 {
			return all[len(all)-1], true
		}
	case "json":
		return b.listing.DecodePath, true
	}
	return nil, false
}

// listOf returns the records of an answer.
func (b *baseline) listOf(x exchange) ([]any, bool) {
	path, ok := b.recordsPath()
	var body any
	if !ok || json.Unmarshal(x.body, &body) != nil {
		return nil, false
	}
	for _, key := range path {
		m, isMap := body.(map[string]any)
		if !isMap {
			return nil, false
		}
		body = m[key]
	}
	list, ok := body.([]any)
	return list, ok
}

// pages reports whether the vendor could be made to give more pages than the
// fixtures have.
func (b *baseline) pages() bool {
	_, listed := b.recordsPath()
	switch b.listing.Paging {
	case "link", "page", "offset":
		return listed
	case "cursor", "next_url", "delta":
		return listed && (len(pathsIn(b.listing.Next)) > 0 || strings.Contains(b.listing.Next, "headers"))
	}
	return false
}

// page makes an answer with these records, and with a next page if next is
// not 0.
func (b *baseline) page(t *testing.T, x exchange, list []any, next int) (http.Header, []byte) {
	t.Helper()
	var body any
	dec := json.NewDecoder(bytes.NewReader(x.body))
	dec.UseNumber()
	if err := dec.Decode(&body); err != nil {
		t.Fatal(err)
	}
	header := x.header.Clone()
	path, _ := b.recordsPath()
	body = put(body, path, list)
	cursor := fmt.Sprintf("%s%d", mark, next)
	address := fmt.Sprintf("https://%s%s?page=%s", x.host, x.path, cursor)
	more := func(source string, v any) {
		for _, at := range pathsIn(source) {
			// "has more" beside the cursor itself.
			if name := strings.ToLower(at[len(at)-1]); strings.Contains(name, "more") || strings.HasPrefix(name, "has") {
				body = put(body, at, true)
			} else {
				body = put(body, at, v)
			}
		}
		if h := inHeader.FindStringSubmatch(source); h != nil {
			header.Set(h[1], fmt.Sprint(v))
		}
	}
	if next > 0 {
		switch b.listing.Paging {
		case "link":
			header.Set("Link", fmt.Sprintf("<%s>; rel=%q", address, b.listing.Rel))
		case "cursor":
			more(b.listing.Next, cursor)
		case "next_url", "delta":
			more(b.listing.Next, address)
		case "page":
			more(b.listing.Last, 1_000_000)
		case "offset":
			if next > 1000 { // else the total is as it was: the list is only cut differently
				more(b.listing.Total, 1_000_000)
			}
		}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return header, raw
}

// put returns v with a value at a path.
func put(v any, path []string, value any) any {
	if len(path) == 0 {
		return value
	}
	m, _ := v.(map[string]any)
	m = maps.Clone(m)
	if m == nil {
		m = map[string]any{}
	}
	m[path[0]] = put(m[path[0]], path[1:], value)
	return m
}

// check holds what is true whatever the vendor does: failures have a class,
// what failed is not complete, and what is complete lost nothing.
func (b *baseline) check(t *testing.T, got outcome) {
	t.Helper()
	if got.err != nil && connector.ClassOf(got.err) == "" {
		t.Errorf("the failure has no class: %v", got.err)
	}
	if got.err != nil && got.res.Complete {
		t.Errorf("complete, and yet failed: %v", got.err)
	}
	if was := b.f.State[b.stream]; got.err != nil && (!got.res.State.Cursor.Equal(was.Cursor) || got.res.State.Delta != was.Delta) {
		t.Errorf("the place moved on from %v to %v, and what failed would never be read", was, got.res.State)
	}
	if got.err != nil && got.res.Window != nil && b.res.Window != nil && got.res.Window.End.After(b.res.Window.End.Add(-time.Second)) {
		t.Errorf("the read failed, and yet proves use until %v", got.res.Window.End)
	}
	proves := map[string]bool{}
	if len(got.res.Parts) == 0 && got.res.AbsenceProves() {
		for part := range b.parts {
			proves[part] = true
		}
	}
	for _, p := range got.res.Parts {
		proves[p.Part] = p.Complete && !p.Skipped && p.Quarantined == 0
	}
	for _, part := range slices.Sorted(maps.Keys(b.parts)) {
		lost := 0
		for rec := range b.parts[part] {
			if proves[part] && !got.parts[part][rec] {
				lost++
			}
		}
		if lost > 0 {
			t.Errorf("partition %q is complete without %d of %d records", part, lost, len(b.parts[part]))
		}
	}
}

// whole is check, and the read got everything.
func (b *baseline) whole(t *testing.T, got outcome) {
	t.Helper()
	b.check(t, got)
	if got.err != nil || !got.res.Complete {
		t.Errorf("want all of it, got %v", got.err)
	}
}

// failed is check, and the read failed with one of the classes.
func (b *baseline) failed(t *testing.T, got outcome, classes ...connector.ErrorClass) {
	t.Helper()
	b.check(t, got)
	if got.err == nil || got.res.Complete || !slices.Contains(classes, connector.ClassOf(got.err)) {
		t.Errorf("want a failure of class %v, got %v after %d requests, complete %v", classes, got.err, got.res.Requests, got.res.Complete)
	}
}
