// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakeidp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Differences reads the application's whole directory, as an import does, and
// lists where it is not what the provider has: nothing, if provisioning works.
// neverDeletes is for a provider that leaves users there, inactive.
func Differences(ctx context.Context, s *Server, d Directory, neverDeletes bool) ([]string, error) {
	users, err := readAll(ctx, s, "Users")
	if err != nil {
		return nil, err
	}
	groups, err := readAll(ctx, s, "Groups")
	if err != nil {
		return nil, err
	}
	have, want := map[string]string{}, map[string]string{}
	names := map[string]string{} // id → userName
	for _, u := range users {
		names[text(u, "id")] = text(u, "userName")
	}
	for _, u := range users {
		ext, _ := u[schemaEnterprise].(object)
		name, _ := u["name"].(object)
		have["user "+text(u, "userName")] = line(text(u, "externalId"), text(name, "givenName"), text(name, "familyName"), text(u, "displayName"),
			text(u, "title"), text(ext, "department"), text(ext, "employeeNumber"), text(u, "active"))
	}
	for _, g := range groups {
		members, _ := g["members"].([]any)
		var of []string
		for _, m := range members {
			of = append(of, names[text(m.(object), "value")])
		}
		slices.Sort(of)
		have["group "+text(g, "displayName")] = strings.Join(of, " ")
	}
	for _, u := range d.Users {
		if _, there := have["user "+u.UserName]; !there && !u.Active() || u.Deleted && u.Assigned && !neverDeletes {
			continue // deleted, or never in scope
		}
		want["user "+u.UserName] = line(u.Key, u.Given, u.Family, u.Display, u.Title, u.Department, u.EmployeeID, strconv.FormatBool(u.Active()))
	}
	for _, g := range d.Groups {
		if g.Deleted {
			continue
		}
		var of []string
		for _, key := range g.Members {
			if name := d.Users[key].UserName; have["user "+name] != "" {
				of = append(of, name)
			}
		}
		slices.Sort(of)
		want["group "+g.Name] = strings.Join(of, " ")
	}
	var out []string
	for _, k := range keys(want) {
		if got, ok := have[k]; !ok || got != want[k] {
			out = append(out, fmt.Sprintf("%s: has %q, want %q", k, got, want[k]))
		}
	}
	for _, k := range keys(have) {
		if _, ok := want[k]; !ok {
			out = append(out, k+" is too many")
		}
	}
	return out, nil
}

func line(parts ...string) string { return strings.Join(parts, "|") }

// text is a value as a string, "" where there is none.
func text(o object, name string) string {
	if v, ok := o[name]; ok && v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// readAll pages through a list by index, as imports do.
func readAll(ctx context.Context, s *Server, kind string) ([]object, error) {
	var out []object
	for start := 1; ; {
		list, err := s.send(ctx, http.MethodGet, kind, url.Values{"startIndex": {strconv.Itoa(start)}, "count": {"100"}}, nil)
		if err != nil {
			return nil, err
		}
		page, _ := list["Resources"].([]any)
		for _, r := range page {
			out = append(out, r.(object))
		}
		start += len(page)
		total, _ := list["totalResults"].(float64)
		if len(page) == 0 || len(out) >= int(total) {
			return out, nil
		}
	}
}
