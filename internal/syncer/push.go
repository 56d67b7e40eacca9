// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

const (
	pushLease = time.Minute
	pushOwner = "push/"
	// workerWait is how long a push waits for a worker, which only looks at the
	// spec of such an Integration. Another push is not waited for.
	workerWait = 3 * time.Second
	workerPoll = 50 * time.Millisecond
	pushBatch  = 1000
	// applyTimeout bounds the work after the last record came.
	applyTimeout = 15 * time.Minute
)

// PushStore is what a push needs of the store.
type PushStore interface {
	ClaimIntegration(ctx context.Context, tenant model.TenantID, name, owner string, lease time.Duration) (store.Claim, error)
	RenewClaim(ctx context.Context, c store.Claim, lease time.Duration) error
	FinishIntegration(ctx context.Context, c store.Claim, r store.IntegrationResult) error
	IntegrationState(ctx context.Context, tenant model.TenantID, name string) (store.IntegrationState, error)
	StreamStates(ctx context.Context, tenant model.TenantID, integration string) (map[string]store.StreamState, error)
	Counts(ctx context.Context, tenant model.TenantID, integration string) (map[model.DataType]int64, error)
	BeginSync(ctx context.Context, c store.Claim) (*store.Sync, error)
}

// Pusher carries out syncs whose records are sent instead of fetched: the same
// stage, the same guard and the same status as a sync of a worker. Each data
// type is a stream of its own.
type Pusher struct {
	Store PushStore
	// Streams are those of the push connector, in the order of applying.
	Streams []connector.StreamInfo
	Clock   clock.WithTicker
	Log     *slog.Logger
}

// PushRefusedError says why an Integration takes no records. Later tells that
// it may in a moment.
type PushRefusedError struct {
	Message string
	Later   bool
}

// Error implements error.
func (e *PushRefusedError) Error() string { return e.Message }

// PushedType is what became of the records of one data type.
type PushedType struct {
	Name     model.DataType `json:"name"`
	Received int64          `json:"received"`
	// Complete: what was not sent and is not known otherwise is gone.
	Complete bool              `json:"complete"`
	Added    int64             `json:"added"`
	Changed  int64             `json:"changed"`
	Removed  int64             `json:"removed"`
	Known    int64             `json:"known"`
	Held     *handover.HeldSet `json:"held,omitempty"`
}

// Push is one push that has begun.
type Push struct {
	p      *Pusher
	key    Key
	claim  store.Claim
	spec   handover.Spec
	status handover.Status
	stage  *store.Sync
	buf    []model.Record
	counts map[model.DataType]int64
	// applied runs once everything is applied, before the claim is given back.
	applied func(context.Context, []PushedType) error
}

// Push claims the Integration, has feed stage the records, and applies them. An
// error of feed, or of anything before the first data type is applied, leaves
// everything as it was. It returns feed's error, a *PushRefusedError, a
// *store.BusyError or an error of the store.
func (p *Pusher) Push(ctx context.Context, key Key, feed func(context.Context, *Push) (connector.RecordsEnd, error)) ([]PushedType, error) {
	claim, err := p.claim(ctx, key)
	if err != nil {
		return nil, err
	}
	push := &Push{p: p, key: key, claim: claim, counts: map[model.DataType]int64{}}
	// A sender that goes away ends what it feeds. What came whole is applied all
	// the same: it may be gone because it said everything.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stopRenewing := renewClaim(work, cancel, p.Store, claim, pushLease, p.Clock, p.Log)
	result, err := push.run(ctx, work, feed)
	if err == nil && push.applied != nil {
		noting, noted := context.WithTimeout(work, finishGrace)
		err = push.applied(noting, result)
		noted()
	}
	stopRenewing()
	// The outcome is recorded whether or not the sender still listens.
	finish, done := context.WithTimeout(context.WithoutCancel(ctx), finishGrace)
	defer done()
	if finishErr := push.finish(finish, len(result) > 0); finishErr != nil && err == nil {
		err = finishErr
	}
	if errors.Is(err, store.ErrFenced) {
		err = &PushRefusedError{Message: "the Integration was disconnected or replaced while the records came in; what was not applied yet is dropped", Later: true}
	}
	return result, err
}

// claim gets the Integration. A worker gives it back in a moment.
func (p *Pusher) claim(ctx context.Context, key Key) (store.Claim, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return store.Claim{}, fmt.Errorf("push id: %w", err)
	}
	for deadline := p.Clock.Now().Add(workerWait); ; {
		c, err := p.Store.ClaimIntegration(ctx, key.Tenant, key.Name, pushOwner+id.String(), pushLease)
		var busy *store.BusyError
		switch {
		case errors.Is(err, store.ErrSuspended):
			return c, &PushRefusedError{Message: "Integration " + key.Name + " is suspended, or its spec has a problem: look at `kubectl describe integration " + key.Name + " -n " + key.Namespace + "`"}
		case !errors.As(err, &busy) || strings.HasPrefix(busy.Owner, pushOwner) || !p.Clock.Now().Before(deadline):
			return c, err
		}
		timer := p.Clock.NewTimer(workerPoll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return c, ctx.Err()
		case <-timer.C():
		}
	}
}

