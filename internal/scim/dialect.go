// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

// Dialect says where a reading of the protocol is more tolerant than its text.
// The zero value is strict. What can be normalised before the protocol is read
// is not here but in package compat, which also has the Dialect that goes with it.
type Dialect struct {
	// BareLiterals accepts a comparison value without quotes: externalId eq jyoung.
	BareLiterals bool
	// StringBooleans accepts "True" and "False" for a boolean in a filter.
	StringBooleans bool
	// EmptyOperations accepts a PATCH that has no operation.
	EmptyOperations bool
	// CreateUnmatched lets add and replace create the element that their value
	// filter describes where none matches.
	CreateUnmatched bool
	// RemoveListed lets remove name the values to remove in "value".
	RemoveListed bool
	// RepeatedTypes accepts two values of one type in emails, phoneNumbers,
	// ims, photos and addresses.
	RepeatedTypes bool
	// AnySchemas accepts a body whose "schemas" lacks the resource's own.
	AnySchemas bool
}

// Strict is the protocol to the letter.
var Strict = Dialect{}

// Limits that hold before anything recurses or multiplies.
const (
	// MaxJSONDepth bounds how deep objects and arrays may nest.
	MaxJSONDepth = 32
	// MaxJSONNames bounds the names of one object.
	MaxJSONNames = 1024
	// MaxJSONValues bounds the values of one body: 100 for each of 1,000 operations.
	MaxJSONValues = 100_000
	// MaxFilterLength bounds a filter and a path, in bytes.
	MaxFilterLength = 4 << 10
	// MaxFilterDepth bounds how deep parentheses and brackets may nest.
	MaxFilterDepth = 32
	// MaxFilterTerms bounds the comparisons of one filter.
	MaxFilterTerms = 64
	// MaxOperations bounds the operations of one PATCH.
	MaxOperations = 100
	// MaxPatchTerms bounds the comparisons in the paths of one PATCH.
	MaxPatchTerms = 512
	// MaxResourceSize bounds what a PATCH may make of a resource, in bytes of JSON.
	MaxResourceSize = 1 << 20
	// MaxMembersPerOperation bounds the members that one operation of a PATCH names.
	MaxMembersPerOperation = 1000
	// MaxMembersReplaced bounds those of a replace, which cannot be split: Okta
	// sends all members of a group at once.
	MaxMembersReplaced = 10_000
	// MaxValues bounds the values of a multi-valued attribute other than members.
	MaxValues = 1000
)
