// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"fmt"
	"slices"
	"strings"
)

// oneOf reads a filter, values joined by commas, and refuses what no row can
// have: a misspelt one would find nothing, and look like good news.
func oneOf[T ~string](c *call, name string, known ...T) ([]T, error) {
	given := c.query.Get(name)
	if given == "" {
		return nil, nil
	}
	var out []T
	for v := range strings.SplitSeq(given, ",") {
		if !slices.Contains(known, T(v)) {
			return nil, badRequest("%s=%q: want %s", name, v, strings.Trim(strings.Join(strings.Fields(fmt.Sprint(known)), ", "), "[]"))
		}
		out = append(out, T(v))
	}
	return out, nil
}

func plain[T ~string](in []T) []string {
	var out []string
	for _, v := range in {
		out = append(out, string(v))
	}
	return out
}
