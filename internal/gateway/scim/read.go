// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// param is the first value of a query parameter.
func (c *call) param(name string) string {
	if v := c.query[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// projection is what the answer of a request holds.
func (c *call) projection(rt *scim.ResourceType) (*scim.Projection, error) {
	return scim.ParseProjection(rt, scim.SplitNames(c.param("attributes")), scim.SplitNames(c.param("excludedAttributes")))
}

func (c *call) location(rt *scim.ResourceType, id string) string {
	return c.base + rt.Endpoint + "/" + id
}

// relation is the attribute that is kept apart from the resource.
func relation(rt *scim.ResourceType) string {
	if rt == scim.Group {
		return "members"
	}
	return "groups"
}

// fit returns as many of the resources as one answer may hold with their
// members, or groups, and one at least. An answer with many takes a turn, until
// it is sent.
func (c *call) fit(rt *scim.ResourceType, p *scim.Projection, all []store.SCIMResource) ([]store.SCIMResource, error) {
	if len(all) == 0 || !p.Includes(relation(rt)) {
		return all, nil
	}
	counts, err := c.api.Store.SCIMRelated(c, c.caller.Tenant, rt, ids(all))
	if err != nil {
		return nil, err
	}
	sum := 0
	for i, r := range all {
		n := counts[r.ID]
		if i > 0 && sum+n > maxRelated {
			all = all[:i]
			break
		}
		if sum += n; rt == scim.Group && n > maxRelated {
			c.streamed = map[string]bool{r.ID: true}
		}
	}
	if sum > manyRelated {
		err = c.hold(c.api.turns.heavy)
	}
	return all, err
}

func ids(all []store.SCIMResource) []string {
	out := make([]string, len(all))
	for i, r := range all {
		out[i] = r.ID
	}
	return out
}

// render makes resources of what is stored. Groups of users and members of
// groups are read only where the answer may hold them.
func (c *call) render(rt *scim.ResourceType, p *scim.Projection, stored ...store.SCIMResource) ([]*scim.Resource, error) {
	related, err := c.related(rt, p, ids(stored))
	if err != nil {
		return nil, err
	}
	out := make([]*scim.Resource, len(stored))
	for i, s := range stored {
		r := &scim.Resource{Type: rt, Attributes: maps.Clone(s.Attributes)}
		r.Attributes["id"] = s.ID
		r.SetMeta(scim.Meta{Created: s.CreatedAt, LastModified: s.ModifiedAt, Location: c.location(rt, s.ID), Version: scim.WeakETag(s.Version)})
		out[i] = p.Apply(r)
		switch list := related[s.ID]; {
		case c.streamed[s.ID]:
			p.List(relation(rt)).Stream(out[i], c.members(s))
		case list != nil:
			list.Put(out[i])
		}
	}
	return out, nil
}

// related returns the groups of users, or the members of groups.
func (c *call) related(rt *scim.ResourceType, p *scim.Projection, ids []string) (map[string]*scim.List, error) {
	out := map[string]*scim.List{}
	if len(ids) == 0 || !p.Includes(relation(rt)) {
		return out, nil
	}
	if rt == scim.User {
		groups, err := c.api.Store.SCIMGroupsOf(c, c.caller.Tenant, ids)
		for user, all := range groups {
			out[user] = p.List(relation(rt))
			for _, g := range all {
				out[user].Add(scim.Object{"value": g.GroupID, "$ref": c.location(scim.Group, g.GroupID), "display": g.Display, "type": "direct"})
			}
		}
		return out, err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return c.streamed[id] })
	members, err := c.api.Store.SCIMMembers(c, c.caller.Tenant, ids)
	for group, all := range members {
		out[group] = p.List(relation(rt))
		for _, m := range all {
			out[group].Add(c.member(m))
		}
		delete(members, group)
	}
	return out, err
}

func (c *call) member(m store.SCIMMember) scim.Object {
	kind := scim.User
	if m.Type == scim.Group.Name {
		kind = scim.Group
	}
	return scim.Object{"value": m.ID, "$ref": c.location(kind, m.ID), "type": m.Type}
}

// members reads the members of a group, a part at a time, while they are sent.
// It fails if the group is another one by then than that whose version is told.
func (c *call) members(of store.SCIMResource) scim.Values {
	return func(add func(scim.Object) error) error {
		ctx := c.request.Context() // sending has more time than deciding
		for after := ""; ; {
			part, err := c.api.Store.SCIMMembersAfter(ctx, c.caller.Tenant, of.ID, after, maxRelated/4)
			if err != nil {
				return err
			}
			for _, m := range part {
				if err := add(c.member(m)); err != nil {
					return err
				}
			}
			if len(part) < maxRelated/4 {
				break
			}
			after = part[len(part)-1].ID
		}
		now, err := c.api.Store.SCIMGroup(ctx, c.caller.Tenant, of.ID)
		if err == nil && now.Version != of.Version {
			err = errors.New("the group has changed while its members were sent")
		}
		return err
	}
}

// one is the answer with a single resource.
func (c *call) one(status int, rt *scim.ResourceType, p *scim.Projection, stored store.SCIMResource) (answer, error) {
	rendered, err := c.render(rt, p, stored)
	if err != nil {
		return answer{}, err
	}
	return answer{status: status, body: rendered[0], header: map[string]string{
		"ETag": scim.WeakETag(stored.Version), "Location": c.location(rt, stored.ID),
	}}, nil
}

func (c *call) get(rt *scim.ResourceType) (answer, error) {
	c.resource = c.path[1]
	p, err := c.projection(rt)
	if err != nil {
		return answer{}, err
	}
	read := c.api.Store.SCIMUser
	if rt == scim.Group {
		read = c.api.Store.SCIMGroup
	}
	stored, err := read(c, c.caller.Tenant, c.path[1])
	if err != nil {
		return answer{}, err
	}
	if v := c.request.Header.Get("If-None-Match"); v != "" && scim.ETagMatches(v, stored.Version) {
		return answer{status: http.StatusNotModified, header: map[string]string{"ETag": scim.WeakETag(stored.Version)}}, nil
	}
	if _, err := c.fit(rt, p, []store.SCIMResource{stored}); err != nil {
		return answer{}, err
	}
	return c.one(http.StatusOK, rt, p, stored)
}

// criteria are what a query asks for, from a URL or the body of a search.
type criteria struct {
	filter, sortBy, sortOrder string
	start, count              int
	attributes, excluded      []string
}

// fromURL reads the criteria of a GET. Parameters that are not known are
// ignored: Entra ID adds flags to the URL.
func (c *call) fromURL() (criteria, error) {
	out := criteria{filter: c.param("filter"), sortBy: c.param("sortBy"), sortOrder: c.param("sortOrder"), start: 1, count: defaultResults,
		attributes: scim.SplitNames(c.param("attributes")), excluded: scim.SplitNames(c.param("excludedAttributes"))}
	for _, p := range []struct {
		name string
		into *int
	}{{"startIndex", &out.start}, {"count", &out.count}} {
		if v := c.param(p.name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil {
				return out, invalidValue("%s is an integer.", p.name)
			}
			*p.into = n
		}
	}
	if len(c.query["filter"]) > 0 && strings.TrimSpace(out.filter) == "" {
		return out, &scim.Error{Status: http.StatusBadRequest, Type: scim.InvalidFilter, Detail: "The filter is empty."}
	}
	return out, nil
}

// list answers GET /Users and GET /Groups.
func (c *call) list(rt *scim.ResourceType) (answer, error) {
	q, err := c.fromURL()
	if err != nil {
		return answer{}, err
	}
	return c.page(q, rt)
}

// listAll answers GET /: the resources of every type.
func (c *call) listAll() (answer, error) {
	q, err := c.fromURL()
	if err != nil {
		return answer{}, err
	}
	return c.page(q, scim.ResourceTypes()...)
}

// page answers a query over one or more types, one after the other.
func (c *call) page(q criteria, types ...*scim.ResourceType) (answer, error) {
	q.start, q.count = max(q.start, 1), min(max(q.count, 0), maxResults)
	var out []*scim.Resource
	var total int64
	var refused error
	asked := 0
	for _, rt := range types {
		query, p, err := c.compile(q, rt)
		if _, protocol := scim.AsError(err); protocol && len(types) > 1 {
			refused = err // the other type may know the attribute
			continue
		}
		if err != nil {
			return answer{}, err
		}
		asked++
		query.Offset = max(int64(q.start)-1-total, 0)
		query.Limit = q.count - len(out)
		if !looksUp(rt, query) {
			if err := c.hold(c.api.turns.heavy); err != nil {
				return answer{}, err
			}
		}
		rows, n, err := c.api.Store.ListSCIM(c, c.caller.Tenant, rt, query)
		if err != nil {
			return answer{}, err
		}
		total += n
		found := len(rows)
		if rows, err = c.fit(rt, p, rows); err != nil {
			return answer{}, err
		}
		if len(rows) < found {
			q.count = len(out) + len(rows) // the page ends here
		}
		rendered, err := c.render(rt, p, rows...)
		if err != nil {
			return answer{}, err
		}
		out = append(out, rendered...)
	}
	if asked == 0 {
		return answer{}, refused
	}
	return answer{status: http.StatusOK, body: scim.NewListResponse(int(total), q.start, out)}, nil
}

// compile reads the criteria for one type.
func (c *call) compile(q criteria, rt *scim.ResourceType) (out store.SCIMQuery, p *scim.Projection, err error) {
	if p, err = scim.ParseProjection(rt, q.attributes, q.excluded); err != nil {
		return out, nil, err
	}
	if q.filter != "" {
		if out.Filter, err = scim.ParseFilter(rt, q.filter, c.dialect); err != nil {
			return out, nil, err
		}
	}
	out.Sort, err = scim.ParseSort(rt, q.sortBy, q.sortOrder)
	return out, p, err
}

func (c *call) search(rt *scim.ResourceType) (answer, error) {
	q, err := c.fromBody()
	if err != nil {
		return answer{}, err
	}
	return c.page(q, rt)
}

func (c *call) searchAll() (answer, error) {
	q, err := c.fromBody()
	if err != nil {
		return answer{}, err
	}
	return c.page(q, scim.ResourceTypes()...)
}
