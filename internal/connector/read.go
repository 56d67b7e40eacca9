// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
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
	return s.ReadFrom(ctx, name, nil, sink, nil)
}

// ReadFrom is Read for long listings. Now and then it tells keep, after the
// sink, where the listing would go on; from is such a place of an earlier read
// that broke off, whose records the caller still has, or nil. An error of
// ClassReset says that a read cannot go on from there: discard those records
// and read from nil.
func (s *Session) ReadFrom(ctx context.Context, name string, from *Resume, sink Sink, keep Keep) (ReadResult, error) {
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
	rd := s.newReader(st, sink)
	rd.keep = keep
	rd.goOnWithRound()
	if from != nil && !rd.goOnFrom(from) {
		return ReadResult{Stream: name}, &Error{Class: ClassReset, Stream: name, Message: "the listing cannot go on where it broke off"}
	}
	err = rd.run(ctx)
	if from != nil {
		err = rd.orReset(err)
	} else if rd.expired(err) {
		requests := rd.res.Requests
		rd = s.newReader(st, sink)
		rd.keep = keep
		rd.inFull()
		rd.res.Requests = requests
		rd.res.Notes = append(rd.res.Notes, "the vendor has forgotten what the last read began from: read in full")
		err = rd.run(ctx)
	}
	rd.leaveRound()
	res := rd.res
	if err == nil && res.Records == 0 && res.Quarantined > 0 {
		q := res.QuarantineSample[0]
		err = &Error{Class: ClassMapping, Stream: name, Message: fmt.Sprintf("none of %d records could be mapped; field %s: %s", res.Items, q.Field, q.Message),
			Fix: "the vendor's answer differs from what the manifest expects"}
	}
	if err == nil {
		rd.keepPlace(&res)
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
	// delivered: records have reached the sink.
	delivered bool
	counted   bool      // events of the page that is asked for now have been handed on
	since     time.Time // state.cursor of an incremental read
	newest    time.Time // sync.cursor of the records seen
	delta     string    // where the next incremental read begins
	keep      Keep
	from      *Resume
	done      map[string]bool // partitions that earlier reads of the round have read
	broke     bool            // the read broke off before the last partition
}

func (s *Session) newReader(st *stream, sink Sink) *reader {
	rd := &reader{s: s, st: st, sink: sink, res: ReadResult{Stream: st.name, State: s.o.State[st.name]}, started: s.clock.Now().UTC()}
	rd.begin()
	return rd
}

// vars are the variables of the stream's expressions.
func (rd *reader) vars() map[string]any { return rd.s.streamVars(rd.since) }

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
	vars := rd.vars()
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
	v, err := rd.st.items.Eval(ctx, rd.vars())
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
		if err := rd.partitionOnce(ctx, part, item); err != nil {
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
	vars := rd.s.streamVars(time.Time{}) // the parents are listed in full
	var first error
	err := rd.pages(ctx, parent, vars, nil, func(records []any) (bool, error) {
		for _, p := range records {
			vars["r"], vars["p"], vars[rd.st.as] = p, p, p
			key, err := parent.key.EvalString(ctx, vars)
			if err != nil {
				return false, evalFailure(parent.name, "key", err)
			}
			on, err := rd.wanted(ctx, parent, vars)
			if err != nil {
				return false, err
			}
			if !on || key == "" {
				continue
			}
			if err := rd.partitionOnce(ctx, key, p); err != nil {
				first = cmp.Or(first, err)
				if ends(err) {
					return false, err
				}
			}
		}
		return true, nil
	})
	rd.broke = rd.broke || err != nil && ends(err)
	return cmp.Or(err, first)
}

// wanted reports whether a record of the parent's listing is a partition.
func (rd *reader) wanted(ctx context.Context, parent *stream, vars map[string]any) (bool, error) {
	if parent.removed != nil {
		if gone, err := parent.removed.EvalBool(ctx, vars); err != nil || gone {
			return false, err
		}
	}
	for _, cond := range []*expr.Program{parent.filter, rd.st.parentWhen} {
		if cond == nil {
			continue
		}
		if on, err := cond.EvalBool(ctx, vars); err != nil {
			return false, evalFailure(rd.st.name, "forEach.when", err)
		} else if !on {
			return false, nil
		}
	}
	return true, nil
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

// firstPause is how long a read waits for a vendor that fails in mid-list, once
// its request was repeated in vain; the next pauses are longer.
const firstPause = 5 * time.Second

// persist asks for one page until it comes. A listing that is under way is
// worth more patience than one that has not begun: given up, it would start
// again from its first page.
func (rd *reader) persist(ctx context.Context, st *stream, x exchange, each func([]any) (bool, error)) (page, error) {
	underWay := rd.res.Requests > 1 || rd.from != nil
	for pause, waited := firstPause, time.Duration(0); ; pause *= 2 {
		pg, err := rd.fetch(ctx, st, x, each)
		class := ClassOf(err)
		if err == nil || pg.stop || !underWay || class != ClassTransient && class != ClassUnreachable {
			return pg, err
		}
		if waited += pause; waited > rd.s.maxWait || rd.s.sleep(ctx, pause) != nil {
			return pg, err
		}
		rd.res.Requests++
	}
}

// pages lists st page by page and calls each with the records of one page;
// each says whether to go on.
func (rd *reader) pages(ctx context.Context, st *stream, vars map[string]any, win *Window, each func([]any) (bool, error)) error {
	if win != nil {
		vars["window"] = map[string]any{"start": win.Start, "end": win.End}
	}
	p := rd.s.newPager(st)
	n, err := rd.firstPage(p, st)
	if err != nil {
		return err
	}
	x := exchange{spec: &st.request, vars: vars, patient: true, stream: st.name}
	for ; ; n++ {
		if n > st.page.maxPages {
			return &Error{Class: ClassPaginationStuck, Stream: st.name,
				Message: fmt.Sprintf("the list did not end after %d pages", st.page.maxPages)}
		}
		p.place(&x)
		rd.res.Requests++
		rd.counted = false
		pg, err := rd.persist(ctx, st, x, each)
		if err != nil && !pg.stop {
			rd.leave(ctx, st, p, n, err)
		}
		if err != nil || pg.stop {
			return err
		}
		if pg.count > 0 {
			if err := p.repeated(pg.ans); err != nil {
				return err
			}
		}
		more, err := p.next(ctx, vars, pg.ans, pg.count)
		if err != nil {
			return err
		}
		goOn := true
		if pg.records != nil {
			if goOn, err = each(pg.records); err != nil {
				return err
			}
		}
		// Events with a time say themselves how far back they reach.
		if p.cut && st.timeField == nil {
			return &Error{Class: ClassPaginationStuck, Stream: st.name,
				Message: fmt.Sprintf("the vendor answers %d pages only, and the list has more", st.page.vendorMax)}
		}
		if !more || !goOn {
			if st == rd.st {
				rd.delta = p.delta
			}
			return nil
		}
		if n%checkpointPages == 0 {
			if err := rd.checkpoint(ctx, st, p, n); err != nil {
				return err
			}
		}
	}
}
