// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

// Use is what is known of the use of a seat, whatever a policy then makes of
// it: a protected seat may be in use or not.
type Use string

// Uses. Unknown is not Inactive.
const (
	UseActive   Use = "Active"
	UseInactive Use = "Inactive"
	UseUnknown  Use = "Unknown"
)
