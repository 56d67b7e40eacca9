// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// readStream reads one stream into the stage and lets the store decide what of
// it becomes fact. Whatever goes wrong leaves the facts as they were.
func (a *attempt) readStream(ctx context.Context, session Session, stage *store.Sync, info connector.StreamInfo) connector.ErrorClass {
	result, read, err := a.stream(ctx, session, stage, info)
	before := a.status.Streams[info.Name]
	if err != nil {
		st := handover.Stream{State: handover.Stale, Quarantined: before.Quarantined, LeftOut: before.LeftOut}
		if before.State == "" || before.State == handover.Pending {
			st.State = handover.Pending
		}
		st.Reason, st.Message = a.explain(err)
		a.status.Streams[info.Name] = st
		a.log.Warn("Stream failed; nothing of it changed", "stream", info.Name, "records", read.Records, "reason", st.Reason)
		return connector.ClassOf(err)
	}
	st := handover.Stream{State: handover.Fresh, Quarantined: int64(read.Quarantined)}
	if read.Quarantined > 0 {
		st.Reason, st.Message = ReasonRecordsQuarantined, quarantineMessage(read)
	}
	if !read.Incremental {
		st.LeftOut = st.Quarantined
	} else if before.LeftOut > 0 {
		st.LeftOut, st.Quarantined = before.LeftOut, st.Quarantined+before.LeftOut
		if st.Reason == "" {
			st.Reason, st.Message = ReasonRecordsQuarantined, fmt.Sprintf("records that could not be mapped are left out since the last whole read: %d", before.LeftOut)
		}
	}
	if h := result.Held; h != nil {
		st = a.held(info, before, h)
	} else {
		a.finished++
	}
	a.status.Streams[info.Name] = st
	a.w.metrics.records.WithLabelValues(a.connector(), info.Name).Add(float64(read.Records))
	a.w.metrics.changes.WithLabelValues(a.connector(), info.Name).Add(float64(result.Written()))
	a.log.Info("Read stream", "stream", info.Name, "records", read.Records, "quarantined", read.Quarantined, "requests", read.Requests,
		"written", result.Written(), "held", result.Held != nil)
	return ""
}

func (a *attempt) stream(ctx context.Context, session Session, stage *store.Sync, info connector.StreamInfo) (result store.StreamResult, read connector.ReadResult, err error) {
	read, err = a.list(ctx, session, stage, info.Name)
	if !read.Complete && !anyPartComplete(info, read) {
		if err == nil {
			err = &connector.Error{Class: connector.ClassTransient, Stream: info.Name, Message: "the listing ended before it was complete"}
		}
		return result, read, err
	}
	first := a.first(info.Name)
	if read.State.Round != nil {
		read.State.Round.First = first
	}
	outcome, encodeErr := outcomeOf(a.spec, info, read, a.left[info.Name])
	if encodeErr != nil {
		return result, read, encodeErr
	}
	outcome.Loading = first
	storing, stored := a.storing(ctx)
	defer stored()
	result, finishErr := stage.FinishStream(storing, info.Name, outcome)
	if finishErr != nil {
		return result, read, finishErr
	}
	a.written += result.Written()
	// Complete partitions are stored; the stream as a whole stays stale.
	return result, read, err
}

// storing is the context in which what was read is stored. Partitions that were
// read when the time of the sync ran out are worth a moment more: otherwise a
// list that takes longer than that would never end.
func (a *attempt) storing(ctx context.Context) (context.Context, context.CancelFunc) {
	if errors.Is(context.Cause(ctx), errSyncTimeout) {
		return context.WithTimeout(context.WithoutCancel(ctx), finishGrace)
	}
	return ctx, func() {}
}

// first reports whether the stream was never read as a whole: what the parts of
// a first load bring is not new in the world.
func (a *attempt) first(stream string) bool {
	var st connector.StreamState
	if raw := a.left[stream]; len(raw) > 0 && json.Unmarshal(raw, &st) == nil && st.Round != nil {
		return st.Round.First
	}
	return !a.known[stream]
}

// resumer is a session that can go on where a listing broke off.
type resumer interface {
	ReadFrom(ctx context.Context, stream string, from *connector.Resume, sink connector.Sink, keep connector.Keep) (connector.ReadResult, error)
}

var _ resumer = (*connector.Session)(nil)

// list stages a stream. A listing that an earlier sync could not end, because
// the vendor was away or its limit used up, goes on where it broke off if what
// it had staged is still there.
func (a *attempt) list(ctx context.Context, session Session, stage *store.Sync, stream string) (connector.ReadResult, error) {
	sink := func(ctx context.Context, part string, records []model.Record) error {
		return stage.Stage(ctx, stream, part, records)
	}
	r, ok := session.(resumer)
	if !ok {
		return session.Read(ctx, stream, sink)
	}
	keep := func(ctx context.Context, at connector.Resume) error {
		place, err := json.Marshal(at)
		if err != nil {
			return fmt.Errorf("encode where the listing stands: %w", err)
		}
		return stage.Checkpoint(ctx, stream, place)
	}
	if from := a.placeOf(stage, stream); from != nil {
		a.log.Info("Going on where the listing broke off", "stream", stream, "records", from.Records, "pages", from.Pages)
		read, err := r.ReadFrom(ctx, stream, from, sink, keep)
		if connector.ClassOf(err) != connector.ClassReset {
			a.giveUp(ctx, stage, stream, err)
			return read, err
		}
	}
	stage.Discard(ctx, stream)
	read, err := r.ReadFrom(ctx, stream, nil, sink, keep)
	a.giveUp(ctx, stage, stream, err)
	return read, err
}

