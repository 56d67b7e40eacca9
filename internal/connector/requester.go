// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"k8s.io/utils/clock"
)

const (
	// maxRequesterAnswer bounds what is read of an answer to a Requester.
	maxRequesterAnswer = 1 << 20
	// maxRequesterTokens is how many credentials have their token in memory.
	maxRequesterTokens = 1024
	requesterTimeout   = 3 * time.Minute
)

// RequesterOptions configure a Requester.
type RequesterOptions struct {
	// Endpoints and AllowedNetworks are the operator's, as in Options.
	Endpoints       map[string]string
	AllowedNetworks []netip.Prefix
	RootCAs         *x509.CertPool // nil: the system's
	Clock           clock.Clock    // nil: the system clock
	UserAgent       string         // overrides "seatkeeper"
}

// Requester sends single requests that no connector describes, within the same
// bounds as a Session: https, named hosts, public addresses unless the operator
// allows others, and redirects that take no credential along. It is safe for
// concurrent use.
type Requester struct {
	o         RequesterOptions
	clock     clock.Clock
	guard     *guard
	overrides map[string]*url.URL
	transport http.RoundTripper
	tokens    *TokenCache
}

// WebRequest is one request.
type WebRequest struct {
	Method string
	URL    string
	Header map[string]string
	Query  map[string]string // replaces or adds parameters
	// Body is sent as it is where it is text; else as JSON, or as a form where
	// the header Content-Type says so. nil: none.
	Body any
	Auth *WebAuth
	// Hosts may be reached, in lower case, with a port where it is not 443.
	Hosts []string
}

// WebAnswer is what came back.
type WebAnswer struct {
	// Sent is false only if the request provably never left this process.
	Sent   bool
	Status int // 0: nothing came
	// Header has the names in lower case. It and Body repeat no credential.
	Header  map[string]string
	Body    any // decoded JSON, else text; nil where there is none
	TooLong bool
	Words   string // what the vendor says of a failure
	// RetryAfter is when another attempt is welcome.
	RetryAfter time.Duration
}

// NewRequester returns a Requester.
func NewRequester(o RequesterOptions) *Requester {
	q := &Requester{o: o, clock: o.Clock, overrides: map[string]*url.URL{}, tokens: NewTokenCache()}
	if q.clock == nil {
		q.clock = clock.RealClock{}
	}
	q.tokens.limit = maxRequesterTokens
	q.guard = newGuard(o.AllowedNetworks, o.Endpoints, q.overrides)
	t := newTransport(q.guard)
	t.TLSClientConfig.RootCAs = o.RootCAs
	t.ResponseHeaderTimeout = requesterTimeout
	q.transport = &redirectedTransport{next: t, overrides: q.overrides, guard: q.guard}
	return q
}

// RefusesHost says why no request may go to a host, as far as its name tells:
// what it resolves to is checked where it is dialled. Empty: nothing is wrong.
func (q *Requester) RefusesHost(host string) string {
	if q.overrides[strings.ToLower(host)] != nil {
		return ""
	}
	u := &url.URL{Scheme: "https", Host: host}
	if name := strings.TrimSuffix(strings.ToLower(u.Hostname()), "."); name == "localhost" || strings.HasSuffix(name, ".localhost") {
		if why := refusedAddress(netip.AddrFrom4([4]byte{127, 0, 0, 1}), q.guard.allowed); why != "" {
			return host + " is " + why
		}
	}
	if err := q.guard.check(u); err != nil {
		return err.Error()
	}
	return ""
}

// refuse checks an address against the hosts of a request and the guard.
func (q *Requester) refuse(u *url.URL, hosts []string) error {
	host := strings.ToLower(u.Host)
	switch {
	case u.Scheme != "https":
		return &hostRefused{u.Scheme + " is not https"}
	case u.User != nil:
		return &hostRefused{"the address has a name or password; a credential belongs into a Secret"}
	case !slices.Contains(hosts, host):
		return &hostRefused{fmt.Sprintf("%s is not a host that may be reached", u.Host)}
	case q.overrides[host] != nil:
		return nil
	}
	return q.guard.check(u)
}

