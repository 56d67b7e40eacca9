// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"slices"
	"time"
)

const (
	// maxRoundAge bounds a round: what a partition no longer has shows in the
	// next one.
	maxRoundAge = 7 * 24 * time.Hour
	// maxRoundParts bounds what a stream remembers of a round.
	maxRoundParts = 10_000
)

// Round is where the reading of a stream's partitions stands that takes several
// reads, because each breaks off: partitions that were read are stored, and the
// next read goes on with the others.
type Round struct {
	Started time.Time `json:"started"`
	// Shape identifies the mapping, config, data types and credential.
	Shape string   `json:"shape"`
	Parts []string `json:"parts"`
	// First: the stream was never read as a whole before. The caller sets it.
	First bool `json:"first,omitempty"`
}

// rounds reports whether partitions can be read over several reads. Where only
// the whole list proves that a record is gone, one that moved between two
// partitions would be missed in both.
func (rd *reader) rounds() bool {
	st := rd.st
	return (st.parent != "" || st.items != nil) && (st.perPart || !st.byAbsence) && st.mode != "window" && st.mode != "incremental"
}

// goOnWithRound leaves out the partitions that earlier reads of the round have
// read.
func (rd *reader) goOnWithRound() {
	r := rd.res.State.Round
	rd.res.State.Round = nil
	if r == nil || !rd.rounds() || r.Shape == "" || r.Shape != rd.s.placeShape(rd.st) {
		return
	}
	if age := rd.started.Sub(r.Started); age < 0 || age > maxRoundAge {
		return
	}
	rd.done = make(map[string]bool, len(r.Parts))
	for _, p := range r.Parts {
		rd.done[p] = true
	}
	rd.started, rd.res.Began = r.Started, r.Started
}

// leaveRound says where the round stands after the read broke off.
func (rd *reader) leaveRound() {
	if !rd.broke || !rd.rounds() {
		return
	}
	r := &Round{Started: rd.started, Shape: rd.s.placeShape(rd.st)}
	for p := range rd.done {
		r.Parts = append(r.Parts, p)
	}
	for _, p := range rd.res.Parts {
		if p.Complete {
			r.Parts = append(r.Parts, p.Part)
		}
	}
	slices.Sort(r.Parts)
	if len(r.Parts) > 0 && len(r.Parts) <= maxRoundParts {
		rd.res.State.Round = r
	}
}

// partitionOnce reads a partition that no earlier read of the round has read.
func (rd *reader) partitionOnce(ctx context.Context, part string, p any) error {
	if rd.done[part] {
		rd.res.Kept = append(rd.res.Kept, part)
		return nil
	}
	err := rd.partition(ctx, part, p)
	rd.broke = rd.broke || err != nil && ends(err)
	return err
}
