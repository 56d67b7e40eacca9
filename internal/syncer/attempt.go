// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// attempt is one sync of one Integration.
type attempt struct {
	w     *Worker
	log   *slog.Logger
	key   Key
	claim store.Claim
	spec  handover.Spec

	status  handover.Status // starts as what the last sync left
	decoded error           // what is stored could not be read

	uploads []string // files that nothing was made of yet when this began
	refused bool     // a file was read and refused
	// left has the state that the last read of each stream left.
	left map[string]json.RawMessage
	// known are the streams that gave something before.
	known map[string]bool
	// replaced: another remote account was accepted in this attempt.
	replaced bool

	retryAfter time.Duration
	written    int64
	finished   int // streams
}

func newAttempt(w *Worker, c store.Claim) *attempt {
	a := &attempt{w: w, claim: c}
	a.decoded = json.Unmarshal(c.Spec, &a.spec)
	if len(c.Status) > 0 && a.decoded == nil {
		a.decoded = json.Unmarshal(c.Status, &a.status)
	}
	a.key = Key{Tenant: c.Tenant, Namespace: a.spec.Namespace, Name: c.Name}
	if a.status.Streams == nil {
		a.status.Streams = map[string]handover.Stream{}
	}
	a.log = w.o.Log.With("namespace", a.key.Namespace, "integration", a.key.Name, "connector", a.connector())
	return a
}

func (a *attempt) connector() string {
	if a.spec.ConnectorRef != "" {
		return "resource"
	}
	return a.spec.Connector
}

// run does the work and leaves its result in the status. A panic is contained:
// one connector that goes wrong must not stop the others.
func (a *attempt) run(ctx context.Context) {
	a.w.metrics.running.Inc()
	defer a.w.metrics.running.Dec()
	defer func() {
		if v := recover(); v != nil {
			a.log.Error("A sync panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			a.fail(ReasonTransientError, "the sync stopped with an internal error; the manager's log has the details", true)
		}
	}()
	if a.decoded != nil {
		a.fail(ReasonTransientError, "what the store holds of this Integration cannot be read by this release: "+a.decoded.Error(), true)
		return
	}
	held := a.status.Held
	a.status.Problem, a.status.Held = nil, nil
	session, err := a.open(ctx)
	if err != nil {
		a.openFailed(ctx, err)
		return
	}
	defer func() { session.Close() }()
	if !a.test(ctx, session) {
		return
	}
	if a.replaced {
		// Where the reads of the old account ended means nothing for this one.
		again, err := a.open(ctx)
		if err != nil {
			a.openFailed(ctx, err)
			return
		}
		session.Close()
		session = again
	}
	if a.spec.Connector == connector.NativePush {
		a.awaitPushes(ctx, session, held)
		return
	}
	a.readAll(ctx, session)
}

func (a *attempt) open(ctx context.Context) (Session, error) {
	stored, err := a.w.o.Store.StreamStates(ctx, a.claim.Tenant, a.claim.Name)
	if err != nil {
		return nil, err
	}
	if a.uploads, err = a.newUploads(ctx); err != nil {
		return nil, err
	}
	states := make(map[string]connector.StreamState, len(stored))
	a.left, a.known = make(map[string]json.RawMessage, len(stored)), make(map[string]bool, len(stored))
	for name, s := range stored {
		a.left[name], a.known[name] = s.State, s.Generation > 0
		var st connector.StreamState
		if len(s.State) > 0 && json.Unmarshal(s.State, &st) == nil {
			if a.wantsWhole(name) {
				st.FullAt, st.Round = time.Time{}, nil
			}
			states[name] = st
		}
	}
	return a.w.o.Open(ctx, a.key, a.spec, states)
}

// wantsWhole says whether a stream that could be asked for changes only is read
// as a whole: where the Integration changed, or a person asked for a sync and so
// wants to see what is there. What a guard holds is read as it was, or its
// release would meet another set.
func (a *attempt) wantsWhole(stream string) bool {
	asked := a.claim.RequestedAt != a.status.Request || a.claim.Generation != a.status.Generation
	return asked && a.status.Streams[stream].State != handover.Held
}

func (a *attempt) openFailed(ctx context.Context, err error) {
	var open *OpenError
	switch {
	case ctx.Err() != nil:
		a.interrupted(ctx)
		return
	case errors.As(err, &open):
		a.fail(open.Reason, open.Error(), open.Transient)
		return
	}
	a.storeFailed(ctx, err)
}

// storeFailed blocks the Integration with what its users may know of a failure
// of the store: an error text may name hosts and users of the database.
func (a *attempt) storeFailed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		a.interrupted(ctx)
		return
	}
	reason, message := a.explain(err)
	a.fail(reason, message, true)
}

