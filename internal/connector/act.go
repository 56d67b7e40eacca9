// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Action describes an action as it stands for this Integration.
func (s *Session) Action(name string) (ActionInfo, bool) {
	a := s.m.action(name)
	if a == nil {
		return ActionInfo{}, false
	}
	info := a.ActionInfo
	info.Enabled = s.actionEnabled(a)
	return info, true
}

func (s *Session) actionEnabled(a *action) bool {
	if a.enabled == nil {
		return true
	}
	on, err := a.enabled.EvalBool(context.Background(), s.vars())
	return err == nil && on
}

// IntentDigest identifies what a call asks for, before anything is sent: the
// connector, the action, its input and the key of the logical effect.
func (s *Session) IntentDigest(call ActionCall) string {
	input, err := encodeJSON(call.Input)
	if err != nil {
		input = []byte(fmt.Sprintf("%q", err))
	}
	sum := sha256.Sum256([]byte(s.m.name + "\n" + call.Name + "\n" + call.IdempotencyKey + "\n" + string(input)))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// allow finds the action and applies the Integration's permission (invariants
// 3 and 4). It is asked by everything that sends something for an action.
func (s *Session) allow(call ActionCall) (*action, map[string]any, error) {
	a := s.m.action(call.Name)
	if a == nil {
		return nil, nil, &Error{Class: ClassConfig, Message: fmt.Sprintf("connector %s has no action %s", s.m.name, call.Name)}
	}
	switch {
	case a.Mode == ModeAct && s.o.Permission != PermissionReadAndAct:
		return nil, nil, &Error{Class: ClassPermission, Message: "the Integration's permission is Read; " + a.Name + " writes",
			Fix: "set spec.permission to ReadAndAct"}
	case a.Destructive && !slices.Contains(s.o.Destructive, a.Name):
		return nil, nil, &Error{Class: ClassPermission, Message: a.Name + " is destructive and not granted",
			Fix: "name it in spec.destructiveActions"}
	case !s.actionEnabled(a):
		return nil, nil, &Error{Class: ClassConfig, Message: a.Name + " is switched off by config or for want of a Secret key",
			Fix: "the connector's README says what it needs"}
	}
	input, err := a.checkInput(call.Input)
	return a, input, err
}

func (s *Session) actionVars(call ActionCall, input map[string]any) map[string]any {
	vars := s.vars()
	vars["input"], vars["idempotencyKey"], vars["vars"] = input, call.IdempotencyKey, map[string]any{}
	return vars
}

// Precheck asks whether the effect is already there: ResultAlready, or
// ResultAbsent for "go ahead". An action without a precheck is Absent.
func (s *Session) Precheck(ctx context.Context, call ActionCall) (ActionResult, error) {
	a, input, err := s.allow(call)
	if err != nil {
		return refusal(err), err
	}
	return s.check(ctx, a.precheck, s.actionVars(call, input), ResultAlready)
}

// Verify asks whether the effect is there: ResultDone, or ResultAbsent. An
// action without a verification is Unknown.
func (s *Session) Verify(ctx context.Context, call ActionCall) (ActionResult, error) {
	a, input, err := s.allow(call)
	if err != nil {
		return refusal(err), err
	}
	if a.verify == nil {
		return ActionResult{Class: ResultUnknown, Message: "the action has no verification"}, nil
	}
	return s.check(ctx, a.verify, s.actionVars(call, input), ResultDone)
}

func (s *Session) check(ctx context.Context, c *check, vars map[string]any, there ResultClass) (ActionResult, error) {
	if c == nil {
		return ActionResult{Class: ResultAbsent}, nil
	}
	res := ActionResult{Class: ResultAbsent}
	if err := s.steps(ctx, c.steps, vars, &res, ""); err != nil {
		return s.ended(res, err, false)
	}
	ok, err := c.expect.EvalBool(ctx, vars)
	if err != nil {
		return s.ended(res, evalFailure("", "the check's condition", err), false)
	}
	if ok {
		res.Class = there
		if res.Output, err = evalNamed(ctx, c.output, vars); err != nil {
			return s.ended(res, evalFailure("", "output", err), false)
		}
	}
	return res, nil
}

// Execute carries the action out, once. It does not precheck or verify: the
// caller records its intent between those and this. A lost answer is
// ResultUnknown; Sent is false only if the request with the effect provably
// never left.
func (s *Session) Execute(ctx context.Context, call ActionCall) (ActionResult, error) {
	a, input, err := s.allow(call)
	if err != nil {
		return refusal(err), err
	}
	key := ""
	if a.Class == ActionKeyed {
		if key = call.IdempotencyKey; key == "" {
			err := &Error{Class: ClassConfig, Message: "the action is keyed and the call has no idempotency key"}
			return refusal(err), err
		}
	}
	vars := s.actionVars(call, input)
	res := ActionResult{Class: ResultDone}
	if err := s.steps(ctx, a.steps, vars, &res, key); err != nil {
		return s.broken(a, res, err)
	}
	if res.StatusCode == 202 {
		res.Class = ResultAccepted
	}
	if a.wait != nil {
		// The vendor goes on by itself. What was saved finds the work again.
		res.Class, res.Output = ResultAccepted, portable(vars["vars"]).(map[string]any)
		return res, nil
	}
	if res.Output, err = evalNamed(ctx, a.output, vars); err != nil {
		// The effect is there; only its description is not.
		res.Message = "output: " + err.Error()
	}
	return res, nil
}

// broken is how an action ended that did not come to its last step. Half of an
// effect is neither done nor refused, so that the next try must not be taken for
// the first: it is unknown, unless the whole may be repeated in any case.
func (s *Session) broken(a *action, res ActionResult, err error) (ActionResult, error) {
	res, told := s.ended(res, err, true)
	var f *stepFailure
	if errors.As(err, &f) && f.half && a.Class != ActionRead && a.Class != ActionIdempotent {
		res.Class = ResultUnknown
	}
	return res, told
}

// Poll asks how far the vendor is with what Execute started: ResultDone,
// ResultAccepted while it goes on, or ResultFailed without an error if it ended
// in vain. accepted is the output of Execute. With an error nothing is known,
// and asking again later is all there is to do.
func (s *Session) Poll(ctx context.Context, call ActionCall, accepted map[string]any) (ActionResult, error) {
	a, input, err := s.allow(call)
	if err != nil {
		return refusal(err), err
	}
	if a.wait == nil {
		err := &Error{Class: ClassConfig, Message: fmt.Sprintf("action %s has nothing to wait for", a.Name)}
		return refusal(err), err
	}
	vars := s.actionVars(call, input)
	if saved, ok := plainCopy(accepted).(map[string]any); ok && saved != nil {
		vars["vars"] = saved
	}
	res := ActionResult{Class: ResultAccepted}
	if err := s.steps(ctx, []stepSpec{a.wait.step}, vars, &res, ""); err != nil {
		return s.ended(res, err, false)
	}
	if a.wait.failed != nil {
		failed, err := a.wait.failed.EvalBool(ctx, vars)
		if err != nil {
			return s.ended(res, evalFailure("", "wait.failed", err), false)
		}
		if failed {
			res.Class, res.Message = ResultFailed, "the vendor began the work, and it failed"
			if words := vendorWords(vars["resp"]); words != "" {
				res.Message += ": " + clip(s.redact(words, nil), maxWords)
			}
			return res, nil
		}
	}
	done, err := a.wait.done.EvalBool(ctx, vars)
	if err != nil {
		return s.ended(res, evalFailure("", "wait.done", err), false)
	}
	if !done {
		res.Message = "the vendor is still at it"
		return res, nil
	}
	output, err := evalNamed(ctx, a.output, vars)
	if err != nil {
		return s.ended(res, evalFailure("", "output", err), false)
	}
	if a.verify != nil {
		seen, err := s.check(ctx, a.verify, vars, ResultDone)
		if err != nil || seen.Class != ResultDone {
			seen.Message = cmp.Or(seen.Message, "the vendor says that it is done; its effect is not visible yet")
			seen.Class = ResultAccepted
			return seen, err
		}
	}
	res.Class, res.Output = ResultDone, output
	return res, nil
}

// portable writes integers that JSON readers may round as text: what was
// accepted is stored before it is asked for.
func portable(v any) any {
	switch t := v.(type) {
	case int64:
		if t > 1<<53 || t < -1<<53 {
			return strconv.FormatInt(t, 10)
		}
	case []any:
		out := make([]any, len(t))
		for i, e := range t {
			out[i] = portable(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(t))
		for k, e := range t {
			out[k] = portable(e)
		}
		return out
	}
	return v
}

// steps runs requests in order. Sent, digest and status are of the last step
// with an effect.
func (s *Session) steps(ctx context.Context, steps []stepSpec, vars map[string]any, res *ActionResult, key string) error {
	half := false
	for i := range steps {
		st := &steps[i]
		if st.when != nil {
			on, err := st.when.EvalBool(ctx, vars)
			if err != nil {
				return &stepFailure{err: evalFailure("", fmt.Sprintf("steps[%d].when", i), err), half: half}
			}
			if !on {
				continue
			}
		}
		x := exchange{spec: &st.request, vars: vars, patient: st.request.method == "GET" || st.request.reads}
		if !st.safe {
			x.idempotencyKey = key
		}
		ans, err := s.do(ctx, x)
		if ans != nil {
			if !st.safe {
				res.Sent = res.Sent || ans.sent
				res.RequestDigest = ans.digest
			}
			res.StatusCode = ans.status
		}
		if err != nil {
			return &stepFailure{err: err, effect: !st.safe, sent: ans != nil && ans.sent, half: half}
		}
		half = half || !st.safe
		answerVars(vars, ans)
		saved := vars["vars"].(map[string]any)
		for _, n := range st.save {
			v, err := n.prg.Eval(ctx, vars)
			if err != nil {
				return &stepFailure{err: evalFailure("", "save."+n.name, err), half: half}
			}
			saved[n.name] = v
		}
	}
	return nil
}

// stepFailure is how one step failed.
type stepFailure struct {
	err          error
	effect, sent bool
	// half: a step before it, or its own request, had its effect.
	half bool
}

func (f *stepFailure) Error() string { return f.err.Error() }
func (f *stepFailure) Unwrap() error { return f.err }

// ended turns a failure into a result. The error is returned beside it for
// its class and fix, except where the vendor's refusal is the result.
func (s *Session) ended(res ActionResult, err error, executing bool) (ActionResult, error) {
	var f *stepFailure
	if !errors.As(err, &f) {
		f = &stepFailure{err: err}
	}
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Class: ClassTransient, Message: err.Error(), Err: err}
	}
	res.Message, res.RetryAfter = e.Message, e.RetryAfter
	switch e.Class {
	case ClassRateLimit:
		res.Class = ResultRateLimited // a limited request was not executed
	case ClassAuth, ClassPermission, ClassPlan:
		res.Class = ResultDenied
	case ClassNotFound:
		res.Class = ResultNotFound
	case ClassConflict:
		res.Class = ResultConflict
	default:
		res.Class = ResultFailed
	}
	// The step with the effect left this process, and what came back does not
	// prove a refusal: a 5xx, half an answer, or none.
	unclear := e.Class == ClassTransient || e.Class == ClassCanceled || e.Class == ClassUnreachable || e.Class == ClassMapping
	if executing && f.effect && f.sent && unclear {
		res.Class = ResultUnknown
	}
	return res, e
}

// refusal is the result of what this process itself refused to send.
func refusal(err error) ActionResult {
	class := ResultFailed
	if c := ClassOf(err); c == ClassPermission || c == ClassAuth {
		class = ResultDenied
	}
	return ActionResult{Class: class, Message: err.Error()}
}

func evalNamed(ctx context.Context, list []named, vars map[string]any) (map[string]any, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out := map[string]any{}
	for _, n := range list {
		v, err := n.prg.Eval(ctx, vars)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.name, err)
		}
		out[n.name] = v
	}
	return out, nil
}
