// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package vendorspec

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

func (d *Description) swagger(data []byte) error {
	var old openapi2.T
	if err := json.Unmarshal(data, &old); err != nil {
		return fmt.Errorf("read Swagger 2: %w", err)
	}
	doc, err := openapi2conv.ToV3(&old)
	if err != nil {
		return fmt.Errorf("convert Swagger 2: %w", err)
	}
	return d.document(doc)
}

func (d *Description) openapi(data []byte) error {
	// Examples and defaults stay unchecked: vendors' own often break their schemas.
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		return fmt.Errorf("read OpenAPI: %w", err)
	}
	return d.document(doc)
}

func (d *Description) document(doc *openapi3.T) error {
	base := ""
	if len(doc.Servers) > 0 && !strings.Contains(doc.Servers[0].URL, "{") {
		u, err := url.Parse(doc.Servers[0].URL)
		if err != nil {
			return fmt.Errorf("read the server's address: %w", err)
		}
		d.Host, base = u.Host, u.Path
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if err := d.add(base, d.operation(doc, path, item, method, op)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Description) operation(doc *openapi3.T, path string, item *openapi3.PathItem, method string, op *openapi3.Operation) *Operation {
	out := &Operation{Method: method, Path: path, query: map[string]bool{}}
	trimmed := *op
	trimmed.Parameters = nil
	trimmed.Security = &openapi3.SecurityRequirements{} // who may is not the question here
	for _, list := range []openapi3.Parameters{item.Parameters, op.Parameters} {
		for _, p := range list {
			if p.Value == nil || d.noToken && p.Value.Name == "token" {
				continue
			}
			if p.Value.In == openapi3.ParameterInQuery {
				out.query[p.Value.Name] = true
			}
			trimmed.Parameters = append(trimmed.Parameters, p)
		}
	}
	if b := op.RequestBody; b != nil && b.Value != nil {
		out.hasBody = true
		for _, media := range b.Value.Content {
			out.body = schemaShape(media.Schema)
		}
	} else if d.anyMethod && method != http.MethodGet {
		out.hasBody = true
	}
	for _, status := range []string{"200", "201", "202", "default"} {
		res := op.Responses.Value(status)
		if res == nil || res.Value == nil {
			continue
		}
		if media := res.Value.Content.Get("application/json"); media != nil {
			out.Response = schemaShape(media.Schema)
			break
		}
	}
	if op.Security != nil {
		for _, way := range *op.Security {
			for _, name := range sorted(way) {
				out.Scopes = append(out.Scopes, way[name]...)
			}
		}
	}
	out.valid = func(r *http.Request, params map[string]string, _ []byte) error {
		return openapi3filter.ValidateRequest(context.Background(), &openapi3filter.RequestValidationInput{
			Request: r, PathParams: params, QueryParams: r.URL.Query(),
			Route: &routers.Route{Spec: doc, Path: path, PathItem: &openapi3.PathItem{}, Method: method, Operation: &trimmed},
			Options: &openapi3filter.Options{
				AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true,
				RejectWhenRequestBodyNotSpecified: true,
			},
		})
	}
	return out
}