// Send sends the request, and once more where a token had ended before its
// time. An *Error comes only where no answer did; the WebAnswer tells then
// whether the request left this process.
func (q *Requester) Send(ctx context.Context, r WebRequest) (WebAnswer, error) {
	w, err := q.wire(r)
	if err != nil {
		return WebAnswer{}, err
	}
	cred, err := q.credential(ctx, r.Auth)
	if err != nil {
		return WebAnswer{}, err
	}
	ans, err := q.once(ctx, w, r, cred)
	if err != nil || ans.Status != http.StatusUnauthorized || r.Auth == nil {
		return ans, err
	}
	// A 401 was not executed.
	again, renewed, renewal := q.renew(ctx, r.Auth, cred)
	if renewal != nil {
		return WebAnswer{}, renewal
	}
	if !renewed {
		return ans, nil
	}
	return q.once(ctx, w, r, again)
}

// wire builds what is sent, without the credential.
func (q *Requester) wire(r WebRequest) (*wire, error) {
	wrong := func(what string) error { return &Error{Class: ClassConfig, Message: what} }
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, wrong("url: it is no address")
	}
	if err := q.refuse(u, r.Hosts); err != nil {
		return nil, classifyNetwork(context.Background(), u.Host, err)
	}
	u.Fragment, u.RawQuery = "", strings.ReplaceAll(u.RawQuery, " ", "%20")
	if len(r.Query) > 0 {
		values := u.Query()
		for k, v := range r.Query {
			values.Set(k, v)
		}
		u.RawQuery = values.Encode()
	}
	w := &wire{method: r.Method, url: u, header: http.Header{}}
	w.header.Set("Accept", "application/json")
	w.header.Set("User-Agent", userAgent(q.o.UserAgent))
	for name, v := range r.Header {
		if !TakesHeader(name) {
			return nil, wrong(fmt.Sprintf("headers: %q cannot be set", name))
		}
		if !sendable(v) {
			return nil, wrong(fmt.Sprintf("headers.%s: the value has control characters", name))
		}
		w.header.Set(name, v)
	}
	w.body, err = encodeBody(r.Body, w.header)
	if err != nil {
		return nil, wrong("body: " + err.Error())
	}
	return w, nil
}

// TakesHeader reports whether a request may set a header.
func TakesHeader(name string) bool {
	return tokenText(name) && !forbiddenHeaders[http.CanonicalHeaderKey(name)]
}

// forbiddenHeaders belong to the connection, not to the request.
var forbiddenHeaders = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Te", "Trailer", "Upgrade", "Proxy-Authorization", "Proxy-Connection", "Expect"} {
		m[name] = true
	}
	return m
}()

