// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e holds the journeys: what a user does, from the outside. The tests
// drive the command line, kubectl, the gateway over TLS and the buttons of the
// simulated Slack, and look at what these and the simulated vendors say then.
// They do not look into the store.
package e2e
