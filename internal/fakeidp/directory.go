// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakeidp

import (
	"maps"
	"slices"
)

// User is somebody in the identity provider.
type User struct {
	Key        string // the provider's own id, sent as externalId
	UserName   string
	Given      string
	Family     string
	Display    string
	Title      string
	UserType   string
	Department string
	EmployeeID string
	ManagerKey string
	// Assigned users are in scope of provisioning.
	Assigned bool
	// Blocked users may not sign in.
	Blocked bool
	// Deleted users are gone for good, 30 days after they were deleted.
	Deleted bool
}

// Active is what the provider says of the user to the application.
func (u User) Active() bool { return u.Assigned && !u.Blocked && !u.Deleted }

// Group is a group that is pushed.
type Group struct {
	Key     string
	Name    string
	Members []string // keys of users, in scope or not
	Deleted bool
}

// Directory is what the provider has. Change it between cycles.
type Directory struct {
	Users  map[string]User
	Groups map[string]Group
}

// sent copies the directory, so that a provider remembers what it last sent: of
// members, those whom the application knows. The others are tried again.
func (d Directory) sent(ids map[string]string) Directory {
	c := Directory{Users: maps.Clone(d.Users), Groups: maps.Clone(d.Groups)}
	for k, g := range c.Groups {
		g.Members = slices.DeleteFunc(slices.Clone(g.Members), func(key string) bool { return ids[key] == "" })
		c.Groups[k] = g
	}
	return c
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// missing returns what of a is not in b.
func missing(a, b []string) []string {
	var out []string
	for _, v := range a {
		if !slices.Contains(b, v) {
			out = append(out, v)
		}
	}
	return out
}
