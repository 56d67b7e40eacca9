// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package failpoint names the instants at which a crash test kills the
// process. Without a hook, which only that test sets, Hit does nothing.
package failpoint

import "sync/atomic"

var hook atomic.Pointer[func(name string)]

// Set installs the hook that Hit calls; nil removes it.
func Set(h func(name string)) {
	if h == nil {
		hook.Store(nil)
		return
	}
	hook.Store(&h)
}

// Hit says that the process has come to a named instant.
func Hit(name string) {
	if h := hook.Load(); h != nil {
		(*h)(name)
	}
}

// Names of the instants, in the order of a run's life.
const (
	RunCreatedBeforeCommit    = "run-created-before-commit"
	BeforeIntent              = "before-intent"
	AfterIntentBeforeSend     = "after-intent-before-send"
	AfterEffectBeforeOutcome  = "after-effect-before-outcome"
	PromptPostedNotRecorded   = "prompt-posted-not-recorded"
	OutcomeBeforeCommit       = "outcome-before-commit"
	AfterOutcomeBeforeNext    = "after-outcome-before-next"
	WaitFiredBeforeCommit     = "wait-fired-before-commit"
	AnswerBeforeCommit        = "answer-before-commit"
	AnswerRecordedBeforeAck   = "answer-recorded-before-ack"
	BeforeVerify              = "before-verify"
	AfterVerifyBeforeOutcome  = "after-verify-before-outcome"
	BookBeforeCommit          = "book-before-commit"
	BookAfterCommit           = "book-after-commit"
	MessageUpdatedNotRecorded = "message-updated-not-recorded"
	EndBeforeCommit           = "end-before-commit"
)

// All lists every name.
var All = []string{
	RunCreatedBeforeCommit, BeforeIntent, AfterIntentBeforeSend, AfterEffectBeforeOutcome, PromptPostedNotRecorded, OutcomeBeforeCommit,
	AfterOutcomeBeforeNext, WaitFiredBeforeCommit, AnswerBeforeCommit, AnswerRecordedBeforeAck, BeforeVerify, AfterVerifyBeforeOutcome,
	BookBeforeCommit, BookAfterCommit, MessageUpdatedNotRecorded, EndBeforeCommit,
}
