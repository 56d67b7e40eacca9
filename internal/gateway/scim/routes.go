// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"net/http"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/scim"
)

// methods are the handlers of one path by method.
type methods map[string]func(*call) (answer, error)

// dispatch finds the handler of a request.
func (c *call) dispatch() (answer, error) {
	table, route := c.lookup()
	c.route = route
	if table == nil {
		return answer{}, notFound()
	}
	method := c.method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	handler := table[method]
	if handler == nil {
		if any, ok := table["*"]; ok {
			return any(c)
		}
		allow := make([]string, 0, len(table))
		for m := range table {
			allow = append(allow, m)
		}
		slices.Sort(allow)
		return answer{}, wrongMethod(allow...)
	}
	scope := access.SCIMWrite
	if method == http.MethodGet || strings.HasSuffix(route, "/.search") {
		scope = access.SCIMRead
	}
	if err := c.api.Keys.Require(c.request, c.caller, scope); err != nil {
		return answer{}, err
	}
	return handler(c)
}

// lookup returns what the path takes, and the path as the log shows it.
func (c *call) lookup() (methods, string) {
	if len(c.path) == 0 {
		return methods{http.MethodGet: (*call).listAll}, "/"
	}
	rest := c.path[1:]
	switch first := c.path[0]; {
	case strings.EqualFold(first, "Users"):
		return resourceRoutes(scim.User, rest)
	case strings.EqualFold(first, "Groups"):
		return resourceRoutes(scim.Group, rest)
	case strings.EqualFold(first, "ServiceProviderConfig") && len(rest) == 0:
		return discovery((*call).serviceProviderConfig), "/ServiceProviderConfig"
	case strings.EqualFold(first, "ResourceTypes") && len(rest) <= 1:
		return discovery((*call).resourceTypes), "/ResourceTypes"
	case strings.EqualFold(first, "Schemas") && len(rest) <= 1:
		return discovery((*call).schemas), "/Schemas"
	case first == ".search" && len(rest) == 0:
		return methods{http.MethodPost: (*call).searchAll}, "/.search"
	case strings.EqualFold(first, "Bulk") && len(rest) == 0:
		return methods{http.MethodPost: (*call).bulk}, "/Bulk"
	case strings.EqualFold(first, "Me"):
		return methods{"*": (*call).me}, "/Me"
	}
	return nil, "none"
}

func resourceRoutes(rt *scim.ResourceType, rest []string) (methods, string) {
	user := rt == scim.User
	pick := func(users, groups func(*call) (answer, error)) func(*call) (answer, error) {
		if user {
			return users
		}
		return groups
	}
	switch {
	case len(rest) == 0:
		return methods{
			http.MethodGet:  func(c *call) (answer, error) { return c.list(rt) },
			http.MethodPost: pick((*call).createUser, (*call).createGroup),
		}, rt.Endpoint
	case len(rest) == 1 && rest[0] == ".search":
		return methods{http.MethodPost: func(c *call) (answer, error) { return c.search(rt) }}, rt.Endpoint + "/.search"
	case len(rest) == 1:
		return methods{
			http.MethodGet:    func(c *call) (answer, error) { return c.get(rt) },
			http.MethodPut:    pick((*call).replaceUser, (*call).replaceGroup),
			http.MethodPatch:  pick((*call).patchUser, (*call).patchGroup),
			http.MethodDelete: pick((*call).deleteUser, (*call).deleteGroup),
		}, rt.Endpoint + "/{id}"
	}
	return nil, "none"
}

// discovery serves descriptions, which cannot be filtered (RFC 7644 section 4).
func discovery(serve func(*call) (answer, error)) methods {
	return methods{http.MethodGet: func(c *call) (answer, error) {
		if len(c.query["filter"]) > 0 {
			return answer{}, &scim.Error{Status: http.StatusForbidden, Detail: "Descriptions of the service cannot be filtered."}
		}
		return serve(c)
	}}
}

func (c *call) serviceProviderConfig() (answer, error) {
	bulk := scim.BulkSupport{Supported: true, MaxOperations: maxBulk, MaxPayloadSize: maxBulkBody}
	return answer{status: http.StatusOK, body: scim.NewServiceProviderConfig(c.base, "", bulk, maxResults)}, nil
}

func (c *call) resourceTypes() (answer, error) {
	var all []scim.ResourceTypeDocument
	for _, rt := range scim.ResourceTypes() {
		if len(c.path) == 2 && strings.EqualFold(rt.Name, c.path[1]) {
			return answer{status: http.StatusOK, body: rt.Document(c.base)}, nil
		}
		all = append(all, rt.Document(c.base))
	}
	if len(c.path) == 2 {
		return answer{}, notFound()
	}
	return answer{status: http.StatusOK, body: scim.NewListResponse(len(all), 1, all)}, nil
}

func (c *call) schemas() (answer, error) {
	var all []scim.SchemaDocument
	for _, s := range scim.Schemas() {
		if len(c.path) == 2 && strings.EqualFold(s.ID, c.path[1]) {
			return answer{status: http.StatusOK, body: s.Document(c.base)}, nil
		}
		all = append(all, s.Document(c.base))
	}
	if len(c.path) == 2 {
		return answer{}, notFound()
	}
	return answer{status: http.StatusOK, body: scim.NewListResponse(len(all), 1, all)}, nil
}

// me is not there for keys, which are no user (RFC 7644 section 3.11).
func (c *call) me() (answer, error) {
	return answer{}, &scim.Error{Status: http.StatusNotImplemented, Detail: "A key of type SCIM belongs to no user, so there is no /Me for it."}
}
