// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import "time"

// SeatClass is the verdict of a policy on one seat.
type SeatClass string

// Seat classes. Only Inactive may be acted on.
const (
	SeatActive    SeatClass = "Active"
	SeatInactive  SeatClass = "Inactive"
	SeatUnknown   SeatClass = "Unknown"   // no proof of use and none of its absence
	SeatExempt    SeatClass = "Exempt"    // by the policy's exemptions
	SeatProtected SeatClass = "Protected" // by the Organization, or the last administrator
	SeatHeld      SeatClass = "Held"      // on leave, or by the guard
	SeatKept      SeatClass = "Kept"      // by an answer that still counts
	SeatInFlight  SeatClass = "InFlight"  // a run is under way
)

// Evidence is what a verdict rests on.
type Evidence struct {
	LastUsed *time.Time `json:"lastUsed,omitempty"`
	Source   string     `json:"source,omitempty"`
	// ObservedSince is the start of the time for which absence of use is proven.
	ObservedSince *time.Time `json:"observedSince,omitempty"`
}

// Finding is the current verdict of one policy on one seat.
type Finding struct {
	Policy      string    `json:"policy"`
	Integration string    `json:"integration"`
	AccountID   string    `json:"accountID"` // the vendor's id
	PlanKey     string    `json:"planKey"`
	PersonID    string    `json:"personID,omitempty"`
	Class       SeatClass `json:"class"`
	Use         Use       `json:"use"`
	Reason      string    `json:"reason"`
	// Since is the first day of being idle, for Inactive, Held and InFlight.
	Since    Date     `json:"since,omitempty"`
	Evidence Evidence `json:"evidence"`
	// Annual is what a year of the seat costs; nil: unknown.
	Annual *Money `json:"annual,omitempty"`
}

// SeatKey names a seat inside a tenant.
type SeatKey struct{ Integration, AccountID, PlanKey string }

// Key names the finding's seat.
func (f Finding) Key() SeatKey { return SeatKey{f.Integration, f.AccountID, f.PlanKey} }

// Keep exempts one seat until a day, because somebody said so.
type Keep struct {
	Policy      string    `json:"policy"`
	Integration string    `json:"integration"`
	AccountID   string    `json:"accountID"`
	PlanKey     string    `json:"planKey"`
	PersonID    string    `json:"personID,omitempty"`
	Until       time.Time `json:"until"`
	Reason      string    `json:"reason,omitempty"`
	By          string    `json:"by"`
	At          time.Time `json:"at"`
}

// LedgerKind keeps savings apart that must never be added up.
type LedgerKind string

// Ledger kinds.
const (
	LedgerPotential LedgerKind = "potential" // a year's cost, once billing can fall
	LedgerSunk      LedgerKind = "sunk"      // prepaid until the term ends
	LedgerRealised  LedgerKind = "realised"  // billing fell
	LedgerAvoided   LedgerKind = "avoided"   // a reclaimed seat was reused instead of bought
	LedgerUnknown   LedgerKind = "unknown"   // no price, or no term, is known
)

// LedgerEntry is one line of the savings ledger, which is only appended to.
type LedgerEntry struct {
	ID   string     `json:"id"` // set by the store
	At   time.Time  `json:"at"` // set by the store
	Kind LedgerKind `json:"kind"`
	// Amount is nil for LedgerUnknown.
	Amount      *Money `json:"amount,omitempty"`
	Quantity    int64  `json:"quantity"`
	App         string `json:"app"`
	Policy      string `json:"policy,omitempty"`
	Integration string `json:"integration,omitempty"`
	AccountID   string `json:"accountID,omitempty"`
	PlanKey     string `json:"planKey,omitempty"`
	PersonID    string `json:"personID,omitempty"`
	Department  string `json:"department,omitempty"`
	Contract    string `json:"contract,omitempty"`
	Line        string `json:"line,omitempty"` // the plan that the contract line buys
	EffectiveOn Date   `json:"effectiveOn,omitempty"`
	RunID       string `json:"runID,omitempty"`
	DecidedBy   string `json:"decidedBy,omitempty"`
	Reason      string `json:"reason,omitempty"`
	// DedupeKey makes booking the same thing twice book it once.
	DedupeKey string `json:"-"`
}
