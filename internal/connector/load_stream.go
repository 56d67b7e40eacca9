// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
)

// defaultMaxPages ends a listing that a vendor never ends. It is always set:
// endless paging is the commonest defect of connectors.
const defaultMaxPages = 10_000

var parseRate = ratelimit.ParseRate

var methods = []string{"get", "post", "put", "patch", "delete"}

var requestKeys = []string{"get", "post", "put", "patch", "delete", "host", "query", "form", "headers", "body", "graphql", "token", "okWhen"}

// request reads the request keys of n. The caller has checked the keys.
func (l *loader) request(n node, env *expr.Env) requestSpec {
	var r requestSpec
	for _, m := range methods {
		v := n.get(m)
		if !v.exists() {
			continue
		}
		if r.method != "" {
			v.problem("a second method", "exactly one of "+strings.Join(methods, ", "), "")
		}
		r.method = strings.ToUpper(m)
		r.path = v.template(env)
		if r.path != nil && !strings.HasPrefix(r.path.Source(), "/") {
			v.problem(v.kind(), "a path that begins with /", "the host comes from http.baseURL or http.hosts")
		}
	}
	if n.exists() && r.method == "" {
		n.problem("no method", "exactly one of "+strings.Join(methods, ", "), "")
	}
	if h := n.get("host"); h.exists() {
		r.host = h.text()
		if !slices.ContainsFunc(l.manifest.http.hosts, func(p pair) bool { return p.name == r.host }) {
			h.problem(h.kind(), "a name under http.hosts", "")
		}
	}
	compile := func(v node) *expr.Template { return v.template(env) }
	r.query = l.pairs(n.get("query"), compile)
	r.form = l.pairs(n.get("form"), compile)
	r.headers = l.pairs(n.get("headers"), compile)
	r.body = n.get("body").program(env, expr.Dyn)
	r.token = l.tokenTemplate(n.get("token"))
	r.okWhen = n.get("okWhen").program(env, expr.Bool)
	if len(r.form) > 0 && r.body != nil {
		n.get("body").problem("both form and body", "one of them", "")
	}
	l.graphql(n.get("graphql"), &r, env)
	return r
}

func (l *loader) account(n node) {
	n.object(append(slices.Clone(requestKeys), "id", "name")...)
	l.manifest.account = &accountSpec{
		request: l.reading(n, l.request(n, l.env)),
		id:      n.need("id", "CEL that yields the remote account's id").program(l.env, expr.String),
		name:    n.get("name").program(l.env, expr.String),
	}
}

func (l *loader) stream(name string, n node) {
	n.object("essential", "optional", "enabled", "covers", "lastActivity", "dataTypes", "forEach", "request", "token", "page", "decode", "records",
		"filter", "stopWhen", "key", "sync", "deletes", "onError", "test", "emit", "description")
	if !idPattern.MatchString(name) {
		n.problem(fmt.Sprintf("the name %q", name), "letters, digits and underscores", "")
	}
	s := &stream{
		name: name, essential: n.get("essential").boolean(), optional: n.get("optional").boolean(),
		enabled: n.get("enabled").program(l.env, expr.Bool), covers: n.get("covers").texts(),
		activityReported: n.get("lastActivity").enum("Reported", "NotReported") == "Reported",
		as:               "p", mode: "full",
	}
	l.manifest.streams = append(l.manifest.streams, s)
	l.sync(s, n.get("sync"))
	l.deletes(s, n.get("deletes"))
	if l.manifest.native != "" {
		l.nativeStream(s, n)
		return
	}
	env := l.forEach(s, n.get("forEach"))
	pageEnv := env.WithCost(expr.CostPage)

	req := n.need("request", "the request that lists the records")
	req.object(requestKeys...)
	s.request = l.reading(req, l.request(req, env))
	if tok := n.get("token"); tok.exists() {
		s.request.token = l.tokenTemplate(tok)
	}
	l.page(s, n.get("page"))
	l.decode(s, n.get("decode"))
	if rec := n.get("records"); rec.exists() || !s.decode.streams() {
		s.records = n.need("records", "CEL that yields the list of records").program(pageEnv, expr.List)
	}
	s.filter = n.get("filter").program(env, expr.Bool)
	s.stopWhen = n.get("stopWhen").program(env, expr.Bool)
	s.key = n.need("key", "CEL that yields the record's key").program(env, expr.Dyn)
	s.onError = map[ErrorClass]string{}
	n.get("onError").entries(func(class string, v node) {
		if !slices.Contains(manifestClasses, class) {
			v.problem(fmt.Sprintf("the class %q", class), "one of "+strings.Join(manifestClasses, ", "), didYouMean(class, manifestClasses))
		}
		s.onError[ErrorClass(class)] = v.enum("skip_partition")
	})
	l.streamTest(s, n.get("test"), pageEnv)
	n.need("emit", "what the records become").items(func(_ int, v node) { l.emit(s, v) })
	l.incremental(s, n)
	l.lintStream(s, n)
	s.digest = n.digest()
}