// tokenText reports whether a text is a token (RFC 9110, 5.6.2).
func tokenText(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

const formType = "application/x-www-form-urlencoded"

// encodeBody encodes a body, and says in the header what it is where that does
// not say it yet.
func encodeBody(body any, header http.Header) ([]byte, error) {
	kind := strings.ToLower(strings.TrimSpace(header.Get("Content-Type")))
	object, isObject := body.(map[string]any)
	switch text, isText := body.(string); {
	case body == nil:
		return nil, nil
	case isText:
		if kind == "" {
			header.Set("Content-Type", "text/plain; charset=utf-8")
		}
		return []byte(text), nil
	case isObject && strings.HasPrefix(kind, formType):
		form := url.Values{}
		for _, k := range slices.Sorted(maps.Keys(object)) {
			switch v := object[k].(type) {
			case nil:
			case string, bool, int, int64, float64:
				form.Set(k, fmt.Sprint(v))
			default:
				return nil, fmt.Errorf("%s: a form has text, numbers, true and false, no %T", k, v)
			}
		}
		return []byte(form.Encode()), nil
	case kind == "":
		header.Set("Content-Type", "application/json; charset=utf-8")
	}
	return encodeJSON(body)
}

// once sends once, with a credential, and reads the answer.
func (q *Requester) once(ctx context.Context, w *wire, r WebRequest, c webCredential) (WebAnswer, error) {
	var ans WebAnswer
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { sent.Store(true) },
		WroteRequest: func(httptrace.WroteRequestInfo) { sent.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, w.method, w.url.String(), bodyReader(w.body))
	if err != nil {
		return ans, &Error{Class: ClassConfig, Message: "the request cannot be built"}
	}
	req.Header = w.header.Clone()
	if c.header != "" {
		req.Header.Set(c.name, c.header)
	}
	// By these names net/http takes a request for one that it may repeat by
	// itself; whether it is, the caller decides.
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if v, ok := req.Header[name]; ok {
			delete(req.Header, name)
			req.Header[strings.ToLower(name)] = v
		}
	}
	client := &http.Client{Transport: q.transport, Timeout: requesterTimeout, CheckRedirect: q.redirects(r.Hosts)}
	res, err := client.Do(req)
	ans.Sent = sent.Load()
	if err != nil {
		return ans, classifyNetwork(ctx, w.url.Host, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxRequesterAnswer+1))
	if err != nil {
		return ans, classifyNetwork(ctx, w.url.Host, err)
	}
	ans.Status, ans.Header = res.StatusCode, map[string]string{}
	for name := range res.Header {
		ans.Header[strings.ToLower(name)] = c.redact(res.Header.Get(name))
	}
	ans.RetryAfter, _ = parseRetryAfter(res.Header.Get("Retry-After"), q.clock.Now())
	if ans.TooLong = len(raw) > maxRequesterAnswer; !ans.TooLong {
		ans.Body = c.redactIn(readBody(raw))
	}
	if ans.Status >= 300 || ans.Status < 200 || graphqlErrors(ans.Body) {
		ans.Words = clip(vendorWords(ans.Body), maxWords)
	}
	return ans, nil
}

// readBody reads JSON, else text, else nothing.
func readBody(raw []byte) any {
	if strings.TrimSpace(string(raw[:min(len(raw), 64)])) == "" && len(raw) <= 64 {
		return nil
	}
	if v, err := decodeJSON(raw); err == nil {
		return v
	}
	if !utf8.Valid(raw) {
		return nil
	}
	return string(raw)
}

// redirects follows a redirect only of a read and only to a host of the
// request. What leaves its host once has no header of the request's any more.
func (q *Requester) redirects(hosts []string) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		first := via[0]
		if first.Method != http.MethodGet {
			return http.ErrUseLastResponse
		}
		if len(via) >= 5 {
			return &hostRefused{"more than 5 redirects"}
		}
		if err := q.refuse(req.URL, hosts); err != nil {
			return err
		}
		req.Header.Del("Referer")
		left := slices.ContainsFunc(append(via[1:len(via):len(via)], req), func(r *http.Request) bool { return !strings.EqualFold(r.URL.Host, first.URL.Host) })
		if !left {
			return nil
		}
		for name := range req.Header {
			if name != "Accept" && name != "User-Agent" {
				delete(req.Header, name)
			}
		}
		return nil
	}
}

// newGuard makes the guard of the operator's settings, and fills overrides.
func newGuard(allowed []netip.Prefix, endpoints map[string]string, overrides map[string]*url.URL) *guard {
	g := &guard{allowed: allowed, trusted: map[string]bool{}, proxies: map[string]bool{}}
	for host, base := range endpoints {
		if u, err := url.Parse(base); err == nil && u.Host != "" {
			u.Path = strings.TrimSuffix(u.Path, "/")
			overrides[strings.ToLower(host)] = u
			g.trusted[hostPort(u)] = true
		}
	}
	return g
}

// AsError returns the classified failure in err.
func AsError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}
