// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakeidp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Schemas that providers name.
const (
	schemaUser       = "urn:ietf:params:scim:schemas:core:2.0:User"
	schemaGroup      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	schemaEnterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	schemaPatch      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	schemaADGroup    = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
)

// Server is the application that is provisioned.
type Server struct {
	Base  string // https://HOST/scim/v2
	Token string
	HTTP  *http.Client
	// Query is added to every request, such as aadOptscim062020.
	Query string
	// Requests counts what was sent, by "METHOD Users" and the like.
	Requests map[string]int
}

// Problem is an answer that is no success.
type Problem struct {
	Status int
	Body   string
}

func (p *Problem) Error() string { return fmt.Sprintf("%d %s", p.Status, p.Body) }

type object = map[string]any

// send makes a request. An answer of 400 and above is a *Problem.
func (s *Server) send(ctx context.Context, method, path string, query url.Values, body any) (object, error) {
	var payload io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(data)
	}
	target := s.Base + "/" + path
	raw := query.Encode()
	if s.Query != "" {
		raw = strings.TrimPrefix(raw+"&"+s.Query, "&")
	}
	if raw != "" {
		target += "?" + raw
	}
	r, err := http.NewRequestWithContext(ctx, method, target, payload)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+s.Token)
	if body != nil {
		r.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	}
	if s.Requests == nil {
		s.Requests = map[string]int{}
	}
	kind, _, _ := strings.Cut(path, "/")
	s.Requests[method+" "+kind]++
	resp, err := s.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 400 {
		return nil, &Problem{Status: resp.StatusCode, Body: string(data)}
	}
	if len(data) == 0 {
		return nil, nil
	}
	var out object
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("%s %s answers %d with no JSON object: %w", method, path, resp.StatusCode, err)
	}
	return out, nil
}

// find returns the id of the one resource that the filter finds, or "".
func (s *Server) find(ctx context.Context, kind, filter string, more url.Values) (string, error) {
	q := url.Values{"filter": {filter}}
	for k, v := range more {
		q[k] = v
	}
	list, err := s.send(ctx, http.MethodGet, kind, q, nil)
	if err != nil {
		return "", err
	}
	found, _ := list["Resources"].([]any)
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		one, _ := found[0].(object)
		return fmt.Sprint(one["id"]), nil
	}
	return "", fmt.Errorf("%s?filter=%s finds %d", kind, filter, len(found))
}

// create posts a resource and returns its id, which providers take from the body.
func (s *Server) create(ctx context.Context, kind string, body object) (string, error) {
	out, err := s.send(ctx, http.MethodPost, kind, nil, body)
	if err != nil {
		return "", err
	}
	id, _ := out["id"].(string)
	if id == "" {
		return "", errors.New("create new user returned empty user")
	}
	return id, nil
}

func (s *Server) patch(ctx context.Context, path string, operations ...object) error {
	_, err := s.send(ctx, http.MethodPatch, path, nil, object{"schemas": []string{schemaPatch}, "Operations": operations})
	return err
}

func quoted(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }
