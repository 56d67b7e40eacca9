// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/schedule"
	"github.com/seatkeeper/seatkeeper/internal/trigger"
	engine "github.com/seatkeeper/seatkeeper/internal/workflow"
)

// defaultTimeout is how long a run may take whose Workflow does not say.
const defaultTimeout = 90

// Defaults of spec.retry, as the API documents them.
const (
	defaultAttempts   = 5
	defaultBackoff    = 10 * time.Second
	defaultMaxBackoff = time.Hour
)

// plan is what a spec says, as the engine runs it.
type plan struct {
	definition engine.Definition
	trigger    string        // the kind
	starts     *trigger.Spec // what it says; nil: nothing starts runs by itself
	uses       []use
	calls      []call
	apps       []appName
	offboards  []string // the fields of the steps
	requests   []httpUse
	warnings   []string
	// destructive says that a step takes away what is not given back by itself.
	destructive bool
}

// use is an action that a step asks of an Integration.
type use struct {
	field       string
	integration string
	action      string
	inputs      []string
	literal     string // where a credential stands in the input
}

// stepError says which step is wrong.
type stepError struct{ field, message string }

func (e *stepError) Error() string { return e.field + ": " + e.message }

// translate turns a spec into a definition. It looks at nothing else.
func translate(spec v1alpha1.WorkflowSpec) (*plan, error) {
	p := &plan{definition: engine.Definition{Language: engine.LanguageCEL, When: string(spec.When), Timeout: engine.Days(defaultTimeout)}}
	p.triggerOf(spec.Trigger)
	p.definition.Concurrency = concurrency(spec.Concurrency)
	var err error
	if p.starts, err = startsOf(spec, p.definition.Subject); err != nil {
		return nil, err
	}
	if spec.Timeout != "" {
		if p.definition.Timeout, err = limit("spec.timeout", spec.Timeout); err != nil {
			return nil, err
		}
	}
	t := &translator{plan: p, retry: spec.Retry}
	steps, onFailure := make([]step, 0, len(spec.Steps)), make([]step, 0, len(spec.OnFailure))
	for _, s := range spec.Steps {
		steps = append(steps, fromStep(s))
	}
	for _, s := range spec.OnFailure {
		onFailure = append(onFailure, step{base: s.StepBase, action: s.StepAction})
	}
	if p.definition.Steps, err = t.steps("spec.steps", steps); err != nil {
		return nil, err
	}
	if p.definition.OnFailure, err = t.steps("spec.onFailure", onFailure); err != nil {
		return nil, err
	}
	if p.warnings, err = sensitive(steps, onFailure); err != nil {
		return nil, err
	}
	maybe, err := refer(steps, onFailure)
	if err != nil {
		return nil, err
	}
	p.warnings = append(p.warnings, maybe...)
	return p, nil
}

// triggerOf notes what starts runs and what they are about.
func (p *plan) triggerOf(t v1alpha1.Trigger) {
	kinds := map[string]bool{
		"manual": t.Manual != nil, "person": t.Person != nil, "application": t.Application != nil, "license": t.License != nil,
		"contract": t.Contract != nil, "realtime": t.Realtime != nil, "webhook": t.Webhook != nil, "schedule": t.Schedule != nil,
	}
	for kind, set := range kinds {
		if set {
			p.trigger = kind
		}
	}
	switch {
	case t.Application != nil, t.Manual != nil && t.Manual.Subject == engine.SubjectApplication:
		p.definition.Subject = engine.SubjectApplication
	case t.Contract != nil, t.Manual != nil && t.Manual.Subject == engine.SubjectContract:
		p.definition.Subject = engine.SubjectContract
	case t.License != nil:
		p.definition.Subject = engine.SubjectLicense
	case t.Manual != nil && t.Manual.Subject == engine.SubjectPerson, t.Person != nil, t.Webhook != nil && t.Webhook.Person != nil,
		t.Realtime != nil && t.Realtime.Subject == engine.SubjectPerson:
		p.definition.Subject = engine.SubjectPerson
	}
}

