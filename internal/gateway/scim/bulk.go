// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/scim"
)

const bulkRef = "bulkId:"

// bulkOperation is one operation of a bulk request.
type bulkOperation struct {
	method, id, version, path string
	data                      map[string]any
	// needs are the bulkIds that it refers to.
	needs []string
}

// bulkResult is the answer to one operation (RFC 7644 section 3.7.3).
type bulkResult struct {
	Method   string `json:"method"`
	BulkID   string `json:"bulkId,omitempty"`
	Version  string `json:"version,omitempty"`
	Location string `json:"location,omitempty"`
	Status   string `json:"status"`
	Response any    `json:"response,omitempty"`
}

type bulkResponse struct {
	Schemas    []string     `json:"schemas"`
	Operations []bulkResult `json:"Operations"`
}

// bulk answers POST /Bulk. Operations are carried out in order, each by itself;
// one that refers to another comes after it, whatever their order. Those that
// refer to one another in a circle are refused with 409.
func (c *call) bulk() (answer, error) {
	if err := c.hold(c.api.turns.bulk); err != nil {
		// A client that is still sending would not read the answer.
		_, _ = io.CopyN(io.Discard, c.request.Body, maxBulkBody)
		return answer{}, err
	}
	doc, err := c.body()
	if err != nil {
		return answer{}, err
	}
	ops, limit, err := parseBulk(doc)
	if err != nil {
		return answer{}, err
	}
	results := make([]*bulkResult, len(ops))
	known := map[string]string{} // resource ids by bulkId
	failures := 0
	for _, i := range bulkOrder(ops) {
		if limit > 0 && failures >= limit {
			break
		}
		r, id := c.carryOut(ops[i], known)
		if id != "" && ops[i].id != "" {
			known[ops[i].id] = id
		}
		if status, _ := strconv.Atoi(r.Status); status >= http.StatusBadRequest {
			failures++
		}
		results[i] = &r
	}
	out := bulkResponse{Schemas: []string{scim.BulkResponseURN}, Operations: []bulkResult{}}
	for _, r := range results {
		if r != nil {
			out.Operations = append(out.Operations, *r)
		}
	}
	c.route, c.resource, c.changed = "/Bulk", "", nil
	return answer{status: http.StatusOK, body: out}, nil
}

func parseBulk(doc map[string]any) ([]bulkOperation, int, error) {
	if !hasSchema(doc, scim.BulkRequestURN) {
		return nil, 0, invalidValue("schemas lacks %s.", scim.BulkRequestURN)
	}
	limit := 0
	if v := member(doc, "failOnErrors"); v != nil {
		n, _ := v.(json.Number)
		i, err := strconv.Atoi(n.String())
		if err != nil || i < 0 {
			return nil, 0, invalidValue("failOnErrors is a number of errors.")
		}
		limit = i
	}
	list, ok := member(doc, "Operations").([]any)
	if !ok || len(list) == 0 {
		return nil, 0, invalidSyntax("Operations is a list of operations.")
	}
	if len(list) > maxBulk {
		return nil, 0, &scim.Error{Status: http.StatusRequestEntityTooLarge, Detail: "A bulk request has at most " + strconv.Itoa(maxBulk) + " operations."}
	}
	ops := make([]bulkOperation, len(list))
	seen := map[string]bool{}
	for i, v := range list {
		o, ok := v.(map[string]any)
		if !ok {
			return nil, 0, invalidSyntax("Operations[%d] is an object.", i)
		}
		for name, into := range map[string]*string{"method": &ops[i].method, "bulkId": &ops[i].id, "version": &ops[i].version, "path": &ops[i].path} {
			v := member(o, name)
			if *into, ok = v.(string); v != nil && !ok {
				return nil, 0, invalidSyntax("Operations[%d].%s is a string.", i, name)
			}
		}
		op := &ops[i]
		op.method = strings.ToUpper(op.method)
		switch {
		case !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, op.method):
			return nil, 0, invalidSyntax("Operations[%d].method is POST, PUT, PATCH or DELETE.", i)
		case op.method == http.MethodPost && op.id == "":
			return nil, 0, invalidSyntax("Operations[%d].bulkId is required with POST.", i)
		case op.id != "" && seen[op.id]:
			return nil, 0, invalidSyntax("Operations[%d].bulkId stands twice.", i)
		}
		seen[op.id] = true
		op.data, _ = member(o, "data").(map[string]any)
		op.needs = references(op.path, op.data)
	}
	return ops, limit, nil
}

