// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakeidp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// Okta plays Okta's provisioning. It never deletes a user.
type Okta struct {
	Server    *Server
	Directory Directory
	// Wizard sends what apps made with the integration wizard send: a whole PUT
	// to deactivate, where those of the catalogue send a PATCH without a path.
	Wizard bool

	ids  map[string]string
	sent Directory
}

// TestConnection is the button "Test API Credentials".
func (o *Okta) TestConnection(ctx context.Context) error {
	if _, err := o.Server.send(ctx, http.MethodGet, "Users", url.Values{"startIndex": {"1"}, "count": {"2"}}, nil); err != nil {
		return err
	}
	_, err := o.Server.send(ctx, http.MethodGet, "Groups", url.Values{"startIndex": {"1"}, "count": {"100"}}, nil)
	return err
}

// Push sends what has changed since the last time. The first refusal ends it,
// as a task that an administrator retries.
func (o *Okta) Push(ctx context.Context) error {
	if o.ids == nil {
		o.ids = map[string]string{}
	}
	for _, key := range keys(o.Directory.Users) {
		if err := o.user(ctx, o.Directory.Users[key]); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	for _, key := range keys(o.Directory.Groups) {
		if err := o.group(ctx, o.Directory.Groups[key]); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	o.sent = o.Directory.sent(o.ids)
	return nil
}

func (o *Okta) user(ctx context.Context, u User) error {
	id, before := o.ids[u.Key], o.sent.Users[u.Key]
	if id == "" {
		if !u.Active() {
			return nil
		}
		found, err := o.Server.find(ctx, "Users", "userName eq "+quoted(u.UserName), url.Values{"startIndex": {"1"}, "count": {"100"}})
		if err != nil {
			return err
		}
		if found != "" {
			o.ids[u.Key] = found
			return o.replace(ctx, found, u)
		}
		if id, err = o.Server.create(ctx, "Users", o.body(u)); err != nil {
			return err
		}
		o.ids[u.Key] = id
		return nil
	}
	u.ManagerKey, before.ManagerKey = "", "" // not in the default profile
	switch {
	case u == before || !u.Active() && !before.Active():
		return nil
	case !u.Active() && !o.Wizard:
		return o.Server.patch(ctx, "Users/"+id, object{"op": "replace", "value": object{"active": false}})
	}
	return o.replace(ctx, id, u)
}

// replace reads the user and puts the whole of it back with the changes.
func (o *Okta) replace(ctx context.Context, id string, u User) error {
	have, err := o.Server.send(ctx, http.MethodGet, "Users/"+id, nil, nil)
	if err != nil {
		return err
	}
	for k, v := range o.body(u) {
		if k != "password" {
			have[k] = v
		}
	}
	_, err = o.Server.send(ctx, http.MethodPut, "Users/"+id, nil, have)
	return err
}

// body is the profile, with the password that Okta sends even where passwords
// are not synchronised.
func (o *Okta) body(u User) object {
	return object{
		"schemas": []string{schemaUser, schemaEnterprise}, "externalId": u.Key, "userName": u.UserName,
		"name":   object{"givenName": u.Given, "familyName": u.Family, "middleName": ""},
		"emails": []object{{"primary": true, "value": u.UserName, "type": "work", "display": u.UserName}},
		"title":  u.Title, "userType": u.UserType, "displayName": u.Display, "locale": "en-US", "groups": []object{}, "password": "1mz050nq", "active": u.Active(),
		schemaEnterprise: object{"employeeNumber": u.EmployeeID, "department": u.Department},
	}
}

func (o *Okta) group(ctx context.Context, g Group) error {
	id, before := o.ids[g.Key], o.sent.Groups[g.Key]
	if g.Deleted {
		if id == "" {
			return nil
		}
		delete(o.ids, g.Key)
		_, err := o.Server.send(ctx, http.MethodDelete, "Groups/"+id, nil, nil)
		return err
	}
	if id == "" {
		created, err := o.Server.create(ctx, "Groups", object{"schemas": []string{schemaGroup}, "displayName": g.Name, "members": []object{}})
		if err != nil {
			return err
		}
		o.ids[g.Key], id, before = created, created, Group{Key: g.Key, Name: g.Name}
	}
	if before.Name != g.Name {
		// The id inside the value is what Okta sends.
		if err := o.Server.patch(ctx, "Groups/"+id, object{"op": "replace", "value": object{"id": id, "displayName": g.Name}}); err != nil {
			return err
		}
	}
	var ops []object
	for _, key := range missing(before.Members, g.Members) {
		if user := o.ids[key]; user != "" {
			ops = append(ops, object{"op": "remove", "path": "members[value eq " + quoted(user) + "]"})
		}
	}
	var added []object
	for _, key := range missing(g.Members, before.Members) {
		if user := o.ids[key]; user != "" {
			added = append(added, object{"value": user, "display": o.Directory.Users[key].UserName})
		}
	}
	if len(added) > 0 {
		ops = append(ops, object{"op": "add", "path": "members", "value": added})
	}
	if len(ops) == 0 {
		return nil
	}
	return o.Server.patch(ctx, "Groups/"+id, ops...)
}
