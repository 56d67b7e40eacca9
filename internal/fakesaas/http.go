// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxBody = 1 << 20

// problemKind is a reason to refuse, which each vendor words in its own way.
type problemKind int

const (
	kindNotFound problemKind = iota
	kindMethod
	kindInvalid
	kindNoAuth
	kindBadAuth
	kindExpired
	kindScope
	kindRateLimit
	kindServer
)

type problem struct {
	status int
	kind   problemKind
	what   string
}

// vendor is one simulated API.
type vendor struct {
	name   string
	routes []route
	spec   *spec
	// authorize answers for itself when it refuses.
	authorize func(c *call) bool
	// fail words a problem as the vendor does.
	fail func(c *call, p problem)
	// decorate sets what every answer carries.
	decorate func(c *call, used, limit int, reset time.Time)
}

// bodyKind is how a route takes its arguments.
type bodyKind int

const (
	noBody   bodyKind = iota
	jsonBody          // application/json
	anyBody           // Slack: query, form or JSON, whatever the method
)

// route is one operation, and the parameters that it knows.
type route struct {
	method  string
	pattern string // segments in braces are parameters
	query   []string
	body    bodyKind
	fields  []string
	scope   string // Slack: the scope that the token needs
	open    bool   // authorizes itself
	handle  func(c *call)
}

// match fills the parameters of the pattern.
func (r *route) match(path string) (map[string]string, bool) {
	want, have := strings.Split(r.pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return nil, false
	}
	values := map[string]string{}
	for i, w := range want {
		switch {
		case strings.HasPrefix(w, "{"):
			if have[i] == "" {
				return nil, false
			}
			values[strings.Trim(w, "{}")] = have[i]
		case w != have[i]:
			return nil, false
		}
	}
	return values, true
}

// call is a request being answered. The answer is buffered, so that faults can
// bend or lose it after it took effect.
type call struct {
	s      *Server
	v      *vendor
	route  *route
	r      *http.Request
	now    time.Time
	path   map[string]string
	query  url.Values
	raw    []byte
	fields map[string]any // of the body
	token  string
	faults map[FaultKind]Fault
	dirty  bool // the state must be saved before the answer

	status int
	header http.Header
	out    []byte
}

func (c *call) reply(status int, body any) {
	c.status = status
	if body == nil {
		return
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		c.status = http.StatusInternalServerError
		buf.Reset()
	}
	c.header.Set("Content-Type", "application/json; charset=utf-8")
	c.out = bytes.TrimRight(buf.Bytes(), "\n")
}

// arg is an argument from the query or the body.
func (c *call) arg(name string) string {
	if v, in := c.fields[name]; in {
		switch v := v.(type) {
		case string:
			return v
		case nil:
			return ""
		default:
			return fmt.Sprint(v)
		}
	}
	return c.query.Get(name)
}

// intArg is a number between 1 and limit.
func (c *call) intArg(name string, fallback, limit int) int {
	n, err := strconv.Atoi(c.arg(name))
	if err != nil || n < 1 {
		n = fallback
	}
	return min(n, limit)
}

func (c *call) violate(what string) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.violations = append(c.s.violations, Violation{At: c.now, Vendor: c.v.name, Method: c.r.Method, Path: c.r.URL.Path, What: what})
}

// serve answers one request: route, faults, authorization, shape, description,
// effect, answer.
func (s *Server) serve(v *vendor, w http.ResponseWriter, r *http.Request) {
	c := &call{s: s, v: v, r: r, now: s.clock.Now().UTC(), query: r.URL.Query(), header: http.Header{}, status: http.StatusOK}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		v.fail(c, problem{status: http.StatusRequestEntityTooLarge, kind: kindInvalid, what: "body"})
		c.write(w)
		return
	}
	c.raw = raw
	c.faults = s.takeFaults(v.name, r, c.pageNumber())
	if f, late := c.faults[FaultLatency]; late && f.LatencyMS > 0 {
		select {
		case <-s.clock.After(time.Duration(f.LatencyMS) * time.Millisecond):
		case <-r.Context().Done():
			return
		}
		c.now = s.clock.Now().UTC()
	}
	if _, dropped := c.faults[FaultDropConnection]; dropped {
		hangUp(w)
		return
	}
	if c.find() && !c.refuse() && c.admit() {
		c.run()
	}
	if _, lost := c.faults[FaultLostResponse]; lost {
		hangUp(w)
		return
	}
	c.write(w)
}

