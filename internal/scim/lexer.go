// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// lexer walks over the text of a filter or a path.
type lexer struct {
	in  string
	pos int
	// kind is the refusal that a mistake is: invalidFilter or invalidPath.
	kind ScimType
}

// token is a literal as it stands, before an attribute gives it a type.
type token struct {
	Literal
	// bare is its text where it stood without quotes and may be taken as a string.
	bare string
}

// check bounds the text before it is read.
func (l *lexer) check() error {
	if len(l.in) > MaxFilterLength {
		return badRequest(l.kind, "The text is longer than %d bytes.", MaxFilterLength)
	}
	if !utf8.ValidString(l.in) {
		return badRequest(l.kind, "The text is not UTF-8.")
	}
	return nil
}

// fail is a refusal that says where. The text itself is not repeated: it may
// hold personal data.
func (l *lexer) fail(what string) *Error {
	return badRequest(l.kind, "At character %d: %s.", utf8.RuneCountInString(l.in[:l.pos])+1, what)
}

func (l *lexer) done() bool { return l.pos >= len(l.in) }

func (l *lexer) space() {
	for !l.done() && (l.in[l.pos] == ' ' || l.in[l.pos] == '\t') {
		l.pos++
	}
}

// accept steps over c if it stands here.
func (l *lexer) accept(c byte) bool {
	if l.done() || l.in[l.pos] != c {
		return false
	}
	l.pos++
	return true
}

// word reads a name, an operator, or nothing.
func (l *lexer) word() string {
	start := l.pos
	for !l.done() && isWord(l.in[l.pos]) {
		l.pos++
	}
	return l.in[start:l.pos]
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '_' || c == '-' || c == '$' || c == ':' || c == '.'
}

// keyword steps over a word, and the space before it, if it stands here.
func (l *lexer) keyword(want string) bool {
	start := l.pos
	l.space()
	if strings.EqualFold(l.word(), want) {
		return true
	}
	l.pos = start
	return false
}

// value reads a comparison value: a JSON string, number, true, false or null.
// With bare, anything else up to a space or a closing bracket is a string.
func (l *lexer) value(bare bool) (token, error) {
	if !l.done() && l.in[l.pos] == '"' {
		return l.quoted()
	}
	start := l.pos
	for !l.done() && !strings.ContainsRune(" \t)]", rune(l.in[l.pos])) {
		l.pos++
	}
	text := l.in[start:l.pos]
	t := token{}
	if bare {
		t.bare = text
	}
	switch text {
	case "true", "false":
		t.Kind, t.Bool = LiteralBool, text == "true"
		return t, nil
	case "null":
		return token{Literal: Literal{Kind: LiteralNull}}, nil
	}
	if isNumber(text) {
		t.Kind, t.Number = LiteralNumber, json.Number(text)
		return t, nil
	}
	if bare && text != "" && !strings.ContainsAny(text, "\"([\x00") {
		return token{Literal: Literal{Kind: LiteralString, Text: text}, bare: text}, nil
	}
	l.pos = start
	return token{}, l.fail("a value is expected here: a string in double quotes, a number, true, false or null")
}

// isNumber reports whether s is a number of JSON that a float64 holds.
func isNumber(s string) bool {
	if s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') || !json.Valid([]byte(s)) {
		return false
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// quoted reads a JSON string.
func (l *lexer) quoted() (token, error) {
	start := l.pos
	for i := start + 1; i < len(l.in); i++ {
		switch l.in[i] {
		case '\\':
			i++
		case '"':
			var s string
			if err := json.Unmarshal([]byte(l.in[start:i+1]), &s); err != nil || strings.ContainsRune(s, 0) {
				return token{}, l.fail("the string is not one of JSON, or holds U+0000")
			}
			l.pos = i + 1
			return token{Literal: Literal{Kind: LiteralString, Text: s}}, nil
		}
	}
	return token{}, l.fail("the string does not end")
}
