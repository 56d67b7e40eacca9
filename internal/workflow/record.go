// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/defect"
	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// arrival is an event that reached a run.
type arrival struct {
	key store.RunKey
	ev  event
	// number is that of the effect that led to it; 0: none did.
	number uint64
	// refusals counts how often the store would not take it, reachable as it was.
	refusals int
}

// current adds an arrival to a batch unless it belongs to an effect of which
// nobody waits for the end any more: its shard was lost meanwhile.
func (e *Engine) current(batch []arrival, a arrival) []arrival {
	if n, ok := e.launched[a.key]; !ok || n != a.number {
		return batch
	}
	return append(batch, a)
}

// commit moves runs on in one transaction and then has the effects that the
// decisions intend.
func (e *Engine) commit(ctx context.Context, batch []arrival) {
	for _, t := range e.record(ctx, batch) {
		e.launch(t)
	}
}

// maxRefusals is how often a step is offered to a store that refuses it.
const maxRefusals = 4

// record moves runs on and returns the turns whose effects are to be had. What a
// store that is away does not take is kept, and offered again until another
// replica owns the run; a step that the store refuses is handed to a person.
func (e *Engine) record(ctx context.Context, batch []arrival) []*turn {
	for len(batch) > 0 {
		turns, err := e.advance(ctx, batch)
		var fenced *store.FencedError
		switch {
		case err == nil:
			outcomes := false
			for _, a := range batch {
				outcomes = outcomes || a.ev.kind == eventResult
				if t := turns[a.key]; t == nil || t.effect == nil {
					e.release(a.key)
				}
			}
			e.applyBlocks(ctx, turns)
			if outcomes {
				failpoint.Hit(failpoint.AfterOutcomeBeforeNext)
			}
			return withEffects(turns)
		case errors.As(err, &fenced):
			batch = e.dropShards(fenced.Shards, batch)
			continue
		}
		away := ctx.Err() != nil || store.Unavailable(err)
		if len(batch) > 1 && !away { // one run's defect must not hold up the others
			var out []*turn
			for _, a := range batch {
				out = append(out, e.record(ctx, []arrival{a})...)
			}
			return out
		}
		e.o.Log.Error("The workflow engine could not store what runs came to", "run", batch[0].key.ID, "runs", len(batch), "away", away, "error", err)
		for _, a := range batch {
			e.keepUnstored(ctx, a, away, err)
		}
		return nil
	}
	return nil
}

// keepUnstored keeps an arrival for the next try, or parks its run.
func (e *Engine) keepUnstored(ctx context.Context, a arrival, away bool, cause error) {
	if !away {
		a.refusals++
	}
	if a.refusals < maxRefusals {
		e.unstored = append(e.unstored, a)
		if e.again = e.o.Clock.Now(); ctx.Err() == nil {
			e.again = e.again.Add(e.o.BusyPoll)
		}
		return
	}
	e.park(ctx, a, cause)
	e.release(a.key)
}

// offerAgain fires when what is unstored is to be offered again; never, if
// nothing is.
func (e *Engine) offerAgain() <-chan time.Time {
	if len(e.unstored) == 0 {
		return nil
	}
	return e.o.Clock.After(e.again.Sub(e.o.Clock.Now()))
}

// offer offers the store again what it did not take.
func (e *Engine) offer(ctx context.Context) {
	for part := range slices.Chunk(e.takeUnstored(), maxBatch) {
		e.commit(ctx, part)
	}
}

func (e *Engine) takeUnstored() []arrival {
	batch := e.unstored
	e.unstored = nil
	return batch
}

// park hands a run whose step cannot be stored to a person.
func (e *Engine) park(ctx context.Context, a arrival, cause error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := e.o.Store.AdvanceRuns(ctx, e.leases, []store.RunKey{a.key}, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) {
		if l.Run.State.Ended() {
			return nil, nil
		}
		return parked(now, l, a.ev, "the step could not be stored: "+cause.Error()), nil
	})
	if err != nil {
		e.o.Log.Error("A run could not be parked", "run", a.key.ID, "error", err)
	}
}