// uploadedFile is the remote account that file connectors give an upload.
const uploadedFile = "file"

// test runs the connect test where one is asked for, checks whose account the
// credential opens, and says whether to go on.
func (a *attempt) test(ctx context.Context, session Session) bool {
	today := model.DateOf(a.w.o.Clock.Now(), time.UTC)
	// Who asks for a sync after granting a scope wants to know whether it helped.
	again := a.claim.RequestedAt != a.status.Request && a.status.Test != nil && a.status.Test.Outcome == handover.Partial
	if !again && !needsTest(a.spec, a.status.Test, today) {
		// A spec that stops accepting a partial verdict stops the sync as well.
		if t := a.status.Test; t.Outcome == handover.Partial && !a.spec.AcceptPartial {
			a.fail(ReasonPartial, partialMessage(t.Message), false)
			return false
		}
		return true
	}
	report := session.Test(ctx)
	if ctx.Err() != nil {
		a.interrupted(ctx)
		return false
	}
	if report.Account.ID == uploadedFile || report.Account.ID == connector.PushedAccount {
		// Uploads and pushes have no account of their own: each Integration is one.
		report.Account.ID += "/" + a.key.Name
	}
	verdict, problem := judgeTest(a.spec, report, today)
	a.log.Info("Tested the connection", "outcome", verdict.Outcome, "failed", len(verdict.Disabled))
	if problem == nil || problem.Reason == ReasonPartial {
		if p := changedAccount(a.key.Name, a.spec, a.status.Account, report.Account, report.MultiAccount); p != nil {
			// Asked again each time, until the credential or the annotation changes.
			verdict.Outcome = handover.Failed
			a.status.Test = verdict
			a.block(*p)
			return false
		}
	}
	if problem == nil {
		owner, err := a.w.o.Store.TakeAccount(ctx, a.claim, store.RemoteAccount{ID: report.Account.ID, Name: report.Account.Name})
		if err != nil {
			a.storeFailed(ctx, err)
			return false
		}
		if owner != "" {
			verdict.Outcome = handover.Failed
			problem = alreadyConnected(owner, report.Account)
		}
	}
	a.status.Test = verdict
	if report.Err != nil {
		a.retryAfter = report.Err.RetryAfter
	}
	if problem != nil {
		a.block(*problem)
		return false
	}
	if err := a.adopt(ctx, report.Account); err != nil {
		a.storeFailed(ctx, err)
		return false
	}
	return true
}

// adopt records the remote account: it restores what an earlier Integration of
// the same account left, or starts over where a person accepted another one.
func (a *attempt) adopt(ctx context.Context, found connector.RemoteAccount) error {
	if found.ID == "" {
		return nil
	}
	remote := store.RemoteAccount{ID: found.ID, Name: found.Name}
	known := a.status.Account
	a.status.Account = &handover.Account{ID: found.ID, Name: found.Name}
	if known != nil && known.ID != found.ID {
		c, err := a.w.o.Store.ReplaceAccount(ctx, a.claim, remote, a.spec.RetainFor)
		if err != nil {
			return err
		}
		a.claim, a.status.Streams, a.status.Synced = c, map[string]handover.Stream{}, false
		a.replaced = true
		a.log.Info("Started over with the remote account that was accepted")
		return nil
	}
	c, restored, err := a.w.o.Store.RestoreIntegration(ctx, a.claim, remote)
	if err != nil {
		return err
	}
	a.claim = c
	if restored {
		a.log.Info("Restored the rows of an earlier Integration of the same remote account")
	}
	return nil
}

// readAll reads every stream that the test left enabled. One that fails does
// not stop the others, except where they would fail alike.
func (a *attempt) readAll(ctx context.Context, session Session) {
	streams := session.Streams()
	stage, err := a.w.o.Store.BeginSync(ctx, a.claim)
	if err != nil {
		a.storeFailed(ctx, err)
		return
	}
	defer func() {
		// What stays staged after a failure here is dropped by the next sync.
		if err := stage.Close(context.WithoutCancel(ctx)); err != nil {
			a.log.Warn("Could not drop staged rows", "error", err)
		}
	}()
	known := map[string]bool{}
	for _, info := range streams {
		known[info.Name] = true
	}
	maps.DeleteFunc(a.status.Streams, func(name string, _ handover.Stream) bool { return !known[name] })
	for _, info := range streams {
		if d := a.disabled(info.Name); d != nil {
			a.status.Streams[info.Name] = handover.Stream{State: handover.Disabled, Reason: d.Reason, Message: d.Message}
			continue
		}
		if ctx.Err() != nil {
			break
		}
		class := a.readStream(ctx, session, stage, info)
		a.refused = a.refused || class == connector.ClassRefusedFile
		if class == connector.ClassAuth || class == connector.ClassUnreachable {
			a.skipRest(streams, info.Name)
			break
		}
	}
	if ctx.Err() != nil {
		a.interrupted(ctx)
	}
	a.summarise(ctx, streams)
}

