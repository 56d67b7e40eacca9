// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// noop is a vendor that does nothing at once, so that only the engine and the
// store are measured.
type noop struct{}

func (noop) Action(context.Context, model.TenantID, string, string) (ActionInfo, error) {
	return ActionInfo{Class: ClassIdempotent}, nil
}
func (noop) Precheck(context.Context, model.TenantID, Call) (Result, error) {
	return Result{Class: ResultAbsent}, nil
}
func (noop) Execute(context.Context, model.TenantID, Call) (Result, error) {
	return Result{Class: ResultDone, Sent: true}, nil
}
func (noop) Verify(context.Context, model.TenantID, Call) (Result, error) {
	return Result{Class: ResultDone}, nil
}

func benchStore(b *testing.B, name string) (dsn string, s *store.Store, tenant model.TenantID) {
	b.Helper()
	if name == "sqlite" {
		dsn = storetest.SQLite(b)
	} else {
		dsn = storetest.Postgres(b)
	}
	s = storetest.Open(b, dsn)
	var err error
	if tenant, err = s.EnsureTenant(b.Context(), "acme"); err != nil {
		b.Fatal(err)
	}
	return dsn, s, tenant
}

func createMany(b *testing.B, s *store.Store, tenant model.TenantID, prefix string, n int, change func(*store.NewRun)) {
	b.Helper()
	step := func(name string) Step {
		return Step{Name: name, Action: &ActionStep{Integration: "zoom", Action: "noop"}}
	}
	raw, err := Definition{Steps: []Step{step("one"), step("two"), step("three")}}.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	for at := 0; at < n; at += 1000 {
		runs := make([]store.NewRun, min(1000, n-at))
		for i := range runs {
			runs[i] = store.NewRun{Kind: "Workflow", Name: "bench", TriggerKind: "manual", TriggerKey: fmt.Sprintf("%s%d", prefix, at+i), Definition: raw}
			if change != nil {
				change(&runs[i])
			}
		}
		if _, err := s.CreateRuns(b.Context(), tenant, runs); err != nil {
			b.Fatal(err)
		}
	}
}

func cpuSeconds(who int) float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(who, &r); err != nil {
		return 0
	}
	return float64(r.Utime.Sec+r.Stime.Sec) + float64(r.Utime.Usec+r.Stime.Usec)/1e6
}

// BenchmarkEngine runs three external calls a run, each with its intent and
// outcome on disk. cpu-s/1000 is that of this process and of PostgreSQL's, the
// latter also by itself.
func BenchmarkEngine(b *testing.B) {
	for _, name := range []string{"sqlite", "postgres"} {
		b.Run(name, func(b *testing.B) {
			dsn, s, tenant := benchStore(b, name)
			n := max(b.N, 100)
			createMany(b, s, tenant, "run", n, nil)
			e, err := New(Options{Store: s, Actions: noop{}, Facts: newWorld(), People: newWorld(), PromptKey: promptKey, Alone: true,
				MaxInFlight: 512, LaneConcurrency: 512, Lease: time.Minute, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			began, cpu, server := time.Now(), cpuSeconds(syscall.RUSAGE_SELF), storetest.ServerCPU(b, dsn)
			if err := e.Settle(b.Context()); err != nil {
				b.Fatal(err)
			}
			took := time.Since(began).Seconds()
			server = storetest.ServerCPU(b, dsn) - server
			b.StopTimer()
			counts, err := s.CountRuns(b.Context(), tenant, "Workflow", "bench")
			if err != nil || counts.Outcomes["succeeded"] != n {
				b.Fatalf("%+v, %v: want %d succeeded", counts, err, n)
			}
			b.ReportMetric(float64(n)/took, "runs/s")
			b.ReportMetric((cpuSeconds(syscall.RUSAGE_SELF)-cpu+server.Seconds())*1000/float64(n), "cpu-s/1000")
			b.ReportMetric(server.Seconds()*1000/float64(n), "server-cpu-s/1000")
		})
	}
}

// BenchmarkClaim looks for due work while 20,000 runs of a blocked lane are
// queued and 20,000 wait for an answer.
func BenchmarkClaim(b *testing.B) {
	for _, name := range []string{"sqlite", "postgres"} {
		b.Run(name, func(b *testing.B) {
			c := newClaims(b, name)
			for b.Loop() {
				c.one(b)
			}
		})
	}
}

// BenchmarkClaimArchived is BenchmarkClaim on a store with 10,000 runs that have
// ended, and on one with SEATKEEPER_BENCH_ROWS (1,000,000) of them.
func BenchmarkClaimArchived(b *testing.B) {
	const few = 10_000
	many := storetest.BenchRows(b)
	for _, name := range []string{"sqlite", "postgres"} {
		b.Run(name, func(b *testing.B) {
			var stores [2]*claims
			for i, n := range []int{few, many} {
				stores[i] = newClaims(b, name)
				createMany(b, stores[i].store, stores[i].tenant, "ended", 1, func(r *store.NewRun) { r.Name, r.DueAt = "ended", time.Now().Add(72*time.Hour) })
				storetest.EndRuns(b, stores[i].dsn, "ended", 0, n)
			}
			b.ResetTimer()
			var took [2][]time.Duration
			for range 501 { // by turns, so that what disturbs one disturbs the other
				for i, c := range stores {
					began := time.Now()
					c.one(b)
					took[i] = append(took[i], time.Since(began))
				}
			}
			before, after := median(took[0]), median(took[1])
			b.ReportMetric(before.Seconds()*1000, "ms-few")
			b.ReportMetric(after.Seconds()*1000, "ms-many")
			b.ReportMetric(after.Seconds()/before.Seconds(), "x-few")
			b.ReportMetric(float64(many), "ended")
		})
	}
}

// claims is an engine with much that waits and 10 runs that are due.
type claims struct {
	dsn    string
	store  *store.Store
	tenant model.TenantID
	engine *Engine
}

func newClaims(b *testing.B, name string) *claims {
	b.Helper()
	c := &claims{}
	c.dsn, c.store, c.tenant = benchStore(b, name)
	createMany(b, c.store, c.tenant, "queued", 20000, func(r *store.NewRun) { r.Lane = "1/zoom" })
	createMany(b, c.store, c.tenant, "waiting", 20000, func(r *store.NewRun) { r.DueAt = time.Now().Add(72 * time.Hour) })
	createMany(b, c.store, c.tenant, "due", 10, func(r *store.NewRun) { r.Lane = "1/google"; r.Priority = store.PriorityOffboarding })
	var err error
	if c.engine, err = New(Options{Store: c.store, Actions: noop{}, Facts: newWorld(), People: newWorld(), PromptKey: promptKey, Alone: true, Lease: time.Minute}); err != nil {
		b.Fatal(err)
	}
	if err := c.engine.start(b.Context()); err != nil {
		b.Fatal(err)
	}
	return c
}

// one claims the 10 runs that are due. The lane of the others is shut for less
// than shutFor: of one that is shut for longer, runs are taken to be told.
func (c *claims) one(b *testing.B) {
	b.Helper()
	c.engine.lanes.block(b.Context(), block{1, "zoom", time.Now().Add(shutFor / 2)}, c.engine.o.Log)
	batch, err := c.engine.claim(b.Context())
	if err != nil || len(batch) != 10 {
		b.Fatalf("claimed %d, %v; want the 10 of the free lane", len(batch), err)
	}
	for _, a := range batch {
		c.engine.release(a.key)
	}
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
