// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

// Summary is what a first look at a tenant shows: what was found, and what it
// costs. Every seat counted is a paid one; Unused and Unknown are disjoint parts
// of Paid.
type Summary struct {
	AsOf         string         `json:"asOf"` // RFC 3339, of the newest sync
	Integrations int            `json:"integrations"`
	Apps         int            `json:"apps"`
	People       map[string]int `json:"people"` // by lifecycle
	Seats        []AppSeats     `json:"seats"`  // per app with paid seats
	Total        AppSeats       `json:"total"`
}

// Unstated is the key in Summary.People of those whose lifecycle no source
// states: users that an identity provider lists and the HRIS does not. They are
// not counted as people.
const Unstated = "unstated"

// AppSeats counts the paid seats of one app, or of all.
type AppSeats struct {
	App     string `json:"app"`
	Policy  string `json:"policy,omitempty"` // the LicensePolicy that judged them
	Paid    int    `json:"paid"`
	Active  int    `json:"active"`
	Unused  int    `json:"unused"` // not used inside the policy's window
	Unknown int    `json:"unknown"`
	// AnnualCost is what the paid seats cost a year by the contract's prices,
	// per currency; UnusedCost the part of unused ones. Unpriced seats are in
	// neither.
	AnnualCost []Money `json:"annualCost,omitempty"`
	UnusedCost []Money `json:"unusedCost,omitempty"`
	Unpriced   int     `json:"unpriced,omitempty"`
}