func (a *attempt) disabled(stream string) *handover.DisabledStream {
	if a.status.Test == nil {
		return nil
	}
	i := slices.IndexFunc(a.status.Test.Disabled, func(d handover.DisabledStream) bool { return d.Stream == stream })
	if i < 0 {
		return nil
	}
	return &a.status.Test.Disabled[i]
}

// skipRest marks the streams after one that failed as failed for the same
// reason: asking a vendor that refused the credential again may lock it.
func (a *attempt) skipRest(streams []connector.StreamInfo, failed string) {
	cause, after := a.status.Streams[failed], false
	for _, info := range streams {
		if after && a.disabled(info.Name) == nil {
			st := a.status.Streams[info.Name]
			st.State, st.Reason, st.Message = cause.State, cause.Reason, "not read, because stream "+failed+" failed"
			a.status.Streams[info.Name] = st
		}
		after = after || info.Name == failed
	}
}

func (a *attempt) summarise(ctx context.Context, streams []connector.StreamInfo) {
	counts := map[model.DataType]int64{}
	for _, d := range a.status.DataTypes {
		counts[d.Name] = d.Records
	}
	if fresh, err := a.w.o.Store.Counts(context.WithoutCancel(ctx), a.claim.Tenant, a.claim.Name); err == nil {
		maps.Copy(counts, fresh)
	} else {
		a.log.Warn("Could not count what is stored", "error", err)
	}
	a.status.DataTypes = mergeDataTypes(typesOf(streams, a.status.DataTypes), streams, a.status.Streams, counts)
	if a.status.Problem == nil {
		a.status.Problem = blocking(a.status.Streams)
	}
	if a.finished > 0 {
		a.status.Synced = true
	}
}

// interrupted records why the context ended.
func (a *attempt) interrupted(ctx context.Context) {
	if errors.Is(context.Cause(ctx), errSyncTimeout) {
		a.fail(ReasonSyncFailed, fmt.Sprintf("the sync took longer than spec.timeout (%s); what was read completely is stored", a.spec.Timeout), true)
	}
}

// fail blocks the whole Integration. Rows stay, and count as stale.
func (a *attempt) fail(reason, message string, transient bool) {
	a.block(handover.Problem{Reason: reason, Message: truncate(message), Transient: transient})
}

func (a *attempt) block(p handover.Problem) {
	a.status.Problem = &p
	a.log.Warn("Sync failed; what was known before is kept", "reason", p.Reason)
	for i, d := range a.status.DataTypes {
		if d.State == handover.Fresh {
			a.status.DataTypes[i].State = handover.Stale
			a.status.DataTypes[i].Reason, a.status.DataTypes[i].Message = p.Reason, "not read in the last sync"
		}
	}
}

// finish records the outcome. A sync that a shutdown interrupted counts
// neither as success nor as failure and is due at once.
func (a *attempt) finish(ctx context.Context, shutdown bool) error {
	now := a.w.o.Clock.Now()
	if shutdown {
		return a.w.o.Store.FinishIntegration(ctx, a.claim, store.IntegrationResult{Status: a.claim.Status, NextDue: &now})
	}
	if a.written > 0 || a.status.Digest == "" && a.finished > 0 {
		st, err := a.w.o.Store.IntegrationState(ctx, a.claim.Tenant, a.claim.Name)
		if err != nil {
			return err
		}
		a.status.Digest = digestOf(st)
	}
	a.status.Request, a.status.Generation = a.claim.RequestedAt, a.claim.Generation
	status, err := json.Marshal(a.status)
	if err != nil {
		return fmt.Errorf("encode the status: %w", err)
	}
	failed := a.status.Problem != nil && a.status.Problem.Reason != ReasonGuardHeld
	due := nextDue(now, a.key.String(), a.spec, a.status.Problem, a.claim.Failures+1, a.retryAfter)
	if later, err := a.settleUploads(ctx); err != nil {
		return err
	} else if later {
		due = now
	}
	result := store.IntegrationResult{Status: status, NextDue: &due, Synced: a.finished > 0, Failed: failed}
	if acc := a.status.Account; acc != nil {
		result.RemoteID, result.RemoteName = acc.ID, acc.Name
	}
	return a.w.o.Store.FinishIntegration(ctx, a.claim, result)
}
