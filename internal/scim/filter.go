// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"encoding/json"
	"strings"
	"time"
)

// Op is a comparison operator (RFC 7644 section 3.4.2.2, table 3). "pr" is a
// node of its own, Present.
type Op string

// The operators.
const (
	OpEq Op = "eq"
	OpNe Op = "ne"
	OpCo Op = "co"
	OpSw Op = "sw"
	OpEw Op = "ew"
	OpGt Op = "gt"
	OpGe Op = "ge"
	OpLt Op = "lt"
	OpLe Op = "le"
)

// LiteralKind is the type of a comparison value after it was checked against
// the attribute's type.
type LiteralKind int

// The kinds of literal.
const (
	// LiteralString compares with a string, reference or binary attribute.
	LiteralString LiteralKind = iota
	LiteralBool
	LiteralNumber
	// LiteralTime compares with a dateTime attribute.
	LiteralTime
	// LiteralNull goes with eq and ne only.
	LiteralNull
)

// Literal is a typed comparison value.
type Literal struct {
	Kind LiteralKind
	// Text is the string of LiteralString, and what was sent for LiteralTime.
	Text   string
	Bool   bool
	Number json.Number
	Time   time.Time
}

// Expr is a node of a filter: *And, *Or, *Not, *Compare, *Present or *ValuePath.
type Expr interface {
	// String is the canonical text; parsing it gives an equal tree.
	String() string
	write(b *strings.Builder, inside precedence)
}

// And holds where all of at least two terms hold. No term is itself an And.
type And struct{ Terms []Expr }

// Or holds where one of at least two terms holds. No term is itself an Or.
type Or struct{ Terms []Expr }

// Not holds where its term does not.
type Not struct{ Term Expr }

// Compare compares an attribute with a literal. Attr.Leaf is never complex: a
// complex attribute that has a value stands for it, so Attr.Sub is set then.
// Inside a ValuePath, Attr is relative to the element: Attr.Attr is one of its
// sub-attributes, and neither Attr.Sub nor Attr.Extension is set.
type Compare struct {
	Attr  Ref
	Op    Op
	Value Literal
}

// Present is "pr": the attribute has a non-empty value. Unlike in Compare,
// Attr.Leaf may be complex.
type Present struct{ Attr Ref }

// ValuePath holds where one and the same element of a multi-valued complex
// attribute satisfies Filter. Filter holds no ValuePath.
//
// emails[type eq "work"].value eq "x" is read as a ValuePath whose Filter is
// type eq "work" and value eq "x".
type ValuePath struct {
	Attr   Ref
	Filter Expr
}
