// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName   = 64 // bytes
	maxDigits = 3
	// minHex is from what length on a word of hexadecimal digits is an id.
	minHex = 8
)

// isName reports that a key is the name of a field. Addresses, ids, dates, what
// has blanks and what is long are data: one letter or _ first, then letters,
// digits, _ and -, and no more than one number of up to three digits.
func isName(key string) bool {
	if key == "" || len(key) > maxName || !utf8.ValidString(key) {
		return false
	}
	digits, numbers, before := 0, 0, false
	for i, r := range key {
		switch digit := r >= '0' && r <= '9'; {
		case digit && i > 0:
			if !before {
				numbers++
			}
			digits++
			before = true
			continue
		case r == '_', unicode.IsLetter(r), r == '-' && i > 0:
		case unicode.IsMark(r) && i > 0: // of letters that are written as two
		default:
			return false
		}
		before = false
	}
	hex := strings.Trim(strings.ToLower(key), "0123456789abcdef") == ""
	return digits <= maxDigits && numbers <= 1 && (!hex || len(key) < minHex)
}
