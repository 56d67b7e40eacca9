// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

// Attempts at one request of a read.
const (
	maxTransientTries = 4
	maxLimitedTries   = 8
	firstBackoff      = 500 * time.Millisecond
	defaultPause      = 30 * time.Second // a limit without a stated end
	defaultMaxWait    = 75 * time.Second
	maxActionWait     = 5 * time.Second
)

// exchange is one request to make.
type exchange struct {
	spec  *requestSpec
	vars  map[string]any
	next  *url.URL          // a next link, instead of path and query
	query map[string]string // replaces or adds query parameters
	// patient requests wait for limits and try again; others report at once.
	patient        bool
	idempotencyKey string
	stream         string
	// edit changes the finished request, such as by a cursor in its body.
	edit func(*wire) error
	// consume reads a good answer as it arrives, instead of it being decoded
	// as a whole. It may be called again where the request is repeated.
	consume func(*answer, io.Reader) error
}

// answer is what came back.
type answer struct {
	status  int
	header  http.Header
	body    any // decoded JSON; nil for an empty body
	url     *url.URL
	hash    uint64 // of the raw body
	sent    bool
	digest  string
	bodyErr error
	hidden  []string // credentials that it may repeat
	// unbounded: the body ends where the connection does, whoever closed it.
	unbounded bool
}

// wire is a request ready to be sent, and to be sent again.
type wire struct {
	method  string
	url     *url.URL
	header  http.Header
	body    []byte
	decoded any // the body as expressions see it
	token   *expr.Template
	// credential is what the query holds beside url; it is in no error, digest
	// or link. hidden are the tokens that were sent.
	credential []param
	hidden     []string
	consume    func(*answer, io.Reader) error
}

var hashSeed = maphash.MakeSeed()

// do makes one request: within permission and budget, to a declared host, and
// with failures classified. An answer comes beside an error too, whenever
// sending began: its sent flag tells whether the request left this process.
func (s *Session) do(ctx context.Context, x exchange) (*answer, error) {
	if x.spec.method != http.MethodGet && !x.spec.reads && s.o.Permission != PermissionReadAndAct {
		return nil, &Error{Class: ClassPermission, Stream: x.stream,
			Message: "the Integration's permission is Read; this request would write",
			Fix:     "set spec.permission to ReadAndAct"}
	}
	if s.authErr != nil {
		return nil, s.authErr
	}
	w, err := s.prepare(ctx, x)
	if err != nil {
		return nil, err
	}
	transient, limited, refreshed, nonced := 0, 0, false, false
	for {
		if err := s.spend(ctx, w, x.patient); err != nil {
			return nil, withStream(err, x.stream)
		}
		credential, err := s.authorize(ctx, w, x.vars)
		if err != nil {
			if ClassOf(err) == ClassTransient && x.patient && transient < maxTransientTries-1 && s.sleep(ctx, firstBackoff<<transient) == nil {
				transient++
				continue
			}
			return nil, withStream(err, x.stream)
		}
		ans, failure := s.send(ctx, w)
		if failure == nil {
			failure = s.judge(ctx, x, w, ans)
		}
		if failure == nil {
			return ans, nil
		}
		failure.Stream = x.stream
		if again := s.wantsNonce(w, ans); again && !nonced {
			nonced = true // a 401 was not executed
			continue
		}
		switch {
		case failure.renewable && !refreshed && s.tokens.forget(ctx, credential):
			refreshed = true // the token ended before its time; a 401 was not executed
			continue
		case failure.Class == ClassRateLimit && x.patient && limited < maxLimitedTries:
			limited++
			if failure.RetryAfter <= s.maxWait {
				continue // the block in the budget does the waiting
			}
		case failure.Class == ClassTransient && x.patient && transient < maxTransientTries-1:
			if s.sleep(ctx, firstBackoff<<transient) == nil {
				transient++
				continue
			}
		}
		return ans, failure
	}
}

func withStream(err error, stream string) error {
	var e *Error
	if errors.As(err, &e) && e.Stream == "" && stream != "" {
		c := *e
		c.Stream = stream
		return &c
	}
	return err
}

