// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

// action is a write, with what makes it safe to repeat.
type action struct {
	ActionInfo
	enabled  *expr.Program
	input    []inputSpec
	precheck *check
	steps    []stepSpec
	wait     *waitSpec
	verify   *check
	output   []named
}

type inputSpec struct {
	InputField
	maxLength int
}

// check is a precheck or a verification.
type check struct {
	steps  []stepSpec
	expect *expr.Program // precheck.done, verify.expect
	output []named
}

type stepSpec struct {
	request requestSpec
	when    *expr.Program
	save    []named
	// safe steps may be repeated or lost without harm, whatever their method.
	safe bool
}

// waitSpec follows work that the vendor goes on with after it has answered.
type waitSpec struct {
	step         stepSpec
	every        time.Duration
	timeout      time.Duration
	done, failed *expr.Program
}
