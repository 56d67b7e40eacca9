// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import "time"

// Seat is everything known about one assignment of a plan to an account, as
// policies judge it: who holds it, since when it has been observed, and every
// sign of use with its source.
type Seat struct {
	Integration       string          `json:"integration"`
	AccountExternalID string          `json:"accountExternalID"`
	PlanKey           string          `json:"planKey"`
	PlanName          string          `json:"planName"`
	Paid              bool            `json:"paid"`
	State             AssignmentState `json:"state"`
	// AssignmentExternalID is the vendor's id of the assignment, if it has one.
	AssignmentExternalID string     `json:"assignmentExternalID,omitempty"`
	AssignedAt           *time.Time `json:"assignedAt,omitempty"` // as the vendor says; nil: unknown
	// ObservedSince is when the assignment was first seen, or seen again after
	// it had gone.
	ObservedSince time.Time `json:"observedSince"`

	// AccountKnown is false for a seat whose account the source did not list;
	// then every field about account, person and use is empty.
	AccountKnown         bool          `json:"accountKnown"`
	AccountStatus        AccountStatus `json:"accountStatus"`
	AccountKind          AccountKind   `json:"accountKind"`
	IsAdmin              bool          `json:"isAdmin"`
	Username             string        `json:"username"`
	DisplayName          string        `json:"displayName"`
	AccountCreatedAt     *time.Time    `json:"accountCreatedAt,omitempty"`
	AccountObservedSince time.Time     `json:"accountObservedSince,omitzero"`

	PersonID       string    `json:"personID,omitempty"`
	PersonName     string    `json:"personName,omitempty"`
	Email          string    `json:"email,omitempty"` // the person's; else what the account gives
	Department     string    `json:"department,omitempty"`
	TimeZone       string    `json:"timeZone,omitempty"`
	Lifecycle      Lifecycle `json:"lifecycle,omitempty"`
	ManagerID      string    `json:"managerID,omitempty"`
	ManagerEmail   string    `json:"managerEmail,omitempty"`
	EmploymentType string    `json:"employmentType,omitempty"`

	// ActivityReported says whether the source reports last activity at all:
	// without it a nil LastActivityAt means unknown, with it never.
	ActivityReported   bool       `json:"activityReported"`
	LastActivityAt     *time.Time `json:"lastActivityAt,omitempty"`
	LastActivitySource string     `json:"lastActivitySource,omitempty"`
	// Usage has the latest proof of use of each kind and source.
	Usage []SeatUsage `json:"usage,omitempty"`
	// UsageCoverage has each usage feed that could have seen the account, and
	// for how long it has covered it. Absence of use proves nothing outside.
	UsageCoverage []UsageCoverage `json:"usageCoverage,omitempty"`

	// SeatsSyncedAt and AccountsSyncedAt are when the streams that gave the
	// assignment and the account last completed; zero: never.
	SeatsSyncedAt    time.Time `json:"seatsSyncedAt,omitzero"`
	AccountsSyncedAt time.Time `json:"accountsSyncedAt,omitzero"`
	// ActivitySyncedAt is when LastActivityAt was last read, which is earlier
	// where syncs read only what changed; zero: with the account.
	ActivitySyncedAt time.Time `json:"activitySyncedAt,omitzero"`
}

// SeatUsage is the latest use of one kind that one source has seen.
type SeatUsage struct {
	Integration string    `json:"integration"` // whose feed saw it
	Kind        string    `json:"kind"`        // login, activity, sso_login, …
	Source      string    `json:"source,omitempty"`
	LastAt      time.Time `json:"lastAt"`
}

// UsageCoverage says what time a usage feed covers without a gap.
type UsageCoverage struct {
	Integration string    `json:"integration"`
	Stream      string    `json:"stream"`
	From        time.Time `json:"from"`
	Until       time.Time `json:"until"`
	// ActivityReported says that no event inside means no use.
	ActivityReported bool      `json:"activityReported"`
	SyncedAt         time.Time `json:"syncedAt"`
	// Kinds are those that the feed of another Integration has shown of the app,
	// whoever used it: the silence of a feed says nothing about other kinds.
	Kinds []string `json:"kinds,omitempty"`
}

// AppIdentity is by what sources that do not deliver an app's accounts know it,
// in lower case.
type AppIdentity struct {
	Names   []string `json:"names,omitempty"`
	Domains []string `json:"domains,omitempty"`
}
