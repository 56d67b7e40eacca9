// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/version"
)

// everywhere are the errors that every route may answer with.
var everywhere = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests, http.StatusServiceUnavailable}

// describe makes the OpenAPI 3.1 description of operations.
func describe(all []operation) []byte {
	paths := map[string]map[string]any{}
	for _, op := range all {
		if paths[op.path] == nil {
			paths[op.path] = map[string]any{}
		}
		paths[op.path][strings.ToLower(op.method)] = op.describe()
	}
	text, err := json.MarshalIndent(map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "Seatkeeper REST API", "version": version.Version,
			"description": "Runs Workflows and reads what they did. Callers prove who they are by an API key of type REST, by a bearer token of the cluster or by a client certificate.",
			"license":     map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":  []any{map[string]any{"url": Base}},
		"security": []any{map[string]any{"bearer": []string{}}, map[string]any{"certificate": []string{}}},
		"paths":    paths,
		"components": map[string]any{
			"securitySchemes": map[string]any{
				"bearer":      map[string]any{"type": "http", "scheme": "bearer", "description": "An API key of type REST, or a token of the cluster."},
				"certificate": map[string]any{"type": "mutualTLS", "description": "A client certificate of the cluster's authority."},
			},
			"schemas": map[string]any{"Error": schemaOf(reflect.TypeFor[errorAnswer]())},
		},
	}, "", "  ")
	if err != nil { // it is made of maps and strings
		panic(err)
	}
	return append(text, '\n')
}

// errorAnswer is how every route says no.
type errorAnswer struct {
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error" doc:"The name of the status code."`
	Message    string `json:"message" doc:"What was wrong, and how to mend it."`
}

var pathParam = regexp.MustCompile(`\{([^}]+)\}`)

// pathParams describe what stands in paths.
var pathParams = map[string]string{
	"id":    "The number of the Workflow, or its name.",
	"runId": "The id of the run, as starting it answered.",
}

func (op operation) describe() map[string]any {
	params := []any{}
	for _, m := range pathParam.FindAllStringSubmatch(op.path, -1) {
		params = append(params, map[string]any{"name": m[1], "in": "path", "required": true, "description": pathParams[m[1]], "schema": map[string]any{"type": kindString}})
	}
	for _, p := range op.params {
		s := map[string]any{"type": p.kind}
		if len(p.enum) > 0 {
			s["enum"] = p.enum
		}
		if p.kind == kindInteger {
			s["minimum"] = p.min
			if p.max > 0 {
				s["maximum"] = p.max
			}
		}
		params = append(params, map[string]any{"name": p.name, "in": "query", "description": p.doc, "schema": s})
	}
	params = append(params, map[string]any{
		"name": access.NamespaceHeader, "in": "header", "schema": map[string]any{"type": kindString},
		"description": "The namespace. A key, and the token of a ServiceAccount, say it by themselves.",
	})
	if op.method == http.MethodPost && op.form == nil {
		params = append(params, map[string]any{
			"name": keyHeader, "in": "header", "schema": map[string]any{"type": kindString, "maxLength": maxKey},
			"description": "The same key is the same run, however often it is sent.",
		})
	}
	out := map[string]any{"operationId": op.id, "summary": op.summary, "parameters": params, "responses": op.responses(),
		"description": "Takes the scope " + op.scope + " of a key, or the verb " + op.want.Verb + " on " + resourceOf(op.want) + " of the cluster."}
	switch {
	case op.form != nil:
		out["requestBody"] = map[string]any{"required": true, "content": map[string]any{"multipart/form-data": map[string]any{"schema": op.form}}}
	case op.body != nil:
		out["requestBody"] = map[string]any{"required": true, "content": map[string]any{"application/json": map[string]any{"schema": schemaOf(reflect.TypeOf(op.body))}}}
	}
	return out
}

func resourceOf(r access.Request) string {
	out := r.Resource
	if r.Subresource != "" {
		out += "/" + r.Subresource
	}
	return out + "." + access.Group
}

func (op operation) responses() map[string]any {
	out := map[string]any{}
	codes := op.codes
	if len(codes) == 0 {
		codes = []int{http.StatusOK}
	}
	for _, code := range codes {
		out[strconv.Itoa(code)] = map[string]any{"description": http.StatusText(code),
			"content": map[string]any{"application/json": map[string]any{"schema": schemaOf(reflect.TypeOf(op.answer))}}}
	}
	for _, code := range slices.Concat(everywhere, op.refusals) {
		out[strconv.Itoa(code)] = map[string]any{"description": http.StatusText(code),
			"content": map[string]any{"application/json": map[string]any{"schema": map[string]any{"$ref": "#/components/schemas/Error"}}}}
	}
	return out
}