// step is a step of any level.
type step struct {
	base   v1alpha1.StepBase
	action v1alpha1.StepAction
	cases  []branch
	isCase bool
	loop   *loop
}

type branch struct {
	when  v1alpha1.Expression
	steps []step
}

func fromStep(s v1alpha1.Step) step {
	out := step{base: s.StepBase, action: s.StepAction, loop: loopOf(s.ForEach), isCase: len(s.Switch) > 0}
	for _, c := range s.Switch {
		b := branch{when: c.When}
		for _, inner := range c.Steps {
			b.steps = append(b.steps, fromInner(inner))
		}
		out.cases = append(out.cases, b)
	}
	return out
}

func fromInner(s v1alpha1.InnerStep) step {
	out := step{base: s.StepBase, action: s.StepAction, loop: loopOfLeaves(s.ForEach), isCase: len(s.Switch) > 0}
	for _, c := range s.Switch {
		b := branch{when: c.When}
		for _, leaf := range c.Steps {
			b.steps = append(b.steps, step{base: leaf.StepBase, action: leaf.StepAction})
		}
		out.cases = append(out.cases, b)
	}
	return out
}

type translator struct {
	plan  *plan
	retry *v1alpha1.Retry
}

func (t *translator) steps(field string, in []step) ([]engine.Step, error) {
	out := make([]engine.Step, 0, len(in))
	for _, s := range in {
		at := field + "[" + string(s.base.Name) + "]"
		e, err := t.step(at, s)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// step translates one step.
func (t *translator) step(field string, s step) (out engine.Step, err error) {
	out = engine.Step{Name: string(s.base.Name), When: string(s.base.When)}
	if s.base.OnError != "Fail" {
		out.OnError = s.base.OnError
	}
	if s.base.Timeout != "" {
		if out.Timeout, err = limit(field+".timeout", s.base.Timeout); err != nil {
			return out, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.base.Outputs)) {
		if s.base.Outputs[name].Sensitive {
			out.Sensitive = append(out.Sensitive, name)
		}
		if out.Outputs == nil {
			out.Outputs = map[string]string{}
		}
		out.Outputs[name] = string(s.base.Outputs[name].Value)
	}
	if len(out.Outputs) > 0 && s.action.Action == nil && s.action.HTTP == nil && s.action.Workflow == nil {
		return out, &stepError{field + ".outputs", "only a step that calls something has an answer to take outputs from"}
	}
	switch {
	case s.action.Action != nil:
		out.Action, err = t.action(field, s)
	case s.action.HTTP != nil:
		out.HTTP, err = t.http(field, s)
	case s.action.Approval != nil, s.action.Ask != nil, s.action.Delegate != nil:
		out.Ask, err = t.asks(field, s)
	case s.action.Notify != nil:
		out.Notify, err = t.notify(field+".notify", *s.action.Notify)
	case s.action.Wait != nil:
		out.Wait, err = t.wait(field+".wait", *s.action.Wait)
	case s.action.Offboarding != nil:
		out.Offboarding, err = t.offboarding(field, *s.action.Offboarding)
	case s.action.Workflow != nil:
		out.Workflow, err = t.workflow(field, *s.action.Workflow)
	case s.loop != nil:
		out.ForEach, err = t.forEach(field, *s.loop)
	case s.isCase:
		out.Switch, err = t.cases(field, s.cases)
	default:
		err = &stepError{field, "the step does nothing"}
	}
	return out, err
}

func (t *translator) action(field string, s step) (*engine.ActionStep, error) {
	a := s.action.Action
	out := &engine.ActionStep{Integration: escape(string(a.Integration)), Action: string(a.Name)}
	for _, name := range slices.Sorted(maps.Keys(a.With)) {
		var v any
		if raw := a.With[name].Raw; len(raw) > 0 {
			if err := json.Unmarshal(raw, &v); err != nil {
				return nil, &stepError{field + ".action.with." + name, "is no JSON"}
			}
		}
		if out.With == nil {
			out.With = map[string]any{}
		}
		out.With[name] = v
	}
	t.plan.uses = append(t.plan.uses, use{field + ".action", string(a.Integration), string(a.Name), slices.Sorted(maps.Keys(a.With)), secretIn("", "with", out.With)})
	var err error
	out.Retry, err = t.retries(field, s)
	return out, err
}

// retries are those of the step, else of the Workflow, else the defaults.
func (t *translator) retries(field string, s step) (out engine.Retry, err error) {
	out = engine.Retry{MaxAttempts: defaultAttempts, Base: engine.Span{Elapsed: defaultBackoff}, Max: engine.Span{Elapsed: defaultMaxBackoff}}
	retry := s.base.Retry
	if retry == nil {
		retry, field = t.retry, "spec"
	}
	if retry == nil {
		return out, nil
	}
	if retry.MaxAttempts != nil {
		out.MaxAttempts = int(*retry.MaxAttempts)
	}
	if retry.Backoff != "" {
		if out.Base, err = span(field+".retry.backoff", v1alpha1.DurationOrDays(retry.Backoff)); err != nil {
			return out, err
		}
	}
	if retry.MaxBackoff != "" {
		out.Max, err = span(field+".retry.maxBackoff", v1alpha1.DurationOrDays(retry.MaxBackoff))
	}
	return out, err
}

func (t *translator) wait(field string, w v1alpha1.WaitStep) (*engine.WaitStep, error) {
	if w.BusinessDays != 0 {
		return &engine.WaitStep{BusinessDays: int(w.BusinessDays)}, nil
	}
	if w.Until == nil {
		s, err := span(field+".for", w.For)
		return &engine.WaitStep{For: s}, err
	}
	m, err := moment(field+".until", *w.Until)
	return &engine.WaitStep{Until: &m}, err
}

func moment(field string, in v1alpha1.Moment) (engine.Moment, error) {
	m := engine.Moment{Date: string(in.Date), OffsetDays: int(in.OffsetDays), Time: in.Time, Zone: string(in.Zone)}
	if in.OffsetBusinessDays != nil {
		n := int(*in.OffsetBusinessDays)
		m.OffsetBusinessDays = &n
	}
	switch m.Zone {
	case "", engine.ZonePerson, engine.ZoneOrganization:
	default:
		if _, err := schedule.Zone(m.Zone); err != nil {
			return m, &stepError{field + ".zone", err.Error() + ", or Person or Organization"}
		}
	}
	return m, nil
}

func (t *translator) cases(field string, in []branch) (*engine.SwitchStep, error) {
	out := &engine.SwitchStep{}
	for i, b := range in {
		at := field + ".switch[" + strconv.Itoa(i) + "]"
		steps, err := t.steps(at+".steps", b.steps)
		if err != nil {
			return nil, err
		}
		if b.when != "" {
			if strings.TrimSpace(string(b.when)) == "true" && i != len(in)-1 {
				return nil, &stepError{at + ".when", "is always true, so no case behind it is ever reached: put it last"}
			}
			if j := slices.IndexFunc(in[:i], func(c branch) bool { return strings.TrimSpace(string(c.when)) == strings.TrimSpace(string(b.when)) }); j >= 0 {
				return nil, &stepError{at + ".when", fmt.Sprintf("is the condition of case %d, which comes first, so this case is never reached", j)}
			}
			out.When = append(out.When, engine.CaseStep{When: string(b.when), Steps: steps})
			continue
		}
		if i != len(in)-1 {
			return nil, &stepError{at, "has no condition, so no case behind it is ever reached: put it last"}
		}
		out.Otherwise = steps
	}
	return out, nil
}

// limit is a span after which something ends: none at all would be no limit.
func limit(field string, s v1alpha1.DurationOrDays) (engine.Span, error) {
	out, err := span(field, s)
	if err == nil && out.IsZero() {
		err = &stepError{field, fmt.Sprintf("%q is no time at all; leave the field out for its default", s)}
	}
	return out, err
}

func span(field string, s v1alpha1.DurationOrDays) (engine.Span, error) {
	out, err := engine.ParseSpan(string(s))
	if err != nil {
		return out, &stepError{field, err.Error()}
	}
	return out, nil
}

// escape keeps a literal from being read as a template.
func escape(s string) string { return strings.ReplaceAll(s, "${", "$${") }
