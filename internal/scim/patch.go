// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

// Member is a member of a Group.
type Member struct {
	// Value is the id of the member.
	Value string
	// Type is "User" or "Group", as the client gave it; empty where it did not.
	Type string
}

// MemberDelta is what a PATCH does to the values of an External attribute: the
// members of a Group. The operations are already reduced to their common end: a
// member is in Add or in Remove, not in both, and once.
type MemberDelta struct {
	// ReplaceAll drops every member that is not in Add. Remove is empty then.
	ReplaceAll bool
	// Add are to be members. Adding one that is a member already is no change.
	Add []Member
	// Remove are not to be members. Removing one that is none is no change.
	Remove []string
}

// MemberReader finds the stored members that a filter over the sub-attributes of
// members selects. It is asked only where the ids do not stand in the filter
// itself, as in members[type eq "Group"].
type MemberReader func(filter Expr) ([]Member, error)

// OpKind is what an operation of a PATCH does.
type OpKind string

// The operations of RFC 7644 section 3.5.2.
const (
	OpAdd     OpKind = "add"
	OpRemove  OpKind = "remove"
	OpReplace OpKind = "replace"
)

// Path is what an operation of a PATCH is about.
type Path struct {
	// Attr is the attribute, or a whole extension.
	Attr Ref
	// Filter selects elements of a multi-valued attribute. With it, Attr.Sub is
	// the sub-attribute of those elements that is meant, if not all of them.
	Filter Expr
}

// Operation is one operation of a PATCH.
type Operation struct {
	Op OpKind
	// Path is nil where Value says which attributes are meant.
	Path *Path
	// Value is the JSON value as ParseJSON gives it; HasValue tells null from none.
	Value    any
	HasValue bool
}

// Patch is a request to change a resource.
type Patch struct {
	Operations []Operation
	rt         *ResourceType
	dialect    Dialect
}

// PatchResult is what a PATCH leads to.
type PatchResult struct {
	// Resource is the changed copy.
	Resource *Resource
	// Changed names the attributes that differ, in canonical spelling and order.
	// Without any, and without an effective change of members, lastModified stays.
	Changed []string
	// Members is nil where the operations say nothing about members.
	Members *MemberDelta
}
