// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

func (l *loader) page(s *stream, n node) {
	n.object("type", "in", "rel", "param", "next", "delta", "start", "last", "total", "size", "sizeParam", "stopOnShortPage", "maxPages", "max", "removed", "stable")
	p := pageSpec{kind: pageNone, in: "query", start: 1, maxPages: defaultMaxPages}
	if n.exists() {
		p.kind = n.need("type", strings.Join(pageKinds[:len(pageKinds)-1], ", ")+" or none").enum(pageKinds...)
	}
	if m := n.get("maxPages"); m.exists() {
		p.maxPages = m.integer(1, 1_000_000)
	}
	p.size, p.stable = n.get("size").integer(1, 100_000), n.get("stable").boolean()
	switch p.kind {
	case pageLink:
		if p.rel = n.get("rel").text(); p.rel == "" {
			p.rel = "next"
		}
	case pageURL, pageDelta:
		p.next = n.need("next", "CEL that yields the address of the next page, null or empty at the end").program(l.pageEnv, expr.Dyn)
		if p.kind == pageDelta {
			p.delta = n.need("delta", "CEL that yields the address of what changes later, on the last page").program(l.pageEnv, expr.Dyn)
		}
	case pageCursor:
		l.pageParam(s, n, &p)
		p.next = n.need("next", "CEL that yields the next cursor, null or empty at the end").program(l.pageEnv, expr.Dyn)
	case pageNumber:
		l.pageParam(s, n, &p)
		p.last = n.get("last").program(l.pageEnv, expr.Dyn)
		p.vendorMax = n.get("max").integer(1, 1_000_000)
		if st := n.get("start"); st.exists() {
			p.start = st.integer(0, 1)
		}
	case pageOffset:
		l.pageParam(s, n, &p)
		n.need("size", "the size of a page: an empty one in the middle is stepped over by it")
		p.total = n.get("total").program(l.pageEnv, expr.Dyn)
		p.start = n.get("start").integer(0, 1)
	}
	l.foreignPageKeys(n, p.kind)
	if p.sizeParam = n.get("sizeParam").text(); p.sizeParam != "" && p.size == 0 {
		n.need("size", "the size that sizeParam sends")
	}
	if p.stopOnShortPage = n.get("stopOnShortPage").boolean(); p.stopOnShortPage {
		// A server default smaller than the assumed size would end the list early.
		sent := p.sizeParam != "" || slices.ContainsFunc(s.request.query, func(q pair) bool {
			text, ok := q.value.Literal()
			return ok && text == fmt.Sprint(p.size)
		})
		if p.size == 0 || !sent {
			n.get("stopOnShortPage").problem("true", "page.size, sent by page.sizeParam or as a query parameter", "vendors shorten pages in mid-list")
		}
	}
	s.page = p
}

// pageKeys are the keys that mean something to one kind of paging only.
var pageKeys = map[string][]string{
	"rel": {pageLink}, "in": {pageCursor, pageNumber, pageOffset}, "param": {pageCursor, pageNumber, pageOffset},
	"next": {pageCursor, pageURL, pageDelta}, "delta": {pageDelta}, "removed": {pageDelta}, "start": {pageNumber, pageOffset}, "last": {pageNumber},
	"max": {pageNumber}, "total": {pageOffset}, "stable": {pageLink, pageCursor, pageURL},
}

// foreignPageKeys reports keys that this kind of paging would not look at.
func (l *loader) foreignPageKeys(n node, kind string) {
	if !slices.Contains(pageKinds, kind) {
		return // reported already
	}
	for _, key := range sortedKeys(pageKeys) {
		if v := n.get(key); v.exists() && !slices.Contains(pageKeys[key], kind) {
			v.problem(key+" with type "+kind, "nothing: only "+strings.Join(pageKeys[key], ", ")+" has it", "")
		}
	}
}

// pageParam reads where the place of the next page goes in the request.
func (l *loader) pageParam(s *stream, n node, p *pageSpec) {
	if in := n.get("in"); in.exists() {
		p.in = in.enum("query", "body", "header")
	}
	param := n.need("param", "the name that the place of the next page goes by in the request")
	p.param = param.text()
	switch {
	case p.in == "header" && textproto.TrimString(p.param) != "" && !headerName(p.param):
		param.problem(param.kind(), "the name of a header", "")
	case p.in == "body" && s.request.method == "GET":
		n.get("in").problem("body", "query: the request is a GET", "")
	}
}

var delimiters = []string{",", ";", "|", "\t"}

// decode reads how an answer is read as it arrives.
func (l *loader) decode(s *stream, n node) {
	n.object("type", "stream", "delimiter", "record")
	if !n.exists() {
		return
	}
	d := decodeSpec{kind: n.need("type", "json, ndjson, csv or xml").enum("json", "ndjson", "csv", "xml")}
	for key, kind := range map[string]string{"stream": "json", "delimiter": "csv", "record": "xml"} {
		if v := n.get(key); v.exists() && kind != d.kind {
			v.problem(key+" with type "+d.kind, "nothing: only "+kind+" has it", "")
		}
	}
	if path := n.get("stream").text(); path != "" && d.kind == "json" {
		d.path = strings.Split(path, ".")
	}
	if v := n.get("delimiter"); v.exists() {
		d.delimiter = []rune(v.enum(delimiters...) + ",")[0]
	}
	if d.kind == "xml" {
		d.record = n.need("record", "the name of the element of one record, with its prefix").text()
	}
	s.decode = d
}

// digest identifies what stands here, whatever its comments.
func (n node) digest() string {
	raw, err := yaml.Marshal(n.yaml)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

func headerName(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
	}) < 0
}
