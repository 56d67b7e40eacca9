// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

const httpsScheme = "https://"

// URL compiles an https address with ${CEL} holes for runs about the subject.
// host is the literal one, or empty where a hole decides it. What a hole gives
// is one segment of the path or one value of the query: it leads nowhere else.
// Only a hole that the address begins with is taken as it is.
func (Workflow) URL(subject, source string, locals ...string) (host string, fill func(vars map[string]any) (string, error), err error) {
	env, err := workflowEnv(subject, locals)
	if err != nil {
		return "", nil, err
	}
	return env.url(source)
}

// Expect compiles a condition over what a call answered.
func (Workflow) Expect(source string) (func(map[string]any) (bool, error), error) {
	env, err := workflowOutput()
	if err != nil {
		return nil, err
	}
	p, err := (&Env{cel: env, cost: CostRecord, pure: true}).Compile(source, Bool)
	if err != nil {
		return nil, err
	}
	return func(vars map[string]any) (bool, error) { return p.EvalBool(context.Background(), vars) }, nil
}

func (e *Env) url(source string) (host string, fill func(vars map[string]any) (string, error), err error) {
	t, err := e.Template(source)
	if err != nil {
		return "", nil, err
	}
	if len(t.parts) > 0 && t.parts[0].hole == nil {
		first := t.parts[0].text
		rest, ok := strings.CutPrefix(first, httpsScheme)
		if !ok {
			return "", nil, &Error{Source: source, Line: 1, Column: 1, Message: "want an address that begins with https://"}
		}
		end := strings.IndexAny(rest, "/?#")
		if end < 0 && len(t.parts) == 1 {
			end = len(rest)
		}
		if end >= 0 {
			u, err := url.Parse(httpsScheme + rest[:end])
			switch {
			case err != nil || u.Hostname() == "":
				return "", nil, &Error{Source: source, Line: 1, Column: 1, Message: "the address has no host"}
			case u.User != nil:
				return "", nil, &Error{Source: source, Line: 1, Column: 1, Message: "the address has a name or password; a credential belongs into a Secret that auth names"}
			}
			host = strings.ToLower(u.Host)
		}
	}
	return host, func(vars map[string]any) (string, error) { return t.fillURL(vars) }, nil
}

// place is a part of an address.
type place int

const (
	atStart place = iota
	inHost
	inPath
	inQuery
	inFragment
)

// after returns the place behind literal text.
func (p place) after(text string) place {
	if rest, ok := strings.CutPrefix(text, httpsScheme); p == atStart && ok {
		p, text = inHost, rest
	}
	for _, c := range text {
		switch {
		case c == '#':
			return inFragment
		case c == '?' && p < inQuery:
			p = inQuery
		case c == '/' && p < inPath:
			p = inPath
		}
	}
	return p
}

// escape makes what a hole gives fit for its place.
func (p place) escape(v string) (string, error) {
	switch p {
	case atStart:
		return v, nil
	case inHost:
		if v == "" || strings.ContainsAny(v, `/?#@\:% `) {
			return "", errors.New("the value is no part of a host name")
		}
		return v, nil
	case inPath:
		if v == "" || v == "." || v == ".." {
			return "", errors.New("the value is empty or a relative path")
		}
		return url.PathEscape(v), nil
	}
	return url.QueryEscape(v), nil
}

func (t *Template) fillURL(vars map[string]any) (string, error) {
	var b strings.Builder
	at := atStart
	for _, p := range t.parts {
		if p.hole == nil {
			b.WriteString(p.text)
			at = at.after(p.text)
			continue
		}
		v, err := p.hole.EvalString(context.Background(), vars)
		if err != nil {
			return "", err
		}
		if v, err = at.escape(v); err != nil {
			return "", &Error{Source: t.source, Message: fmt.Sprintf("${%s}: %v", p.hole.source, err)}
		}
		b.WriteString(v)
		if at == atStart {
			at = max(inPath, at.after(v))
		}
	}
	return b.String(), nil
}