// forEach reads the partitions and returns the environment of the stream.
func (l *loader) forEach(s *stream, n node) *expr.Env {
	n.object("stream", "items", "as", "when")
	if as := n.get("as"); as.exists() {
		s.as = as.text()
		if !idPattern.MatchString(s.as) {
			as.problem(as.kind(), "an identifier", "")
		}
	}
	env := l.withVar(n, s.as)
	s.items = n.get("items").program(l.env, expr.List)
	s.parentWhen = n.get("when").program(env, expr.Bool)
	s.parent = n.get("stream").text()
	if n.exists() && (s.parent != "") == (s.items != nil) {
		n.problem("", "exactly one of stream and items", "")
	}
	return env
}

// withVar returns the environment with one more variable; the standard ones
// are there already.
func (l *loader) withVar(n node, names ...string) *expr.Env {
	standard := []string{"r", "p", "resp", "input", "vars", "config", "state", "window", "status", "headers", "records", "now"}
	names = slices.DeleteFunc(names, func(v string) bool { return v == "" || slices.Contains(standard, v) })
	if len(names) == 0 {
		return l.env
	}
	env, err := expr.Connector(names...)
	if err != nil {
		n.problem(err.Error(), "other names for variables", "")
		return l.env
	}
	return env
}

func (l *loader) sync(s *stream, n node) {
	n.object("mode", "field", "start", "step", "lag", "history", "cursor", "overlap", "fullEvery", "removed")
	if n.exists() {
		s.mode = n.need("mode", "full, window or incremental").enum("full", "window", "incremental")
	}
	s.timeField = n.get("field").program(l.env, expr.Timestamp)
	s.start = n.get("start").program(l.env, expr.Timestamp)
	s.step, s.lag, s.history = n.get("step").duration(), n.get("lag").duration(), n.get("history").duration()
	s.cursor = n.get("cursor").program(l.env, expr.Timestamp)
	s.removed = n.get("removed").program(l.env, expr.Bool)
	s.overlap, s.fullEvery = n.get("overlap").duration(), n.get("fullEvery").duration()
	if s.mode == "window" {
		n.need("start", "CEL that yields where the first read begins")
		if s.step <= 0 {
			n.get("step").problem(n.get("step").kind(), "the length of a window, such as 24h", "")
		}
		if s.history <= 0 {
			n.get("history").problem(n.get("history").kind(), "how far back the first read goes at most, such as 2160h", "")
		}
	}
	if s.mode != "incremental" {
		for _, key := range []string{"cursor", "overlap", "fullEvery"} {
			if v := n.get(key); v.exists() {
				v.problem(key+" with mode "+s.mode, "mode incremental", "")
			}
		}
		return
	}
	if !n.get("overlap").exists() {
		s.overlap = defaultOverlap
	}
	if s.fullEvery == 0 {
		s.fullEvery = defaultFullEvery
	}
}

// incremental checks what an incremental stream needs of its other keys. A
// delta listing is incremental by itself.
func (l *loader) incremental(s *stream, n node) {
	delta := s.page.kind == pageDelta
	if delta && s.mode == "full" {
		s.mode, s.overlap, s.fullEvery = "incremental", defaultOverlap, defaultFullEvery
	}
	if r := n.get("page").get("removed"); r.exists() {
		if s.removed != nil {
			r.problem("both page.removed and sync.removed", "one of them", "")
		}
		s.removed = r.program(l.env, expr.Bool)
	}
	sync := n.get("sync")
	partitioned := s.parent != "" || s.items != nil
	switch {
	case delta && s.mode != "incremental":
		sync.get("mode").problem(s.mode, "incremental: that is what a delta listing is", "")
	case delta && partitioned:
		n.get("forEach").problem("forEach with a delta listing", "no forEach", "the vendor's place is kept once for the stream")
	case s.mode == "incremental" && !delta && s.cursor == nil:
		sync.need("cursor", "CEL that yields when the record changed, or page.type delta")
	}
	if s.mode != "incremental" {
		return
	}
	if slices.ContainsFunc(s.emits, func(e *emit) bool { return e.kind == "UsageEvent" }) {
		sync.get("mode").problem("incremental with UsageEvent", "window or full", "which time was read must be proven")
	}
	if !delta && !mentionsCursor(s) {
		sync.get("mode").problem("incremental, and the request does not use state.cursor", "a request that asks for changes since state.cursor",
			"every read would be whole and yet prove no absence")
	}
}

// mentionsCursor reports whether any part of the request depends on where the
// last read ended.
func mentionsCursor(s *stream) bool {
	uses := func(source string) bool {
		return strings.Contains(source, "state") && strings.Contains(source, "cursor")
	}
	if s.request.path != nil && uses(s.request.path.Source()) || s.request.body != nil && uses(s.request.body.Source()) {
		return true
	}
	return slices.ContainsFunc(slices.Concat(s.request.query, s.request.form, s.request.headers), func(p pair) bool { return uses(p.value.Source()) })
}

