// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

// graphql reads a GraphQL request, which stands in place of a body.
func (l *loader) graphql(n node, r *requestSpec, env *expr.Env) {
	if !n.exists() {
		return
	}
	n.object("query", "variables")
	g := &graphqlSpec{query: strings.TrimSpace(n.need("query", "a GraphQL document").text())}
	n.get("variables").entries(func(name string, v node) {
		if p := v.program(env, expr.Dyn); p != nil {
			g.variables = append(g.variables, named{name, p})
		}
	})
	switch {
	case r.method != "" && r.method != "POST":
		n.problem("a "+r.method+" request", "post", "GraphQL goes by POST")
	case r.body != nil || len(r.form) > 0:
		n.problem("graphql beside a body or form", "one of them", "")
	}
	r.graphql, r.reads = g, !changes(g.query)
	if g.query == "" {
		n.get("query").problem("nothing", "a GraphQL document", "")
	}
}

// GraphQLChanges reports whether a GraphQL document changes something.
func GraphQLChanges(document string) bool { return changes(document) }

// changes reports whether a GraphQL document has an operation other than a
// query: the word stands outside of selections, arguments, strings and
// comments.
func changes(document string) bool {
	depth, word := 0, ""
	for i := 0; i < len(document); i++ {
		c := document[i]
		if depth == 0 && (c == '_' || unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c))) {
			word += string(c)
			continue
		}
		if word == "mutation" || word == "subscription" {
			return true
		}
		word = ""
		switch c {
		case '{', '(', '[':
			depth++
		case '}', ')', ']':
			depth--
		case '#':
			for i+1 < len(document) && document[i+1] != '\n' {
				i++
			}
		case '"':
			i = skipString(document, i)
		}
	}
	return word == "mutation" || word == "subscription"
}

// skipString returns the index of the quote that closes the string at i.
func skipString(document string, i int) int {
	if strings.HasPrefix(document[i:], `"""`) {
		end := strings.Index(document[i+3:], `"""`)
		if end < 0 {
			return len(document)
		}
		return i + 3 + end + 2
	}
	for i++; i < len(document) && document[i] != '"'; i++ {
		if document[i] == '\\' {
			i++
		}
	}
	return i
}

// payload is what goes into the body, as expressions see it.
func (r *requestSpec) payload(ctx context.Context, vars map[string]any) (any, error) {
	if r.graphql == nil {
		return r.body.Eval(ctx, vars)
	}
	out := map[string]any{"query": r.graphql.query}
	if len(r.graphql.variables) > 0 {
		values, err := evalNamed(ctx, r.graphql.variables, vars)
		if err != nil {
			return nil, fmt.Errorf("variables: %w", err)
		}
		out["variables"] = values
	}
	return out, nil
}

// graphqlErrors reports that an answer lists errors (GraphQL, 7.1.2).
func graphqlErrors(body any) bool {
	m, _ := body.(map[string]any)
	list, _ := m["errors"].([]any)
	return len(list) > 0
}
