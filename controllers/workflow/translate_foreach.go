// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	engine "github.com/seatkeeper/seatkeeper/internal/workflow"
)

// loop is a forEach of any level.
type loop struct {
	base  v1alpha1.LoopBase
	steps []step
}

func loopOf(l *v1alpha1.ForEach) *loop {
	if l == nil {
		return nil
	}
	out := &loop{base: l.LoopBase}
	for _, s := range l.Steps {
		out.steps = append(out.steps, fromInner(s))
	}
	return out
}

func loopOfLeaves(l *v1alpha1.LeafForEach) *loop {
	if l == nil {
		return nil
	}
	out := &loop{base: l.LoopBase}
	for _, s := range l.Steps {
		out.steps = append(out.steps, step{base: s.StepBase, action: s.StepAction})
	}
	return out
}

// forEach translates a loop.
func (t *translator) forEach(field string, l loop) (*engine.ForEachStep, error) {
	out := &engine.ForEachStep{In: string(l.base.In), As: l.base.As}
	if l.base.FailurePolicy == engine.FailureStop {
		out.FailurePolicy = engine.FailureStop
	}
	if l.base.MaxParallel > 1 {
		out.MaxParallel = int(l.base.MaxParallel)
	}
	var err error
	out.Steps, err = t.steps(field+".forEach.steps", l.steps)
	return out, err
}
