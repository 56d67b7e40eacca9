// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Sealer seals what a run must keep and nobody may read (invariant 10). The
// name binds a value to its run and its place there.
type Sealer interface {
	SealValue(tenant model.TenantID, name string, plain []byte) (store.SealedValue, error)
	OpenValue(tenant model.TenantID, name string, v store.SealedValue) ([]byte, error)
}

const (
	// masked is shown in place of a sensitive value.
	masked = "[sensitive]"
	// minRedacted is the length from which a sensitive value is looked for in
	// texts; shorter ones would hide ordinary words.
	minRedacted = 4
)

var errNoSealer = errors.New("nothing here seals sensitive values: the manager has no key file")

// sealedName binds a sealed value to its run and place.
func (t *turn) sealedName(place string) string { return store.SealedRunValue(t.run.ID, place) }

// seal returns what the run's variables hold in place of a sensitive value.
func (t *turn) seal(place string, v any) (any, error) {
	if t.env.sealer == nil {
		return nil, errNoSealer
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	name := t.sealedName(place)
	sealed, err := t.env.sealer.SealValue(t.run.Tenant, name, raw)
	if err != nil {
		return nil, err
	}
	sealed.Name = name
	return map[string]any{store.SealedMark: sealed}, nil
}

// sealedIn reads an envelope that seal made.
func sealedIn(v any) (out store.SealedValue, ok bool) {
	m, isMap := v.(map[string]any)
	if !isMap || len(m) != 1 {
		return out, false
	}
	inner, ok := m[store.SealedMark]
	if !ok {
		return out, false
	}
	if out, ok = inner.(store.SealedValue); ok {
		return out, true
	}
	raw, err := json.Marshal(inner)
	return out, err == nil && json.Unmarshal(raw, &out) == nil
}

// open returns a sealed value. The name that it was stored with counts for
// nothing: one that was moved does not open.
func (t *turn) open(place string, s store.SealedValue) (any, error) {
	if t.env.sealer == nil {
		return nil, errNoSealer
	}
	raw, err := t.env.sealer.OpenValue(t.run.Tenant, t.sealedName(place), s)
	if err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, errors.New("a sealed value is no JSON")
	}
	return plain(v), nil
}

// sealedValue is a sensitive value of a step's result, opened when an
// expression of a step that may use it comes to it.
type sealedValue struct {
	turn         *turn
	step, output string
	sealed       store.SealedValue
}

// Open implements expr.Lazy.
func (s sealedValue) Open() (any, error) {
	if !s.turn.mayOpen() {
		return nil, fmt.Errorf("steps.%s.%s is sensitive: only action and http steps and the cases of a switch may use it", s.step, s.output)
	}
	v, err := s.turn.open(s.step+"/"+s.output, s.sealed)
	if err == nil {
		s.turn.opened = append(s.turn.opened, v)
	}
	return v, err
}

// MarshalJSON keeps it from being written by accident.
func (s sealedValue) MarshalJSON() ([]byte, error) {
	return nil, fmt.Errorf("steps.%s.%s is sensitive, and only action and http steps and the cases of a switch may use it", s.step, s.output)
}

// unwritten says in words why a value could not be written as JSON.
func unwritten(err error) error {
	for m := (*json.MarshalerError)(nil); errors.As(err, &m); {
		err = m.Unwrap()
	}
	return err
}

// mayOpen reports whether the current step is of a kind that takes sensitive
// values: one that sends them, or only compares them.
func (t *turn) mayOpen() bool {
	n, ok := t.node(t.run.StepPath)
	return ok && (n.step.Action != nil || n.step.HTTP != nil || n.step.Switch != nil)
}

// withSealed makes the sealed values of results what expressions can ask for.
func (t *turn) withSealed(scope map[string]any) {
	steps, _ := scope["steps"].(map[string]any)
	for step, result := range steps {
		members, _ := result.(map[string]any)
		for output, v := range members {
			if s, ok := sealedIn(v); ok {
				members[output] = sealedValue{t, step, output, s}
			}
		}
	}
}

