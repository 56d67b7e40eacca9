// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package vendorspec

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Google's discovery format: https://developers.google.com/discovery/v1/reference/apis.
type discoveryDoc struct {
	RootURL     string `json:"rootUrl"`
	ServicePath string `json:"servicePath"`
	Parameters  map[string]discoverySchema
	Schemas     map[string]discoverySchema
	discoveryResource
}

type discoveryResource struct {
	Methods   map[string]discoveryMethod
	Resources map[string]discoveryResource
}

type discoveryMethod struct {
	HTTPMethod string
	Path       string
	FlatPath   string
	Parameters map[string]discoverySchema
	Request    discoverySchema
	Response   discoverySchema
	Scopes     []string
}

type discoverySchema struct {
	Ref                  string `json:"$ref"`
	Type                 string
	Format               string
	Pattern              string
	Enum                 []string
	Location             string
	Required             bool
	Repeated             bool
	Minimum, Maximum     string
	Properties           map[string]discoverySchema
	Items                *discoverySchema
	AdditionalProperties *discoverySchema
}

func (d *Description) discovery(data []byte) error {
	var doc discoveryDoc
	if err := json.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("read a discovery document: %w", err)
	}
	root, err := url.Parse(doc.RootURL)
	if err != nil {
		return fmt.Errorf("read the root URL: %w", err)
	}
	d.Host = root.Host
	return d.resource(&doc, doc.discoveryResource, "/"+strings.Trim(doc.ServicePath, "/"))
}

func (d *Description) resource(doc *discoveryDoc, r discoveryResource, base string) error {
	for _, name := range sorted(r.Methods) {
		if err := d.add(base, doc.operation(r.Methods[name])); err != nil {
			return err
		}
	}
	for _, name := range sorted(r.Resources) {
		if err := d.resource(doc, r.Resources[name], base); err != nil {
			return err
		}
	}
	return nil
}

func (doc *discoveryDoc) operation(m discoveryMethod) *Operation {
	path := m.Path
	if strings.Contains(path, "{+") {
		path = m.FlatPath
	}
	op := &Operation{
		Method: m.HTTPMethod, Path: "/" + strings.TrimPrefix(path, "/"), query: map[string]bool{},
		Response: doc.shape(m.Response), body: doc.shape(m.Request), hasBody: m.Request.Ref != "",
		Scopes: m.Scopes,
	}
	params := map[string]discoverySchema{}
	for _, list := range []map[string]discoverySchema{doc.Parameters, m.Parameters} {
		for name, p := range list {
			params[name] = p
			if p.Location == "query" {
				op.query[name] = true
			}
		}
	}
	op.valid = func(r *http.Request, inPath map[string]string, body []byte) error {
		query := r.URL.Query()
		for _, name := range sorted(params) {
			p := params[name]
			values := query[name]
			if v, ok := inPath[name]; ok && p.Location == "path" {
				values = []string{v}
			}
			if p.Required && p.Location == "query" && len(values) == 0 {
				return fmt.Errorf("the required parameter %s is missing", name)
			}
			if len(values) > 1 && !p.Repeated {
				return fmt.Errorf("the parameter %s is there %d times", name, len(values))
			}
			for _, v := range values {
				if err := p.text(name, v); err != nil {
					return err
				}
			}
		}
		if len(body) == 0 {
			return nil
		}
		var v any
		if err := json.Unmarshal(body, &v); err != nil {
			return fmt.Errorf("read the body: %w", err)
		}
		return doc.value(m.Request, "body", v)
	}
	return op
}

// text checks a parameter, which is text whatever its type.
func (s discoverySchema) text(name, v string) error {
	var err error
	switch s.Type {
	case "integer":
		var n int64
		if n, err = strconv.ParseInt(v, 10, 64); err == nil {
			if low, e := strconv.ParseInt(s.Minimum, 10, 64); e == nil && n < low {
				err = fmt.Errorf("%d is less than %d", n, low)
			}
			if high, e := strconv.ParseInt(s.Maximum, 10, 64); e == nil && n > high {
				err = fmt.Errorf("%d is more than %d", n, high)
			}
		}
	case "boolean":
		_, err = strconv.ParseBool(v)
	default:
		return s.word(name, v)
	}
	if err != nil {
		return fmt.Errorf("the parameter %s is no %s: %w", name, s.Type, err)
	}
	return nil
}

func (s discoverySchema) word(name, v string) error {
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
		return fmt.Errorf("%s is none of %v", name, s.Enum)
	}
	if s.Pattern != "" {
		if re, err := regexp.Compile("^(?:" + s.Pattern + ")$"); err == nil && !re.MatchString(v) {
			return fmt.Errorf("%s does not match %s", name, s.Pattern)
		}
	}
	return nil
}

// value checks the types of a body's members.
func (doc *discoveryDoc) value(s discoverySchema, at string, v any) error {
	if s.Ref != "" {
		s = doc.Schemas[s.Ref]
	}
	ok := true
	switch t := v.(type) {
	case map[string]any:
		ok = s.Type == "object" || s.Type == "any"
		for _, name := range sorted(t) {
			p, has := s.Properties[name]
			if !has {
				continue // told as unknown already, or free
			}
			if err := doc.value(p, at+"."+name, t[name]); err != nil {
				return err
			}
		}
	case []any:
		ok = s.Type == "array" || s.Type == "any"
		for _, e := range t {
			if s.Items == nil {
				break
			}
			if err := doc.value(*s.Items, at, e); err != nil {
				return err
			}
		}
	case string:
		if ok = s.Type == "string" || s.Type == "any"; ok {
			return s.word(at, t)
		}
	case float64:
		ok = s.Type == "integer" || s.Type == "number" || s.Type == "any"
	case bool:
		ok = s.Type == "boolean" || s.Type == "any"
	}
	if !ok {
		return fmt.Errorf("%s is no %s", at, s.Type)
	}
	return nil
}

// discovered is the shape of a discovery schema.
type discovered struct {
	doc *discoveryDoc
	s   discoverySchema
}

func (doc *discoveryDoc) shape(s discoverySchema) Shape {
	if s.Ref != "" {
		s = doc.Schemas[s.Ref]
	}
	switch s.Type {
	case "", "any":
		return nil
	case "object":
		if len(s.Properties) == 0 && s.AdditionalProperties == nil {
			return object{} // Empty
		}
		return discovered{doc, s}
	case "array":
		return discovered{doc, s}
	}
	return nothing{}
}

func (d discovered) Field(name string) (Shape, bool) {
	if p, ok := d.s.Properties[name]; ok {
		return d.doc.shape(p), true
	}
	if d.s.AdditionalProperties != nil {
		return d.doc.shape(*d.s.AdditionalProperties), true
	}
	return nil, false
}

func (d discovered) Item() (Shape, bool) {
	if d.s.Items == nil {
		return nil, false
	}
	return d.doc.shape(*d.s.Items), true
}
