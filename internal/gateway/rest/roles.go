// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"net/http"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
)

// role is a role of the tenant in GET /v1.0/roles.
type role struct {
	ID          int    `json:"id" doc:"Its place among the roles of the Organization, from 1."`
	SystemKey   string `json:"systemKey" doc:"Its name in small letters, with dashes."`
	Name        string `json:"name" doc:"What userType names, spelled exactly."`
	Description string `json:"description"`
	IsAdmin     bool   `json:"isAdmin"`
	UsersCount  int64  `json:"usersCount" doc:"Active users who have it."`
}

// roleList is the answer of GET /v1.0/roles.
type roleList struct {
	Roles []role `json:"roles"`
}

func roleOperations() []operation {
	return []operation{{method: http.MethodGet, path: "/roles", id: "listRoles", summary: "List the roles of members",
		scope: "roles:read", want: access.Request{Verb: "list", Resource: "people"}, answer: roleList{}, serve: (*API).roles}}
}

func (a *API) roles(c *call) (any, error) {
	all, err := a.Store.ListRoles(c, c.Tenant)
	if err != nil {
		return nil, err
	}
	out := roleList{Roles: []role{}}
	for i, r := range all {
		out.Roles = append(out.Roles, role{ID: i + 1, SystemKey: strings.ToLower(strings.Join(strings.Fields(r.Name), "-")), Name: r.Name,
			Description: r.Description, IsAdmin: r.Admin, UsersCount: r.Members})
	}
	return out, nil
}
