// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"fmt"
	"strings"
	"time"
)

// Outcome is what came of a question.
type Outcome string

// Outcomes.
const (
	Reclaimed Outcome = "reclaimed"
	Kept      Outcome = "kept"
	Skipped   Outcome = "skipped" // nothing was done, for the reason in Detail
	Failed    Outcome = "failed"
	// Settled closes a Matter: Detail says how.
	Settled Outcome = "settled"
)

// Closing replaces a question after the decision: what happened, and no
// buttons.
type Closing struct {
	Outcome Outcome
	App     string
	Plan    string
	Holder  string // when the reader is not the holder
	// Decided says who decided, as a clause: "you chose Reclaim".
	Decided string
	At      time.Time
	Zone    *time.Location
	Effect  string // of Reclaimed
	Until   string // of Kept: a date
	Detail  string // of Skipped, Failed and Settled
	Title   string // of Settled: what it was about
	GetBack string
	Contact string
}

func (c Closing) lines() []string {
	seat := c.App
	if c.Plan != "" {
		seat += ", " + c.Plan
	}
	if c.Holder != "" {
		seat += " (" + c.Holder + ")"
	}
	var lines []string
	at := Instant(c.At, c.Zone)
	switch c.Outcome {
	case Reclaimed:
		lines = append(lines, fmt.Sprintf("Given back: %s, on %s.", seat, at), "What changed: "+toOthers(c.Effect, c.Holder)+".", "To get it back: "+c.GetBack)
	case Kept:
		lines = append(lines, fmt.Sprintf("Kept: %s. Nothing was changed.", seat))
		if c.Until != "" {
			lines = append(lines, "Nobody is asked about it again before "+c.Until+".")
		}
	case Failed:
		lines = append(lines, fmt.Sprintf("Not given back: %s. It was tried on %s and did not work: %s.", seat, at, strings.TrimSuffix(c.Detail, ".")))
	case Settled:
		lines = append(lines, c.Title, strings.TrimSuffix(c.Detail, ".")+".")
	case Skipped:
		lines = append(lines, fmt.Sprintf("Nothing was changed: %s. %s.", seat, strings.TrimSuffix(c.Detail, ".")))
	}
	if c.Decided != "" {
		lines = append(lines, "Decision: "+c.Decided+".")
	}
	if c.Contact != "" {
		lines = append(lines, "Questions: "+c.Contact)
	}
	return lines
}

// ClosingText is the closing as plain text.
func ClosingText(c Closing) string { return strings.Join(c.lines(), "\n") + "\n" }
