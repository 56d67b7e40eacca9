// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

// Object is a complex value in canonical form: canonical names to string, bool,
// json.Number, Object, or []any of these. It holds no nil, no empty Object and
// no empty list: what is unassigned is not there. A dateTime and a binary are
// the strings that were sent.
type Object map[string]any

// Resource is a resource in canonical form. "schemas" is not in it: it follows
// from what is.
type Resource struct {
	Type *ResourceType
	// Attributes holds the common and core attributes by canonical name, and
	// each extension as an Object under its URN.
	Attributes Object
}