func (l *loader) deletes(s *stream, n node) {
	n.object("by", "scope", "maxDropPercent")
	if !n.exists() {
		return
	}
	s.byAbsence = n.need("by", "absence").enum("absence") == "absence"
	s.perPart = n.get("scope").enum("stream", "partition") == "partition"
	s.maxDrop = n.get("maxDropPercent").integer(1, 50)
}

func (l *loader) streamTest(s *stream, n node, env *expr.Env) {
	n.object("query", "expect")
	s.testQuery = l.pairs(n.get("query"), l.template)
	n.get("expect").items(func(_ int, v node) {
		v.object("when", "else", "class")
		e := expectation{
			when:      v.need("when", "a CEL condition over records and resp").program(env, expr.Bool),
			otherwise: v.need("else", "what it means when the condition is false").text(),
			outcome:   v.need("class", "B or C").enum("B", "C"),
		}
		if e.when != nil {
			s.testExpect = append(s.testExpect, e)
		}
	})
}

func (l *loader) emit(s *stream, n node) {
	n.object("type", "forEach", "as", "when", "map", "custom")
	kinds := make([]string, 0, len(recordTypes))
	for k := range recordTypes {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	e := &emit{kind: n.need("type", "a record type").enum(kinds...), as: n.get("as").text()}
	rt, ok := recordTypes[e.kind]
	if !ok {
		return
	}
	e.rt = rt
	env := l.withVar(n, s.as, e.as)
	e.each = n.get("forEach").program(l.withVar(n, s.as), expr.List)
	if e.as != "" && !n.get("forEach").exists() {
		n.get("as").problem("as without forEach", "both or neither", "")
	}
	e.when = n.get("when").program(env, expr.Bool)
	mapping := n.need("map", "the fields of a "+e.kind)
	mapping.entries(func(name string, v node) {
		f, ok := rt.fields[name]
		if !ok {
			names := fieldNames(rt)
			v.problem(fmt.Sprintf("the field %q", name), e.kind+" has "+strings.Join(names, ", "), didYouMean(name, names))
			return
		}
		if p := v.program(env, f.want); p != nil {
			e.fields = append(e.fields, mappedField{name, f, p})
		}
	})
	for _, name := range fieldNames(rt) {
		if rt.fields[name].required {
			mapping.need(name, "CEL: the field is required")
		}
	}
	if c := n.get("custom"); c.exists() {
		if rt.custom == nil {
			c.problem("custom", "nothing: "+e.kind+" has no custom fields", "")
		}
		e.custom = c.program(env, expr.Map)
	}
	s.emits = append(s.emits, e)
}

func fieldNames(rt recordType) []string {
	names := make([]string, 0, len(rt.fields))
	for f := range rt.fields {
		names = append(names, f)
	}
	slices.Sort(names)
	return names
}

// lintStream holds what the specification demands of every manifest.
func (l *loader) lintStream(s *stream, n node) {
	l.lintRecords(s, n)
	emitsAccounts := slices.ContainsFunc(s.emits, func(e *emit) bool { return e.kind == "Account" })
	emitsUsage := slices.ContainsFunc(s.emits, func(e *emit) bool { return e.kind == "UsageEvent" })
	if emitsAccounts {
		n.need("covers", "the vendor's user states that the stream lists: many APIs hide some by default")
	}
	if emitsAccounts || emitsUsage {
		n.need("lastActivity", "Reported or NotReported: without it unknown use would read as no use")
	}
	mapsActivity := slices.ContainsFunc(s.emits, func(e *emit) bool {
		return slices.ContainsFunc(e.fields, func(f mappedField) bool { return f.name == "lastActivityAt" })
	})
	if emitsAccounts && mapsActivity != s.activityReported {
		n.get("lastActivity").problem(n.get("lastActivity").kind(), "Reported if and only if lastActivityAt is mapped", "")
	}
	if emitsUsage && s.activityReported && s.timeField == nil {
		n.get("sync").need("field", "CEL that yields the event's time: it proves which time was read")
	}
	if s.essential && s.optional {
		n.get("optional").problem("essential and optional", "one of them", "")
	}
	if s.perPart && s.parent == "" && s.items == nil {
		n.get("deletes").get("scope").problem("partition", "stream: there is no forEach", "")
	}
	if s.mode == "window" && (s.parent != "" || s.items != nil) {
		n.get("sync").get("mode").problem("window with forEach", "full", "windows are the partitions of such a stream")
	}
	if s.mode == "window" && s.byAbsence {
		n.get("deletes").problem("by absence", "nothing: a window lists events, not what exists", "")
	}
}

// nativeStream reads the little that a manifest says of a stream that Go reads.
func (l *loader) nativeStream(s *stream, n node) {
	known := make([]string, 0, len(recordTypes))
	for _, rt := range recordTypes {
		known = append(known, string(rt.dataType))
	}
	slices.Sort(known)
	n.need("dataTypes", "what the stream yields").items(func(_ int, v node) {
		t := v.enum(known...)
		for _, rt := range recordTypes {
			if string(rt.dataType) == t {
				s.emits = append(s.emits, &emit{rt: rt})
			}
		}
	})
}
