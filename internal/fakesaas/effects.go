// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"slices"
	"strings"
	"time"
)

// Outcome says what a write did.
type Outcome string

// A write either changed something, found everything as asked, or was refused.
const (
	Changed   Outcome = "changed"
	Unchanged Outcome = "unchanged"
	Rejected  Outcome = "rejected"
)

// Effect is one write that reached a vendor, whether or not its answer arrived
// at the caller. Actions have the product's names (license.remove, …).
type Effect struct {
	Sequence int64     `json:"sequence"`
	At       time.Time `json:"at"`
	Vendor   string    `json:"vendor"`
	Action   string    `json:"action"`
	Subject  string    `json:"subject"` // the vendor's id
	Email    string    `json:"email,omitempty"`
	Outcome  Outcome   `json:"outcome"`
	// Keys name the logical effect, as the caller did: an Idempotency-Key
	// header, the strings in a message's metadata.
	Keys   []string       `json:"keys,omitempty"`
	Detail map[string]any `json:"detail,omitempty"`
	Method string         `json:"method"`
	Path   string         `json:"path"`
}

// names says whether the effect is about this subject: id, e-mail or key.
func (e Effect) names(subject string) bool {
	return subject == "" || e.Subject == subject || strings.EqualFold(e.Email, subject) || slices.Contains(e.Keys, subject)
}

// Effects lists all writes in the order in which they happened.
func (s *Server) Effects() []Effect {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.state.Effects)
}

// EffectCount counts the writes that changed something. An empty action or
// subject matches all; a subject is an id, an e-mail address or a key.
func (s *Server) EffectCount(vendor, action, subject string) int {
	return s.countEffects(vendor, action, subject, Changed)
}

// NoopCount counts the writes that found everything as asked.
func (s *Server) NoopCount(vendor, action, subject string) int {
	return s.countEffects(vendor, action, subject, Unchanged)
}

// Writes counts every write that reached the vendor, whatever it did.
func (s *Server) Writes(vendor string) int { return s.countEffects(vendor, "", "", "") }

func (s *Server) countEffects(vendor, action, subject string, outcome Outcome) int {
	n := 0
	for _, e := range s.Effects() {
		if (vendor == "" || e.Vendor == vendor) && (action == "" || e.Action == action) &&
			(outcome == "" || e.Outcome == outcome) && e.names(subject) {
			n++
		}
	}
	return n
}

// effect records a write; s.mu is held.
func (c *call) effect(action, subject, email string, outcome Outcome, detail map[string]any, keys ...string) {
	if key := c.r.Header.Get("Idempotency-Key"); key != "" {
		keys = append(keys, key)
	}
	c.s.state.Sequence++
	c.s.state.Effects = append(c.s.state.Effects, Effect{
		Sequence: c.s.state.Sequence, At: c.now, Vendor: c.v.name, Action: action, Subject: subject, Email: email,
		Outcome: outcome, Keys: keys, Detail: detail, Method: c.r.Method, Path: c.r.URL.Path,
	})
	c.dirty = true
}

// changedIf is the outcome of a write that may have found everything as asked.
func changedIf(changed bool) Outcome {
	if changed {
		return Changed
	}
	return Unchanged
}

// Violation is a request that the real vendor would not have understood.
type Violation struct {
	At     time.Time `json:"at"`
	Vendor string    `json:"vendor"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	What   string    `json:"what"`
}

// Violations lists the malformed requests so far; a test that drives the
// product against the simulators fails when there are any.
func (s *Server) Violations() []Violation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}
