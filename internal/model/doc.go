// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package model holds the canonical records that every other package speaks:
// people, accounts, plans, assignments and use. It knows no vendor, no SQL and
// no Kubernetes, and imports the standard library only.
//
// Times are UTC. A calendar date is a Date, never a midnight. Money is an
// integer count of minor units with an ISO 4217 currency.
package model
