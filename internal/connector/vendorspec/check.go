// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package vendorspec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Check holds a request against the description. body is the request's body,
// which has been read. What the description does not know is told and then
// left out, so that one newer parameter hides nothing else.
func (d *Description) Check(r *http.Request, body []byte) []Violation {
	path := r.URL.EscapedPath()
	op := d.Find(r.Method, path)
	if op == nil {
		return []Violation{Violation(r.Method + " " + path + ": no such operation")}
	}
	found := checker{op: op}
	query := r.URL.Query()
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	body = bytes.TrimSpace(body)
	if d.anyMethod {
		query, body, kind = arguments(op, query, body, kind)
	}
	for _, name := range sorted(query) {
		if !op.query[name] {
			found.add("query parameter " + name)
			query.Del(name)
		}
	}
	switch {
	case len(body) == 0:
	case !op.hasBody && string(body) == "{}": // what some clients send where there is no body
		body = nil
	case !op.hasBody:
		found.add("body")
		body = nil
	case kind == "application/x-www-form-urlencoded":
		body = found.form(body)
	default:
		body = found.json(body)
	}
	req, err := rebuilt(op.Method, path, query, body, kind)
	if err != nil {
		found.add("a request that can be read: " + err.Error())
		return found.all
	}
	params := map[string]string{}
	for i, v := range op.pattern.FindStringSubmatch(path)[1:] {
		if text, err := url.PathUnescape(v); err == nil {
			v = text
		}
		params[op.names[i]] = v
	}
	if err := op.valid(req, params, body); err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		found.all = append(found.all, Violation(fmt.Sprintf("%s %s: %s", op.Method, op.Path, line)))
	}
	return found.all
}

type checker struct {
	op  *Operation
	all []Violation
}

func (c *checker) add(what string) {
	c.all = append(c.all, Violation(c.op.Method+" "+c.op.Path+unknownPart+what))
}

func (c *checker) form(body []byte) []byte {
	values, err := url.ParseQuery(string(body))
	if err != nil || c.op.body == nil {
		return body
	}
	for _, name := range sorted(values) {
		if _, ok := c.op.body.Field(name); !ok {
			c.add("body field " + name)
			values.Del(name)
		}
	}
	return []byte(values.Encode())
}

func (c *checker) json(body []byte) []byte {
	var v any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		c.add("body that is no JSON")
		return body
	}
	unknown := Unknown(c.op.body, v)
	if len(unknown) == 0 {
		return body
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		c.add("body field " + name)
		remove(v, strings.Split(name, "."))
	}
	out, err := json.Marshal(v)
	if err != nil {
		return body
	}
	return out
}

// remove takes a dotted path out of a value, through lists.
func remove(v any, path []string) {
	switch t := v.(type) {
	case map[string]any:
		if len(path) == 1 {
			delete(t, path[0])
		} else {
			remove(t[path[0]], path[1:])
		}
	case []any:
		for _, e := range t {
			remove(e, path)
		}
	}
}

// arguments puts a call's arguments where the description has them, for
// vendors that take them in the query, in a form or in JSON alike.
func arguments(op *Operation, query url.Values, body []byte, kind string) (url.Values, []byte, string) {
	all := url.Values{}
	for name, v := range query {
		all[name] = v
	}
	if kind == "application/x-www-form-urlencoded" {
		if form, err := url.ParseQuery(string(body)); err == nil {
			for name, v := range form {
				all[name] = v
			}
		}
	} else if len(body) > 0 {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body, &fields); err == nil {
			for name, raw := range fields {
				text := string(raw)
				var s string
				if json.Unmarshal(raw, &s) == nil {
					text = s
				}
				all.Set(name, text)
			}
		}
	}
	if op.Method == http.MethodGet {
		return all, nil, ""
	}
	return url.Values{}, []byte(all.Encode()), "application/x-www-form-urlencoded"
}

func rebuilt(method, path string, query url.Values, body []byte, kind string) (*http.Request, error) {
	target := url.URL{Scheme: "https", Host: "described.example", RawQuery: query.Encode()}
	if err := setPath(&target, path); err != nil {
		return nil, err
	}
	var content io.Reader = http.NoBody
	if len(body) > 0 {
		content = bytes.NewReader(body)
	}
	req, err := http.NewRequest(method, target.String(), content)
	if err != nil {
		return nil, fmt.Errorf("rebuild the request: %w", err)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", kind)
	}
	return req, nil
}

func setPath(u *url.URL, escaped string) error {
	text, err := url.PathUnescape(escaped)
	if err != nil {
		return fmt.Errorf("read the path: %w", err)
	}
	u.Path, u.RawPath = text, escaped
	return nil
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