// references finds the bulkIds that a path and a value refer to.
func references(path string, data any) (out []string) {
	for _, s := range strings.Split(path, "/") {
		if id, ok := strings.CutPrefix(s, bulkRef); ok {
			out = append(out, id)
		}
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			if id, ok := strings.CutPrefix(v, bulkRef); ok {
				out = append(out, id)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				walk(v[k])
			}
		}
	}
	walk(data)
	return out
}

// bulkOrder is the order of the operations, but that one comes after those it
// refers to. Circles stay where they are and find their references unresolved.
func bulkOrder(ops []bulkOperation) []int {
	at := map[string]int{}
	for i, op := range ops {
		if op.id != "" && op.method == http.MethodPost {
			at[op.id] = i
		}
	}
	const (
		entered = 1
		left    = 2
	)
	state := make([]int, len(ops))
	var out []int
	// The way down is a list of its own: how deep it goes is the caller's choice.
	for i := range ops {
		way := []int{i}
		for len(way) > 0 {
			n := way[len(way)-1]
			if state[n] == left {
				way = way[:len(way)-1]
				continue
			}
			deeper := false
			if state[n] != entered {
				state[n] = entered
				for _, id := range slices.Backward(ops[n].needs) {
					if j, ok := at[id]; ok && state[j] == 0 {
						way, deeper = append(way, j), true
					}
				}
			}
			if !deeper {
				state[n] = left
				out = append(out, n)
				way = way[:len(way)-1]
			}
		}
	}
	return out
}

// resolve puts ids in place of references. It reports those that have none.
func resolve(v any, known map[string]string, missing *[]string) any {
	switch v := v.(type) {
	case string:
		if ref, ok := strings.CutPrefix(v, bulkRef); ok {
			if id, found := known[ref]; found {
				return id
			}
			*missing = append(*missing, ref)
		}
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = resolve(e, known, missing)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = resolve(e, known, missing)
		}
		return out
	}
	return v
}

// carryOut does one operation as a request of its own, and returns the id of
// what it made.
func (c *call) carryOut(op bulkOperation, known map[string]string) (bulkResult, string) {
	result := bulkResult{Method: op.method, BulkID: op.id}
	one := *c
	one.method, one.ifMatch, one.route, one.resource, one.changed, one.query, one.path = op.method, op.version, "none", "", nil, nil, nil
	out, err := func() (answer, error) {
		var missing []string
		target, err := url.ParseRequestURI(op.path)
		var parts []string
		if err == nil {
			parts = segments(target.Path)
		}
		if len(parts) == 0 || !strings.EqualFold(parts[0], "Users") && !strings.EqualFold(parts[0], "Groups") {
			return answer{}, invalidValue("path is /Users or /Groups, with an id for everything but POST.")
		}
		if one.query, err = parseQuery(target.RawQuery); err != nil {
			return answer{}, err
		}
		for _, p := range parts {
			id, _ := resolve(p, known, &missing).(string)
			one.path = append(one.path, id)
		}
		data, _ := resolve(op.data, known, &missing).(map[string]any)
		if len(missing) > 0 {
			return answer{}, &scim.Error{Status: http.StatusConflict, Detail: "It refers to a bulkId that stands for no resource: it is not in this request, it failed, or they refer to one another in a circle."}
		}
		one.body = func() (map[string]any, error) {
			if data == nil {
				return nil, invalidSyntax("data is an object.")
			}
			return data, nil
		}
		if err := c.spend(); err != nil {
			return answer{}, err
		}
		return one.dispatch()
	}()
	if err != nil {
		e, _ := c.api.problem(c, err)
		result.Status, result.Response = strconv.Itoa(e.Status), errorBody(e)
		c.api.Requests.add(c.caller.Tenant, one.logged(c.caller, c.api.Clock.Now(), e.Status, e.Type))
		access.NoteOf(c).Part(e.Status, op.method, one.auditRoute(), refusalReason(e), loggedID(one.resource), one.auditDetail(e))
		return result, ""
	}
	c.api.Requests.add(c.caller.Tenant, one.logged(c.caller, c.api.Clock.Now(), out.status, ""))
	result.Status, result.Version = strconv.Itoa(out.status), out.header["ETag"]
	if op.method != http.MethodDelete {
		result.Location = out.header["Location"]
		if result.Location == "" && len(one.path) == 2 {
			result.Location = c.base + "/" + one.path[0] + "/" + one.path[1]
		}
	}
	return result, one.resource
}
