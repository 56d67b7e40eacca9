// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Bounds of what a ReadResult lists.
const (
	maxQuarantineSample = 5
	maxHeld             = 1000
)

// Read reads a stream to its end, page by page: memory does not grow with the
// stream. The result is meaningful beside an error too: what was read, which
// partitions are complete, and how far a window stream came.
func (s *Session) Read(ctx context.Context, name string, sink Sink) (ReadResult, error) {
	if s.native != nil {
		return s.native.read(ctx, name, sink)
	}
	st := s.m.stream(name)
	if st == nil {
		return ReadResult{Stream: name}, &Error{Class: ClassConfig, Stream: name, Message: "the connector has no such stream"}
	}
	on, err := s.active(st)
	if err != nil {
		return ReadResult{Stream: name}, err
	}
	if !on {
		return ReadResult{Stream: name}, &Error{Class: ClassConfig, Stream: name, Message: "the stream is switched off by config, credential or data types"}
	}
	rd := &reader{s: s, st: st, sink: sink, res: ReadResult{Stream: name, State: s.o.State[name]}, started: s.clock.Now().UTC()}
	err = rd.run(ctx)
	res := rd.res
	if err == nil && res.Records == 0 && res.Quarantined > 0 {
		q := res.QuarantineSample[0]
		err = &Error{Class: ClassMapping, Stream: name, Message: fmt.Sprintf("none of %d records could be mapped; field %s: %s", res.Items, q.Field, q.Message),
			Fix: "the vendor's answer differs from what the manifest expects"}
	}
	res.Complete = err == nil
	return res, err
}

// reader is one run of Read.
type reader struct {
	s       *Session
	st      *stream
	sink    Sink
	res     ReadResult
	started time.Time
	oldest  time.Time // of the events seen
	stopped bool      // stopWhen ended the listing
}

func (rd *reader) run(ctx context.Context) error {
	switch {
	case rd.st.mode == "window":
		return rd.windows(ctx)
	case rd.st.items != nil:
		return rd.overItems(ctx)
	case rd.st.parent != "":
		return rd.overParent(ctx)
	}
	if err := rd.part(ctx, "", nil, nil); err != nil {
		return err
	}
	rd.provenWindow()
	return nil
}

// provenWindow says which time a usage listing without windows covers: back
// to where it was stopped on purpose, else to the oldest event that the vendor
// still had. Before that, no event proves nothing.
func (rd *reader) provenWindow() {
	if rd.st.timeField == nil {
		return
	}
	from := rd.oldest
	if rd.stopped && rd.st.history > 0 {
		from = rd.started.Add(-rd.st.history)
	}
	if !from.IsZero() {
		rd.res.Window = &Window{Start: from, End: rd.started}
	}
}

// windows reads spans of time in order. Spans begin at multiples of the step,
// so that the last, unfinished one is read again from its beginning the next
// time and replaces itself.
func (rd *reader) windows(ctx context.Context) error {
	st := rd.st
	end := rd.started.Add(-st.lag)
	vars := rd.s.vars()
	v, err := st.start.Eval(ctx, vars)
	first, ok := v.(time.Time)
	if err == nil && !ok {
		err = fmt.Errorf("got %s, want a timestamp", expr.TypeName(v))
	}
	if err != nil {
		return evalFailure(st.name, "sync.start", err)
	}
	if oldest := rd.started.Add(-st.history); first.Before(oldest) {
		first = oldest
	}
	if prev := rd.res.State.WindowEnd; prev.After(first) {
		first = prev
	}
	first = first.Truncate(st.step)
	for at := first; at.Before(end); at = at.Add(st.step) {
		to := at.Add(st.step)
		if to.After(end) {
			to = end
		}
		if err := rd.part(ctx, at.Format(time.RFC3339), nil, &Window{at, to}); err != nil {
			return err
		}
		rd.res.State.WindowEnd = to
		rd.res.Window = &Window{first, to}
	}
	return nil
}

func (rd *reader) overItems(ctx context.Context) error {
	v, err := rd.st.items.Eval(ctx, rd.s.vars())
	list, ok := v.([]any)
	if err == nil && !ok {
		err = fmt.Errorf("got %s, want a list", expr.TypeName(v))
	}
	if err != nil {
		return evalFailure(rd.st.name, "forEach.items", err)
	}
	var first error
	for _, item := range list {
		part, err := expr.Format(item)
		if err != nil {
			return evalFailure(rd.st.name, "forEach.items", err)
		}
		if err := rd.partition(ctx, part, item); err != nil {
			first = cmp.Or(first, err)
			if ends(err) {
				return err
			}
		}
	}
	return first
}