// reveal opens the sealed values in what a template gave: those of a result
// that was taken as a whole.
func reveal(v any) (any, error) {
	switch x := v.(type) {
	case sealedValue:
		return x.Open()
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			r, err := reveal(e)
			if err != nil {
				return nil, err
			}
			out[k] = r
		}
		return out, nil
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			r, err := reveal(e)
			if err != nil {
				return nil, err
			}
			out[i] = r
		}
		return out, nil
	}
	return v, nil
}

// redact takes the sensitive values that this turn opened out of a text.
func (t *turn) redact(text string) string {
	if len(t.opened) == 0 || text == "" {
		return text
	}
	var marks []string
	for _, v := range t.opened {
		marks = appendTexts(marks, v)
	}
	// The longest first, so that no rest of one stays behind another.
	slices.SortFunc(marks, func(a, b string) int { return len(b) - len(a) })
	for _, m := range marks {
		text = strings.ReplaceAll(text, m, masked)
	}
	return text
}

// appendTexts adds the forms in which a value may stand in a text.
func appendTexts(out []string, v any) []string {
	switch x := v.(type) {
	case map[string]any:
		for _, e := range x {
			out = appendTexts(out, e)
		}
	case []any:
		for _, e := range x {
			out = appendTexts(out, e)
		}
	case nil, bool:
	default:
		s := fmt.Sprint(x)
		quoted, _ := json.Marshal(s) // a string always encodes
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s), strings.Trim(string(quoted), `"`)} {
			if len(form) >= minRedacted {
				out = append(out, form)
			}
		}
	}
	return out
}

// mask is redact for every text in a value.
func (t *turn) mask(v any) any {
	if len(t.opened) == 0 {
		return v
	}
	switch x := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			out[k] = t.mask(e)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = t.mask(e)
		}
		return out
	case string:
		return t.redact(x)
	case int64, float64:
		if s := fmt.Sprint(x); t.redact(s) != s {
			return masked
		}
	}
	return v
}

// sensitive reports whether the step's answer holds what must be sealed.
func (s Step) sensitive() bool { return len(s.Sensitive) > 0 }

// addOutput adds one output to a step's result, sealed where it is sensitive.
func (t *turn) addOutput(s Step, name string, v any, result map[string]any) error {
	v = exact(v)
	if slices.Contains(s.Sensitive, name) {
		sealed, err := t.seal(s.Name+"/"+name, v)
		if err != nil {
			return err
		}
		v = sealed
	} else {
		v = t.mask(v)
	}
	result[name] = v
	return nil
}

// exact writes integers as text that would be rounded where they are stored.
func exact(v any) any {
	switch x := v.(type) {
	case int64:
		if x > 1<<53 || x < -1<<53 {
			return strconv.FormatInt(x, 10)
		}
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = exact(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			out[k] = exact(e)
		}
		return out
	}
	return v
}

// cursorPlace is where the answer of a call whose verification goes on is kept.
const cursorPlace = "cursor"

// sealCursor seals the answer that the cursor holds between two turns.
func (t *turn) sealCursor(c cursor) (cursor, error) {
	n, ok := t.node(t.run.StepPath)
	if c.Output == nil || !ok || !n.step.sensitive() {
		return c, nil
	}
	sealed, err := t.seal(cursorPlace, c.Output)
	c.Sealed, c.Output = sealed, nil
	return c, err
}

// openCursor is the way back.
func (t *turn) openCursor() error {
	s, ok := sealedIn(t.cur.Sealed)
	if !ok {
		return nil
	}
	v, err := t.open(cursorPlace, s)
	if err != nil {
		return err
	}
	t.cur.Output, _ = v.(map[string]any)
	t.cur.Sealed = nil
	return nil
}

// forgetSealed drops the sealed values of a run that nobody resumes.
func (t *turn) forgetSealed() {
	steps, _ := t.vars["steps"].(map[string]any)
	for _, result := range steps {
		members, _ := result.(map[string]any)
		for output, v := range members {
			if _, ok := sealedIn(v); ok {
				members[output] = masked
			}
		}
	}
}

// noValue says why an expression over an answer failed, without what the
// answer holds: the words of such a failure may quote it.
func noValue(err error) string {
	if _, after, ok := strings.Cut(err.Error(), "no such key: "); ok {
		return "no such key: " + after
	}
	return "the expression has no value for this answer"
}