// run stages while the sender is there, and applies as long as the claim holds.
func (u *Push) run(sender, ctx context.Context, feed func(context.Context, *Push) (connector.RecordsEnd, error)) (result []PushedType, err error) {
	if err := u.open(); err != nil {
		return nil, err
	}
	if u.stage, err = u.p.Store.BeginSync(ctx, u.claim); err != nil {
		return nil, err
	}
	defer func() {
		// What stays staged after a failure here is dropped by the next push.
		if err := u.stage.Close(context.WithoutCancel(ctx)); err != nil {
			u.p.Log.Warn("Could not drop staged rows", "integration", u.key.String(), "error", err)
		}
	}()
	feeding, stop := context.WithCancel(sender)
	defer context.AfterFunc(ctx, stop)()
	end, err := feed(feeding, u)
	stop()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	if err := u.flush(ctx); err != nil {
		return nil, err
	}
	left, err := u.p.Store.StreamStates(ctx, u.key.Tenant, u.key.Name)
	if err != nil {
		return nil, err
	}
	for _, info := range u.p.Streams {
		typ := info.DataTypes[0]
		complete := end.All && u.counts[typ] > 0 || slices.Contains(end.Types, typ)
		covered := typ == model.DataUsage && end.Window != nil
		if u.counts[typ] == 0 && !complete && !covered || !u.Accepts(typ) {
			continue
		}
		done, err := u.apply(ctx, info, complete, end, left[info.Name])
		if err != nil {
			return result, err
		}
		result = append(result, done)
	}
	return result, nil
}

// open reads what the controller and the last sync left.
func (u *Push) open() error {
	if err := json.Unmarshal(u.claim.Spec, &u.spec); err != nil {
		return fmt.Errorf("the spec of integration %s: %w", u.key, err)
	}
	if len(u.claim.Status) > 0 {
		if err := json.Unmarshal(u.claim.Status, &u.status); err != nil {
			return fmt.Errorf("the status of integration %s: %w", u.key, err)
		}
	}
	if u.spec.Connector != connector.NativePush {
		return &PushRefusedError{Message: fmt.Sprintf("Integration %s has the connector %q and reads its records itself; records are sent to one with the connector push", u.key.Name, u.claim.Connector)}
	}
	// The first look at a new Integration restores the rows of an earlier one of
	// the same name, which must come before new rows.
	if u.status.Account == nil {
		return &PushRefusedError{Message: "Integration " + u.key.Name + " is being connected: try again in a moment", Later: true}
	}
	if u.status.Streams == nil {
		u.status.Streams = map[string]handover.Stream{}
	}
	return nil
}

// Accepts reports whether the Integration takes records of the type.
func (u *Push) Accepts(t model.DataType) bool {
	return len(u.spec.DataTypes) == 0 || slices.Contains(u.spec.DataTypes, t)
}

// WhenApplied has f note what became of the push while no other push of the
// Integration can begin. Its error is that of the push.
func (u *Push) WhenApplied(f func(context.Context, []PushedType) error) { u.applied = f }

// Stage takes one record. Nothing is known of it before the push is complete.
func (u *Push) Stage(ctx context.Context, r model.Record) error {
	u.counts[r.Type()]++
	if u.buf = append(u.buf, r); len(u.buf) < pushBatch {
		return nil
	}
	return u.flush(ctx)
}

