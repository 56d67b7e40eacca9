// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

const (
	// maxInput bounds the input of one call, as it is before it is sent or stored.
	maxInput = expr.MaxValue
	// maxVars bounds the variables of a run, which are read and written whenever it
	// moves on.
	maxVars = 4 << 20
	// smallResult is what is kept of a step in any case.
	smallResult = 4 << 10
)

// sizeError is that something of a call is larger than its limit.
type sizeError struct {
	what string
	most int
}

func (e *sizeError) Error() string {
	return fmt.Sprintf("%s is larger than %d bytes, which is as much as there may be", e.what, e.most)
}

// Unwrap says that it is so with any limit of an expression.
func (*sizeError) Unwrap() error { return expr.ErrTooLarge }

// take takes the size of a part of an input from what is left of its limit.
func take(part any, left int) (int, error) {
	n, ok := expr.Weigh(part, left)
	if !ok {
		return 0, &sizeError{"the input with this part of it", maxInput}
	}
	return left - n, nil
}

// roomFor counts the result of a step among the variables of its run, and reports
// whether they have room for it.
func (t *turn) roomFor(result map[string]any) bool {
	n, ok := expr.Weigh(result, maxVars)
	if n > smallResult && (!ok || len(t.run.Vars)+t.grown+n > maxVars) {
		return false
	}
	t.grown += n
	return true
}

// tooMuch ends a step whose result its run has no room for.
func (t *turn) tooMuch(n *node) {
	t.failStep(n, reasonTooLarge, fmt.Sprintf("step %q: its result is done, and cannot be kept: all variables of the run would be larger than %d bytes; keep less in outputs, or let fewer steps keep some", n.step.Name, maxVars))
}

// reasonTooLarge is why a step fails that would have its run keep too much.
const reasonTooLarge = "TooLarge"
