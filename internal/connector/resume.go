// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// checkpointPages is after how many pages a listing says where it stands;
// maxResumeAge is how old what it has listed may become.
const (
	checkpointPages = 25
	maxResumeAge    = 6 * time.Hour
)

// Keep stores where a listing would go on, together with what the sink has
// taken so far. An error stops the read.
type Keep func(ctx context.Context, at Resume) error

// resumable reports whether a stream is one list of pages whose places last.
// Partitions and windows are units of their own, and what was quarantined is not
// kept. A place that counts means another record once one before it has gone: a
// list put together of two halves would lack what moved across, and call it
// removed. Whether a cursor or a link counts only the manifest can tell.
func (rd *reader) resumable(st *stream) bool {
	return rd.keep != nil && st == rd.st && st.parent == "" && st.items == nil && st.mode != "window" &&
		(st.page.stable || st.page.kind == pageDelta) && rd.res.Quarantined == 0
}

// goOnFrom takes over what an earlier read had found, unless it was of another
// mapping, config or data types, or is too old.
func (rd *reader) goOnFrom(r *Resume) bool {
	age := rd.started.Sub(r.Started)
	if !rd.resumable(rd.st) || r.Shape == "" || r.Shape != rd.s.placeShape(rd.st) || age < 0 || age > maxResumeAge {
		return false
	}
	rd.from, rd.started = r, r.Started
	rd.res.Incremental, rd.since, rd.newest, rd.oldest = r.Incremental, r.Since, r.Newest, r.Oldest
	rd.res.Records, rd.res.Items, rd.res.Began = r.Records, r.Items, r.Started
	return true
}

// placeShape is the shape of a listing together with whose credential reads it.
func (s *Session) placeShape(st *stream) string {
	shape := s.shape(st)
	if shape == "" || s.o.SecretVersion == "" {
		return shape
	}
	sum := sha256.Sum256([]byte(shape + "/" + s.o.SecretVersion))
	return hex.EncodeToString(sum[:12])
}

// firstPage puts the pager where the listing begins and returns the number of
// that page.
func (rd *reader) firstPage(p *pager, st *stream) (int, error) {
	switch {
	case st != rd.st:
	case rd.from != nil:
		return rd.from.Pages + 1, p.resume(rd.from)
	case rd.res.Incremental && st.page.kind == pageDelta:
		return 1, p.goTo(rd.res.State.Delta)
	}
	return 1, nil
}

// orReset tells a place that the vendor does not take any more from a failure
// that has nothing to do with it.
func (rd *reader) orReset(err error) error {
	if err == nil || rd.delivered {
		return err
	}
	switch ClassOf(err) {
	case ClassInvalid, ClassNotFound, ClassConflict, ClassMapping, ClassPaginationStuck, ClassReset:
		return &Error{Class: ClassReset, Stream: rd.st.name, Message: "the vendor does not go on where the listing broke off", Err: err}
	}
	return err
}

// checkpoint says where the listing stands behind page n.
func (rd *reader) checkpoint(ctx context.Context, st *stream, p *pager, n int) error {
	if !rd.resumable(st) {
		return nil
	}
	at := p.at()
	at.Shape, at.Started, at.Incremental, at.Since = rd.s.placeShape(st), rd.started, rd.res.Incremental, rd.since
	at.Newest, at.Oldest, at.Pages, at.Records, at.Items = rd.newest, rd.oldest, n, rd.res.Records, rd.res.Items
	return rd.keep(ctx, at)
}

// leave says where the listing stands before page n, which could not be had
// now and may be had later.
func (rd *reader) leave(ctx context.Context, st *stream, p *pager, n int, err error) {
	switch ClassOf(err) {
	case ClassTransient, ClassRateLimit, ClassUnreachable:
		if n > 1 && !rd.counted {
			_ = rd.checkpoint(ctx, st, p, n-1) // at worst the next read begins anew
		}
	}
}
