// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// Two replicas share the runs; one leaves in the middle of the work, and the
// other does the rest. Every effect happens once.
func TestTwoReplicasShareTheWork(t *testing.T) {
	dsn := storetest.Postgres(t)
	stores := []*store.Store{storetest.Open(t, dsn), storetest.Open(t, dsn)}
	tenant, err := stores[0].EnsureTenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := Definition{Steps: []Step{{Name: "one", Action: &ActionStep{Integration: "zoom", Action: "ticket.create"}},
		{Name: "two", Action: &ActionStep{Integration: "zoom", Action: "ticket.create"}}}}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	const n = 300
	v := newVendor()
	by := make([]int, 2) // calls by replica
	var mu sync.Mutex
	half := make(chan struct{})
	var replicas sync.WaitGroup
	ctxs := make([]context.Context, 2)
	cancels := make([]context.CancelFunc, 2)
	for i, s := range stores {
		ctxs[i], cancels[i] = context.WithCancel(context.Background())
		e, err := New(Options{Store: s, Actions: counting{v, func() {
			mu.Lock()
			defer mu.Unlock()
			by[i]++
			if by[0]+by[1] == n {
				close(half)
			}
		}}, Facts: newWorld(), People: newWorld(), PromptKey: promptKey, Lease: 900 * time.Millisecond, Grace: 100 * time.Millisecond,
			BusyPoll: 20 * time.Millisecond, IdlePoll: 50 * time.Millisecond, LaneConcurrency: 4})
		if err != nil {
			t.Fatal(err)
		}
		replicas.Go(func() {
			if err := e.Run(ctxs[i]); err != nil {
				t.Errorf("replica %d: %v", i, err)
			}
		})
	}
	defer replicas.Wait()
	defer func() { cancels[0](); cancels[1]() }()
	until(t, "both replicas hold shards", func() bool {
		rows, err := stores[0].ShardRows(t.Context())
		owners := map[string]int{}
		for _, r := range rows {
			owners[r.Owner]++
		}
		return err == nil && len(owners) == 2 && owners[""] == 0
	})
	runs := make([]store.NewRun, n)
	for i := range runs {
		runs[i] = store.NewRun{Kind: "Workflow", Name: "w", TriggerKind: "manual", TriggerKey: fmt.Sprint(i), Definition: raw}
	}
	if _, err := stores[0].CreateRuns(t.Context(), tenant, runs); err != nil {
		t.Fatal(err)
	}
	<-half
	cancels[0]()
	until(t, "every run ended", func() bool {
		counts, err := stores[1].CountRuns(t.Context(), tenant, "Workflow", "w")
		return err == nil && counts.Outcomes["succeeded"] == n
	})
	total, doubled := v.count("ticket.create")
	if total != 2*n || len(doubled) > 0 {
		t.Errorf("%d effects, want %d; doubled: %v", total, 2*n, doubled)
	}
	mu.Lock()
	defer mu.Unlock()
	if by[0] == 0 || by[1] == 0 {
		t.Errorf("calls by replica %v: the work was not shared", by)
	}
}

// counting tells of each call.
type counting struct {
	*vendor
	called func()
}

func (c counting) Execute(ctx context.Context, tenant model.TenantID, call Call) (Result, error) {
	c.called()
	return c.vendor.Execute(ctx, tenant, call)
}

// until polls for what two real engines bring about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute in vain until %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// A replica that nobody wakes finds what others made due, also while it renews
// its leases more often than it looks.
func TestIdleReplicaLooksForDueRuns(t *testing.T) {
	dsn := storetest.Postgres(t)
	s, other := storetest.Open(t, dsn), storetest.Open(t, dsn)
	tenant, err := s.EnsureTenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := Definition{Steps: []Step{{Name: "end", End: &EndStep{Outcome: "done"}}}}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{Store: s, Actions: newVendor(), Facts: newWorld(), People: newWorld(), PromptKey: promptKey,
		Lease: 600 * time.Millisecond, IdlePoll: 300 * time.Millisecond, BusyPoll: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	defer running.Wait()
	defer cancel()
	until(t, "the replica holds all shards", func() bool {
		rows, err := other.ShardRows(t.Context())
		return err == nil && !slices.ContainsFunc(rows, func(r store.ShardRow) bool { return r.Owner == "" })
	})
	if _, err := other.CreateRuns(t.Context(), tenant, []store.NewRun{{Kind: "Workflow", Name: "w", TriggerKind: "manual", TriggerKey: "1", Definition: raw}}); err != nil {
		t.Fatal(err)
	}
	until(t, "the run ended", func() bool {
		counts, err := other.CountRuns(t.Context(), tenant, "Workflow", "w")
		return err == nil && counts.Outcomes["done"] == 1
	})
}
