// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// One replica at a time: whoever claims second is told who has it and until
// when, and takes over once the lease has lapsed.
func TestClaimIntegration(t *testing.T) {
	eachWorld(t, func(w *world) {
		ctx := w.Context()
		if _, err := w.s.ClaimIntegration(ctx, w.tenant, "agent", "push/1", time.Minute); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("no such Integration: %v", err)
		}
		w.must(w.s.FinishIntegration(ctx, w.claim("agent", "push"), store.IntegrationResult{Status: json.RawMessage(`{"a":1}`)}))
		first, err := w.s.ClaimIntegration(ctx, w.tenant, "agent", "push/1", time.Minute)
		w.must(err)
		var busy *store.BusyError
		if _, err := w.s.ClaimIntegration(ctx, w.tenant, "agent", "push/2", time.Minute); !errors.As(err, &busy) || busy.Owner != "push/1" || !busy.Until.Equal(w.clock.Now().Add(time.Minute)) {
			t.Fatalf("a second claim: %v", err)
		}
		if _, err := w.s.ClaimIntegration(ctx, w.otherTenant("beta").tenant, "agent", "push/2", time.Minute); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("another tenant: %v", err)
		}
		w.step(time.Minute)
		second, err := w.s.ClaimIntegration(ctx, w.tenant, "agent", "push/2", time.Minute)
		w.must(err)
		if err := w.s.FinishIntegration(ctx, first, store.IntegrationResult{}); !errors.Is(err, store.ErrFenced) {
			t.Errorf("the first, which lost its lease: %v", err)
		}
		w.must(w.s.FinishIntegration(ctx, second, store.IntegrationResult{Status: second.Status}))
		_, err = w.s.UpsertIntegration(ctx, w.tenant, store.IntegrationSpec{Name: "agent", Connector: "push", Suspended: true})
		w.must(err)
		if _, err := w.s.ClaimIntegration(ctx, w.tenant, "agent", "push/3", time.Minute); !errors.Is(err, store.ErrSuspended) {
			t.Errorf("suspended: %v", err)
		}
	})
}

// Until a source was known as a whole, what it adds is a first load.
func TestLoadingStaysInitial(t *testing.T) {
	eachWorld(t, func(w *world) {
		l := accountsOf(account("a"))
		l.outcome.Loading, l.outcome.KeepAbsent = true, true
		w.sync("agent", l)
		l.records = []model.Record{account("b")}
		if res := w.sync("agent", l)[0]; !res.Initial || res.Types[model.DataAccounts].Total != 2 {
			t.Errorf("the second part: %+v", res)
		}
		for kind, events := range w.events() {
			for _, e := range events {
				if !e.Initial {
					t.Errorf("%s of %s is no initial event", kind, e.Subject)
				}
			}
		}
		l.outcome.Loading = false
		l.records = []model.Record{account("c")}
		w.sync("agent", l)
		if added := w.events()[model.EventAccountAdded]; len(added) != 1 || added[0].Initial {
			t.Errorf("once the source is known: %+v", added)
		}
	})
}

func TestPushAnswersAndFilesAreKeptForADay(t *testing.T) {
	eachWorld(t, func(w *world) {
		ctx := w.Context()
		a := store.PushAnswer{Integration: "agent", Key: "k", Digest: "d", Answer: json.RawMessage(`{"records":1}`)}
		w.must(w.s.PutPushAnswer(ctx, w.tenant, a))
		id, err := w.s.PutAPIFile(ctx, w.tenant, store.APIFile{Type: "customIntegrationData", Name: "f.json", Bytes: []byte(`{"users":[]}`), CreatedBy: "ada"})
		w.must(err)
		if got, err := w.s.PushAnswer(ctx, w.tenant, "agent", "k"); err != nil || string(got.Answer) != string(a.Answer) || got.Digest != "d" {
			t.Errorf("answer %+v, %v", got, err)
		}
		if got, err := w.s.APIFile(ctx, w.tenant, id); err != nil || string(got.Bytes) != `{"users":[]}` || got.CreatedBy != "ada" {
			t.Errorf("file %+v, %v", got, err)
		}
		if _, err := w.s.APIFile(ctx, w.otherTenant("beta").tenant, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("another tenant: %v", err)
		}
		if _, err := w.s.PutAPIFile(ctx, w.tenant, store.APIFile{Bytes: bytes.Repeat([]byte("x"), store.MaxAPIFile+1)}); !errors.Is(err, store.ErrUploadTooLarge) {
			t.Errorf("too large: %v", err)
		}
		w.step(24 * time.Hour)
		if _, err := w.s.PushAnswer(ctx, w.tenant, "agent", "k"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an answer of yesterday: %v", err)
		}
		if _, err := w.s.APIFile(ctx, w.tenant, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a file of yesterday: %v", err)
		}
		w.must(w.s.PrunePushes(ctx, w.otherTenant("beta").tenant))
		if n := len(w.dump()["api_file"]) + len(w.dump()["push_answer"]); n != 2 {
			t.Errorf("another tenant's janitor left %d of 2 rows", n)
		}
		w.must(w.s.PrunePushes(ctx, w.tenant))
		if n := len(w.dump()["api_file"]) + len(w.dump()["push_answer"]); n != 0 {
			t.Errorf("%d rows of yesterday are kept", n)
		}
		w.must(w.s.PutPushAnswer(ctx, w.tenant, store.PushAnswer{Integration: "agent", Key: "k2"}))
		if n := len(w.dump()["push_answer"]); n != 1 {
			t.Errorf("%d answers are kept, want 1", n)
		}
	})
}