// overParent reads one partition per record of another stream, while that one
// is being listed.
func (rd *reader) overParent(ctx context.Context) error {
	parent := rd.s.m.stream(rd.st.parent)
	vars := rd.s.vars()
	var first error
	err := rd.pages(ctx, parent, vars, nil, func(records []any, _ *answer) (bool, error) {
		for _, p := range records {
			vars["r"], vars["p"], vars[rd.st.as] = p, p, p
			key, err := parent.key.EvalString(ctx, vars)
			if err != nil {
				return false, evalFailure(parent.name, "key", err)
			}
			for _, cond := range []*expr.Program{parent.filter, rd.st.parentWhen} {
				if cond == nil {
					continue
				}
				on, err := cond.EvalBool(ctx, vars)
				if err != nil {
					return false, evalFailure(rd.st.name, "forEach.when", err)
				}
				if !on {
					key = ""
					break
				}
			}
			if key == "" {
				continue
			}
			if err := rd.partition(ctx, key, p); err != nil {
				first = cmp.Or(first, err)
				if ends(err) {
					return false, err
				}
			}
		}
		return true, nil
	})
	return cmp.Or(err, first)
}

// ends reports whether a failure of one partition would repeat in the others.
func ends(err error) bool {
	switch ClassOf(err) {
	case ClassPermission, ClassPlan, ClassNotFound, ClassInvalid, ClassConflict, ClassPaginationStuck, ClassMapping:
		return false
	}
	return true
}

// partition reads one partition of a forEach and notes how it ended.
func (rd *reader) partition(ctx context.Context, part string, p any) error {
	before, quarantined := rd.res.Records, rd.res.Quarantined
	err := rd.part(ctx, part, p, nil)
	pr := PartResult{Part: part, Records: rd.res.Records - before, Err: err}
	if err != nil && rd.st.onError[ClassOf(err)] == "skip_partition" {
		pr.Skipped, pr.Err, err = true, nil, nil
	}
	pr.Complete, pr.Quarantined = err == nil, rd.res.Quarantined-quarantined
	rd.res.Parts = append(rd.res.Parts, pr)
	return err
}

// part reads and maps every page of one partition.
func (rd *reader) part(ctx context.Context, part string, p any, win *Window) error {
	vars := rd.s.vars()
	vars["p"], vars[rd.st.as] = p, p
	m := rd.s.newMapper(rd.st, vars)
	return rd.pages(ctx, rd.st, vars, win, func(records []any, _ *answer) (bool, error) {
		batch := make([]model.Record, 0, len(records)*len(m.emits))
		goOn := true
		for _, r := range records {
			vars["r"] = r
			keep, stop, err := rd.conditions(ctx, vars)
			if err != nil {
				rd.quarantine(part, "", "filter", err, nil)
				continue
			}
			if stop {
				rd.stopped, goOn = true, false
				break
			}
			if !keep {
				continue
			}
			rd.res.Items++
			key, err := rd.st.key.EvalString(ctx, vars)
			if err == nil && key == "" {
				err = errors.New("the record has no key")
			}
			if err != nil {
				rd.quarantine(part, "", "key", err, nil)
				continue
			}
			var failures []mapFailure
			batch, failures = m.record(ctx, r, batch)
			for i := range failures {
				f := &failures[i]
				rd.quarantine(part, key, f.emit.kind+"."+f.field, f.err, f)
			}
			if err := ctx.Err(); err != nil {
				return false, &Error{Class: ClassCanceled, Stream: rd.st.name, Message: "the time for this work ran out", Err: err}
			}
		}
		if len(batch) > 0 {
			rd.res.Records += len(batch)
			if err := rd.sink(ctx, part, batch); err != nil {
				return false, err
			}
		}
		return goOn, nil
	})
}

// conditions evaluates stopWhen and filter, and notes the event's time.
func (rd *reader) conditions(ctx context.Context, vars map[string]any) (keep, stop bool, err error) {
	if rd.st.stopWhen != nil {
		if stop, err = rd.st.stopWhen.EvalBool(ctx, vars); err != nil || stop {
			return false, stop, err
		}
	}
	if rd.st.timeField != nil && rd.st.mode == "full" {
		v, err := rd.st.timeField.Eval(ctx, vars)
		if err != nil {
			return false, false, err
		}
		if t, ok := v.(time.Time); ok && (rd.oldest.IsZero() || t.Before(rd.oldest)) {
			rd.oldest = t
		}
	}
	if rd.st.filter != nil {
		keep, err = rd.st.filter.EvalBool(ctx, vars)
		return keep, false, err
	}
	return true, false, nil
}

