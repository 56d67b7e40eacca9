// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package spelling finds the word that somebody may have meant.
package spelling

import "strings"

// maxWord is the length from which words are not worth comparing.
const maxWord = 64

// Nearest is the word of a list that is most like one that is not in it, in any
// case; empty: none is.
func Nearest(word string, of []string) string {
	best, least := "", len(word)/2+1
	for _, w := range of {
		if len(word) > maxWord || len(w) > maxWord {
			continue
		}
		if d := Distance(strings.ToLower(word), strings.ToLower(w)); d < least {
			best, least = w, d
		}
	}
	return best
}

// Distance is how many letters have to be put in, left out or changed
// (Levenshtein).
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j, s := range y {
			cost := diagonal
			if r != s {
				cost++
			}
			diagonal, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(y)]
}
