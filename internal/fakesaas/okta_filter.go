// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// predicate decides on a record by its attributes.
type predicate func(attributes map[string]string) bool

// parseFilter reads Okta's filter language (a subset of RFC 7644 section
// 3.4.2.2): attribute op "value", and, or, parentheses. Times compare as
// RFC 3339 text in UTC, which sorts like the times it writes.
func parseFilter(text string) (predicate, error) {
	p := &filterParser{tokens: filterTokens(text)}
	found, err := p.or(0)
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", text, err)
	}
	if p.at < len(p.tokens) {
		return nil, fmt.Errorf("filter %q: unexpected %q", text, p.tokens[p.at])
	}
	return found, nil
}

// filterTokens splits into parentheses, words and quoted values, the quotes
// kept.
func filterTokens(text string) []string {
	var tokens []string
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		end := strings.IndexAny(text, " \t\n()")
		switch {
		case text[0] == '(' || text[0] == ')':
			end = 1
		case text[0] == '"':
			if end = closingQuote(text); end < 0 {
				end = len(text)
			}
		case end < 0:
			end = len(text)
		}
		if end == 0 {
			_, end = utf8.DecodeRuneInString(text)
		}
		tokens = append(tokens, text[:end])
		text = text[end:]
	}
	return tokens
}

func closingQuote(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

const maxFilterDepth = 50

type filterParser struct {
	tokens []string
	at     int
}

func (p *filterParser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

func (p *filterParser) next() string {
	token := p.peek()
	p.at++
	return token
}

func (p *filterParser) or(depth int) (predicate, error) {
	left, err := p.and(depth)
	for err == nil && strings.EqualFold(p.peek(), "or") {
		p.next()
		var right predicate
		if right, err = p.and(depth); err == nil {
			first := left
			left = func(a map[string]string) bool { return first(a) || right(a) }
		}
	}
	return left, err
}

func (p *filterParser) and(depth int) (predicate, error) {
	left, err := p.term(depth)
	for err == nil && strings.EqualFold(p.peek(), "and") {
		p.next()
		var right predicate
		if right, err = p.term(depth); err == nil {
			first := left
			left = func(a map[string]string) bool { return first(a) && right(a) }
		}
	}
	return left, err
}

func (p *filterParser) term(depth int) (predicate, error) {
	if depth > maxFilterDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxFilterDepth)
	}
	if p.peek() == "(" {
		p.next()
		inner, err := p.or(depth + 1)
		if err == nil && p.next() != ")" {
			err = fmt.Errorf("a closing parenthesis is missing")
		}
		return inner, err
	}
	attribute, op, quoted := p.next(), strings.ToLower(p.next()), p.next()
	if len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' {
		return nil, fmt.Errorf("%s %s wants a quoted value, not %q", attribute, op, quoted)
	}
	value := strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(quoted[1 : len(quoted)-1])
	if t, err := time.Parse(time.RFC3339, value); err == nil {
		value = t.UTC().Format(oktaTime)
	}
	compare, known := map[string]func(have string) bool{
		"eq": func(have string) bool { return strings.EqualFold(have, value) },
		"ne": func(have string) bool { return !strings.EqualFold(have, value) },
		"sw": func(have string) bool { return strings.HasPrefix(strings.ToLower(have), strings.ToLower(value)) },
		"co": func(have string) bool { return strings.Contains(strings.ToLower(have), strings.ToLower(value)) },
		"gt": func(have string) bool { return have > value },
		"ge": func(have string) bool { return have >= value },
		"lt": func(have string) bool { return have < value },
		"le": func(have string) bool { return have <= value },
	}[op]
	if !known {
		return nil, fmt.Errorf("operator %q is unknown", op)
	}
	return func(a map[string]string) bool { return compare(a[attribute]) }, nil
}
