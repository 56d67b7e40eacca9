// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

// Finding is a path that an expression reads and that no body had.
type Finding struct {
	Field string `json:"field"` // of the Workflow: spec.steps[hello].notify.text
	Path  string `json:"path"`  // as the expression has it
	// Nearest is a known path that may be meant; empty: none is near.
	Nearest string `json:"nearest,omitempty"`
}

// String says it to people.
func (f Finding) String() string {
	out := fmt.Sprintf("%s: %s was never received", f.Field, f.Path)
	if f.Nearest != "" {
		out += "; did you mean " + f.Nearest + "?"
	}
	return out
}

// Check finds the expressions of a Workflow's spec, as JSON, that read what no
// body had. One that asks whether it is there knows that it may not be. While
// nothing was received there is nothing to say.
func Check(spec json.RawMessage, known Known) ([]Finding, error) {
	var v any
	if err := json.Unmarshal(spec, &v); err != nil {
		return nil, fmt.Errorf("read a spec: %w", err)
	}
	c := &checker{known: known, said: map[Finding]bool{}}
	if !known.Empty() && !known.Full() {
		c.look("spec", v, RootSteps)
	}
	return c.found, nil
}

type checker struct {
	known Known
	found []Finding
	said  map[Finding]bool
}

func (c *checker) look(field string, v any, root string) {
	if field == "spec.trigger.webhook" {
		root = RootTrigger
	}
	switch x := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			c.look(field+"."+k, x[k], root)
		}
	case []any:
		for i, e := range x {
			at := strconv.Itoa(i)
			if m, ok := e.(map[string]any); ok {
				if name, ok := m["name"].(string); ok {
					at = name
				}
			}
			c.look(field+"["+at+"]", e, root)
		}
	case string:
		c.expression(field, x, root)
	}
}

func (c *checker) expression(field, source, root string) {
	for _, use := range expr.PathUses(source, strings.Split(root, ".")...) {
		if use.Guarded || c.known.Has(use.Path) {
			continue
		}
		f := Finding{Field: field, Path: text(root, use.Path)}
		if p, ok := c.known.Nearest(use.Path); ok {
			f.Nearest = p.Under(root)
		}
		if !c.said[f] {
			c.said[f] = true
			c.found = append(c.found, f)
		}
	}
}
