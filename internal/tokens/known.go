// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tokens learns what the bodies that a webhook receives have: paths with
// types, and never a value. A key that looks like a value, such as an address or
// an id, is one, and is no part of a path.
package tokens

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Bounds of what is learned.
const (
	// maxPaths is how many paths of one Workflow are kept, those of objects and
	// lists among them.
	maxPaths = 256
	maxDepth = 8
	// maxValues and maxItems bound how much of one body, and of one list, is
	// looked at.
	maxValues = 4096
	maxItems  = 64
	// maxNames is of how many names an object can be. One of more, of all bodies
	// together, has data for keys.
	maxNames = 128
	// maxAlike is how many objects of one shape are names; more are records, by key.
	maxAlike = 7
	// forgotten is after how many days without it a path makes way for another.
	forgotten = 30
)

// kinds are the JSON types that came at a path.
type kinds uint8

const (
	kindNull kinds = 1 << iota
	kindString
	kindInteger
	kindNumber
	kindBoolean
	kindObject
	kindArray
)

// Known is what bodies were seen to have. The zero value is nothing; what is
// known never changes, Learn returns more.
type Known struct {
	root *node
	// full tells that a path did not find room.
	full bool
}

// node is a path. Its fields are short, because they are stored.
type node struct {
	Kinds kinds  `json:"k"`
	First string `json:"f"` // day, UTC
	Last  string `json:"l"`
	// Fields are by name, and Other is that of all keys that are data. Keyed: all
	// keys of the object are.
	Fields map[string]*node `json:"o,omitempty"`
	Other  *node            `json:"a,omitempty"`
	Keyed  bool             `json:"m,omitempty"`
	Item   *node            `json:"i,omitempty"` // of a list
}

// document is how what is known is stored.
type document struct {
	Root *node `json:"body"`
	Full bool  `json:"full,omitempty"`
}

// Parse reads what Marshal wrote; nothing is nothing known.
func Parse(raw json.RawMessage) (Known, error) {
	if len(raw) == 0 {
		return Known{}, nil
	}
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return Known{}, fmt.Errorf("read what a webhook received: %w", err)
	}
	return Known{d.Root, d.Full}, nil
}

// Marshal returns what is known as it is stored.
func (k Known) Marshal() (json.RawMessage, error) {
	if k.root == nil {
		return nil, nil
	}
	raw, err := json.Marshal(document{k.root, k.full})
	if err != nil {
		return nil, fmt.Errorf("encode what a webhook received: %w", err)
	}
	return raw, nil
}

// Empty reports that nothing was received yet.
func (k Known) Empty() bool { return k.root == nil }

// Full reports that there was more than is kept: a path that is not known may
// have come all the same.
func (k Known) Full() bool { return k.full }

// Learn returns what is known after a body that came at an instant, and whether
// that is more than before. Days are kept, not times, so that the same bodies
// are news once a day.
func (k Known) Learn(body any, at time.Time) (Known, bool) {
	l := &learner{root: k.root, full: k.full, day: at.UTC().Format(time.DateOnly), oldest: at.UTC().AddDate(0, 0, -forgotten).Format(time.DateOnly)}
	l.left = maxValues
	if k.root != nil && l.covers(k.root, body, 0) {
		return k, false
	}
	l.left, l.root = maxValues, k.root.clone()
	if l.root == nil {
		l.root = &node{First: l.day, Last: l.day}
	}
	l.size = l.root.size()
	l.observe(l.root, body, 0)
	l.root.normalise()
	return Known{l.root, l.full}, true
}

// learner goes through one body.
type learner struct {
	root *node
	full bool
	day  string
	// oldest is the day before which what was seen last makes way.
	oldest string
	left   int // values that are still looked at
	size   int // of root
}

// covers reports that a value is known, with its day.
func (l *learner) covers(n *node, v any, depth int) bool {
	if n.Kinds&kindOf(v) == 0 || n.Last < l.day || n.First > l.day {
		return false
	}
	return l.children(v, depth, func(key string, element bool, v any) bool {
		next := n.Item
		if !element {
			next = n.field(key)
		}
		if next == nil {
			return l.full && l.root.size() >= maxPaths && !l.root.stale(l.oldest)
		}
		return l.covers(next, v, depth+1)
	})
}

func (l *learner) observe(n *node, v any, depth int) {
	n.Kinds |= kindOf(v)
	n.First, n.Last = min(n.First, l.day), max(n.Last, l.day)
	l.children(v, depth, func(key string, element bool, v any) bool {
		next := n.Item
		if !element {
			next = l.child(n, key)
		} else if next == nil {
			n.Item = l.add()
			next = n.Item
		}
		if next != nil {
			l.observe(next, v, depth+1)
		}
		return true
	})
}

