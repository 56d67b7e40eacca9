// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/spelling"
)

// Bounds of a manifest document.
const (
	maxManifestBytes = 1 << 20
	maxManifestNodes = 50_000 // with aliases followed
)

// document collects the problems found while a manifest is read.
type document struct {
	file     string
	lines    bool // the source's lines mean something to its author
	problems Problems
	visited  int
}

// node is a place in the document. A node whose yaml is nil is absent and
// reads as the zero value everywhere.
type node struct {
	doc  *document
	yaml *yaml.Node
	path string
	line int // of the parent, for absent nodes
}

func (n node) exists() bool { return n.yaml != nil && n.yaml.Tag != "!!null" }

func (n node) problem(got, want, hint string) {
	p := Problem{File: n.doc.file, Path: n.path, Got: got, Want: want, Hint: hint}
	if n.doc.lines {
		p.Line = n.line
		if n.yaml != nil {
			p.Line = n.yaml.Line
		}
	}
	n.doc.problems = append(n.doc.problems, p)
}

// kind describes what stands here, for messages.
func (n node) kind() string {
	if n.yaml == nil {
		return "nothing"
	}
	switch n.yaml.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if n.yaml.Tag == "!!null" {
			return "null"
		}
		return fmt.Sprintf("%q", clip(n.yaml.Value, 60))
	}
	return "something unreadable"
}

func (n node) child(y *yaml.Node, path string) node {
	for hops := 0; y != nil && y.Kind == yaml.AliasNode && hops < 8; hops++ {
		y = y.Alias
	}
	if n.doc.visited++; n.doc.visited == maxManifestNodes {
		n.problem("", fmt.Sprintf("at most %d nodes with aliases followed", maxManifestNodes), "")
	}
	if n.doc.visited >= maxManifestNodes {
		y = nil
	}
	line := n.line
	if n.yaml != nil {
		line = n.yaml.Line
	}
	return node{doc: n.doc, yaml: y, path: path, line: line}
}

// object checks that the node is a map with none but the allowed keys. An
// absent node is no problem here; need says so where it is one.
func (n node) object(allowed ...string) bool {
	if !n.exists() {
		return false
	}
	if n.yaml.Kind != yaml.MappingNode {
		n.problem(n.kind(), "a map", "")
		return false
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		k := n.yaml.Content[i]
		at := node{doc: n.doc, yaml: k, path: n.path + "." + k.Value}
		if seen[k.Value] {
			at.problem("the same key twice", "each key once", "")
		}
		seen[k.Value] = true
		if len(allowed) > 0 && !slices.Contains(allowed, k.Value) {
			at.problem("an unknown key", "one of "+strings.Join(allowed, ", "), didYouMean(k.Value, allowed))
		}
	}
	return true
}

// get returns the value of a key, absent if there is none.
func (n node) get(key string) node {
	path := n.path + "." + key
	if n.path == "" {
		path = key
	}
	if n.yaml != nil && n.yaml.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.yaml.Content); i += 2 {
			if n.yaml.Content[i].Value == key {
				return n.child(n.yaml.Content[i+1], path)
			}
		}
	}
	return n.child(nil, path)
}

// need is get for a key that must be there.
func (n node) need(key, want string) node {
	c := n.get(key)
	if !c.exists() {
		c.problem("nothing", want, "")
	}
	return c
}

// entries calls f for each key of a map, in document order.
func (n node) entries(f func(key string, value node)) {
	if !n.object() {
		return
	}
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		k := n.yaml.Content[i].Value
		f(k, n.child(n.yaml.Content[i+1], n.path+"."+k))
	}
}

// items calls f for each element of a list.
func (n node) items(f func(i int, value node)) {
	if !n.exists() {
		return
	}
	if n.yaml.Kind != yaml.SequenceNode {
		n.problem(n.kind(), "a list", "")
		return
	}
	for i, y := range n.yaml.Content {
		f(i, n.child(y, fmt.Sprintf("%s[%d]", n.path, i)))
	}
}

// text reads any scalar as its literal text.
func (n node) text() string {
	if !n.exists() {
		return ""
	}
	if n.yaml.Kind != yaml.ScalarNode {
		n.problem(n.kind(), "a string", "")
		return ""
	}
	return n.yaml.Value
}

// texts reads a list of scalars.
func (n node) texts() []string {
	var out []string
	n.items(func(_ int, v node) { out = append(out, v.text()) })
	return out
}

// enum reads one of a closed set of words; absent is the first, if optional.
func (n node) enum(values ...string) string {
	s := n.text()
	if n.exists() && n.yaml.Kind == yaml.ScalarNode && !slices.Contains(values, s) {
		n.problem(n.kind(), "one of "+strings.Join(values, ", "), didYouMean(s, values))
	}
	return s
}

func (n node) boolean() bool {
	if !n.exists() {
		return false
	}
	if n.yaml.Kind != yaml.ScalarNode || n.yaml.Tag != "!!bool" {
		n.problem(n.kind(), "true or false", "")
		return false
	}
	return n.yaml.Value == "true"
}

func (n node) integer(low, high int) int {
	if !n.exists() {
		return 0
	}
	v, err := strconv.Atoi(n.yaml.Value)
	if n.yaml.Kind != yaml.ScalarNode || err != nil || v < low || v > high {
		n.problem(n.kind(), fmt.Sprintf("an integer from %d to %d", low, high), "")
		return low
	}
	return v
}

var durationPattern = regexp.MustCompile(`^([0-9]{1,5}(h|m|s|ms)){1,4}$`)

func (n node) duration() time.Duration {
	if !n.exists() {
		return 0
	}
	d, err := time.ParseDuration(n.text())
	if err != nil || !durationPattern.MatchString(n.yaml.Value) {
		n.problem(n.kind(), "a duration such as 90s or 24h", "")
		return 0
	}
	return d
}

// program compiles a CEL field; nil where it is absent or wrong.
func (n node) program(env *expr.Env, want *expr.Type) *expr.Program {
	if !n.exists() {
		return nil
	}
	if n.yaml.Kind != yaml.ScalarNode {
		n.problem(n.kind(), "a CEL expression as a string", "quote expressions that contain braces or brackets")
		return nil
	}
	p, err := env.Compile(n.yaml.Value, want)
	if err != nil {
		n.problem(fmt.Sprintf("%q: %v", clip(n.yaml.Value, 80), err), "a CEL expression of type "+want.String(), "")
		return nil
	}
	return p
}

// template compiles a literal with ${CEL} holes; nil where absent or wrong.
func (n node) template(env *expr.Env) *expr.Template {
	if !n.exists() {
		return nil
	}
	if n.yaml.Kind != yaml.ScalarNode {
		n.problem(n.kind(), "a string", "")
		return nil
	}
	t, err := env.Template(n.yaml.Value)
	if err != nil {
		n.problem(fmt.Sprintf("%q: %v", clip(n.yaml.Value, 80), err), "text with ${CEL} holes", "")
		return nil
	}
	return t
}

func clip(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// didYouMean names the allowed word nearest to a misspelt one.
func didYouMean(got string, allowed []string) string {
	if best := spelling.Nearest(got, allowed); best != "" {
		return "did you mean " + best + "?"
	}
	return ""
}
