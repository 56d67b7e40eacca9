// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"time"
)

// An incremental read asks for what has changed since the last read. It never
// proves absence: what is gone shows by an explicit deletion or in the next
// whole read, which sync.fullEvery brings about.

// defaultOverlap is read twice, because vendors show changes late and out of
// order; defaultFullEvery bounds how long an unannounced deletion goes unseen.
const (
	defaultOverlap   = 5 * time.Minute
	defaultFullEvery = 24 * time.Hour
)

// streamVars are the variables of a stream's expressions; the zero time is a
// read in full.
func (s *Session) streamVars(since time.Time) map[string]any {
	vars := s.vars()
	var cursor any
	if !since.IsZero() {
		cursor = since.UTC()
	}
	vars["state"] = map[string]any{"cursor": cursor}
	return vars
}

// begin decides whether a read is incremental. What the last read left must be
// there, belong to the same manifest, config and data types, and the last whole
// read must not be older than fullEvery. That is judged an eighth early, so
// that what rests on whole reads does not outlive it between two syncs.
func (rd *reader) begin() {
	st, state := rd.st, rd.res.State
	if st.mode != "incremental" || state.FullAt.IsZero() || state.Shape == "" || state.Shape != rd.s.shape(st) ||
		rd.started.Sub(state.FullAt) >= st.fullEvery-st.fullEvery/8 || state.FullAt.After(rd.started) {
		return
	}
	switch {
	case st.page.kind == pageDelta:
		rd.res.Incremental = state.Delta != ""
	case !state.Cursor.IsZero():
		rd.res.Incremental = true
		rd.since = state.Cursor.Add(-st.overlap)
	}
}

// inFull makes the read one of everything.
func (rd *reader) inFull() {
	rd.res.Incremental, rd.since = false, time.Time{}
}

// expired reports whether the vendor has forgotten what the read began from.
// It must be read in full then; what has reached the sink cannot be taken back,
// so that after the first records only the next sync does.
func (rd *reader) expired(err error) bool {
	var e *Error
	if !errors.As(err, &e) || rd.delivered {
		return false
	}
	return rd.res.Incremental && (e.Class == ClassReset || e.Status == http.StatusGone)
}

// keepPlace leaves where the next read begins. The vendor's clock says what is
// newest; a moment that lies ahead of ours would skip what comes until then.
func (rd *reader) keepPlace(res *ReadResult) {
	if rd.st.mode != "incremental" {
		return
	}
	state := StreamState{Cursor: res.State.Cursor, FullAt: res.State.FullAt, Delta: rd.delta, Shape: rd.s.shape(rd.st)}
	if !res.Incremental {
		state.Cursor, state.FullAt = time.Time{}, rd.started
	}
	if newest := rd.newest; newest.After(state.Cursor) {
		if newest.After(rd.started) {
			newest = rd.started
		}
		state.Cursor = newest
	}
	res.State = state
}

// shape identifies what a stream yields. Records that did not change at the
// vendor must be read again where it changes.
func (s *Session) shape(st *stream) string {
	h := sha256.New()
	h.Write([]byte(st.digest))
	for _, v := range []any{s.config, s.o.DataTypes} {
		raw, err := encodeJSON(v)
		if err != nil {
			return "" // never equal to a stored one: read in full
		}
		h.Write(append(raw, 0))
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}
