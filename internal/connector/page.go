// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

// Kinds of paging.
const (
	pageNone   = "none"
	pageLink   = "link"
	pageCursor = "cursor"
	pageNumber = "page"
	pageOffset = "offset"
	pageURL    = "next_url"
	pageDelta  = "delta"
)

var pageKinds = []string{pageLink, pageCursor, pageNumber, pageOffset, pageURL, pageDelta, pageNone}

type pageSpec struct {
	kind            string
	in              string // query, body or header: where param goes
	rel             string
	param           string
	next            *expr.Program
	start           int
	last            *expr.Program
	total           *expr.Program // offset: how many records there are
	size            int
	sizeParam       string
	delta           *expr.Program
	stopOnShortPage bool
	maxPages        int
	vendorMax       int // page.max: the vendor answers no further page
	// stable: the place of the next page names a record or a snapshot, so that
	// what goes meanwhile moves no record across it.
	stable bool
}

// Resume is a place in a long listing, from which a read may go on.
type Resume struct {
	// URL, Cursor, Page and Offset say where the next page is; which of them
	// counts follows from the kind of paging.
	URL    string `json:"url,omitempty"`
	Cursor any    `json:"cursor,omitempty"`
	Page   int    `json:"page,omitempty"`
	Offset int64  `json:"offset,omitempty"`

	// The rest is what the read had found so far.
	Shape       string    `json:"shape,omitempty"`
	Started     time.Time `json:"started,omitzero"`
	Incremental bool      `json:"incremental,omitempty"`
	Since       time.Time `json:"since,omitzero"`
	Newest      time.Time `json:"newest,omitzero"`
	Oldest      time.Time `json:"oldest,omitzero"`
	Pages       int       `json:"pages"`
	Records     int       `json:"records"`
	Items       int       `json:"items"`
}

// pager knows where the next page is, and that the list goes in no circle.
type pager struct {
	s      *Session
	st     *stream
	seen   map[string]bool
	hashes map[uint64]bool
	url    *url.URL // the next page, where the vendor gives its whole address
	cursor any
	page   int
	offset int64
	cut    bool
	// delta is the address of what changes after this listing.
	delta string
}

func (s *Session) newPager(st *stream) *pager {
	return &pager{s: s, st: st, seen: map[string]bool{}, hashes: map[uint64]bool{}, page: st.page.start, offset: int64(st.page.start)}
}

// goTo begins at a whole address, as of a delta link that an earlier read left.
func (p *pager) goTo(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return &Error{Class: ClassMapping, Stream: p.st.name, Message: "the stored address of the next read is no URL"}
	}
	p.url = u
	return nil
}

// resume begins where an earlier read ended.
func (p *pager) resume(r *Resume) error {
	p.cursor, p.page, p.offset = plain(r.Cursor), r.Page, r.Offset
	if f, ok := r.Cursor.(float64); ok {
		if n, whole := wholeNumber(f); whole {
			p.cursor = n
		}
	}
	if r.URL != "" {
		return p.goTo(r.URL)
	}
	return nil
}

// at is the place of the next page.
func (p *pager) at() Resume {
	r := Resume{Cursor: p.cursor, Page: p.page, Offset: p.offset}
	if p.url != nil {
		r.URL = p.url.String()
	}
	return r
}

// place puts where the pager stands into the request.
func (p *pager) place(x *exchange) {
	pg := &p.st.page
	x.next, x.query, x.edit = p.url, nil, nil
	if p.url != nil {
		return // the vendor's address of a page is whole
	}
	var value any
	switch pg.kind {
	case pageCursor:
		value = p.cursor
	case pageNumber:
		value = int64(p.page)
	case pageOffset:
		value = p.offset
	}
	params := map[string]any{}
	switch {
	case value == nil:
	case pg.in == "header":
		x.edit = func(w *wire) error {
			text := fmt.Sprint(value)
			if !sendable(text) {
				return fmt.Errorf("next yields a cursor with control characters, which header %s cannot carry", pg.param)
			}
			w.header.Set(pg.param, text)
			return nil
		}
	default:
		params[pg.param] = value
	}
	if pg.sizeParam != "" {
		params[pg.sizeParam] = int64(pg.size)
	}
	switch {
	case len(params) == 0:
	case pg.in == "body":
		x.edit = func(w *wire) error { return setBody(w, params) }
	default:
		x.query = map[string]string{}
		for k, v := range params {
			x.query[k] = fmt.Sprint(v)
		}
	}
}

// setBody sets values into the request's body: at dotted paths of JSON, or by
// name in a form.
func setBody(w *wire, params map[string]any) error {
	if strings.HasPrefix(w.header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(w.body))
		if err != nil {
			return fmt.Errorf("the form cannot be read again: %w", err)
		}
		decoded, _ := w.decoded.(map[string]any)
		decoded = maps.Clone(decoded)
		for name, v := range params {
			text := fmt.Sprint(v)
			form.Set(name, text)
			if decoded != nil {
				decoded[name] = text
			}
		}
		w.body, w.decoded = []byte(form.Encode()), decoded
		return nil
	}
	body := w.decoded
	if body == nil {
		body = map[string]any{}
	}
	for _, path := range sortedKeys(params) {
		var err error
		if body, err = withPath(body, strings.Split(path, "."), params[path]); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	raw, err := encodeJSON(body)
	if err != nil {
		return err
	}
	w.body, w.decoded = raw, body
	if w.header.Get("Content-Type") == "" {
		w.header.Set("Content-Type", "application/json; charset=utf-8")
	}
	return nil
}

