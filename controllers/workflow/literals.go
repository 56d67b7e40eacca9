// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

// known are the forms of credentials that vendors give away by their look.
var known = regexp.MustCompile(`\b[srp]k_(live|test)_[0-9A-Za-z]{10,}|\bxox[abeprs]-[0-9A-Za-z-]{10,}|\bgh[pousr]_[0-9A-Za-z]{20,}|\bgithub_pat_[0-9A-Za-z_]{20,}` +
	`|\bglpat-[0-9A-Za-z_-]{16,}|\bAKIA[0-9A-Z]{16}\b|\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAIza[0-9A-Za-z_-]{35}` +
	`|\b1000\.[0-9a-f]{32}\.[0-9a-f]{32}\b|(?i:\bbearer\s+)[0-9A-Za-z._~+/-]{16,}`)

// assigned is a credential in text of names and values, such as a form.
var assigned = regexp.MustCompile(`(?i)\b(client_?secret|password|passwd|api_?key|access_?token|refresh_?token)=[^&\s$]{4,}`)

// secretName are the last words of the names under which credentials stand.
var secretName = regexp.MustCompile(`(^|-)(authorization|token|secret|password|passwd|apikey|api-key|access-key|private-key|cookie|credentials?)$`)

// holdsSecrets reports whether a name is one of a credential.
func holdsSecrets(name string) bool {
	var b strings.Builder
	lower := false
	for _, r := range name {
		switch {
		case r == '_' || r == '.' || r == ' ':
			r = '-'
		case unicode.IsUpper(r) && lower:
			b.WriteByte('-')
		}
		lower = unicode.IsLower(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return secretName.MatchString(b.String())
}

// maxWord is the longest word beside a hole, such as the scheme before a token.
const maxWord = 16

var hole = regexp.MustCompile(`\$\{\s*([^}]*)\}`)

// literalSecret reports whether a text with a credential's name, or by its
// look, is a credential and not the place for one.
func literalSecret(name, text string) bool {
	if known.MatchString(text) || assigned.MatchString(text) {
		return true
	}
	if !holdsSecrets(name) || text == "" {
		return false
	}
	computed := false
	rest := hole.ReplaceAllStringFunc(text, func(h string) string {
		code := hole.FindStringSubmatch(h)[1]
		if strings.HasPrefix(code, "'") || strings.HasPrefix(code, `"`) {
			return code // a constant in a hole
		}
		computed = true
		return " "
	})
	long := func(word string) bool { return len(word) > maxWord }
	return !computed || slices.ContainsFunc(strings.FieldsFunc(rest, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`;,="'`, r) }), long)
}

// literals refuses a request with a credential in it: it would be in git.
func literals(u httpUse) error {
	refuse := func(field string) error {
		return wrong(v1alpha1.ReasonSecretInLiteral, "%s.%s: a secret in a literal: put it into a Secret that auth names, or take it from a sensitive output by ${ }", u.field, field)
	}
	s := u.step
	for field, list := range map[string]map[string]string{"headers": s.Headers, "query": s.Query} {
		for _, name := range slices.Sorted(maps.Keys(list)) {
			if literalSecret(name, list[name]) {
				return refuse(field + "." + name)
			}
		}
	}
	if literalSecret("", s.URL) {
		return refuse("url")
	}
	if s.Verify != nil && literalSecret("", s.Verify.URL) {
		return refuse("verify.url")
	}
	if field := secretIn("", "body", s.Body); field != "" {
		return refuse(field)
	}
	if s.GraphQL != nil {
		if literalSecret("", s.GraphQL.Query) {
			return refuse("graphql.query")
		}
		if field := secretIn("", "graphql.variables", s.GraphQL.Variables); field != "" {
			return refuse(field)
		}
	}
	return nil
}

// secretIn finds a credential in a free value and says where it is.
func secretIn(name, field string, v any) string {
	switch x := v.(type) {
	case string:
		if literalSecret(name, x) {
			return field
		}
	case []any:
		for i, e := range x {
			if at := secretIn(name, field+"["+strconv.Itoa(i)+"]", e); at != "" {
				return at
			}
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			if at := secretIn(k, field+"."+k, x[k]); at != "" {
				return at
			}
		}
	}
	return ""
}
