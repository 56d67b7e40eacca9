// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

// Coverage is how much of what is in use is connected: the more is, the better
// is what can be said about seats and people.
type Coverage struct {
	// Connectable counts the systems in use that have a connector,
	// Connected those of them that have been read.
	Connectable int `json:"connectable"`
	Connected   int `json:"connected"`
	// Percent is Connected of Connectable, rounded down; 0 if there are none.
	Percent int `json:"percent"`
	// Apps counts the active apps that sources discovered, by name.
	Apps int `json:"apps"`
}

// NewCoverage computes the percentage.
func NewCoverage(connected, connectable, apps int) Coverage {
	c := Coverage{Connectable: connectable, Connected: connected, Apps: apps}
	if connectable > 0 {
		c.Percent = 100 * connected / connectable
	}
	return c
}
