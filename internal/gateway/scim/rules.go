// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"cmp"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// rules are Seatkeeper's own about users, beyond the protocol. They are asked
// within the transaction of the write, with the facts as they are then.
type rules struct {
	*call
	tx   *store.SCIMTx
	have *store.SCIMResource
}

// end completes what a user shall be, and refuses what may not be.
func (r rules) end(want *scim.Resource) (scim.Object, error) {
	if err := r.role(want); err != nil {
		return nil, err
	}
	if err := r.promote(want); err != nil {
		return nil, err
	}
	return want.Attributes, r.allow(want)
}

// role holds userType to the tenant's roles, to the letter. None is Employee.
func (r rules) role(want *scim.Resource) error {
	name := want.Text("userType")
	if strings.TrimSpace(name) == "" {
		want.Attributes["userType"] = store.RoleEmployee
		return nil
	}
	var allowed []string
	for _, role := range r.tx.Facts.EffectiveRoles() {
		if role.Name == name {
			return nil
		}
		allowed = append(allowed, role.Name)
	}
	if r.have != nil && r.have.Attributes["userType"] == name {
		return nil // a role that was taken away since: other changes still pass
	}
	return invalidValue("userType is one of the roles of this organization, spelled exactly: %s. Empty is %s.", strings.Join(allowed, ", "), store.RoleEmployee)
}

// promote refuses to make somebody an administrator, unless the key was given the
// right to.
func (r rules) promote(want *scim.Resource) error {
	role := want.Text("userType")
	if r.caller.May(access.SCIMAdmins) || !slices.Contains(r.admins(), role) {
		return nil
	}
	if r.have != nil {
		have := stored(scim.User, r.have)
		was, _ := have.Bool("active")
		is, _ := want.Bool("active")
		if have.Text("userType") == role && (was || !is) {
			return nil // the role was given before, and gains nothing now
		}
	}
	return &scim.Error{Status: http.StatusForbidden,
		Detail: fmt.Sprintf("The role %s administers, and this key may not give it, nor activate a user who has it: it lacks the scope %s. Add that to spec.scopes of the APIKey %s, beside %s and %s.",
			role, access.SCIMAdmins, r.caller.Name, access.SCIMRead, access.SCIMWrite)}
}

// allow refuses to touch people who are protected, and to leave nobody who
// administers. want is nil for a user who is to be deleted.
func (r rules) allow(want *scim.Resource) error {
	if r.have != nil && want != nil && reflect.DeepEqual(want.Attributes, r.have.Attributes) {
		return nil
	}
	var attributes scim.Object
	if want != nil {
		attributes = want.Attributes
	}
	if protected, err := r.tx.Protected(r, r.have, attributes); err != nil || protected {
		return cmp.Or(err, store.SCIMProtected())
	}
	if r.have == nil {
		return nil
	}
	have := stored(scim.User, r.have)
	admins := r.admins()
	if !administers(have, admins) || want != nil && administers(want, admins) {
		return nil
	}
	others, err := r.tx.OtherAdmins(r, r.have.ID, admins)
	if err != nil {
		return err
	}
	if others == 0 {
		return &scim.Error{Status: http.StatusForbidden,
			Detail: fmt.Sprintf("This is the last active user with one of the roles %s: give the role to somebody else first.", strings.Join(admins, ", "))}
	}
	return nil
}

// admins are the roles whose holders administer.
func (r rules) admins() (out []string) {
	for _, role := range r.tx.Facts.EffectiveRoles() {
		if role.Admin {
			out = append(out, role.Name)
		}
	}
	return out
}

func administers(u *scim.Resource, admins []string) bool {
	active, _ := u.Bool("active")
	return active && slices.Contains(admins, u.Text("userType"))
}
