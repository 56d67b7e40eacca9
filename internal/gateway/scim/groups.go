// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// createGroup answers POST /Groups.
func (c *call) createGroup() (answer, error) {
	p, err := c.projection(scim.Group)
	if err != nil {
		return answer{}, err
	}
	sent, err := c.sent(scim.Group)
	if err != nil {
		return answer{}, err
	}
	members := sent.TakeMembers()
	written, err := c.writeGroup("", func(tx *store.SCIMTx, _ *store.SCIMResource) (*store.SCIMGroupChange, error) {
		return c.group(tx, nil, sent.Clone(), &scim.MemberDelta{Add: append([]scim.Member(nil), members...)})
	})
	if err != nil {
		return answer{}, err
	}
	c.wrote(written)
	return c.one(http.StatusCreated, scim.Group, p, written.SCIMResource)
}

// replaceGroup answers PUT /Groups/{id}.
func (c *call) replaceGroup() (answer, error) {
	p, err := c.projection(scim.Group)
	if err != nil {
		return answer{}, err
	}
	sent, err := c.sent(scim.Group)
	if err != nil {
		return answer{}, err
	}
	members := sent.TakeMembers()
	written, err := c.changeGroup(func(tx *store.SCIMTx, have *store.SCIMResource) (*store.SCIMGroupChange, error) {
		want, _, err := scim.Replace(stored(scim.Group, have), sent)
		if err != nil {
			return nil, err
		}
		return c.group(tx, have, want, &scim.MemberDelta{ReplaceAll: true, Add: append([]scim.Member(nil), members...)})
	})
	if err != nil {
		return answer{}, err
	}
	return c.one(http.StatusOK, scim.Group, p, written.SCIMResource)
}

// patchGroup answers PATCH /Groups/{id} without a body: all members would be
// one (RFC 7644 section 3.5.2 lets the service provider choose). Who names
// attributes gets them.
func (c *call) patchGroup() (answer, error) {
	p, err := c.projection(scim.Group)
	if err != nil {
		return answer{}, err
	}
	patch, err := c.sentPatch(scim.Group)
	if err != nil {
		return answer{}, err
	}
	written, err := c.changeGroup(func(tx *store.SCIMTx, have *store.SCIMResource) (*store.SCIMGroupChange, error) {
		result, err := patch.Apply(stored(scim.Group, have), func(filter scim.Expr) ([]scim.Member, error) {
			return tx.MembersWhere(c, have.ID, filter)
		})
		if err != nil {
			return nil, err
		}
		return c.group(tx, have, result.Resource, result.Members)
	})
	if err != nil {
		return answer{}, err
	}
	if c.param("attributes") != "" {
		related, err := c.api.Store.SCIMRelated(c, c.caller.Tenant, scim.Group, []string{written.ID})
		if err == nil && (related[written.ID] <= maxRelated || !p.Includes("members")) {
			return c.one(http.StatusOK, scim.Group, p, written.SCIMResource)
		}
	}
	return answer{status: http.StatusNoContent, header: map[string]string{"ETag": scim.WeakETag(written.Version)}}, nil
}

func (c *call) deleteGroup() (answer, error) {
	_, err := c.changeGroup(func(*store.SCIMTx, *store.SCIMResource) (*store.SCIMGroupChange, error) { return nil, nil })
	return answer{status: http.StatusNoContent}, err
}

// changeGroup writes what change makes of the group of the path.
func (c *call) changeGroup(change store.SCIMGroupRule) (store.SCIMWritten, error) {
	c.resource = c.path[1]
	written, err := c.writeGroup(c.path[1], func(tx *store.SCIMTx, have *store.SCIMResource) (*store.SCIMGroupChange, error) {
		if have == nil {
			return nil, store.ErrNotFound
		}
		if err := c.matches(have); err != nil {
			return nil, err
		}
		return change(tx, have)
	})
	if err == nil {
		c.wrote(written)
	}
	return written, err
}

// group holds a group to a name of its own and to members that are known.
func (c *call) group(tx *store.SCIMTx, have *store.SCIMResource, want *scim.Resource, members *scim.MemberDelta) (*store.SCIMGroupChange, error) {
	named, err := tx.GroupNamed(c, want.Text("displayName"))
	if err != nil {
		return nil, err
	}
	if named != "" && (have == nil || named != have.ID) {
		return nil, &scim.Error{Status: http.StatusConflict, Type: scim.Uniqueness, Detail: "There is a group with this displayName."}
	}
	if members == nil || len(members.Add) == 0 {
		return &store.SCIMGroupChange{Attributes: want.Attributes, Members: members}, nil
	}
	ids := make([]string, len(members.Add))
	for i, m := range members.Add {
		ids[i] = m.Value
		if have != nil && m.Value == have.ID {
			return nil, invalidValue("members: a group is no member of itself.")
		}
	}
	unknown, kinds, err := tx.Unknown(c, ids)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		return nil, invalidValue("members: %d of the ids are neither a user nor a group here: %s.", len(unknown), first(unknown))
	}
	for i := range members.Add {
		members.Add[i].Type = kinds[members.Add[i].Value]
	}
	return &store.SCIMGroupChange{Attributes: want.Attributes, Members: members}, nil
}

// first names some of the ids that the caller sent.
func first(ids []string) string {
	const (
		some   = 5
		length = 64
	)
	named := make([]string, min(len(ids), some))
	for i := range named {
		named[i] = strconv.QuoteToASCII(ids[i][:min(len(ids[i]), length)])
	}
	if len(ids) > some {
		named = append(named, "…")
	}
	return strings.Join(named, ", ")
}
