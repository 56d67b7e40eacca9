// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/spelling"
)

// Parts of a path that are no names.
const (
	// AnyItem is an element of a list.
	AnyItem = "[]"
	// AnyKey is a key that is data.
	AnyKey = "*"
)

// Roots of expressions over a body.
const (
	// RootTrigger is what the templates of spec.trigger.webhook read.
	RootTrigger = "body"
	// RootSteps is what every other expression of a Workflow reads.
	RootSteps = "event.data.body"
)

// Path is what bodies were seen to have.
type Path struct {
	Parts []string
	// Types are the JSON types that came there, null last.
	Types               []string
	FirstSeen, LastSeen string // days
}

// Paths lists the values of bodies, sorted. Objects and lists are listed where
// nothing is known of what they hold.
func (k Known) Paths() []Path {
	var out []Path
	if k.root != nil {
		k.root.paths(nil, &out)
	}
	slices.SortFunc(out, func(a, b Path) int { return cmp.Compare(a.String(), b.String()) })
	return out
}

func (n *node) paths(at []string, out *[]Path) {
	inside := len(n.Fields) > 0 || n.Other != nil || n.Item != nil
	if !inside || n.Kinds&^(kindObject|kindArray|kindNull) != 0 {
		*out = append(*out, Path{Parts: slices.Clone(at), Types: n.Kinds.names(), FirstSeen: n.First, LastSeen: n.Last})
	}
	for _, name := range slices.Sorted(maps.Keys(n.Fields)) {
		n.Fields[name].paths(append(at, name), out)
	}
	if n.Other != nil {
		n.Other.paths(append(at, AnyKey), out)
	}
	if n.Item != nil {
		n.Item.paths(append(at, AnyItem), out)
	}
}

func (k kinds) names() (out []string) {
	for _, t := range []struct {
		kind kinds
		name string
	}{{kindString, "string"}, {kindInteger, "integer"}, {kindNumber, "number"}, {kindBoolean, "boolean"}, {kindObject, "object"}, {kindArray, "array"}, {kindNull, "null"}} {
		if k&t.kind != 0 && (t.kind != kindInteger || k&kindNumber == 0) {
			out = append(out, t.name)
		}
	}
	return out
}

// Type is the types as people read them.
func (p Path) Type() string { return strings.Join(p.Types, " or ") }

// String is the path below the body: items[].sku.
func (p Path) String() string { return strings.TrimPrefix(text("", p.Parts), ".") }

// Under is the path of a root: body.items[].sku.
func (p Path) Under(root string) string { return text(root, p.Parts) }

func text(root string, parts []string) string {
	var b strings.Builder
	b.WriteString(root)
	for _, part := range parts {
		if part != AnyItem {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}

// Expression is the path as CEL reads it: body.items[0].sku.
func (p Path) Expression(root string) string {
	var b strings.Builder
	b.WriteString(root)
	for _, part := range p.Parts {
		switch {
		case part == AnyItem:
			b.WriteString("[0]")
		case part == AnyKey:
			b.WriteString(`["KEY"]`)
		case identifier.MatchString(part) && !reserved[part]:
			b.WriteString("." + part)
		default:
			b.WriteString("[" + strconv.Quote(part) + "]")
		}
	}
	return b.String()
}

var identifier = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// reserved are the words of CEL, which are no names behind a dot.
var reserved = func() map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields("as break const continue else false for function if import in let loop namespace null package return true var void while") {
		out[w] = true
	}
	return out
}()

// Has reports that bodies may have a path: that it came, or that something about
// it is not known.
func (k Known) Has(parts []string) bool {
	if k.root == nil || k.full {
		return true
	}
	n := k.root
	for depth, part := range parts {
		switch {
		case depth == maxDepth:
			return n.Kinds&(kindObject|kindArray) != 0
		case part == AnyItem && n.Item == nil && n.Kinds&kindArray != 0:
			return true // lists were empty
		case part == AnyItem && n.Kinds&kindObject != 0:
			return true // a key that is computed
		case part == AnyItem:
			n = n.Item
		case n.Fields[part] != nil:
			n = n.Fields[part]
		default:
			n = n.Other
		}
		if n == nil {
			return false
		}
	}
	return true
}

// Nearest is the known path that is most like one that is not; false: none is.
func (k Known) Nearest(parts []string) (Path, bool) {
	var best Path
	if len(parts) == 0 {
		return best, false
	}
	want, last := Path{Parts: parts}.String(), plain(parts[len(parts)-1])
	score := max(2, len(last)/3) + 1
	for _, p := range k.Paths() {
		if len(p.Parts) == 0 {
			continue
		}
		d := spelling.Distance(want, p.String())
		if plain(p.Parts[len(p.Parts)-1]) == last { // elsewhere, or written in another way
			d = min(d, 1)
		}
		if d < score {
			best, score = p, d
		}
	}
	return best, best.Parts != nil
}

// plain is a name however its words are joined.
func plain(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}
