// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

// DirectoryGroup is a group as an Integration lists it.
type DirectoryGroup struct{ ExternalID, Name string }

// DirectoryAccount is a person's account in an identity provider, seen from one
// group there.
type DirectoryAccount struct {
	ExternalID  string
	Username    string
	DisplayName string
	Status      AccountStatus
	Kind        AccountKind
	IsAdmin     bool
	// Member says that the account is in the group.
	Member bool
}
