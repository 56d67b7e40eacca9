// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrorClass says what kind of failure a request or a stream met, and so who
// can mend it.
type ErrorClass string

// Error classes. The first block may appear in a manifest.
const (
	ClassAuth       ErrorClass = "auth"       // the credential is wrong, revoked or expired
	ClassPermission ErrorClass = "permission" // the credential lacks a right
	ClassPlan       ErrorClass = "plan"       // the vendor sells this in another plan
	ClassNotFound   ErrorClass = "not_found"
	ClassConflict   ErrorClass = "conflict"
	ClassRateLimit  ErrorClass = "rate_limit"
	ClassTransient  ErrorClass = "transient" // timeouts, resets, 5xx
	ClassInvalid    ErrorClass = "invalid"   // the vendor refused the request as such
	ClassReset      ErrorClass = "reset"     // what an incremental read began from has expired

	ClassUnreachable     ErrorClass = "unreachable"      // no such host, connection refused, TLS failure
	ClassPaginationStuck ErrorClass = "pagination_stuck" // a cursor, URL or page came again
	ClassMapping         ErrorClass = "mapping"          // the answer is not what the manifest expects
	ClassConfig          ErrorClass = "config"           // the Integration's config or Secret
	ClassHostRefused     ErrorClass = "host_refused"     // outside the declared hosts or a private address
	ClassAssertion       ErrorClass = "assertion"        // a connect test's expectation failed
	ClassRefusedFile     ErrorClass = "refused_file"     // a file was refused as a whole
	ClassCanceled        ErrorClass = "canceled"         // the caller gave up
)

// Error is a classified failure. Message is fit for a person and holds no
// secret; Fix says how to mend it, when that is known.
type Error struct {
	Class      ErrorClass
	Stream     string
	Message    string
	Fix        string
	RetryAfter time.Duration
	Status     int
	Err        error

	renewable bool // a new token may mend it
	// badClient: the vendor does not know who asks for a token, whatever the token.
	badClient bool
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Stream != "" {
		fmt.Fprintf(&b, "stream %s: ", e.Stream)
	}
	fmt.Fprintf(&b, "%s: %s", e.Class, e.Message)
	if e.Status != 0 && !strings.Contains(e.Message, fmt.Sprint(e.Status)) {
		fmt.Fprintf(&b, " (HTTP %d)", e.Status)
	}
	if e.Fix != "" {
		b.WriteString("; " + e.Fix)
	}
	return b.String()
}

// Unwrap returns the cause, if one is kept.
func (e *Error) Unwrap() error { return e.Err }

// Temporary reports whether the same request may succeed later unchanged.
func (e *Error) Temporary() bool {
	return e.Class == ClassTransient || e.Class == ClassRateLimit || e.Class == ClassCanceled || e.Class == ClassReset
}

// ClassOf returns the class of err, or "" when it has none.
func ClassOf(err error) ErrorClass {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return ""
}

// Problem is one fault of a manifest or of an Integration's config.
type Problem struct {
	File string
	Path string // spec.streams.users.page.type
	Line int    // 1-based; 0 when unknown
	Got  string
	Want string
	Hint string
}

// String renders the problem on one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	b.WriteString(p.Path + ": ")
	switch {
	case p.Got != "" && p.Want != "":
		fmt.Fprintf(&b, "got %s, want %s", p.Got, p.Want)
	case p.Want != "":
		b.WriteString("want " + p.Want)
	default:
		b.WriteString(p.Got)
	}
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// Problems is every fault found, in document order.
type Problems []Problem

// Error implements error by listing all problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}
