// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import "fmt"

// AppFacts is what is known of an app that a run is about.
type AppFacts struct {
	// Name is that of the Application; of an app that nobody declared, the name
	// under which a source knows it.
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
	// Declared says that there is an Application.
	Declared bool     `json:"declared"`
	Category string   `json:"category,omitempty"`
	State    string   `json:"state,omitempty"` // as the Application says
	URL      string   `json:"url,omitempty"`
	Tags     []string `json:"tags,omitempty"`
	// Connected says that an Integration delivers its own accounts.
	Connected bool `json:"connected"`
	// InIDP says whether an identity provider knows the app; nil: no identity
	// provider has told of its apps, so nobody knows.
	InIDP *bool `json:"inIdP,omitempty"`
	// Owners are addresses, the primary owner's first.
	Owners []string `json:"owners,omitempty"`
	Users  int64    `json:"users"`
	// Spend is what it costs in a year; nil: unknown.
	Spend *Money `json:"spend,omitempty"`
	// Sources are the Integrations whose accounts are the app's.
	Sources []string `json:"sources,omitempty"`
	// KnownAs is by what other sources know it.
	KnownAs AppIdentity `json:"knownAs,omitzero"`

	// Terms sum its contracts up, to tell when they change.
	Terms []string `json:"terms,omitempty"`

	Contracts []ContractFacts `json:"-"`
	// Accounts are those that are not gone, MoreAccounts how many there are beyond.
	Accounts     []AppAccount `json:"-"`
	MoreAccounts int64        `json:"-"`
}

// Missing says that people use it and no identity provider knows it.
func (a AppFacts) Missing() bool { return a.InIDP != nil && !*a.InIDP && a.Users > 0 }

// Term sums a contract up for AppFacts.Terms.
func (c ContractFacts) Term() string {
	out := fmt.Sprintf("%s %s %s %s %s %s", c.Name, c.State, c.Start, c.End, c.Deadline, c.Renewal)
	for _, m := range []*Money{c.Value, c.Annual} {
		if m != nil {
			out += " " + m.String()
		}
	}
	return out
}

// AppAccount is an account of an app that a run is about.
type AppAccount struct {
	Integration, ExternalID, Username, DisplayName, Role string
	Email                                                string // of its person, or as its source says
	Status                                               AccountStatus
	Kind                                                 AccountKind
	IsAdmin                                              bool
}

// States of contracts, and what happens at the end of their terms, in the words of
// the API.
const (
	ContractDraft     = "Draft"
	ContractActive    = "Active"
	ContractCancelled = "Cancelled"

	RenewalAuto   = "Auto"
	RenewalManual = "Manual"
	RenewalNone   = "None"
)

// ContractFacts is what is known of a contract.
type ContractFacts struct {
	// Name is that of the Contract; of one that a source reports, Source and its id
	// there.
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
	// Source is the Integration that reports it; empty: it is declared.
	Source string `json:"source,omitempty"`
	// App is the Application that it is about; empty: none is declared. AppTitle is
	// what people read, or the word of the source.
	App      string `json:"app"`
	AppTitle string `json:"appTitle,omitempty"`
	Vendor   string `json:"vendor,omitempty"`
	State    string `json:"state,omitempty"`
	Start    Date   `json:"start,omitempty"`
	End      Date   `json:"end,omitempty"`
	// Deadline is the last day on which a cancellation counts; empty: none was
	// agreed.
	Deadline Date   `json:"deadline,omitempty"`
	Renewal  string `json:"renewal,omitempty"` // Auto, Manual, None
	// NoticeDays before the end, of the deadline; nil: none were agreed.
	NoticeDays *int64 `json:"noticeDays,omitempty"`
	// Value of the whole term, and of a year of its lines; nil: unknown.
	Value  *Money `json:"value,omitempty"`
	Annual *Money `json:"annual,omitempty"`
	// Owner is an address.
	Owner string              `json:"owner,omitempty"`
	URL   string              `json:"url,omitempty"`
	Lines []ContractFactsLine `json:"lines,omitempty"`
}

// ContractFactsLine is what a contract buys of one plan.
type ContractFactsLine struct {
	Plan     string `json:"plan"`
	Quantity int64  `json:"quantity"`
	// Unit is what one seat costs in a Period; nil: unknown.
	Unit   *Money `json:"unit,omitempty"`
	Period Period `json:"period,omitempty"`
}

// SeatFacts is what is known of an unused seat.
type SeatFacts struct {
	Integration, AccountID, Username string
	PlanKey, PlanName                string
	// Policy that found it; empty: a trigger looked itself.
	Policy string
	// Reason for which it counts as unused.
	Reason string
	// Since is the first day of being unused, and Days for how long that is.
	Since Date
	Days  int64
	// Evidence is what that rests on.
	Evidence Evidence
	// Annual is what a year of it costs; nil: unknown.
	Annual *Money
}

// Units is the amount in whole units of its currency, rounded half away from zero.
func (m Money) Units() int64 {
	digits, ok := minorDigits[m.Currency]
	if !ok {
		digits = 2
	}
	den := int64(1)
	for range digits {
		den *= 10
	}
	out, err := m.MulDiv(1, den)
	if err != nil {
		return 0 // a quotient is never beyond what was divided
	}
	return out.Minor
}
