// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"net/http"

	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/scim/compat"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// strict reports whether the protocol holds to the letter.
func (c *call) strict() bool { return c.dialect == scim.Strict }

// sent reads the resource in the body of a POST or a PUT.
func (c *call) sent(rt *scim.ResourceType) (*scim.Resource, error) {
	doc, err := c.body()
	if err != nil {
		return nil, err
	}
	if !c.strict() {
		doc = compat.Resource(rt, doc)
	}
	return scim.Decode(rt, doc, c.dialect)
}

// sentPatch reads the body of a PATCH.
func (c *call) sentPatch(rt *scim.ResourceType) (*scim.Patch, error) {
	doc, err := c.body()
	if err != nil {
		return nil, err
	}
	if !c.strict() {
		doc = compat.Patch(rt, c.path[1], doc)
	}
	return scim.ParsePatch(rt, doc, c.dialect)
}

// matches refuses a write on another version than the one meant.
func (c *call) matches(have *store.SCIMResource) error {
	if have != nil && c.ifMatch != "" && !scim.ETagMatches(c.ifMatch, have.Version) {
		return &scim.Error{Status: http.StatusPreconditionFailed, Detail: "The resource has changed since: read it again."}
	}
	return nil
}

func stored(rt *scim.ResourceType, have *store.SCIMResource) *scim.Resource {
	return (&scim.Resource{Type: rt, Attributes: have.Attributes}).Clone()
}

// createUser answers POST /Users. A user who is known and inactive is active
// again, under the id that they have: whoever comes back is who they were.
func (c *call) createUser() (answer, error) {
	p, err := c.projection(scim.User)
	if err != nil {
		return answer{}, err
	}
	sent, err := c.sent(scim.User)
	if err != nil {
		return answer{}, err
	}
	if err := c.checkName(sent.Text("userName")); err != nil {
		return answer{}, err
	}
	if _, given := sent.Bool("active"); !given {
		sent.Attributes["active"] = true
	}
	written, err := c.writeUser(store.SCIMUserKey{UserName: sent.Text("userName")},
		func(tx *store.SCIMTx, have *store.SCIMResource) (scim.Object, error) {
			want := sent.Clone()
			rules := rules{c, tx, have}
			if have != nil {
				active, _ := want.Bool("active")
				if was, _ := stored(scim.User, have).Bool("active"); was || !active {
					return nil, &scim.Error{Status: http.StatusConflict, Type: scim.Uniqueness, Detail: "There is a user with this userName."}
				}
				want.Attributes["userName"] = have.Attributes["userName"]
			}
			return rules.end(want)
		})
	if err != nil {
		return answer{}, err
	}
	c.wrote(written)
	return c.one(http.StatusCreated, scim.User, p, written.SCIMResource)
}

// replaceUser answers PUT /Users/{id}. The id of the path is the only one.
func (c *call) replaceUser() (answer, error) {
	sent, err := c.sent(scim.User)
	if err != nil {
		return answer{}, err
	}
	return c.changeUser(func(_ *store.SCIMTx, have *scim.Resource) (*scim.Resource, error) {
		want, _, err := scim.Replace(have, sent)
		if err != nil {
			return nil, err
		}
		// Leaving out the role, or whether the user is active, changes neither:
		// an omission must not demote or disable anybody.
		for _, name := range []string{"userType", "active"} {
			if v, known := have.Attributes[name]; known && want.Attributes[name] == nil {
				want.Attributes[name] = v
			}
		}
		return want, nil
	})
}

// patchUser answers PATCH /Users/{id}.
func (c *call) patchUser() (answer, error) {
	patch, err := c.sentPatch(scim.User)
	if err != nil {
		return answer{}, err
	}
	return c.changeUser(func(_ *store.SCIMTx, have *scim.Resource) (*scim.Resource, error) {
		result, err := patch.Apply(have, nil)
		if err != nil {
			return nil, err
		}
		if _, given := result.Resource.Bool("active"); !given {
			return nil, &scim.Error{Status: http.StatusBadRequest, Type: scim.Mutability, Detail: "active cannot be removed: set it to true or false."}
		}
		return result.Resource, nil
	})
}

// changeUser writes what change makes of the user of the path.
func (c *call) changeUser(change func(*store.SCIMTx, *scim.Resource) (*scim.Resource, error)) (answer, error) {
	c.resource = c.path[1]
	p, err := c.projection(scim.User)
	if err != nil {
		return answer{}, err
	}
	written, err := c.writeUser(store.SCIMUserKey{ID: c.path[1]},
		func(tx *store.SCIMTx, have *store.SCIMResource) (scim.Object, error) {
			if have == nil {
				return nil, store.ErrNotFound
			}
			if err := c.matches(have); err != nil {
				return nil, err
			}
			want, err := change(tx, stored(scim.User, have))
			if err != nil {
				return nil, err
			}
			name, old := want.Text("userName"), stored(scim.User, have).Text("userName")
			if scim.Fold(name) != scim.Fold(old) {
				return nil, &scim.Error{Status: http.StatusBadRequest, Type: scim.Mutability,
					Detail: "userName does not change: create another user, and disable this one."}
			}
			want.Attributes["userName"] = old
			return rules{c, tx, have}.end(want)
		})
	if err != nil {
		return answer{}, err
	}
	c.wrote(written)
	return c.one(http.StatusOK, scim.User, p, written.SCIMResource)
}

func (c *call) deleteUser() (answer, error) {
	c.resource = c.path[1]
	written, err := c.writeUser(store.SCIMUserKey{ID: c.path[1]},
		func(tx *store.SCIMTx, have *store.SCIMResource) (scim.Object, error) {
			if have == nil {
				return nil, store.ErrNotFound
			}
			if err := c.matches(have); err != nil {
				return nil, err
			}
			return nil, rules{c, tx, have}.allow(nil)
		})
	if err != nil {
		return answer{}, err
	}
	c.wrote(written)
	return answer{status: http.StatusNoContent}, nil
}

// wrote notes for the log what a write did.
func (c *call) wrote(w store.SCIMWritten) { c.resource, c.changed = w.ID, w.Changed }

func (c *call) checkName(name string) error {
	return scim.UserNameRule{AnyText: c.facts.SCIM.AnyUserName, Domains: c.facts.SCIM.Domains}.Check(name)
}
