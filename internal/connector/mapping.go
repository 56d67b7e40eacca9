// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"fmt"
	"slices"
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
	if e.rt.drop != nil && e.rt.drop(&rec) {
		return rec, false, nil
	}
	return rec, true, nil
}

// keys are the fields by which the store knows a record. owners are those that
// identify a set of records when the rest of the key is left out.
var keys = map[string]struct{ all, owners []string }{
	"Person":            {all: []string{"externalId"}},
	"Account":           {all: []string{"appExternalId", "externalId"}},
	"Plan":              {all: []string{"key"}},
	"LicenseAssignment": {all: []string{"accountExternalId", "personKey", "planKey"}, owners: []string{"accountExternalId", "personKey"}},
	"Group":             {all: []string{"externalId"}},
	"Membership":        {all: []string{"groupExternalId", "accountExternalId"}, owners: []string{"groupExternalId", "accountExternalId"}},
	"DiscoveredApp":     {all: []string{"externalId"}},
	"Transaction":       {all: []string{"externalId"}},
	"Contract":          {all: []string{"externalId"}},
}

// tombstones appends, for each emit, the key of what the vendor's record in r
// had become. What a removed record does not say is left out: a user that is
// gone takes all of its seats along.
func (m *mapper) tombstones(ctx context.Context, out []model.Record) []model.Record {
	for _, e := range m.emits {
		if rec, ok := m.tombstone(ctx, e); ok {
			out = append(out, rec)
		}
	}
	return out
}

// replaced returns tombstones for what the record in r no longer yields, given
// what it yields now: the seats of a user beside those that are listed.
func (m *mapper) replaced(ctx context.Context, now []model.Record) []model.Record {
	var out []model.Record
	for _, e := range m.emits {
		yields := slices.ContainsFunc(now, func(r model.Record) bool { return r.Type() == e.rt.dataType })
		if e.each == nil && (e.when == nil && e.rt.drop == nil || yields) {
			continue
		}
		if rec, ok := m.tombstone(ctx, e); ok {
			out = append(out, rec)
		}
	}
	return out
}

func (m *mapper) tombstone(ctx context.Context, e *emit) (model.Record, bool) {
	rec, key := e.rt.fresh(), keys[e.kind]
	rec.Removed = true
	if e.as != "" {
		m.vars[e.as] = nil
	}
	set := map[string]bool{}
	for i := range e.fields {
		f := &e.fields[i]
		if !slices.Contains(key.all, f.name) {
			continue
		}
		if v, err := f.prg.Eval(ctx, m.vars); err == nil && v != nil && v != "" && f.field.set(&rec, v) == nil {
			set[f.name] = true
		}
	}
	for _, name := range key.owners {
		if set[name] {
			return rec, true
		}
	}
	for _, name := range key.all {
		if e.rt.fields[name].required && !set[name] {
			return rec, false
		}
	}
	return rec, len(key.all) > 0 && len(key.owners) == 0
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
