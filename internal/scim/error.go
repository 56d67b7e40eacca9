// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// ScimType says which kind of bad request was made (RFC 7644 section 3.12, table 9).
type ScimType string //nolint:revive // the protocol calls it scimType

// The kinds of RFC 7644 table 9.
const (
	InvalidFilter ScimType = "invalidFilter"
	TooMany       ScimType = "tooMany"
	Uniqueness    ScimType = "uniqueness"
	Mutability    ScimType = "mutability"
	InvalidSyntax ScimType = "invalidSyntax"
	InvalidPath   ScimType = "invalidPath"
	NoTarget      ScimType = "noTarget"
	InvalidValue  ScimType = "invalidValue"
	InvalidVers   ScimType = "invalidVers"
	Sensitive     ScimType = "sensitive"
)

// Error is a refusal in the terms of the protocol. Its Detail names attributes
// and limits, never a value that was sent, so that it may be answered and logged.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Type is empty where RFC 7644 defines none for the status.
	Type ScimType
	// Detail says what is wrong and how to mend it.
	Detail string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Type == "" {
		return fmt.Sprintf("scim: %d: %s", e.Status, e.Detail)
	}
	return fmt.Sprintf("scim: %d %s: %s", e.Status, e.Type, e.Detail)
}

// Document is the body that answers the refusal.
func (e *Error) Document() ErrorDocument {
	return ErrorDocument{Schemas: []string{ErrorURN}, Status: strconv.Itoa(e.Status), ScimType: e.Type, Detail: e.Detail}
}

// AsError finds the Error that err is or wraps.
func AsError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// badRequest is a 400 of the given kind.
func badRequest(kind ScimType, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Type: kind, Detail: fmt.Sprintf(format, args...)}
}

// tooLarge is a 413: what was asked exceeds a documented limit.
func tooLarge(format string, args ...any) *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf(format, args...)}
}