// find chooses the route. Unknown paths and methods are violations.
func (c *call) find() bool {
	known := false
	for i := range c.v.routes {
		values, matched := c.v.routes[i].match(c.r.URL.Path)
		if !matched {
			continue
		}
		known = true
		if c.v.routes[i].method == c.r.Method {
			c.route, c.path = &c.v.routes[i], values
			return true
		}
	}
	if known {
		c.violate("method not allowed")
		c.v.fail(c, problem{status: http.StatusMethodNotAllowed, kind: kindMethod})
		return false
	}
	c.violate("no such path")
	c.v.fail(c, problem{status: http.StatusNotFound, kind: kindNotFound, what: c.r.URL.Path})
	return false
}

// admit checks authorization, limits and shape.
func (c *call) admit() bool {
	if !c.route.open && !c.v.authorize(c) {
		return false
	}
	if c.limited() {
		c.rateLimited(Fault{RetryAfter: 60 - c.now.Second()})
		return false
	}
	what := c.parseBody()
	if what == "" {
		what = c.unknownParameters()
	}
	if what == "" && c.v.spec != nil {
		what = c.v.spec.check(c)
	}
	if what != "" {
		c.violate(what)
		c.v.fail(c, problem{status: http.StatusBadRequest, kind: kindInvalid, what: what})
		return false
	}
	return true
}

func (c *call) parseBody() string {
	if len(bytes.TrimSpace(c.raw)) == 0 {
		return ""
	}
	kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil {
		return "body without a readable Content-Type"
	}
	switch {
	case kind == "application/json" && c.route.body != noBody:
		dec := json.NewDecoder(bytes.NewReader(c.raw))
		dec.UseNumber()
		if err := dec.Decode(&c.fields); err != nil {
			return "body is not a JSON object: " + err.Error()
		}
	case kind == "application/x-www-form-urlencoded" && c.route.body == anyBody:
		form, err := url.ParseQuery(string(c.raw))
		if err != nil {
			return "body is not a form: " + err.Error()
		}
		c.fields = map[string]any{}
		for k := range form {
			c.fields[k] = form.Get(k)
		}
	case kind == "application/json" && string(bytes.TrimSpace(c.raw)) == "{}":
	default:
		return fmt.Sprintf("body of type %s is not taken here", kind)
	}
	return ""
}

func (c *call) unknownParameters() string {
	known := slices.Clone(c.route.query)
	if c.route.body == anyBody {
		known = append(known, c.route.fields...)
	}
	for _, k := range slices.Sorted(maps.Keys(c.query)) {
		if !slices.Contains(known, k) {
			return "unknown query parameter " + k
		}
	}
	taken := c.route.fields
	if c.route.body == anyBody {
		taken = known
	}
	for _, k := range slices.Sorted(maps.Keys(c.fields)) {
		if !slices.Contains(taken, k) {
			return "unknown body field " + k
		}
	}
	return ""
}

// run lets the route act. What it changed is saved before it is answered.
func (c *call) run() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.requests[c.v.name+" "+c.route.method+" "+c.route.pattern]++
	c.route.handle(c)
	if !c.dirty {
		return
	}
	if err := c.s.save(); err != nil {
		c.v.fail(c, problem{status: http.StatusInternalServerError, kind: kindServer, what: err.Error()})
	}
}

