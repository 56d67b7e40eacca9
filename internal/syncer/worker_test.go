// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// session is a connector of two streams that does what the test says.
type session struct {
	test func() connector.TestReport
	read func(ctx context.Context, stream string, sink connector.Sink) (connector.ReadResult, error)
}

func (s *session) Streams() []connector.StreamInfo {
	return []connector.StreamInfo{
		{Name: "users", DataTypes: []model.DataType{model.DataAccounts}, Essential: true, DeletesByAbsence: true},
		{Name: "groups", DataTypes: []model.DataType{model.DataGroups}, DeletesByAbsence: true},
	}
}

func (s *session) Test(context.Context) connector.TestReport {
	if s.test != nil {
		return s.test()
	}
	return connector.TestReport{Outcome: connector.AllPassed, Account: connector.RemoteAccount{ID: "A"}}
}

func (s *session) Read(ctx context.Context, stream string, sink connector.Sink) (connector.ReadResult, error) {
	if s.read != nil {
		return s.read(ctx, stream, sink)
	}
	return list(ctx, stream, sink, 30)
}

func (s *session) Close() {}

// list delivers n records of a stream.
func list(ctx context.Context, stream string, sink connector.Sink, n int) (connector.ReadResult, error) {
	var records []model.Record
	for i := range n {
		id := fmt.Sprintf("%s-%d", stream, i)
		if stream == "users" {
			records = append(records, model.Record{Account: &model.Account{ExternalID: id, Status: model.AccountActive}})
		} else {
			records = append(records, model.Record{Group: &model.Group{ExternalID: id, Name: id}})
		}
	}
	err := sink(ctx, "", records)
	return connector.ReadResult{Stream: stream, Complete: err == nil, Records: n}, err
}

// bench is a store with one Integration that is due, and a worker.
type bench struct {
	t       *testing.T
	store   *store.Store
	tenant  model.TenantID
	session *session
	open    error
	worker  *syncer.Worker
	spec    handover.Spec
	name    string
	version int
}

