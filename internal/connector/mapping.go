// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"fmt"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// mapper turns the records of one stream into canonical ones. It is used by
// one goroutine; its variables are set anew for every record.
type mapper struct {
	st    *stream
	emits []*emit
	vars  map[string]any
}

func (s *Session) newMapper(st *stream, vars map[string]any) *mapper {
	m := &mapper{st: st, vars: vars}
	for _, e := range st.emits {
		if s.wants(e.rt.dataType) {
			m.emits = append(m.emits, e)
		}
	}
	return m
}

// mapFailure says which field of which emit failed.
type mapFailure struct {
	emit  *emit
	field string
	err   error
	id    string // the record's external id, where it could be told
}

// record maps one vendor record. Emits are independent: a record that makes no
// Person may still make an Account. Failures are reported beside the records.
func (m *mapper) record(ctx context.Context, r any, out []model.Record) ([]model.Record, []mapFailure) {
	var failures []mapFailure
	m.vars["r"] = r
	for _, e := range m.emits {
		elements := []any{nil}
		if e.each != nil {
			v, err := e.each.Eval(ctx, m.vars)
			list, ok := v.([]any)
			if err == nil && !ok && v != nil {
				err = fmt.Errorf("got %s, want a list", expr.TypeName(v))
			}
			if err != nil {
				failures = append(failures, mapFailure{emit: e, field: "forEach", err: err})
				continue
			}
			elements = list
		}
		for _, el := range elements {
			if e.as != "" {
				m.vars[e.as] = el
			}
			rec, ok, failure := m.emit(ctx, e)
			if failure != nil {
				failures = append(failures, *failure)
				continue
			}
			if ok {
				out = append(out, rec)
			}
		}
	}
	return out, failures
}

func (m *mapper) emit(ctx context.Context, e *emit) (model.Record, bool, *mapFailure) {
	if e.when != nil {
		on, err := e.when.EvalBool(ctx, m.vars)
		if err != nil {
			return model.Record{}, false, m.failed(ctx, e, "when", err)
		}
		if !on {
			return model.Record{}, false, nil
		}
	}
	rec := e.rt.fresh()
	for i := range e.fields {
		f := &e.fields[i]
		v, err := f.prg.Eval(ctx, m.vars)
		if err == nil && f.field.required && (v == nil || v == "") {
			err = fmt.Errorf("the field is required and has no value")
		}
		if err == nil {
			err = f.field.set(&rec, v)
		}
		if err != nil {
			return rec, false, m.failed(ctx, e, f.name, err)
		}
	}
	if e.custom != nil {
		v, err := e.custom.Eval(ctx, m.vars)
		if err != nil {
			return rec, false, m.failed(ctx, e, "custom", err)
		}
		if custom, ok := v.(map[string]any); ok && len(custom) > 0 {
			*e.rt.custom(&rec) = custom
		}
	}
	if rec.Account != nil {
		rec.Account.ActivityReported = m.st.activityReported
	}
	if e.rt.check != nil {
		if err := e.rt.check(&rec); err != nil {
			return rec, false, m.failed(ctx, e, "", err)
		}
	}
	return rec, true, nil
}

// failed also finds out which record it was, so that its absence from the
// stream is not taken for its absence at the vendor.
func (m *mapper) failed(ctx context.Context, e *emit, field string, err error) *mapFailure {
	f := &mapFailure{emit: e, field: field, err: err}
	for i := range e.fields {
		if name := e.fields[i].name; name == "externalId" || name == "key" {
			if v, err := e.fields[i].prg.Eval(ctx, m.vars); err == nil {
				f.id, _ = toString(v)
			}
		}
	}
	return f
}

// mask hides the local part of an e-mail address: keys reach statuses.
func mask(key string) string {
	if i := strings.LastIndexByte(key, '@'); i >= 0 {
		return "…" + key[i:]
	}
	return clip(key, 120)
}
