// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package vendorspec

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Description is what a vendor publishes of one API.
type Description struct {
	// Host is where the API is; empty where it differs by customer.
	Host       string
	operations []*Operation
	// anyMethod: the vendor takes GET and POST alike, with arguments in the
	// query or in the body.
	anyMethod bool
	// noToken leaves the parameter token out, which the header has replaced.
	noToken bool
}

// Operation is one request of a description.
type Operation struct {
	Method, Path string
	// Response is the shape of the successful answer; nil if not described.
	Response Shape
	// Scopes are the OAuth scopes of which one is enough; nil if not described.
	Scopes []string

	pattern *regexp.Regexp // of the whole path, base path included
	names   []string       // of the path parameters
	literal int            // bytes that are no parameter: the more, the closer
	query   map[string]bool
	body    Shape
	hasBody bool
	// valid holds a request without unknown parts against the description.
	valid func(r *http.Request, path map[string]string, body []byte) error
}

// Violation is one way in which a request is not what a vendor describes. As
// text it is what a table of deviations lists.
type Violation string

const unknownPart = ": the description has no "

// Unknown reports whether the violation is of something that the description
// does not know, and not of something that it forbids.
func (v Violation) Unknown() bool { return strings.Contains(string(v), unknownPart) }

// Lacks is the violation of an answer with a field that is not described.
func (op *Operation) Lacks(field string) Violation {
	return Violation(fmt.Sprintf("%s %s: the answer has no field %s", op.Method, op.Path, field))
}

// Option changes how a description is read.
type Option func(*Description)

// AnyMethod is for vendors that take GET and POST alike and the credential in
// a header, whatever their description says (Slack).
func AnyMethod() Option {
	return func(d *Description) { d.anyMethod, d.noToken = true, true }
}

// Load reads a description of any of the three kinds.
func Load(file string, options ...Option) (*Description, error) {
	data, err := os.ReadFile(file) //nolint:gosec // the caller names the file
	if err != nil {
		return nil, fmt.Errorf("read an API description: %w", err)
	}
	var head struct {
		Kind    string `json:"kind"`
		Swagger string `json:"swagger"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	d := &Description{}
	for _, o := range options {
		o(d)
	}
	switch {
	case head.Kind == "discovery#restDescription":
		err = d.discovery(data)
	case head.Swagger != "":
		err = d.swagger(data)
	default:
		err = d.openapi(data)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	// Parsing order must not decide which of two like paths is found.
	slices.SortFunc(d.operations, func(a, b *Operation) int {
		if a.literal != b.literal {
			return b.literal - a.literal
		}
		return strings.Compare(a.Path+a.Method, b.Path+b.Method)
	})
	return d, nil
}

var parameter = regexp.MustCompile(`\{\+?([^}]+)\}`)

// add takes an operation up, under the base path.
func (d *Description) add(base string, op *Operation) error {
	full := strings.TrimSuffix(base, "/") + op.Path
	var b strings.Builder
	last := 0
	for _, m := range parameter.FindAllStringSubmatchIndex(full, -1) {
		b.WriteString(regexp.QuoteMeta(full[last:m[0]]) + "([^/]+)")
		op.names = append(op.names, full[m[2]:m[3]])
		op.literal += m[0] - last
		last = m[1]
	}
	op.literal += len(full) - last
	b.WriteString(regexp.QuoteMeta(full[last:]))
	var err error
	if op.pattern, err = regexp.Compile("^" + b.String() + "$"); err != nil {
		return fmt.Errorf("path %s: %w", full, err)
	}
	d.operations = append(d.operations, op)
	return nil
}

// Find returns the operation of a method and an escaped path; nil if the
// description has none.
func (d *Description) Find(method, path string) *Operation {
	methods := []string{method}
	if d.anyMethod {
		methods = append(methods, http.MethodGet, http.MethodPost)
	}
	for _, m := range methods {
		for _, op := range d.operations {
			if op.Method == m && op.pattern.MatchString(path) {
				return op
			}
		}
	}
	return nil
}
