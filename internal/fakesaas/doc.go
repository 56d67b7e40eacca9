// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fakesaas simulates the vendors that Seatkeeper talks to: Okta,
// Slack, Zoom and an HRIS export, for one generated company.
//
// It serves three readers: `make up`, which shows the product on a company
// that nobody has to own; the journeys, which compare every number that the
// product prints with Truth; and the crash tests, for which Effects counts
// what really happened at the vendors. The simulators check what they receive
// (Violations) and misbehave on demand (AddFault).
//
// All credentials below are invented and open nothing.
package fakesaas

// Vendors, as URL, AddFault and EffectCount name them.
const (
	Okta  = "okta"
	Slack = "slack"
	Zoom  = "zoom"
	HRIS  = "hris"
	// Admin is the listener that serves only /_sim/ (every vendor serves it too).
	Admin = "sim"
)

// Default credentials of the simulated company. They are values to type into
// a Secret, not secrets.
const (
	SimOktaToken          = "sim-okta-token"
	SimSlackBotToken      = "sim-slack-bot-token"
	SimSlackAdminToken    = "sim-slack-admin-token"
	SimSlackSigningSecret = "sim-slack-signing-secret"
	SimZoomAccountID      = "sim-zoom-account"
	SimZoomClientID       = "sim-zoom-client-id"
	SimZoomClientSecret   = "sim-zoom-client-secret"
	SimHRISToken          = "sim-hris-token"
)

// Vendors lists the simulated vendors.
func Vendors() []string { return []string{Okta, Slack, Zoom, HRIS} }
