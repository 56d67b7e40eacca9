// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"net/url"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxText bounds how much of a text is looked at, maxWords how many words.
const (
	maxText  = 512
	maxWords = 40
)

// word is one word of a text.
type word struct {
	text string
	// raw is the run of characters without spaces that it is part of.
	raw int
	// segment counts the separators before it.
	segment int
}

// words are a text's words: folded, without accents and apostrophes. A run of
// dotted single letters is one word: B.V. is bv.
type words struct {
	list []word
	runs []string // without spaces, folded
	// stars counts the asterisks, which card statements put between the merchant
	// and what it writes.
	stars int
}

// fold makes texts comparable: compatibility forms, case, accents and
// apostrophes.
func fold(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r), r == '\'', r == '’', r == '`', r == '!':
			return -1
		case unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar:
			return ' '
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(strings.ToValidUTF8(s, " ")))
}

// split cuts a text into words. Separators are runes at which a name ends.
func split(s, separators string) words {
	var out words
	segment := 0
	for run := range strings.FieldsSeq(fold(s)) {
		if len(out.list) >= maxWords {
			break
		}
		out.runs = append(out.runs, run)
		raw := len(out.runs) - 1
		if dotted(run) {
			run = strings.ReplaceAll(run, ".", "")
		}
		if len(run) == 1 && (run == "-" || run == "–" || run == "—") || run == "–" || run == "—" {
			segment++
			continue
		}
		start := -1
		flush := func(end int) {
			if start >= 0 && len(out.list) < maxWords {
				out.list = append(out.list, word{run[start:end], raw, segment})
			}
			start = -1
		}
		for i, r := range run {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				if start < 0 {
					start = i
				}
				continue
			}
			flush(i)
			switch {
			case r == '&':
				out.list = append(out.list, word{"and", raw, segment})
			case strings.ContainsRune(separators, r):
				segment++
			}
			if r == '*' {
				out.stars++
			}
		}
		flush(len(run))
	}
	return out
}

// dotted reports a run such as B.V. or S.L.
func dotted(run string) bool {
	run = strings.TrimRight(run, ",;")
	letters := 0
	for i, r := range []rune(run) {
		if i%2 == 1 && r != '.' || i%2 == 0 && !unicode.IsLetter(r) {
			return false
		}
		if i%2 == 0 {
			letters++
		}
	}
	return letters > 1 && strings.Contains(run, ".")
}

// joined is a name as the index knows it.
func joined(name string) string {
	list := split(name, "").list
	parts := make([]string, len(list))
	for i, w := range list {
		parts[i] = w.text
	}
	return strings.Join(parts, " ")
}

// host is the host of a URL, or of what is written like one; empty if there is
// none.
func host(raw string) string {
	raw = strings.TrimSpace(fold(raw))
	if raw == "" || strings.ContainsAny(raw, " \\") {
		return ""
	}
	if !strings.Contains(raw, "://") {
		raw = "https://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.Trim(u.Hostname(), ".")
}

// siteIn is the site that a run of a card statement names, such as
// AIRTABLE.COM/BILL or CC@GOOGLE.COM.
func siteIn(run string) string {
	if at := strings.LastIndexByte(run, '@'); at >= 0 {
		run = run[at+1:]
	}
	run, _, _ = strings.Cut(run, "/")
	run = strings.Trim(run, ".,;:*#()")
	if _, after, ok := strings.Cut(run, "*"); ok && strings.Contains(after, ".") {
		run = after
	}
	run, _, _ = strings.Cut(run, "*")
	if !domainPattern.MatchString(run) {
		return ""
	}
	return run
}

func hasDigit(s string) bool { return strings.ContainsFunc(s, unicode.IsDigit) }

func allDigits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsDigit(r) })
}
