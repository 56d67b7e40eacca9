// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"slices"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Candidate is a seat that the policy would take back.
type Candidate struct {
	model.SeatKey
	PersonID string
	Since    model.Date
	Reason   string
	Evidence model.Evidence
	// Label is what a person who releases a held set reads.
	Label string
	// Directory is the account that leaves the group, where the seat ends with a
	// membership.
	Directory *model.DirectoryAccount
}

// TriggerKey names what would be acted on: the assignment and the day from
// which it is idle. Used again and idle again, it is another one (decision 2).
func (c Candidate) TriggerKey() string {
	return c.Subject() + "@" + string(c.Since)
}

// Subject names the seat inside the tenant.
func (c Candidate) Subject() string { return Subject(c.SeatKey) }

// Subject is the text form of a seat's key.
func Subject(k model.SeatKey) string { return k.Integration + "/" + k.AccountID + "/" + k.PlanKey }

// Selection says what may start and what waits for a release.
type Selection struct {
	Start, Held []Candidate
	// Allowed is what the guard lets through in one window.
	Allowed int64
}

// Select divides candidates by the guard: of a set of total seats it lets
// through what it allows less what was started inside the window, the longest
// idle first, and holds the rest. Whatever a person released, by trigger key,
// starts in any case and counts as started.
func Select(candidates []Candidate, guard model.Guard, total, started int64, released map[string]bool) Selection {
	sorted := slices.Clone(candidates)
	slices.SortFunc(sorted, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.Subject(), b.Subject()))
	})
	s := Selection{Allowed: guard.Allowed(total)}
	var rest []Candidate
	for _, c := range sorted {
		if released[c.TriggerKey()] {
			s.Start = append(s.Start, c)
			continue
		}
		rest = append(rest, c)
	}
	left := max(0, s.Allowed-max(0, started))
	n := min(int64(len(rest)), left)
	s.Start = append(s.Start, rest[:n]...)
	s.Held = rest[n:]
	return s
}
