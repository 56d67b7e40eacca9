// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package defect turns a panic in one piece of work into an error of that piece, so
// that one tenant's data cannot end the process that serves all of them, again after
// every start. It tells where the program failed, never what it was working on.
package defect

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Error is a panic that was caught.
type Error struct {
	// Cause is what the runtime says, or the type of what was thrown: its text may
	// quote what was worked on.
	Cause string
	Stack []byte
}

// Error implements error with what people may read.
func (e *Error) Error() string {
	return "the program failed here, which is a defect in it: look into the manager's log, and report what it says"
}

// Caught makes an Error of what recover returned, in the deferred function that
// called it.
func Caught(v any) *Error {
	e := &Error{Cause: fmt.Sprintf("%T", v), Stack: debug.Stack()}
	if err, ok := v.(error); ok {
		if r := runtime.Error(nil); errors.As(err, &r) {
			e.Cause = r.Error()
		}
	}
	return e
}

// Guard calls fn and returns its error, or an Error if it panics.
func Guard(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = Caught(v)
		}
	}()
	return fn()
}

// Attrs are err and, if it is a defect, where it is, for one line of the log.
func Attrs(err error) []any {
	out := []any{"error", err}
	if e := (*Error)(nil); errors.As(err, &e) {
		out = append(out, "panic", e.Cause, "stack", string(e.Stack))
	}
	return out
}

// Is reports that err is, or wraps, a panic that was caught.
func Is(err error) bool {
	e := (*Error)(nil)
	return errors.As(err, &e)
}