func newBench(t *testing.T, s *store.Store) *bench {
	t.Helper()
	b := &bench{t: t, store: s, name: "zoom", session: &session{}, spec: handover.Spec{
		Namespace: "acme", Connector: "zoom", Permission: "Read", Interval: time.Hour, RetryInterval: time.Minute, Timeout: time.Minute,
		ShrinkMinItems: 2, ShrinkMaxPercent: 10,
	}}
	var err error
	if b.tenant, err = s.EnsureTenant(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	b.worker = syncer.New(syncer.Options{Store: s, Owner: "test", Open: func(context.Context, syncer.Key, handover.Spec, map[string]connector.StreamState) (syncer.Session, error) {
		if b.open != nil {
			return nil, b.open
		}
		return b.session, nil
	}})
	return b
}

// claim makes an Integration due and claims it.
func (b *bench) claim(name string) store.Claim {
	b.t.Helper()
	b.version++
	raw, err := json.Marshal(b.spec)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.store.UpsertIntegration(b.t.Context(), b.tenant, store.IntegrationSpec{
		Name: name, Connector: "zoom", Spec: raw, Generation: 1, RequestedAt: fmt.Sprint(b.version), Interval: b.spec.Interval}); err != nil {
		b.t.Fatal(err)
	}
	claims, err := b.store.ClaimDueIntegrations(b.t.Context(), "test", 10, time.Minute)
	if err != nil || len(claims) != 1 {
		b.t.Fatalf("%d claims, %v", len(claims), err)
	}
	return claims[0]
}

// left is what the last sync of an Integration left.
func (b *bench) left(name string) (handover.Status, store.IntegrationState) {
	st, err := b.store.IntegrationState(b.t.Context(), b.tenant, name)
	if err != nil {
		b.t.Error(err)
	}
	var status handover.Status
	if len(st.Status) > 0 {
		if err := json.Unmarshal(st.Status, &status); err != nil {
			b.t.Error(err)
		}
	}
	if st.Owner != "" {
		b.t.Error("the claim was not given back")
	}
	return status, st
}

// sync makes the Integration due, syncs it and returns what was left.
func (b *bench) sync(ctx context.Context) (handover.Status, store.IntegrationState) {
	b.t.Helper()
	b.worker.Sync(ctx, b.claim(b.name))
	return b.left(b.name)
}

func state(s handover.Status, t model.DataType) handover.DataType {
	for _, d := range s.DataTypes {
		if d.Name == t {
			return d
		}
	}
	return handover.DataType{}
}

func TestSync(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		b := newBench(t, open())
		ctx := t.Context()
		got, st := b.sync(ctx)
		if got.Problem != nil || !got.Synced || state(got, model.DataAccounts).Records != 30 || st.RemoteID != "A" || got.Digest == "" {
			t.Fatalf("first sync: %+v", got)
		}
		again, st := b.sync(ctx)
		if again.Digest != got.Digest || st.DataVersion == 0 {
			t.Errorf("an unchanged listing changed the digest from %s to %s", got.Digest, again.Digest)
		}

		for _, tt := range []struct {
			name   string
			read   func(context.Context, string, connector.Sink) (connector.ReadResult, error)
			state  handover.State
			reason string
		}{
			{"error", func(context.Context, string, connector.Sink) (connector.ReadResult, error) {
				return connector.ReadResult{}, &connector.Error{Class: connector.ClassTransient, Message: "503", RetryAfter: 3 * time.Hour}
			}, handover.Stale, "VendorError"},
			{"truncated", func(ctx context.Context, s string, sink connector.Sink) (connector.ReadResult, error) {
				r, err := list(ctx, s, sink, 29)
				r.Complete = false
				return r, err
			}, handover.Stale, "VendorError"},
			{"empty", func(ctx context.Context, s string, sink connector.Sink) (connector.ReadResult, error) {
				return list(ctx, s, sink, 0)
			}, handover.Held, "GuardHeld"},
			{"shrunk", func(ctx context.Context, s string, sink connector.Sink) (connector.ReadResult, error) {
				return list(ctx, s, sink, 20)
			}, handover.Held, "GuardHeld"},
			{"panic", func(context.Context, string, connector.Sink) (connector.ReadResult, error) { panic("defect") },
				handover.Stale, "TransientError"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				b.t = t
				b.session.read = func(ctx context.Context, stream string, sink connector.Sink) (connector.ReadResult, error) {
					if stream == "users" {
						return tt.read(ctx, stream, sink)
					}
					return list(ctx, stream, sink, 30)
				}
				defer func() { b.session.read = nil }()
				before := time.Now()
				got, st := b.sync(ctx)
				d := state(got, model.DataAccounts)
				if d.State != tt.state || d.Records != 30 || d.Reason != tt.reason || got.Problem == nil {
					t.Errorf("accounts %+v, problem %+v; want %s %s and 30 records", d, got.Problem, tt.state, tt.reason)
				}
				counts, err := b.store.Counts(ctx, b.tenant, "zoom")
				if err != nil || counts[model.DataAccounts] != 30 {
					t.Errorf("%d accounts are stored, want 30: %v", counts[model.DataAccounts], err)
				}
				if tt.name != "panic" && state(got, model.DataGroups).State != handover.Fresh {
					t.Error("the other stream did not go on")
				}
				if tt.name == "error" && st.DueAt.Sub(before) < 3*time.Hour {
					t.Errorf("due in %s, and the vendor said 3h", st.DueAt.Sub(before))
				}
				b.session.read = nil
				if healed, _ := b.sync(ctx); healed.Problem != nil {
					t.Errorf("a later good sync did not heal: %+v", healed.Problem)
				}
			})
		}
	})
}

func TestRefusedCredentialIsNotTriedOnEveryStream(t *testing.T) {
	b := newBench(t, storetest.Open(t, storetest.SQLite(t)))
	b.sync(t.Context())
	reads := 0
	b.session.read = func(context.Context, string, connector.Sink) (connector.ReadResult, error) {
		reads++
		return connector.ReadResult{}, &connector.Error{Class: connector.ClassAuth, Message: "401"}
	}
	got, _ := b.sync(t.Context())
	if reads != 1 {
		t.Errorf("a credential that was refused was tried %d times", reads)
	}
	if d := state(got, model.DataGroups); d.State != handover.Stale || d.Reason != "CredentialsRejected" {
		t.Errorf("groups %+v", d)
	}
}

