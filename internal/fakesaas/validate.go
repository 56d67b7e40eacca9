// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// spec is a vendor's own description of its API. Only requests are checked:
// two of the three descriptions are from 2021 and lack what came since.
type spec struct {
	doc    *openapi3.T
	prefix string // of the simulator's paths, which the description leaves out
	// lacking are parameters that the vendor added after the description, by
	// path; an empty path stands for all.
	lacking map[string][]string
	// anyMethod: the vendor takes GET and POST alike (Slack).
	anyMethod bool
}

// loadSpecs reads the descriptions from dir; none without a dir.
func loadSpecs(dir string) (map[string]*spec, error) {
	if dir == "" {
		return nil, nil
	}
	specs := map[string]*spec{
		Okta: {},
		Slack: {prefix: "/api", anyMethod: true, lacking: map[string][]string{
			"": {"metadata", "prevent_creation", "team_id"}, "/team.billableInfo": {"cursor", "limit"},
		}},
		Zoom: {prefix: "/v2", lacking: map[string][]string{"": {"next_page_token"}}},
	}
	files := map[string]string{
		Okta: "okta-management.trimmed.json", Slack: "slack-web-2021.requests-only.json", Zoom: "zoom-v2-2021.trimmed.json",
	}
	for vendor, file := range files {
		doc, err := loadSpec(filepath.Join(dir, file))
		if err != nil {
			return nil, fmt.Errorf("API description of %s: %w", vendor, err)
		}
		specs[vendor].doc = doc
	}
	return specs, nil
}

func loadSpec(file string) (*openapi3.T, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var version struct {
		Swagger string `json:"swagger"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if version.Swagger == "" {
		return openapi3.NewLoader().LoadFromData(data)
	}
	var old openapi2.T
	if err := json.Unmarshal(data, &old); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return openapi2conv.ToV3(&old)
}

// nameless makes path templates comparable, whatever their parameters are
// called.
func nameless(pattern string) string {
	parts := strings.Split(pattern, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, "{") {
			parts[i] = "{}"
		}
	}
	return strings.Join(parts, "/")
}

// operation finds what the description says about a call; nil if nothing.
func (s *spec) operation(c *call) (path string, item *openapi3.PathItem, method string, op *openapi3.Operation) {
	wanted, below := strings.CutPrefix(nameless(c.route.pattern), s.prefix)
	if !below {
		return "", nil, "", nil
	}
	for path, item := range s.doc.Paths.Map() {
		if nameless(path) != wanted {
			continue
		}
		for _, method := range []string{c.r.Method, http.MethodGet, http.MethodPost} {
			if op := item.Operations()[method]; op != nil && (method == c.r.Method || s.anyMethod) {
				return path, item, method, op
			}
		}
	}
	return "", nil, "", nil
}

// check holds a call against the description, and says what is wrong.
func (s *spec) check(c *call) string {
	path, item, method, op := s.operation(c)
	if op == nil {
		return ""
	}
	req, err := s.described(c, method)
	if err != nil {
		return "request cannot be checked: " + err.Error()
	}
	known, trimmed := s.parameters(item, op)
	for name := range req.URL.Query() {
		if !known["query "+name] {
			return "the vendor's description has no query parameter " + name
		}
	}
	params := map[string]string{}
	names := strings.Split(path, "/")
	for i, value := range strings.Split(strings.TrimPrefix(c.r.URL.Path, s.prefix), "/") {
		if strings.HasPrefix(names[i], "{") {
			params[strings.Trim(names[i], "{}")] = value
		}
	}
	err = openapi3filter.ValidateRequest(context.Background(), &openapi3filter.RequestValidationInput{
		Request: req, PathParams: params, QueryParams: req.URL.Query(),
		Route: &routers.Route{Spec: s.doc, Path: path, PathItem: &openapi3.PathItem{}, Method: method, Operation: trimmed},
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true,
			RejectWhenRequestBodyNotSpecified: true,
		},
	})
	if err != nil {
		return "against the vendor's description: " + firstLine(err.Error())
	}
	return ""
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// described is the call as the description would have it: without its prefix
// and what came later, and for Slack by the method and encoding described.
func (s *spec) described(c *call, method string) (*http.Request, error) {
	path := strings.TrimPrefix(c.r.URL.Path, s.prefix)
	lacking := append(slices.Clone(s.lacking[""]), s.lacking[path]...)
	query, body, contentType := url.Values{}, bytes.TrimSpace(c.raw), c.r.Header.Get("Content-Type")
	for name, values := range c.query {
		query[name] = values
	}
	if s.anyMethod {
		arguments := query
		for name := range c.fields {
			arguments.Set(name, c.arg(name))
			if raw, err := c.jsonArg(name); err == nil && (name == "blocks" || name == "attachments") {
				arguments.Set(name, string(raw))
			}
		}
		body, contentType = nil, ""
		if method == http.MethodPost {
			query = url.Values{}
			for _, name := range lacking {
				arguments.Del(name)
			}
			body, contentType = []byte(arguments.Encode()), "application/x-www-form-urlencoded"
		}
	}
	for _, name := range lacking {
		query.Del(name)
	}
	if string(body) == "{}" {
		body = nil // what some clients send where there is no body
	}
	target := url.URL{Scheme: "https", Host: "described.example", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequest(method, target.String(), io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		req.Body = http.NoBody
	} else {
		req.Header.Set("Content-Type", contentType)
	}
	return req, nil
}

// parameters lists what the operation takes, and gives it without Slack's
// token, which the authorization header has replaced.
func (s *spec) parameters(item *openapi3.PathItem, op *openapi3.Operation) (map[string]bool, *openapi3.Operation) {
	known := map[string]bool{}
	trimmed := *op
	trimmed.Parameters = nil
	for _, list := range []openapi3.Parameters{item.Parameters, op.Parameters} {
		for _, p := range list {
			if p.Value == nil || (s.anyMethod && p.Value.Name == "token") {
				continue
			}
			known[p.Value.In+" "+p.Value.Name] = true
			trimmed.Parameters = append(trimmed.Parameters, p)
		}
	}
	return known, &trimmed
}