func (rd *reader) quarantine(part, key, field string, err error, f *mapFailure) {
	rd.res.Quarantined++
	if len(rd.res.QuarantineSample) < maxQuarantineSample {
		rd.res.QuarantineSample = append(rd.res.QuarantineSample,
			Quarantined{Part: part, Key: mask(key), Field: field, Message: clip(err.Error(), 200)})
	}
	if f == nil || f.id == "" || len(rd.res.Held) >= maxHeld {
		rd.res.HeldUnknown = true
		return
	}
	rd.res.Held = append(rd.res.Held, HeldRecord{DataType: f.emit.rt.dataType, Part: part, ExternalID: f.id})
}

// pages lists st page by page and calls each with the records of one page;
// each says whether to go on.
func (rd *reader) pages(ctx context.Context, st *stream, vars map[string]any, win *Window, each func([]any, *answer) (bool, error)) error {
	if win != nil {
		vars["window"] = map[string]any{"start": win.Start, "end": win.End}
	}
	p := pager{s: rd.s, st: st, seen: map[string]bool{}, hashes: map[uint64]bool{}, page: st.page.start}
	x := exchange{spec: &st.request, vars: vars, patient: true, stream: st.name}
	for n := 1; ; n++ {
		if n > st.page.maxPages {
			return &Error{Class: ClassPaginationStuck, Stream: st.name,
				Message: fmt.Sprintf("the list did not end after %d pages", st.page.maxPages)}
		}
		if st.page.kind == "page" {
			x.query = map[string]string{st.page.param: fmt.Sprint(p.page)}
		}
		rd.res.Requests++
		ans, err := rd.s.do(ctx, x)
		if err != nil {
			return err
		}
		records, err := recordsOf(ctx, st, answerVars(vars, ans))
		if err != nil {
			return err
		}
		if len(records) > 0 {
			if p.hashes[ans.hash] && st.page.kind != "none" {
				return &Error{Class: ClassPaginationStuck, Stream: st.name, Message: "the vendor repeated a page"}
			}
			p.hashes[ans.hash] = true
		}
		more, err := p.next(ctx, &x, ans, len(records))
		if err != nil {
			return err
		}
		goOn, err := each(records, ans)
		if err != nil {
			return err
		}
		// Events with a time say themselves how far back they reach.
		if p.cut && st.timeField == nil {
			return &Error{Class: ClassPaginationStuck, Stream: st.name,
				Message: fmt.Sprintf("the vendor answers %d pages only, and the list has more", st.page.vendorMax)}
		}
		if !more || !goOn {
			return nil
		}
	}
}

func recordsOf(ctx context.Context, st *stream, vars map[string]any) ([]any, error) {
	v, err := st.records.Eval(ctx, vars)
	if err != nil {
		return nil, evalFailure(st.name, "records", err)
	}
	list, ok := v.([]any)
	if !ok {
		return nil, evalFailure(st.name, "records", fmt.Errorf("got %s, want a list", expr.TypeName(v)))
	}
	return list, nil
}

// pager knows where the next page is, and that the list goes in no circle.
type pager struct {
	s      *Session
	st     *stream
	seen   map[string]bool
	hashes map[uint64]bool
	page   int
	cut    bool
}

// next prepares x for the following page; more is false at the end.
func (p *pager) next(ctx context.Context, x *exchange, ans *answer, count int) (more bool, err error) {
	pg := p.st.page
	if pg.stopOnShortPage && count < pg.size {
		return false, nil
	}
	switch pg.kind {
	case "link":
		target := parseLink(ans.header.Values("Link"), pg.rel)
		if target == "" {
			return false, nil
		}
		u, err := ans.url.Parse(target)
		if err != nil {
			return false, &Error{Class: ClassMapping, Stream: p.st.name, Message: "the link to the next page is no URL"}
		}
		u = vendorURL(u, ans.url, p.s.overrides)
		x.next = u
		return true, p.once(normalised(u), ans.url)
	case "cursor":
		v, err := pg.next.Eval(ctx, x.vars)
		if err != nil {
			return false, evalFailure(p.st.name, "page.next", err)
		}
		cursor, err := expr.Format(v)
		if err != nil {
			return false, evalFailure(p.st.name, "page.next", err)
		}
		if cursor == "" {
			return false, nil
		}
		x.query = map[string]string{pg.param: cursor}
		return true, p.once(cursor, nil)
	case "page":
		more := count > 0
		if pg.last != nil {
			v, err := pg.last.Eval(ctx, x.vars)
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
	return false, nil
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
