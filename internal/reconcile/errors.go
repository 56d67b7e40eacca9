// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"errors"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

// StallingError says that only a change of the object or of what it refers to
// helps; the object is Stalled and is not retried by time.
type StallingError struct {
	Reason, Message string
	// After is when to look again at an object that is of use all the same, since
	// it shows what changes by time; 0 waits for an event alone.
	After time.Duration
	// Verbatim keeps the message as it is, up to MaxVerbatim: for one that prints
	// what people apply, and nothing that differs from one try to the next.
	Verbatim bool
}

func (e *StallingError) Error() string { return e.Reason + ": " + e.Message }

// Stalling reports a terminal failure. The message says what is wrong, where,
// and how to mend it, and holds nothing that differs from one try to the next.
func Stalling(reason, format string, args ...any) error {
	return &StallingError{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// WaitingError says that the object waits for something else and that nothing
// has failed.
type WaitingError struct {
	Reason, Message string
	// After is when to look again; 0 waits for an event alone.
	After time.Duration
}

func (e *WaitingError) Error() string { return e.Reason + ": " + e.Message }

// Waiting reports that the object waits; it is looked at again after the given
// time, or on an event if that is 0.
func Waiting(reason string, after time.Duration, format string, args ...any) error {
	return &WaitingError{Reason: reason, Message: fmt.Sprintf(format, args...), After: after}
}

// TransientError gives a failure that is retried with back-off a reason and a
// message of its own. Any error of no other class is transient too.
type TransientError struct {
	Reason, Message string
	Err             error
}

func (e *TransientError) Error() string {
	if e.Err == nil {
		return e.Reason + ": " + e.Message
	}
	return e.Reason + ": " + e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *TransientError) Unwrap() error { return e.Err }

// Transient reports a failure that is retried with back-off. err goes to the
// log, the message to the condition.
func Transient(err error, reason, format string, args ...any) error {
	return &TransientError{Reason: reason, Message: fmt.Sprintf(format, args...), Err: err}
}

// verdict is an error's class with what the conditions say of it.
type verdict struct {
	class           class
	reason, message string
	verbatim        bool
	after           time.Duration
	err             error
}

type class int

const (
	classDone class = iota
	classWaiting
	classStalled
	classTransient
)

func classify(err error) verdict {
	var stalling *StallingError
	var waiting *WaitingError
	var transient *TransientError
	switch {
	case err == nil:
		return verdict{class: classDone}
	case errors.As(err, &stalling):
		return verdict{class: classStalled, reason: stalling.Reason, message: stalling.Message, verbatim: stalling.Verbatim, after: stalling.After, err: err}
	case errors.As(err, &waiting):
		return verdict{class: classWaiting, reason: waiting.Reason, message: waiting.Message, after: waiting.After, err: err}
	case errors.As(err, &transient):
		return verdict{class: classTransient, reason: transient.Reason, message: transient.Message, err: err}
	}
	return verdict{class: classTransient, reason: v1alpha1.ReasonTransientError, message: err.Error(), err: err}
}