func (u *Push) flush(ctx context.Context) error {
	for records := u.buf; len(records) > 0; {
		typ, n := records[0].Type(), 1
		for n < len(records) && records[n].Type() == typ {
			n++
		}
		if err := u.stage.Stage(ctx, string(typ), "", records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	u.buf = u.buf[:0]
	return nil
}

// pushState is what a stream of pushed records remembers.
type pushState struct {
	// Complete: all records of the source were known once. Before that every
	// record is part of a first load, whose events start nothing.
	Complete bool `json:"complete,omitempty"`
}

func (u *Push) apply(ctx context.Context, info connector.StreamInfo, complete bool, end connector.RecordsEnd, left store.StreamState) (PushedType, error) {
	out := PushedType{Name: info.DataTypes[0], Received: u.counts[info.DataTypes[0]], Complete: complete && info.DeletesByAbsence}
	var before pushState
	if len(left.State) > 0 && json.Unmarshal(left.State, &before) != nil {
		before = pushState{}
	}
	o := store.StreamOutcome{
		Complete: true, KeepAbsent: !out.Complete, Types: info.DataTypes, Loading: !before.Complete, ActivityReported: left.ActivityReported,
		Guard: model.Guard{MinItems: u.spec.ShrinkMinItems, MaxPercent: u.spec.ShrinkMaxPercent}.Tighten(model.Guard{MaxPercent: info.MaxDropPercent}),
	}
	if out.Name == model.DataUsage && end.Window != nil {
		o.Window, o.ActivityReported = &store.Window{From: end.Window.Start, Until: end.Window.End}, true
	}
	state, err := json.Marshal(pushState{Complete: before.Complete || out.Complete})
	if err != nil {
		return out, fmt.Errorf("encode the state of stream %s: %w", info.Name, err)
	}
	o.State = state
	res, err := u.stage.FinishStream(ctx, info.Name, o)
	if err != nil {
		return out, err
	}
	c := res.Types[out.Name]
	out.Added, out.Changed, out.Removed, out.Known = c.Added, c.Changed+c.Touched, c.Removed, c.Total
	u.note(info, res.Held)
	if res.Held != nil {
		held := u.status.Held[len(u.status.Held)-1]
		out.Held = &held
	}
	return out, nil
}

// note keeps how the stream fared for the status.
func (u *Push) note(info connector.StreamInfo, h *store.Hold) {
	u.status.Held = slices.DeleteFunc(u.status.Held, func(s handover.HeldSet) bool { return s.Stream == info.Name })
	st := handover.Stream{State: handover.Fresh}
	if h != nil {
		a := attempt{key: u.key, status: u.status}
		st = a.held(info, u.status.Streams[info.Name], h)
		u.status.Held = a.status.Held
	}
	u.status.Streams[info.Name] = st
	u.status.Synced = u.status.Synced || h == nil
}

// finish gives the Integration back. Without applied it is as it was.
func (u *Push) finish(ctx context.Context, applied bool) error {
	if !applied {
		return u.p.Store.FinishIntegration(ctx, u.claim, store.IntegrationResult{Status: u.claim.Status, NextDue: u.claim.DueAt})
	}
	counts, err := u.p.Store.Counts(ctx, u.key.Tenant, u.key.Name)
	if err != nil {
		return err
	}
	u.status.DataTypes, u.status.Problem = pushedStatus(u.spec, u.p.Streams, u.status, counts)
	st, err := u.p.Store.IntegrationState(ctx, u.key.Tenant, u.key.Name)
	if err != nil {
		return err
	}
	u.status.Digest = digestOf(st)
	status, err := json.Marshal(u.status)
	if err != nil {
		return fmt.Errorf("encode the status: %w", err)
	}
	return u.p.Store.FinishIntegration(ctx, u.claim, store.IntegrationResult{Status: status, NextDue: u.claim.DueAt, Synced: true})
}

// pushedStatus sums up how the data types fare that were sent or are asked for.
func pushedStatus(spec handover.Spec, streams []connector.StreamInfo, status handover.Status, counts map[model.DataType]int64) ([]handover.DataType, *handover.Problem) {
	shown := slices.DeleteFunc(slices.Clone(streams), func(s connector.StreamInfo) bool {
		_, sent := status.Streams[s.Name]
		return !sent && !slices.Contains(spec.DataTypes, s.DataTypes[0])
	})
	return mergeDataTypes(typesOf(shown, nil), shown, status.Streams, counts), blocking(status.Streams)
}

// awaitPushes is a worker's sync of an Integration whose records are sent: it
// keeps what the last push left, and finds what an earlier Integration of the
// name had.
func (a *attempt) awaitPushes(ctx context.Context, session Session, held []handover.HeldSet) {
	counts, err := a.w.o.Store.Counts(ctx, a.claim.Tenant, a.claim.Name)
	if err != nil {
		a.storeFailed(ctx, err)
		return
	}
	pushed, err := a.w.o.Store.StreamStates(ctx, a.claim.Tenant, a.claim.Name)
	if err != nil {
		a.storeFailed(ctx, err)
		return
	}
	for name := range pushed {
		if _, known := a.status.Streams[name]; !known {
			a.status.Streams[name] = handover.Stream{State: handover.Fresh}
		}
	}
	a.status.Held, a.status.Synced = held, a.status.Synced || len(pushed) > 0
	if a.status.Digest == "" && len(pushed) > 0 {
		a.status.Digest = digestOf(a.claim.IntegrationState)
	}
	a.status.DataTypes, a.status.Problem = pushedStatus(a.spec, session.Streams(), a.status, counts)
}

// digestOf changes exactly when the stored data does.
func digestOf(st store.IntegrationState) string {
	return strconv.FormatInt(st.Source, 36) + "-" + strconv.FormatInt(st.DataVersion, 36)
}