func (a *attempt) placeOf(stage *store.Sync, stream string) *connector.Resume {
	place := stage.Place(stream)
	if place == nil || a.claim.Generation != a.status.Generation {
		return nil
	}
	var from connector.Resume
	if err := json.Unmarshal(place, &from); err != nil || from.Incremental && a.wantsWhole(stream) {
		return nil
	}
	return &from
}

// giveUp drops what is staged of a stream that would not fail otherwise later.
func (a *attempt) giveUp(ctx context.Context, stage *store.Sync, stream string, err error) {
	var e *connector.Error
	if errors.As(err, &e) && !e.Temporary() && e.Class != connector.ClassUnreachable {
		stage.Discard(ctx, stream)
	}
}

// outcomeOf says what the absences of a read prove. previous is the state that
// the stream's last read left.
func outcomeOf(spec handover.Spec, info connector.StreamInfo, read connector.ReadResult, previous json.RawMessage) (store.StreamOutcome, error) {
	o := store.StreamOutcome{
		Complete: read.Complete,
		// A record that could not be mapped is listed at the vendor and absent
		// from the stage: while there is one, absence proves nothing.
		KeepAbsent:  !info.DeletesByAbsence || read.Quarantined > 0,
		Incremental: read.Incremental, Gaps: read.Quarantined > 0, Types: info.DataTypes, ActivityReported: info.ActivityReported,
		Guard:  model.Guard{MinItems: spec.ShrinkMinItems, MaxPercent: spec.ShrinkMaxPercent}.Tighten(model.Guard{MaxPercent: info.MaxDropPercent}),
		ReadAt: read.Began, KeepParts: read.Kept,
	}
	if !read.Complete {
		for _, p := range read.Parts {
			if p.Complete {
				o.CompleteParts = append(o.CompleteParts, p.Part)
			}
		}
	}
	if (read.Window != nil || read.Incremental) && read.Quarantined > 0 {
		// Somebody's use, or change, is among what could not be mapped: the time
		// read is not covered, and is read again until it can be (invariant 2).
		o.State = previous
		return o, nil
	}
	if read.Window != nil {
		o.Window = &store.Window{From: read.Window.Start, Until: read.Window.End}
	}
	state, err := json.Marshal(read.State)
	if err != nil {
		return o, fmt.Errorf("encode the state of stream %s: %w", info.Name, err)
	}
	o.State = state
	return o, nil
}

func anyPartComplete(info connector.StreamInfo, read connector.ReadResult) bool {
	if !info.DeletesPerPartition && read.State.Round == nil || read.Incremental {
		return false // changes are stored together with where the next read begins
	}
	for _, p := range read.Parts {
		if p.Complete {
			return true
		}
	}
	return false
}

// quarantineMessage names the first records that could not be mapped, by their
// key and never by their values.
func quarantineMessage(read connector.ReadResult) string {
	parts := make([]string, 0, len(read.QuarantineSample))
	for _, q := range read.QuarantineSample {
		parts = append(parts, fmt.Sprintf("%s of record %s: %s", q.Field, q.Key, q.Message))
	}
	return truncate("records were left out because they could not be mapped; the first: " + strings.Join(parts, "; "))
}

// held describes a stream whose result the guard holds.
func (a *attempt) held(info connector.StreamInfo, before handover.Stream, h *store.Hold) handover.Stream {
	a.status.Held = append(a.status.Held, handover.HeldSet{
		Stream: info.Name, Digest: h.Digest, Count: h.Count, Total: h.Total, Allowed: h.Allowed, Reason: ReasonGuardHeld})
	return handover.Stream{State: handover.Held, Reason: ReasonGuardHeld, Quarantined: before.Quarantined, LeftOut: before.LeftOut,
		Message: truncate(fmt.Sprintf(
			"the last listing of %s lacks %d of %d known records, %d may go unasked; nothing was changed. Look at: seatkeeper guards -n %s. "+
				"If that is right, release exactly this set: kubectl annotate integration %s -n %s --overwrite %s=%s",
			info.Name, h.Count, h.Total, h.Allowed, a.key.Namespace, a.key.Name, a.key.Namespace, releaseAnnotation, h.Digest))}
}

// explain turns an error into a reason and a message without moving parts, and
// keeps what the vendor said about when to come back.
func (a *attempt) explain(err error) (reason, message string) {
	var e *connector.Error
	switch {
	case errors.As(err, &e):
		if e.RetryAfter > a.retryAfter {
			a.retryAfter = e.RetryAfter
		}
		return reasonOf(e.Class), truncate(sentence(e.Message, e.Fix))
	case errors.Is(err, store.ErrStageLost):
		return ReasonTransientError, "the staged rows were lost and are read again"
	case errors.Is(err, store.ErrFenced):
		return ReasonTransientError, "another replica took the sync over"
	}
	a.log.Error("The store failed during a sync", "error", err)
	return ReasonTransientError, "the store did not answer as it should; the manager's log has the details"
}