// parked is what becomes of a run whose decision cannot be taken or kept. A call
// that was sent has its audit record all the same, and is not repeated before
// somebody has looked.
func parked(now time.Time, l store.LoadedRun, ev event, why string) *store.RunChange {
	c := &store.RunChange{Run: l.Run}
	c.Run.State, c.Run.Reason, c.Run.Message, c.Run.Lane = store.RunAttention, reasonDefect, why, ""
	if l.Intent == nil {
		return c
	}
	a := *l.Intent
	a.State, a.EndedAt, a.Error = store.AttemptAmbiguous, &now, why
	ended := "and how it ended is not known"
	if a.Result = string(ResultUnknown); ev.kind == eventResult {
		a.Result, a.StatusCode = string(ev.result.Class), ev.result.StatusCode
		ended = "and ended as " + a.Result
		if !ev.result.Sent {
			a.State = store.AttemptNotSent
		}
	}
	c.Attempts = []store.Attempt{a}
	if a.State == store.AttemptNotSent {
		return c
	}
	c.Run.Reason = reasonUnknown
	c.Run.Message = fmt.Sprintf("%s in %s was sent, %s; %s: look, then say retry, skip or fail", a.Action, a.Integration, ended, why)
	if Class(a.Class) != ClassRead {
		c.Audits = []model.AuditRecord{{
			Actor: l.Run.Kind + "/" + l.Run.Name, ActorKind: model.ActorPolicy, Action: a.Action, ObjectKind: objectKind(a.Integration), ObjectName: a.Integration,
			PersonID: l.Run.PersonID, Reason: "a step of the workflow", Cause: l.Run.Cause, RunID: l.Run.ID, RequestDigest: a.RequestDigest, Result: a.Result,
			Detail: map[string]string{"step": a.StepPath, "idempotencyKey": a.IdemKey},
		}}
	}
	return c
}

// reasonDefect is why a run waits for a person that cannot be decided.
const reasonDefect = "Defect"

// judge is decide for one run of many: its crash is not theirs.
func judge(now time.Time, p *program, l store.LoadedRun, ev event, env *surroundings) (t *turn, err error) {
	defer func() {
		if v := recover(); v != nil {
			t, err = nil, defect.Caught(v)
		}
	}()
	return decide(now, p, l, ev, env)
}

// advance runs the interpreter inside the store's transaction.
func (e *Engine) advance(ctx context.Context, batch []arrival) (map[store.RunKey]*turn, error) {
	events := make(map[store.RunKey]event, len(batch))
	keys := make([]store.RunKey, len(batch))
	for i, a := range batch {
		events[a.key], keys[i] = a.ev, a.key
	}
	turns := make(map[store.RunKey]*turn, len(batch))
	failed := map[store.RunKey]error{}
	drop := func(key store.RunKey) {
		if t := turns[key]; t != nil && t.effect != nil && t.effect.call != nil {
			e.lanes.giveBack(t.effect.lane)
		}
		delete(turns, key)
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := e.o.Store.AdvanceRuns(ctx, e.leases, keys, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) {
		key := l.Run.Key()
		drop(key) // of an earlier try of this transaction
		delete(failed, key)
		p := e.busy[key]
		if p.revision != l.Run.Revision {
			return nil, nil // somebody resumed it in another: it is claimed again with that one
		}
		t, err := judge(now, p, l, events[key], &e.env)
		if err != nil { // repeating it would not help: a person must look
			failed[key] = err
			t = &turn{change: *parked(now, l, events[key], err.Error())}
		}
		if t == nil {
			return nil, nil
		}
		turns[key] = t
		return &t.change, nil
	})
	if err != nil {
		for key := range maps.Clone(turns) {
			drop(key)
		}
		return nil, err
	}
	for key, err := range failed {
		e.defect(key, err)
	}
	for _, t := range turns {
		if len(t.change.Bookings) > 0 {
			failpoint.Hit(failpoint.BookAfterCommit)
		}
	}
	return turns, nil
}

// defect tells those who run the manager.
func (e *Engine) defect(key store.RunKey, err error) {
	e.o.Log.Error("A run cannot go on", append([]any{"run", key.ID}, defect.Attrs(err)...)...)
	if e.o.OnDefect != nil {
		e.o.OnDefect()
	}
}

func withEffects(turns map[store.RunKey]*turn) []*turn {
	var out []*turn
	for _, t := range turns {
		if t.effect != nil {
			out = append(out, t)
		}
	}
	return out
}

func (e *Engine) applyBlocks(ctx context.Context, turns map[store.RunKey]*turn) {
	for _, t := range turns {
		for _, b := range t.blocks {
			e.lanes.block(ctx, b, e.o.Log)
		}
	}
}

// dropShards forgets shards that another replica took over, and their runs.
func (e *Engine) dropShards(shards []int, batch []arrival) []arrival {
	e.o.Log.Warn("Another replica has taken over shards of workflow runs", "shards", shards)
	lost := map[int]bool{}
	for _, id := range shards {
		lost[id] = true
		delete(e.leases, id)
	}
	var rest []arrival
	for _, a := range batch {
		if lost[store.ShardOf(a.key.ID)] {
			e.release(a.key)
		} else {
			rest = append(rest, a)
		}
	}
	return rest
}

// release says that nothing is under way for the run any more.
func (e *Engine) release(key store.RunKey) {
	if _, ok := e.busy[key]; ok {
		delete(e.busy, key)
		delete(e.launched, key)
		e.perShard[store.ShardOf(key.ID)]--
	}
}
