// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"strings"
	"unicode"
)

// Fold is the form in which strings that are not case exact compare: two strings
// have one Fold exactly where strings.EqualFold holds, so that no second user
// can have a name that differs by a letter such as the Kelvin sign. A store keeps
// it beside the value, since the databases fold differently from one another.
func Fold(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) < 0 {
		return strings.ToLower(s)
	}
	return strings.Map(func(r rune) rune {
		if r <= unicode.MaxASCII {
			return unicode.ToLower(r)
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return unicode.ToLower(least)
	}, s)
}
