// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakeidp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Entra plays Entra ID's provisioning service.
type Entra struct {
	Server    *Server
	Directory Directory
	// Flag sends the dialect that the Tenant URL asks for with
	// ?aadOptscim062020; it does not hold for on-demand provisioning, so both
	// dialects reach one application.
	Flag bool
	// Failures of the cycles so far, a line each.
	Failures []string
	// Quarantined says that the service would stop: bad credentials, or an
	// answer that SCIM does not know.
	Quarantined bool

	ids  map[string]string // by key of a user or group
	sent Directory         // what the application was told
}

// TestConnection is the button of that name: a look-up of nobody, which has to
// be answered with an empty list.
func (e *Entra) TestConnection(ctx context.Context) error {
	for _, filter := range []string{`userName eq "5f0e7a3c-0000-4000-8000-000000000000"`, `externalId eq "5f0e7a3c-0000-4000-8000-000000000000"`} {
		id, err := e.Server.find(ctx, "Users", filter, nil)
		if err != nil {
			return err
		}
		if id != "" {
			return fmt.Errorf("%s finds somebody", filter)
		}
	}
	if _, err := e.Server.find(ctx, "Groups", `displayName eq "5f0e7a3c"`, url.Values{"excludedAttributes": {"members"}}); err != nil {
		return err
	}
	_, err := e.Server.send(ctx, http.MethodGet, "Schemas", nil, nil)
	return err
}

// Cycle sends what has changed since the last one: everything, at first.
func (e *Entra) Cycle(ctx context.Context) error {
	if e.ids == nil {
		e.ids = map[string]string{}
	}
	for _, key := range keys(e.Directory.Users) {
		if err := e.note(key, e.user(ctx, e.Directory.Users[key])); err != nil {
			return err
		}
	}
	for _, key := range keys(e.Directory.Users) {
		if err := e.note(key, e.manager(ctx, e.Directory.Users[key])); err != nil {
			return err
		}
	}
	for _, key := range keys(e.Directory.Groups) {
		if err := e.note(key, e.group(ctx, e.Directory.Groups[key])); err != nil {
			return err
		}
	}
	e.sent = e.Directory.sent(e.ids)
	return nil
}

// note keeps a failure and goes on, as the service does; what quarantines at
// once is an error.
func (e *Entra) note(key string, err error) error {
	var p *Problem
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &p):
		return fmt.Errorf("%s: %w", key, err)
	}
	e.Failures = append(e.Failures, key+": "+p.Error())
	if p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden || p.Status == http.StatusNotFound {
		e.Quarantined = true
		return fmt.Errorf("quarantined by %s: %w", key, err)
	}
	return nil
}

func (e *Entra) user(ctx context.Context, u User) error {
	id := e.ids[u.Key]
	if id == "" && u.Active() {
		// Matching: somebody who is there already is taken over.
		found, err := e.Server.find(ctx, "Users", "userName eq "+quoted(u.UserName), nil)
		if err != nil {
			return err
		}
		if id = found; id == "" {
			if id, err = e.Server.create(ctx, "Users", e.newUser(u)); err != nil {
				return err
			}
			e.ids[u.Key] = id
			return nil
		}
		e.ids[u.Key] = id
		return e.Server.patch(ctx, "Users/"+id, e.changes(User{Key: u.Key}, u)...)
	}
	before, known := e.sent.Users[u.Key]
	switch {
	case id == "" || !known && !u.Active():
		return nil
	case u.Deleted && before.Deleted:
		return nil
	case u.Deleted && u.Assigned:
		_, err := e.Server.send(ctx, http.MethodDelete, "Users/"+id, nil, nil)
		delete(e.ids, u.Key)
		return err
	}
	ops := e.changes(before, u)
	if len(ops) == 0 {
		return nil
	}
	return e.Server.patch(ctx, "Users/"+id, ops...)
}

