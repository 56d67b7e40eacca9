// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// ErrStageLost reports that the rows staged are not all there any more, as
// after a crash of the database: the sync must start again. Nothing changed.
var ErrStageLost = errors.New("staged rows are missing: the sync must start again")

// Window is a span of time, end exclusive.
type Window struct{ From, Until time.Time }

// StreamOutcome says how reading a stream ended, which decides what its
// absences prove.
type StreamOutcome struct {
	// Complete: every record that the source has was staged.
	Complete bool
	// CompleteParts names the partitions that were read to their end where the
	// stream as a whole was not; rows of other partitions are not removed.
	CompleteParts []string
	// KeepParts names the partitions of a complete stream that were read, and
	// stored, in earlier syncs of the same round: their rows are not staged now,
	// and are not removed.
	KeepParts []string
	// KeepAbsent: the stream is complete and yet absence proves nothing.
	KeepAbsent bool
	// Incremental: only what changed since the last read was staged. No absence
	// proves anything, and a row that was not staged has not changed, so that it
	// is as fresh as the read; only its last activity, which vendors change
	// without calling it a change, is as old as the last whole read.
	Incremental bool
	// Gaps: some of what changed could not be read. Which rows those are is not
	// known, so an incremental read with gaps makes no row fresher.
	Gaps bool
	// Loading: the source was never known as a whole yet, so that this is still
	// part of the first load, whose events are initial.
	Loading bool
	// Types are the data types that the stream delivers, so that one which
	// delivered no row is swept too.
	Types []model.DataType
	Guard model.Guard
	// ReadAt is when reading began, if that was in an earlier sync: rows are no
	// fresher than that (invariant 2). Zero: now.
	ReadAt time.Time
	// Window is the time that a complete read of usage covers.
	Window *Window
	// ActivityReported: on a usage stream, no event in the window means no use.
	ActivityReported bool
	// State is the connector's own, stored for the next read.
	State json.RawMessage
}

// StreamResult says what became of a stream.
type StreamResult struct {
	Stream  string
	Initial bool // the first sync of the stream
	// Types has what changed, by data type.
	Types map[model.DataType]Changes
	// Held is set if the guard holds the result: then nothing changed.
	Held *Hold
}

// Changes counts differences of one data type.
type Changes struct {
	Staged, Added, Changed, Removed int64
	// Touched rows differ in last activity or custom fields only.
	Touched int64
	// Total is the number of rows known now.
	Total int64
}

// Written is the number of rows that differed.
func (r StreamResult) Written() (n int64) {
	for _, c := range r.Types {
		n += c.Added + c.Changed + c.Removed + c.Touched
	}
	return n
}
