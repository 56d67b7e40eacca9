// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// testMapped bounds how many records of the test's page are mapped.
const testMapped = 10

// Test reads the remote identity and one page of every stream that is on, and
// judges per stream and data type. Transient failures are retried inside and
// never decide: what remains of them makes the outcome Inconclusive.
func (s *Session) Test(ctx context.Context) TestReport {
	if s.native != nil {
		rep := s.native.test(ctx)
		rep.MultiAccount = s.m.multiAccount
		return rep
	}
	rep := TestReport{MultiAccount: s.m.multiAccount}
	if s.authErr != nil {
		rep.Outcome, rep.Err = Failed, s.authErr
	} else if err := s.identify(ctx, &rep); err != nil && global(err) {
		rep.Err = err
	}
	for _, st := range s.m.streams {
		t := StreamTest{Stream: st.name, DataTypes: st.dataTypes(), Essential: st.essential}
		on, err := s.active(st)
		switch {
		case err != nil:
			t.failed(err)
		case !on:
			t.State, t.Message = TestSkipped, "switched off by config, credential or data types"
		case rep.Err != nil:
			t.State, t.Message = TestSkipped, "not tested: "+rep.Err.Message
		default:
			if err := s.testStream(ctx, st); err != nil {
				t.failed(err)
				var e *Error
				if errors.As(err, &e) && global(e) && st.request.token == nil {
					rep.Err = e
				}
			} else {
				t.State = TestPassed
			}
		}
		rep.Streams = append(rep.Streams, t)
	}
	rep.conclude()
	return rep
}

// global failures would meet every other request too.
func global(e *Error) bool {
	switch e.Class {
	case ClassAuth, ClassUnreachable, ClassHostRefused, ClassConfig, ClassCanceled:
		return true
	}
	return false
}

func (t *StreamTest) failed(err error) {
	t.State = TestFailed
	var (
		e *Error
		a *assertion
	)
	switch {
	case errors.As(err, &a):
		t.Class, t.Message = ClassAssertion, a.message
		t.Fix = "see the connector's README for the rights that this needs"
		t.outcome = a.outcome
	case errors.As(err, &e):
		t.Class, t.Message, t.Fix = e.Class, e.Message, e.Fix
	default:
		t.Class, t.Message = ClassMapping, err.Error()
	}
}

// assertion is a failed expectation of a manifest.
type assertion struct{ message, outcome string }

func (a *assertion) Error() string { return a.message }

// identify reads whose data the credential opens.
func (s *Session) identify(ctx context.Context, rep *TestReport) *Error {
	acc := s.m.account
	if acc == nil {
		return nil
	}
	vars := s.vars()
	ans, err := s.do(ctx, exchange{spec: &acc.request, vars: vars, patient: true})
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{Class: ClassTransient, Message: err.Error()}
		}
		rep.AccountError = e.Error()
		return e
	}
	answerVars(vars, ans)
	id, err := acc.id.EvalString(ctx, vars)
	if err != nil || id == "" {
		rep.AccountError = "the vendor's answer holds no account id"
		return nil
	}
	rep.Account.ID = id
	if acc.name != nil {
		if name, err := acc.name.EvalString(ctx, vars); err == nil {
			rep.Account.Name = clip(name, 200)
		}
	}
	return nil
}

// testStream reads one page, checks the manifest's expectations, and maps a
// few records without keeping them.
func (s *Session) testStream(ctx context.Context, st *stream) error {
	vars := s.streamVars(time.Time{})
	if ok, err := s.testParent(ctx, st, vars); err != nil || !ok {
		return err
	}
	if st.mode == "window" {
		end := s.clock.Now().UTC().Add(-st.lag)
		vars["window"] = map[string]any{"start": end.Add(-st.step), "end": end}
	}
	records, err := s.testPage(ctx, st, vars)
	if err != nil {
		return err
	}
	vars["records"] = records
	for _, e := range st.testExpect {
		ok, err := e.when.EvalBool(ctx, vars)
		if err != nil {
			return evalFailure(st.name, "test.expect", err)
		}
		if !ok {
			return &assertion{e.otherwise, e.outcome}
		}
	}
	m := s.newMapper(st, vars)
	var mapped, failed int
	var first *mapFailure
	for _, r := range records[:min(len(records), testMapped)] {
		vars["r"] = r
		if st.filter != nil {
			if keep, err := st.filter.EvalBool(ctx, vars); err != nil || !keep {
				continue
			}
		}
		out, failures := m.record(ctx, r, nil)
		mapped += len(out)
		failed += len(failures)
		if len(failures) > 0 && first == nil {
			first = &failures[0]
		}
	}
	if failed > 0 && mapped == 0 {
		return evalFailure(st.name, first.emit.kind+"."+first.field, first.err)
	}
	return nil
}