// newUser is what a creation carries, with what does not belong there as well.
func (e *Entra) newUser(u User) object {
	return object{
		"schemas":    []string{schemaUser, schemaEnterprise},
		"externalId": u.Key, "userName": u.UserName, "active": u.Active(), "addresses": nil,
		"displayName": u.Display, "title": orNil(u.Title), "userType": orNil(u.UserType),
		"emails": []object{{"primary": true, "type": "work", "value": u.UserName}},
		"meta":   object{"resourceType": "User"},
		"name":   object{"formatted": u.Given + " " + u.Family, "familyName": u.Family, "givenName": u.Given},
		"roles":  []object{}, "department": u.Department, "manager": nil,
		schemaEnterprise: object{"employeeNumber": orNil(u.EmployeeID), "department": orNil(u.Department)},
	}
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// changes are the operations from one state to the next.
func (e *Entra) changes(from, to User) []object {
	type field struct{ path, from, to string }
	fields := []field{
		{"displayName", from.Display, to.Display}, {"title", from.Title, to.Title}, {"userType", from.UserType, to.UserType},
		{"name.givenName", from.Given, to.Given}, {"name.familyName", from.Family, to.Family},
		{`externalId`, from.Key, to.Key},
		{schemaEnterprise + ":department", from.Department, to.Department},
		{schemaEnterprise + ":employeeNumber", from.EmployeeID, to.EmployeeID},
	}
	var ops []object
	all := object{} // the flagged dialect sends them in one operation without a path
	for _, f := range fields {
		switch {
		case f.from == f.to:
		case f.to == "" && e.Flag:
			ops = append(ops, object{"op": "remove", "path": f.path})
		case f.to == "":
			ops = append(ops, object{"op": "Remove", "path": f.path})
		case e.Flag:
			all[f.path] = f.to
		case f.from == "":
			ops = append(ops, object{"op": "Add", "path": f.path, "value": f.to})
		default:
			ops = append(ops, object{"op": "Replace", "path": f.path, "value": f.to})
		}
	}
	if from.Active() != to.Active() {
		if e.Flag {
			all["active"] = to.Active()
		} else {
			ops = append(ops, object{"op": "Replace", "path": "active", "value": map[bool]string{true: "True", false: "False"}[to.Active()]})
		}
	}
	if len(all) > 0 {
		ops = append(ops, object{"op": "replace", "value": all})
	}
	return ops
}

// manager is a reference, which the service sends once both are there.
func (e *Entra) manager(ctx context.Context, u User) error {
	id, manager := e.ids[u.Key], e.ids[u.ManagerKey]
	if id == "" || manager == "" || e.sent.Users[u.Key].ManagerKey == u.ManagerKey {
		return nil
	}
	if e.Flag {
		return e.Server.patch(ctx, "Users/"+id, object{"op": "replace", "path": schemaEnterprise + ":manager", "value": object{"value": manager}})
	}
	return e.Server.patch(ctx, "Users/"+id, object{"op": "Add", "path": schemaEnterprise + ":manager",
		"value": []object{{"$ref": e.Server.Base + "/Users/" + manager, "value": manager}}})
}

func (e *Entra) group(ctx context.Context, g Group) error {
	id, before := e.ids[g.Key], e.sent.Groups[g.Key]
	if id == "" {
		if g.Deleted {
			return nil
		}
		found, err := e.Server.find(ctx, "Groups", "displayName eq "+quoted(g.Name), url.Values{"excludedAttributes": {"members"}})
		if err != nil {
			return err
		}
		if id = found; id == "" {
			id, err = e.Server.create(ctx, "Groups", object{"schemas": []string{schemaGroup, schemaADGroup}, "externalId": g.Key,
				"displayName": g.Name, "members": []object{}, "meta": object{"resourceType": "Group"}})
			if err != nil {
				return err
			}
		}
		e.ids[g.Key], before = id, Group{Key: g.Key, Name: g.Name}
	}
	if g.Deleted {
		delete(e.ids, g.Key)
		_, err := e.Server.send(ctx, http.MethodDelete, "Groups/"+id, nil, nil)
		return err
	}
	if before.Name != g.Name {
		if err := e.Server.patch(ctx, "Groups/"+id, object{"op": "Replace", "path": "displayName", "value": g.Name}); err != nil {
			return err
		}
	}
	if err := e.members(ctx, id, missing(g.Members, before.Members), true); err != nil {
		return err
	}
	return e.members(ctx, id, missing(before.Members, g.Members), false)
}

// members adds or removes people of a group, those whom the application knows.
func (e *Entra) members(ctx context.Context, group string, users []string, add bool) error {
	var values, removals []object
	for _, key := range users {
		if id := e.ids[key]; id != "" {
			values = append(values, object{"$ref": nil, "value": id})
			removals = append(removals, object{"op": "remove", "path": "members[value eq " + quoted(id) + "]"})
		}
	}
	switch {
	case len(values) == 0:
		return nil
	case add:
		return e.Server.patch(ctx, "Groups/"+group, object{"op": "Add", "path": "members", "value": values})
	case e.Flag:
		return e.Server.patch(ctx, "Groups/"+group, removals...)
	}
	return e.Server.patch(ctx, "Groups/"+group, object{"op": "Remove", "path": "members", "value": values})
}