func TestShutdownGivesTheClaimBack(t *testing.T) {
	b := newBench(t, storetest.Open(t, storetest.SQLite(t)))
	first, _ := b.sync(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	b.session.read = func(ctx context.Context, _ string, _ connector.Sink) (connector.ReadResult, error) {
		cancel()
		return connector.ReadResult{}, &connector.Error{Class: connector.ClassCanceled, Message: "stopped", Err: ctx.Err()}
	}
	got, st := b.sync(ctx)
	if got.Problem != nil || got.Digest != first.Digest {
		t.Errorf("an interrupted sync left a mark: %+v", got.Problem)
	}
	if st.DueAt == nil || st.DueAt.After(time.Now().Add(time.Second)) || st.Failures != 0 {
		t.Errorf("due at %v with %d failures, want now and 0", st.DueAt, st.Failures)
	}
}

func TestTimeout(t *testing.T) {
	b := newBench(t, storetest.Open(t, storetest.SQLite(t)))
	b.spec.Timeout = time.Millisecond
	b.session.read = func(ctx context.Context, _ string, _ connector.Sink) (connector.ReadResult, error) {
		<-ctx.Done()
		return connector.ReadResult{}, ctx.Err()
	}
	got, _ := b.sync(t.Context())
	if got.Problem == nil || got.Problem.Reason != syncer.ReasonSyncFailed || !got.Problem.Transient {
		t.Errorf("problem %+v", got.Problem)
	}
}

func TestOpenFailures(t *testing.T) {
	b := newBench(t, storetest.Open(t, storetest.SQLite(t)))
	b.sync(t.Context())
	b.open = &syncer.OpenError{Reason: syncer.ReasonSecretNotFound, Err: &syncer.SecretNotFoundError{Namespace: "acme", Name: "zoom"}}
	got, st := b.sync(t.Context())
	if got.Problem == nil || got.Problem.Reason != syncer.ReasonSecretNotFound || got.Problem.Transient {
		t.Errorf("problem %+v", got.Problem)
	}
	if d := state(got, model.DataAccounts); d.State != handover.Stale || d.Records != 30 || st.Failures != 1 {
		t.Errorf("accounts %+v after %d failures", d, st.Failures)
	}
	b.open = errors.New("the store is slow")
	if got, _ = b.sync(t.Context()); got.Problem == nil || !got.Problem.Transient {
		t.Errorf("problem %+v", got.Problem)
	}
}

// What a store's driver says may name the database's host and user: it goes to
// the log, and users of the namespace are told where to look.
func TestStoreFailureTellsNothingOfTheStore(t *testing.T) {
	b := newBench(t, storetest.Open(t, storetest.SQLite(t)))
	b.open = errors.New("failed to connect to `user=seatkeeper database=prod`: db-1.internal (10.0.0.7)")
	got, _ := b.sync(t.Context())
	if got.Problem == nil || got.Problem.Reason != syncer.ReasonTransientError || !got.Problem.Transient || strings.Contains(got.Problem.Message, "db-1") {
		t.Errorf("problem %+v", got.Problem)
	}
}

// TestOneRemoteAccountIsReadOnce refuses the second Integration of a remote
// account at its connect test, before it gave any fact.
func TestOneRemoteAccountIsReadOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		b := newBench(t, open())
		second := *b
		second.name = "zoom-2"
		if status, st := b.sync(t.Context()); status.Problem != nil || st.RemoteID != "A" {
			t.Fatalf("the first: %+v, account %q", status.Problem, st.RemoteID)
		}
		for range 2 { // asked again each time, while both are there
			status, st := second.sync(t.Context())
			if p := status.Problem; p == nil || p.Reason != syncer.ReasonAccountAlreadyConnected || p.Transient || !strings.Contains(p.Message, `"zoom"`) {
				t.Fatalf("the second: %+v", p)
			}
			if st.FirstSyncedAt != nil || st.RemoteID != "" || status.Account != nil || len(status.DataTypes) != 0 {
				t.Errorf("the second has synced: %+v, account %q", status, st.RemoteID)
			}
			if counts, err := b.store.Counts(t.Context(), b.tenant, "zoom-2"); err != nil || counts[model.DataAccounts]+counts[model.DataGroups] != 0 {
				t.Errorf("the second has rows: %v, %v", counts, err)
			}
		}
		if status, _ := b.sync(t.Context()); status.Problem != nil {
			t.Errorf("the first again: %+v", status.Problem)
		}
		if err := b.store.HideIntegration(t.Context(), b.tenant, "zoom", 0); err != nil {
			t.Fatal(err)
		}
		if status, _ := second.sync(t.Context()); status.Problem != nil || !status.Synced {
			t.Errorf("the second, once the first is gone: %+v", status.Problem)
		}
	})
}

// TestOneOfManyTakesARemoteAccount has all of them tested at the same moment.
func TestOneOfManyTakesARemoteAccount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		b := newBench(t, open())
		const n = 8
		statuses := make([]handover.Status, n)
		var together sync.WaitGroup
		together.Add(n)
		b.session.test = func() connector.TestReport {
			together.Done()
			together.Wait()
			return connector.TestReport{Outcome: connector.AllPassed, Account: connector.RemoteAccount{ID: "A"}}
		}
		var claims []store.Claim
		for i := range n {
			claims = append(claims, b.claim(fmt.Sprint("zoom-", i)))
		}
		var done sync.WaitGroup
		for i, c := range claims {
			done.Go(func() {
				b.worker.Sync(t.Context(), c)
				statuses[i], _ = b.left(c.Name)
			})
		}
		done.Wait()
		synced := 0
		for _, s := range statuses {
			switch {
			case s.Problem == nil && s.Synced:
				synced++
			case s.Problem == nil || s.Problem.Reason != syncer.ReasonAccountAlreadyConnected:
				t.Errorf("%+v", s.Problem)
			}
		}
		if synced != 1 {
			t.Errorf("%d Integrations read the account", synced)
		}
	})
}