// withPath returns the object with a value at a path. What is on the way is
// copied: the body may share it with the manifest's variables.
func withPath(body any, path []string, v any) (any, error) {
	if len(path) == 0 {
		return v, nil
	}
	m, ok := body.(map[string]any)
	if body != nil && !ok {
		return nil, fmt.Errorf("the body has %s there, want an object", expr.TypeName(body))
	}
	if m = maps.Clone(m); m == nil {
		m = map[string]any{}
	}
	inner, err := withPath(m[path[0]], path[1:], v)
	if err != nil {
		return nil, err
	}
	m[path[0]] = inner
	return m, nil
}

// repeated fails when the vendor answered the same page twice.
func (p *pager) repeated(ans *answer) error {
	if p.hashes[ans.hash] && p.st.page.kind != pageNone {
		return &Error{Class: ClassPaginationStuck, Stream: p.st.name, Message: "the vendor repeated a page"}
	}
	p.hashes[ans.hash] = true
	return nil
}

// next moves to the following page; more is false at the end. count is how
// many records the page had.
func (p *pager) next(ctx context.Context, vars map[string]any, ans *answer, count int) (more bool, err error) {
	pg := &p.st.page
	if pg.stopOnShortPage && count < pg.size {
		return false, nil
	}
	switch pg.kind {
	case pageLink:
		return p.follow(ans, parseLink(ans.header.Values("Link"), pg.rel))
	case pageURL, pageDelta:
		target, err := p.text(ctx, pg.next, "page.next", vars)
		if err != nil {
			return false, err
		}
		if more, err = p.follow(ans, target); more || err != nil || pg.kind == pageURL {
			return more, err
		}
		return false, p.leaveDelta(ctx, vars, ans)
	case pageCursor:
		return p.nextCursor(ctx, vars)
	case pageNumber:
		return p.nextPage(ctx, vars, count)
	case pageOffset:
		return p.nextOffset(ctx, vars, count)
	}
	return false, nil
}

func (p *pager) text(ctx context.Context, prg *expr.Program, what string, vars map[string]any) (string, error) {
	text, err := prg.EvalString(ctx, vars)
	if err != nil {
		return "", evalFailure(p.st.name, what, err)
	}
	return text, nil
}

// follow goes to an address that the vendor gave, as a whole or relative to
// the page that gave it. Whether its host is declared is checked when it is
// asked for.
func (p *pager) follow(ans *answer, target string) (more bool, err error) {
	if target == "" {
		return false, nil
	}
	u, err := p.resolve(ans, target)
	if err != nil {
		return false, err
	}
	p.url = u
	return true, p.once(normalised(u), ans.url)
}

func (p *pager) resolve(ans *answer, target string) (*url.URL, error) {
	u, err := ans.url.Parse(target)
	if err != nil {
		return nil, &Error{Class: ClassMapping, Stream: p.st.name, Message: "the link to the next page is no URL"}
	}
	return p.s.withoutCredential(vendorURL(u, ans.url, p.s.overrides)), nil
}

func (p *pager) leaveDelta(ctx context.Context, vars map[string]any, ans *answer) error {
	target, err := p.text(ctx, p.st.page.delta, "page.delta", vars)
	if err != nil || target == "" {
		return err
	}
	u, err := p.resolve(ans, target)
	if err != nil {
		return err
	}
	p.delta = u.String()
	return nil
}

func (p *pager) nextCursor(ctx context.Context, vars map[string]any) (bool, error) {
	v, err := p.st.page.next.Eval(ctx, vars)
	if err != nil {
		return false, evalFailure(p.st.name, "page.next", err)
	}
	mark, err := expr.Format(v)
	if err != nil {
		return false, evalFailure(p.st.name, "page.next", err)
	}
	if mark == "" {
		return false, nil
	}
	p.cursor = v
	if p.st.page.in != "body" {
		p.cursor = mark
	}
	return true, p.once(mark, nil)
}

func (p *pager) nextPage(ctx context.Context, vars map[string]any, count int) (bool, error) {
	pg := &p.st.page
	more := count > 0
	if pg.last != nil {
		v, err := pg.last.Eval(ctx, vars)
		if err != nil {
			return false, evalFailure(p.st.name, "page.last", err)
		}
		// A declared total overrules an empty page in the middle.
		if last, ok := wholeNumber(v); ok {
			more = int64(p.page) < last+int64(pg.start)-1
		}
	}
	if more && pg.vendorMax > 0 && p.page-pg.start+1 >= pg.vendorMax {
		p.cut = true
		return false, nil
	}
	p.page++
	return more, nil
}

// nextOffset goes on behind what has come, and not behind what was asked for:
// a vendor that serves less than the size must not lose the rest. Only an empty
// page, which access rules may cause, is stepped over by the size.
func (p *pager) nextOffset(ctx context.Context, vars map[string]any, count int) (bool, error) {
	pg := &p.st.page
	step := int64(count)
	if count == 0 {
		step = int64(pg.size)
	}
	p.offset += step
	if pg.total == nil {
		return count > 0, nil
	}
	v, err := pg.total.Eval(ctx, vars)
	if err != nil {
		return false, evalFailure(p.st.name, "page.total", err)
	}
	total, ok := wholeNumber(v)
	if text, isText := v.(string); isText {
		_, err := fmt.Sscan(text, &total) // a header
		ok = err == nil
	}
	if !ok {
		return count > 0, nil
	}
	return p.offset-int64(pg.start) < total, nil
}

func normalised(u *url.URL) string {
	c := *u
	c.Fragment = ""
	return c.String()
}

// once fails when a cursor or URL comes a second time.
func (p *pager) once(mark string, current *url.URL) error {
	if p.seen[mark] || (current != nil && mark == normalised(current)) {
		return &Error{Class: ClassPaginationStuck, Stream: p.st.name, Message: "the vendor's link or cursor to the next page repeats itself"}
	}
	p.seen[mark] = true
	return nil
}