// children calls f for what is in an object or a list, in one order, as far as
// the bounds let it, until f returns false.
func (l *learner) children(v any, depth int, f func(key string, element bool, v any) bool) bool {
	if depth == maxDepth {
		return true
	}
	switch x := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(x)) {
			if l.left--; l.left < 0 {
				return true
			}
			if !f(key, false, x[key]) {
				return false
			}
		}
	case []any:
		for _, e := range x[:min(len(x), maxItems)] {
			if l.left--; l.left < 0 {
				return true
			}
			if !f("", true, e) {
				return false
			}
		}
	}
	return true
}

// field is the path of a key; nil: none is known.
func (n *node) field(key string) *node {
	if n.Keyed || !isName(key) {
		return n.Other
	}
	return n.Fields[key]
}

// child is the path of a key, made if there is room.
func (l *learner) child(n *node, key string) *node {
	if have := n.field(key); have != nil {
		return have
	}
	made := l.add()
	switch {
	case made == nil:
	case n.Keyed || !isName(key):
		n.Other = made
	default:
		if n.Fields == nil {
			n.Fields = map[string]*node{}
		}
		if n.Fields[key] = made; len(n.Fields) > maxNames {
			n.collapse()
			l.size = l.root.size()
			return n.Other
		}
	}
	return made
}

// add makes a path, if there is room or what was not seen for long gives it.
func (l *learner) add() *node {
	if l.size >= maxPaths {
		if !l.root.stale(l.oldest) {
			l.full = true
			return nil
		}
		l.root.prune(l.oldest)
		l.size, l.full = l.root.size(), false
	}
	l.size++
	return &node{First: l.day, Last: l.day}
}

// all calls f for each path below this one with where it is kept.
func (n *node) all(f func(child *node, remove func())) {
	for name, c := range n.Fields {
		f(c, func() { delete(n.Fields, name) })
	}
	if n.Other != nil {
		f(n.Other, func() { n.Other = nil })
	}
	if n.Item != nil {
		f(n.Item, func() { n.Item = nil })
	}
}

func (n *node) size() int {
	total := 1
	n.all(func(c *node, _ func()) { total += c.size() })
	return total
}

// stale reports that something below was not seen since a day.
func (n *node) stale(oldest string) (found bool) {
	n.all(func(c *node, _ func()) { found = found || c.Last < oldest || c.stale(oldest) })
	return found
}

// prune forgets what was not seen since a day. What is in an object was not seen
// after the object was.
func (n *node) prune(oldest string) {
	n.all(func(c *node, remove func()) {
		if c.Last < oldest {
			remove()
			return
		}
		c.prune(oldest)
	})
}

func (n *node) clone() *node {
	if n == nil {
		return nil
	}
	out := *n
	out.Fields, out.Other, out.Item = nil, n.Other.clone(), n.Item.clone()
	if n.Fields != nil {
		out.Fields = make(map[string]*node, len(n.Fields))
		for name, c := range n.Fields {
			out.Fields[name] = c.clone()
		}
	}
	return &out
}

// normalise takes the keys of objects that hold one record by key for data.
func (n *node) normalise() {
	n.all(func(c *node, _ func()) { c.normalise() })
	if len(n.Fields) <= maxAlike {
		return
	}
	var shape []string
	for _, c := range n.Fields {
		names := slices.Sorted(maps.Keys(c.Fields))
		if c.Kinds&^kindNull != kindObject || len(names) == 0 || shape != nil && !slices.Equal(shape, names) {
			return
		}
		shape = names
	}
	n.collapse()
	n.Other.normalise()
}

// collapse takes all keys of an object for data.
func (n *node) collapse() {
	for _, name := range slices.Sorted(maps.Keys(n.Fields)) {
		if n.Other == nil {
			n.Other = n.Fields[name]
		} else {
			n.Other.merge(n.Fields[name])
		}
	}
	n.Fields, n.Keyed = nil, true
}

// merge adds what another path was seen to have.
func (n *node) merge(o *node) {
	if o == nil {
		return
	}
	n.Kinds |= o.Kinds
	n.First, n.Last = min(n.First, o.First), max(n.Last, o.Last)
	for name, c := range o.Fields {
		if have := n.Fields[name]; have != nil {
			have.merge(c)
			continue
		}
		if n.Fields == nil {
			n.Fields = map[string]*node{}
		}
		n.Fields[name] = c
	}
	join := func(to **node, c *node) {
		if *to == nil {
			*to = c
			return
		}
		(*to).merge(c)
	}
	join(&n.Other, o.Other)
	join(&n.Item, o.Item)
	if n.Keyed || o.Keyed || len(n.Fields) > maxNames {
		n.collapse()
	}
}

func kindOf(v any) kinds {
	switch x := v.(type) {
	case nil:
		return kindNull
	case string:
		return kindString
	case bool:
		return kindBoolean
	case map[string]any:
		return kindObject
	case []any:
		return kindArray
	case float64:
		if x == math.Trunc(x) {
			return kindInteger
		}
		return kindNumber
	case json.Number:
		if _, err := x.Int64(); err == nil {
			return kindInteger
		}
		return kindNumber
	case float32:
		return kindNumber
	}
	return kindInteger
}