// prepare evaluates a request's templates.
func (s *Session) prepare(ctx context.Context, x exchange) (*wire, error) {
	wrong := func(what string, err error) error {
		return &Error{Class: ClassMapping, Stream: x.stream, Message: what + ": " + err.Error()}
	}
	w := &wire{method: x.spec.method, header: http.Header{}, token: x.spec.token, consume: x.consume}
	w.header.Set("Accept", "application/json")
	w.header.Set("User-Agent", userAgent(s.o.UserAgent))
	for _, list := range [][]pair{s.m.http.headers, x.spec.headers} {
		for _, h := range list {
			v, err := h.value.Text(ctx, x.vars, nil)
			if err == nil && !sendable(v) {
				err = errors.New("the value has control characters")
			}
			if err != nil {
				return nil, wrong("header "+h.name, err)
			}
			w.header.Set(h.name, v)
		}
	}
	if x.idempotencyKey != "" {
		w.header.Set("Idempotency-Key", x.idempotencyKey)
	}
	if x.next != nil {
		w.url = s.withoutCredential(x.next)
	} else {
		base := s.base
		if x.spec.host != "" {
			base = s.hosts[x.spec.host]
		}
		path, err := x.spec.path.Text(ctx, x.vars, escapeSegment)
		if err != nil {
			return nil, wrong("path", err)
		}
		query, err := encodePairs(ctx, x.spec.query, x.vars, x.query)
		if err != nil {
			return nil, wrong("query", err)
		}
		if w.url, err = url.Parse(base.String() + path); err != nil {
			return nil, wrong("path", err)
		}
		w.url.RawQuery = query
	}
	switch {
	case len(x.spec.form) > 0:
		form, err := encodePairs(ctx, x.spec.form, x.vars, nil)
		if err != nil {
			return nil, wrong("form", err)
		}
		w.body = []byte(form)
		w.header.Set("Content-Type", "application/x-www-form-urlencoded")
		if values, err := url.ParseQuery(form); err == nil {
			m := map[string]any{}
			for k := range values {
				m[k] = values.Get(k)
			}
			w.decoded = m
		}
	case x.spec.body != nil, x.spec.graphql != nil:
		v, err := x.spec.payload(ctx, x.vars)
		if err != nil {
			return nil, wrong("body", err)
		}
		v = withoutNulls(v)
		if w.body, err = encodeJSON(v); err != nil {
			return nil, wrong("body", err)
		}
		w.decoded = v
		// A manifest may name a type of JSON of its own, such as SCIM's.
		if !strings.HasSuffix(w.header.Get("Content-Type"), "+json") {
			w.header.Set("Content-Type", "application/json; charset=utf-8")
		}
	}
	if x.edit != nil {
		if err := x.edit(w); err != nil {
			return nil, wrong("page", err)
		}
	}
	return w, nil
}

// withoutNulls drops the null members of objects: an optional input that was
// not given leaves no trace in a request.
func withoutNulls(v any) any {
	switch t := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(t))
		for k, e := range t {
			if e != nil {
				out[k] = withoutNulls(e)
			}
		}
		return out
	case []any:
		out := make([]any, len(t))
		for i, e := range t {
			out[i] = withoutNulls(e)
		}
		return out
	}
	return v
}

// escapeSegment makes a value one path segment. An empty or dotted one would
// address something else.
func escapeSegment(v string) (string, error) {
	if v == "" || v == "." || v == ".." {
		return "", fmt.Errorf("the value is empty or a relative path")
	}
	return url.PathEscape(v), nil
}

// encodePairs encodes parameters in document order. One that is a single hole
// and null is left out. Extra parameters replace or follow.
func encodePairs(ctx context.Context, list []pair, vars map[string]any, extra map[string]string) (string, error) {
	var b strings.Builder
	add := func(k, v string) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(k) + "=" + url.QueryEscape(v))
	}
	used := map[string]bool{}
	for _, p := range list {
		if v, ok := extra[p.name]; ok {
			used[p.name] = true
			add(p.name, v)
			continue
		}
		v, err := p.value.Eval(ctx, vars)
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.name, err)
		}
		if v == nil {
			continue
		}
		text, err := expr.Format(v)
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.name, err)
		}
		add(p.name, text)
	}
	for _, k := range sortedKeys(extra) {
		if !used[k] {
			add(k, extra[k])
		}
	}
	return b.String(), nil
}

func userAgent(s string) string {
	if s == "" {
		return "seatkeeper"
	}
	return s
}

// refuse checks a URL against the declared hosts and the guard.
func (s *Session) refuse(u *url.URL) error {
	if u.Scheme != "https" || !s.declared[strings.ToLower(u.Host)] {
		return &hostRefused{fmt.Sprintf("%s is no https address of a host that the connector declares", u.Host)}
	}
	if s.overrides[strings.ToLower(u.Host)] != nil {
		return nil
	}
	return s.guard.check(u)
}

