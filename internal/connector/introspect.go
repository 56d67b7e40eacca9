// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Hosts returns the hosts that requests of this session may go to, as
// host[:port] in lower case, sorted.
func (s *Session) Hosts() []string { return sortedKeys(s.declared) }

// Native reports whether the connector reads in Go; then it has no requests to
// play fixtures to.
func (m *Manifest) Native() bool { return m.native != "" }

// ConfigEnum returns the values that a config field is restricted to; none if
// it is not.
func (m *Manifest) ConfigEnum(name string) []string {
	for _, f := range m.config {
		if f.Name == name {
			return slices.Clone(f.enum)
		}
	}
	return nil
}

// FirstUsage returns how far back the first sync reads usage where the config
// says nothing else; zero: the manifest has no usage. Capabilities has the
// most that can be asked for.
func (m *Manifest) FirstUsage(now time.Time) time.Duration {
	config := map[string]any{}
	for _, f := range m.config {
		config[f.Name] = f.Default
	}
	vars := map[string]any{"config": config, "now": now, "secretNames": map[string]bool{}}
	var longest time.Duration
	for _, st := range m.streams {
		if !slices.Contains(st.dataTypes(), model.DataUsage) {
			continue
		}
		back := st.history
		if st.mode == "window" && st.start != nil {
			if v, err := st.start.Eval(context.Background(), vars); err == nil {
				if start, ok := v.(time.Time); ok {
					back = min(back, now.Sub(start))
				}
			}
		}
		longest = max(longest, back)
	}
	return longest
}

// Listing says how the requests of a stream follow each other, for tools that
// play its vendor. Expressions are their CEL source.
type Listing struct {
	Parent            string // the stream whose records are the partitions
	Paging            string // none, link, cursor, page, offset, next_url, delta
	In, Param, Rel    string
	Next, Last, Total string
	Start, Size       int
	StopOnShortPage   bool
	StopWhen          string
	Records           string
	Decode            string   // empty: JSON, read as a whole
	DecodePath        []string // where the records are in streamed JSON
}

// Listing returns how a stream pages.
func (m *Manifest) Listing(name string) (Listing, bool) {
	st := m.stream(name)
	if st == nil {
		return Listing{}, false
	}
	source := func(p interface{ Source() string }, is bool) string {
		if !is {
			return ""
		}
		return p.Source()
	}
	return Listing{
		Parent: st.parent, Paging: st.page.kind, In: st.page.in, Param: st.page.param, Rel: st.page.rel,
		Next: source(st.page.next, st.page.next != nil), Last: source(st.page.last, st.page.last != nil), Total: source(st.page.total, st.page.total != nil),
		Start: st.page.start, Size: st.page.size, StopOnShortPage: st.page.stopOnShortPage,
		StopWhen: source(st.stopWhen, st.stopWhen != nil),
		Records:  source(st.records, st.records != nil), Decode: st.decode.kind, DecodePath: slices.Clone(st.decode.path),
	}, true
}

// LimitHeaders names the headers by which a vendor tells of its rate limit;
// empty where the manifest declares none.
type LimitHeaders struct{ RetryAfter, Reset, ResetFormat string }

// LimitHeaders returns what the manifest declares.
func (m *Manifest) LimitHeaders() LimitHeaders {
	l := m.http.limits
	return LimitHeaders{RetryAfter: l.retryAfter, Reset: l.reset, ResetFormat: l.resetFormat}
}
