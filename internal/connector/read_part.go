// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// part reads and maps every page of one partition.
func (rd *reader) part(ctx context.Context, part string, p any, win *Window) error {
	vars := rd.vars()
	vars["p"], vars[rd.st.as] = p, p
	b := &batch{rd: rd, part: part, vars: vars, m: rd.s.newMapper(rd.st, vars)}
	return rd.pages(ctx, rd.st, vars, win, func(records []any) (bool, error) { return b.take(ctx, records) })
}

// batch maps the records of one partition and hands them on.
type batch struct {
	rd   *reader
	part string
	vars map[string]any
	m    *mapper
	out  []model.Record
}

func (b *batch) take(ctx context.Context, records []any) (goOn bool, err error) {
	b.out = make([]model.Record, 0, len(records)*len(b.m.emits)) // the sink may keep what it was given
	goOn = true
	for _, r := range records {
		if stop, err := b.record(ctx, r); err != nil {
			return false, err
		} else if stop {
			b.rd.stopped, goOn = true, false
			break
		}
	}
	if len(b.out) == 0 {
		return goOn, nil
	}
	for i := range b.out {
		if !b.out[i].Removed {
			b.rd.res.Records++
		}
	}
	b.rd.delivered = true
	return goOn, b.rd.sink(ctx, b.part, b.out)
}

// record maps one record; stop is true where stopWhen ends the listing.
func (b *batch) record(ctx context.Context, r any) (stop bool, err error) {
	rd, vars := b.rd, b.vars
	vars["r"] = r
	gone, err := rd.removed(ctx, vars)
	if err != nil {
		rd.quarantine(b.part, "", "removed", err, nil)
		return false, nil
	}
	if gone {
		if rd.res.Incremental {
			b.out = b.m.tombstones(ctx, b.out)
		}
		return false, nil
	}
	keep, stop, err := rd.conditions(ctx, vars)
	switch {
	case err != nil:
		rd.quarantine(b.part, "", "filter", err, nil)
		return false, nil
	case stop:
		return true, nil
	case !keep:
		if rd.res.Incremental && rd.st.byAbsence {
			b.out = b.m.tombstones(ctx, b.out) // a whole read would lack it
		}
		return false, nil
	}
	rd.res.Items++
	key, err := rd.st.key.EvalString(ctx, vars)
	if err == nil && key == "" {
		err = errors.New("the record has no key")
	}
	if err != nil {
		rd.quarantine(b.part, "", "key", err, nil)
		return false, nil
	}
	if err := rd.noteCursor(ctx, vars); err != nil {
		rd.quarantine(b.part, key, "sync.cursor", err, nil)
		return false, nil
	}
	before := len(b.out)
	var failures []mapFailure
	b.out, failures = b.m.record(ctx, r, b.out)
	for i := range failures {
		f := &failures[i]
		rd.quarantine(b.part, key, f.emit.kind+"."+f.field, f.err, f)
	}
	if rd.res.Incremental && rd.st.byAbsence && len(failures) == 0 {
		// What the record no longer yields is gone with this read, as it would be
		// with a whole one.
		b.out = slices.Insert(b.out, before, b.m.replaced(ctx, b.out[before:])...)
	}
	if err := ctx.Err(); err != nil {
		return false, &Error{Class: ClassCanceled, Stream: rd.st.name, Message: "the time for this work ran out", Err: err}
	}
	return false, nil
}

func (rd *reader) removed(ctx context.Context, vars map[string]any) (bool, error) {
	if rd.st.removed == nil {
		return false, nil
	}
	return rd.st.removed.EvalBool(ctx, vars)
}

// noteCursor keeps the newest change of the records seen.
func (rd *reader) noteCursor(ctx context.Context, vars map[string]any) error {
	if rd.st.cursor == nil {
		return nil
	}
	v, err := rd.st.cursor.Eval(ctx, vars)
	if err != nil || v == nil {
		return err
	}
	t, ok := v.(time.Time)
	if !ok {
		return fmt.Errorf("got %s, want a timestamp; use ts()", expr.TypeName(v))
	}
	if t.After(rd.newest) {
		rd.newest = t
	}
	return nil
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