// send sends once and reads the answer.
func (s *Session) send(ctx context.Context, w *wire) (*answer, *Error) {
	if err := s.refuse(w.url); err != nil {
		return nil, classifyNetwork(ctx, w.url.Host, err)
	}
	ans := &answer{url: w.url, digest: w.digest(), hidden: w.hidden}
	var sent atomic.Bool
	ctx2 := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { sent.Store(true) },
		WroteRequest: func(httptrace.WroteRequestInfo) { sent.Store(true) },
	})
	client := s.client
	var arriving *patience
	if w.consume != nil {
		client, ctx2, arriving = s.streaming(ctx2)
		defer arriving.end()
	}
	req, err := http.NewRequestWithContext(ctx2, w.method, w.sentURL(), bodyReader(w.body))
	if err != nil {
		return nil, &Error{Class: ClassMapping, Message: "the request cannot be built"}
	}
	req.Header = w.header.Clone()
	res, err := client.Do(req)
	ans.sent = sent.Load()
	if err != nil {
		return ans, classifyNetwork(ctx, w.url.Host, err)
	}
	defer func() { _ = res.Body.Close() }()
	ans.status, ans.header = res.StatusCode, res.Header
	if res.Request != nil && res.Request.URL != nil {
		ans.url = s.withoutCredential(res.Request.URL)
	}
	// RFC 9112, 6.3 (8): neither length nor chunks, and no checksum either.
	ans.unbounded = res.ProtoMajor == 1 && res.ContentLength < 0 && len(res.TransferEncoding) == 0 && !res.Uncompressed
	if w.consume != nil && classOfStatus(ans.status) == "" {
		return ans, arriving.consume(ctx, w, ans, res.Body)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes+1))
	if err != nil {
		return ans, classifyNetwork(ctx, w.url.Host, err)
	}
	if len(raw) > maxAnswerBytes {
		return ans, &Error{Class: ClassMapping, Status: ans.status, Message: fmt.Sprintf("the answer has more than %d MiB", maxAnswerBytes>>20)}
	}
	ans.hash = maphash.Bytes(hashSeed, raw)
	if trimmed := strings.TrimSpace(string(raw[:min(len(raw), 64)])); len(raw) > 64 || trimmed != "" {
		ans.body, ans.bodyErr = decodeJSON(raw)
	}
	return ans, nil
}

func bodyReader(b []byte) io.Reader {
	if b == nil {
		return nil
	}
	return strings.NewReader(string(b))
}

// digest identifies what was sent, without credentials.
func (w *wire) digest() string {
	h := sha256.New()
	h.Write(fmt.Appendf(nil, "%s %s\n", w.method, w.url))
	h.Write(w.body)
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// answerVars returns vars with the answer in them.
func answerVars(vars map[string]any, ans *answer) map[string]any {
	headers := make(map[string]string, len(ans.header))
	for k := range ans.header {
		headers[strings.ToLower(k)] = ans.header.Get(k)
	}
	vars["resp"], vars["status"], vars["headers"] = ans.body, int64(ans.status), headers
	return vars
}

// redirectedTransport sends requests for a declared host to where the operator
// says it is (decision 27). Everything before it sees the vendor's own names.
type redirectedTransport struct {
	next      http.RoundTripper
	overrides map[string]*url.URL
	guard     *guard
}

func (t *redirectedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	o := t.overrides[strings.ToLower(r.URL.Host)]
	if o == nil {
		return t.next.RoundTrip(r)
	}
	real := r.Clone(r.Context())
	real.URL.Scheme, real.URL.Host = o.Scheme, o.Host
	if o.Path != "" {
		real.URL.Path = o.Path + real.URL.Path
		if real.URL.RawPath != "" {
			real.URL.RawPath = o.EscapedPath() + real.URL.RawPath
		}
	}
	real.Host = ""
	res, err := t.next.RoundTrip(real)
	if res != nil {
		res.Request = r
		if loc := res.Header.Get("Location"); loc != "" {
			if u, err := url.Parse(loc); err == nil && u.Host != "" {
				res.Header.Set("Location", vendorURL(u, r.URL, t.overrides).String())
			}
		}
	}
	return res, err
}

// vendorURL turns the address of an override back into the vendor's. from is
// the request that the URL came with: its host wins where overrides share an
// address.
func vendorURL(u, from *url.URL, overrides map[string]*url.URL) *url.URL {
	try := func(host string) *url.URL {
		o := overrides[strings.ToLower(host)]
		if o == nil || !strings.EqualFold(o.Host, u.Host) || !strings.HasPrefix(u.Path, o.Path) {
			return nil
		}
		c := *u
		c.Scheme, c.Host = "https", host
		c.Path, c.RawPath = strings.TrimPrefix(u.Path, o.Path), ""
		return &c
	}
	if v := try(from.Host); v != nil {
		return v
	}
	for _, host := range sortedKeys(overrides) {
		if v := try(host); v != nil {
			return v
		}
	}
	return u
}

// checkRedirect follows a redirect only for reads, only to declared hosts over
// https, and takes the credential along only to the same host.
func (s *Session) checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	if first.Method != http.MethodGet && first.Method != http.MethodHead {
		return http.ErrUseLastResponse
	}
	if len(via) >= 5 {
		return &hostRefused{"more than 5 redirects"}
	}
	if err := s.refuse(req.URL); err != nil {
		return err
	}
	req.Header.Del("Referer") // the address before it may hold the credential
	if !strings.EqualFold(req.URL.Host, first.URL.Host) {
		for _, name := range s.credentialHeaders() {
			req.Header.Del(name)
		}
	} else {
		s.keepCredential(req.URL, first.URL)
	}
	return nil
}