// testParent fills in a first parent for a stream with forEach. ok is false if
// there is none, and then nothing to test.
func (s *Session) testParent(ctx context.Context, st *stream, vars map[string]any) (ok bool, err error) {
	switch {
	case st.items != nil:
		v, err := st.items.Eval(ctx, vars)
		list, isList := v.([]any)
		if err != nil || !isList {
			return false, evalFailure(st.name, "forEach.items", errors.Join(errors.New("no list"), err))
		}
		if len(list) == 0 {
			return false, nil
		}
		vars["p"], vars[st.as] = list[0], list[0]
	case st.parent != "":
		parents, err := s.testPage(ctx, s.m.stream(st.parent), s.streamVars(time.Time{}))
		if err != nil {
			return false, err
		}
		for _, p := range parents {
			vars["p"], vars[st.as] = p, p
			if st.parentWhen == nil {
				return true, nil
			}
			on, err := st.parentWhen.EvalBool(ctx, vars)
			if err != nil {
				return false, evalFailure(st.name, "forEach.when", err)
			}
			if on {
				return true, nil
			}
		}
		return false, nil
	}
	return true, nil
}

func (s *Session) testPage(ctx context.Context, st *stream, vars map[string]any) ([]any, error) {
	query := map[string]string{}
	for _, q := range st.testQuery {
		v, err := q.value.Text(ctx, vars, nil)
		if err != nil {
			return nil, evalFailure(st.name, "test.query", err)
		}
		query[q.name] = v
	}
	x := exchange{spec: &st.request, vars: vars, patient: true, stream: st.name}
	s.newPager(st).place(&x)
	if x.query == nil {
		x.query = query
	} else {
		maps.Copy(x.query, query)
	}
	if st.decode.streams() {
		return s.testStreamed(ctx, st, x)
	}
	ans, err := s.do(ctx, x)
	if err != nil {
		return nil, err
	}
	return recordsOf(ctx, st, answerVars(vars, ans))
}

// testStreamed reads the first batch of an answer that may have no end.
func (s *Session) testStreamed(ctx context.Context, st *stream, x exchange) ([]any, error) {
	var first []any
	rd := s.newReader(st, nil)
	_, err := rd.fetch(ctx, st, x, func(records []any) (bool, error) {
		first = records
		return false, nil
	})
	return first, err
}

// conclude derives the outcome and the verdict per data type from the streams.
func (rep *TestReport) conclude() {
	failed, transient := false, false
	partial := false
	if rep.Err != nil {
		if rep.Err.Temporary() {
			transient = true
		} else {
			failed = true
		}
	}
	for i := range rep.Streams {
		t := &rep.Streams[i]
		if t.State != TestFailed {
			continue
		}
		e := &Error{Class: t.Class, Stream: t.Stream, Message: t.Message, Fix: t.Fix}
		switch {
		case e.Temporary():
			transient = true
		case t.Essential || t.outcome == "C":
			failed = true
		default:
			partial = true
			continue
		}
		if rep.Err == nil {
			rep.Err = e
		}
	}
	switch {
	case failed:
		rep.Outcome = Failed
	case transient:
		rep.Outcome = Inconclusive
	case partial:
		rep.Outcome = Partial
	default:
		rep.Outcome = AllPassed
	}
	rep.perDataType()
}

func (rep *TestReport) perDataType() {
	byType := map[model.DataType]*DataTypeTest{}
	var order []model.DataType
	rank := map[TestState]int{TestSkipped: 0, TestPassed: 1, TestFailed: 2}
	for _, t := range rep.Streams {
		for _, dt := range t.DataTypes {
			d, ok := byType[dt]
			if !ok {
				d = &DataTypeTest{DataType: dt, State: t.State, Class: t.Class, Message: t.Message, Fix: t.Fix}
				byType[dt] = d
				order = append(order, dt)
			} else if rank[t.State] > rank[d.State] {
				*d = DataTypeTest{DataType: dt, State: t.State, Class: t.Class, Message: t.Message, Fix: t.Fix}
			}
		}
	}
	slices.Sort(order)
	for _, dt := range order {
		rep.DataTypes = append(rep.DataTypes, *byType[dt])
	}
}