func (c *call) write(w http.ResponseWriter) {
	if _, empty := c.faults[FaultEmptyBody]; empty {
		c.status, c.out = http.StatusOK, nil
	}
	maps.Copy(w.Header(), c.header)
	if _, cut := c.faults[FaultTruncate]; cut && len(c.out) > 1 {
		w.Header().Set("Content-Length", strconv.Itoa(len(c.out)))
		w.WriteHeader(c.status)
		_, _ = w.Write(c.out[:len(c.out)/2])
		if f, can := w.(http.Flusher); can {
			f.Flush()
		}
		hangUp(w)
		return
	}
	w.WriteHeader(c.status)
	if c.status != http.StatusNoContent {
		_, _ = w.Write(c.out)
	}
}

// hangUp closes the connection under the client's feet.
func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// minute counts the calls to one endpoint.
type minute struct {
	begins time.Time
	used   int
}

const announcedLimit = 600

// limited counts the call and says whether it is one too many.
func (c *call) limited() bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	begins := c.now.Truncate(time.Minute)
	key := c.v.name + c.route.method + c.route.pattern
	m := c.s.usage[key]
	if m == nil || !m.begins.Equal(begins) {
		m = &minute{begins: begins}
		c.s.usage[key] = m
	}
	m.used++
	limit := announcedLimit
	if c.s.opts.RateLimit > 0 {
		limit = c.s.opts.RateLimit
	}
	if c.v.decorate != nil {
		c.v.decorate(c, min(m.used, limit), limit, begins.Add(time.Minute))
	}
	return c.s.opts.RateLimit > 0 && m.used > limit
}

// A cursor is opaque to the caller: offset and page number.
func encodeCursor(offset, page int) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(offset) + "." + strconv.Itoa(page)))
}

func decodeCursor(cursor string) (offset, page int, ok bool) {
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(cursor, "="))
	if err != nil {
		return 0, 0, false
	}
	before, after, found := strings.Cut(string(data), ".")
	offset, err1 := strconv.Atoi(before)
	page, err2 := strconv.Atoi(after)
	return offset, page, found && err1 == nil && err2 == nil && offset >= 0 && page >= 1
}

// cursorArgs are what the vendors call the place to go on from.
var cursorArgs = []string{"after", "cursor", "next_page_token"}

func (c *call) cursor() string {
	for _, name := range cursorArgs {
		if v := c.arg(name); v != "" {
			return v
		}
	}
	return ""
}

// pageNumber is which page of a list is asked for, from 1.
func (c *call) pageNumber() int {
	if _, page, ok := decodeCursor(c.cursor()); ok {
		return page
	}
	if n, err := strconv.Atoi(c.query.Get("page")); err == nil {
		return n
	}
	return 1
}

// paginate cuts the page that the call asks for out of all. The next cursor is
// empty on the last page. It answers for itself when the cursor is unreadable.
func paginate[T any](c *call, all []T, size int) (page []T, next string, ok bool) {
	offset, number := 0, 1
	if at := c.cursor(); at != "" {
		if offset, number, ok = decodeCursor(at); !ok {
			c.v.fail(c, problem{status: http.StatusBadRequest, kind: kindInvalid, what: "cursor"})
			return nil, "", false
		}
	}
	if f, short := c.faults[FaultShortPage]; short {
		size = max(f.PageSize, 1)
	}
	offset = min(offset, len(all))
	end := min(offset+size, len(all))
	if end < len(all) {
		next = encodeCursor(end, number+1)
	}
	if _, stuck := c.faults[FaultRepeatCursor]; stuck {
		next = encodeCursor(offset, number)
	}
	return all[offset:end], next, true
}

// shrink loses the end of a list of users, if a fault says so.
func shrink[T any](c *call, all []T) []T {
	f, lossy := c.faults[FaultShrink]
	if !lossy {
		return all
	}
	return all[:len(all)*(100-min(max(f.Percent, 0), 100))/100]
}
