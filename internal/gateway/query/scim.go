// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"context"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// SCIMStore is what the endpoints of provisioning need.
type SCIMStore interface {
	SCIMLog(ctx context.Context, t model.TenantID, q store.SCIMLogQuery) ([]store.SCIMRequest, string, error)
	ListMembers(ctx context.Context, t model.TenantID, q store.MemberQuery) ([]store.MemberView, string, error)
}

// SCIMRequest is one request of an identity provider.
type SCIMRequest struct {
	store.SCIMRequest
	Outcome string `json:"outcome"` // ok, or what was refused
}

func scimRequestView(r store.SCIMRequest) SCIMRequest {
	v := SCIMRequest{SCIMRequest: r, Outcome: "ok"}
	if r.Status >= 400 {
		v.Outcome = "failed"
		if r.ScimType != "" {
			v.Outcome = r.ScimType
		}
	}
	return v
}

// scimRequests lists what identity providers asked, newest first.
func (a *API) scimRequests(c *call) (any, error) {
	failed, err := c.flag("failed")
	if err != nil {
		return nil, err
	}
	rows, next, err := a.Store.SCIMLog(c, c.tenant, store.SCIMLogQuery{Page: c.page(), Failed: failed,
		CorrelationID: c.query.Get("correlation"), ResourceID: c.query.Get("resource"), KeyName: c.query.Get("key")})
	if err != nil {
		return nil, cursorError(err)
	}
	views := make([]SCIMRequest, len(rows))
	for i, r := range rows {
		views[i] = scimRequestView(r)
	}
	return page("SCIMRequestList", views, next), nil
}

// members lists who has a role, Employees aside.
func (a *API) members(c *call) (any, error) {
	all, err := c.flag("all")
	if err != nil {
		return nil, err
	}
	rows, next, err := a.Store.ListMembers(c, c.tenant, store.MemberQuery{Page: c.page(), All: all})
	if err != nil {
		return nil, cursorError(err)
	}
	return page("MemberList", rows, next), nil
}

// flag reads a parameter that is true or false.
func (c *call) flag(name string) (bool, error) {
	switch v := c.query.Get(name); v {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, badRequest("%s=%q: want true or false", name, v)
	}
}
