// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

const (
	crashRows   = 360 // three chunks on SQLite, with SmallBatches
	crashPeople = 50
	envCrashAt  = "SEATKEEPER_CRASH_AT"
	envCrashDB  = "SEATKEEPER_CRASH_DSN"
)

// crashListing is a re-sync with additions, changes and removals in each chunk.
func crashListing() []listing {
	var out []model.Record
	for i := range crashRows {
		switch {
		case i%12 == 0: // gone
		case i%3 == 0:
			out = append(out, account(fmt.Sprintf("u%04d", i), func(a *model.Account) { a.Role = "changed" }))
		default:
			out = append(out, account(fmt.Sprintf("u%04d", i)))
		}
		if i%2 == 0 {
			out = append(out, account(fmt.Sprintf("n%04d", i)))
		}
	}
	people := make([]model.Record, crashPeople)
	for i := range people {
		people[i] = person(fmt.Sprint(i), fmt.Sprintf("u%04d@acme.example", i), func(p *model.Person) { p.Title = "new" })
	}
	return []listing{accountsOf(out...), peopleOf(people...)}
}

// TestMain lets a test run a sync in a child process, to kill it in the middle.
func TestMain(m *testing.M) {
	if at := os.Getenv(envCrashAt); at != "" {
		crashChild(at)
		os.Exit(3) // it was to be killed
	}
	os.Exit(m.Run())
}

// crashChild syncs and kills itself before the given commit.
func crashChild(at string) {
	n, err := strconv.Atoi(at)
	if err != nil {
		panic(err)
	}
	store.SmallBatches()
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{DSN: os.Getenv(envCrashDB), Clock: clocktesting.NewFakePassiveClock(t0.Add(time.Hour))})
	if err != nil {
		panic(err)
	}
	hits := 0
	failpoint.Set(func(name string) {
		if name == store.SyncBeforeCommit || name == store.MergeBeforeCommit {
			if hits++; hits == n {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
	})
	claims, err := s.ClaimDueIntegrations(ctx, "child", 10, time.Minute)
	if err != nil || len(claims) != 1 {
		panic(fmt.Sprint(claims, err))
	}
	y, err := s.BeginSync(ctx, claims[0])
	if err != nil {
		panic(err)
	}
	for _, l := range crashListing() {
		if err := y.Stage(ctx, l.stream, "", l.records); err != nil {
			panic(err)
		}
		if _, err := y.FinishStream(ctx, l.stream, l.outcome); err != nil {
			panic(err)
		}
	}
	os.Exit(4) // fewer commits than the parent thought
}

// Invariant 7: a sync killed at any commit is simply done again; nothing is
// lost and no event comes twice.
func TestSyncSurvivesKill(t *testing.T) {
	if testing.Short() {
		t.Skip("runs child processes")
	}
	storetest.EachDSN(t, func(t *testing.T, _ string) {
		for at := 1; ; at++ {
			dsn := storetest.SQLite(t)
			if strings.HasSuffix(t.Name(), "postgres") {
				dsn = storetest.Postgres(t)
			}
			if !killAt(t, dsn, at) {
				if at < 4 {
					t.Fatalf("only %d commits were hit", at-1)
				}
				return
			}
		}
	})
}

// killAt reports false when the sync has fewer commits.
func killAt(t *testing.T, dsn string, at int) bool {
	t.Helper()
	clock := clocktesting.NewFakePassiveClock(t0)
	s := storetest.Open(t, dsn, storetest.WithClock(clock))
	tenant, err := s.EnsureTenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t, s, clock, tenant}
	var first []model.Record
	for i := range crashRows {
		first = append(first, account(fmt.Sprintf("u%04d", i)))
	}
	people := crashListing()[1]
	for i, r := range people.records {
		p := *r.Person
		p.Title = "old"
		people.records[i].Person = &p
	}
	w.sync("zoom", accountsOf(first...), people)
	w.events()
	_, err = s.UpsertIntegration(t.Context(), tenant, store.IntegrationSpec{Name: "zoom", Connector: "zoom", UID: "uid-zoom", Generation: 1, RequestedAt: "crash", Interval: time.Hour})
	w.must(err)
	w.must(s.Close())

	child := exec.Command(os.Args[0]) //nolint:gosec // this test itself
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%d", envCrashAt, at), envCrashDB+"="+dsn)
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("child: %v\n%s", err, out)
	}
	if exit.ExitCode() == 4 {
		return false
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("child was not killed: %v\n%s", err, out)
	}

	clock.SetTime(t0.Add(2 * time.Hour)) // the child's lease is over
	w.s = storetest.Open(t, dsn, storetest.WithClock(clock))
	w.sync("zoom", crashListing()...)
	w.checkCrashed(at)
	w.must(w.s.Close())
	return true
}

func (w *world) checkCrashed(at int) {
	w.Helper()
	ev := w.events()
	for kind, want := range map[model.EventKind]int{model.EventAccountRemoved: crashRows / 12, model.EventAccountChanged: crashRows/3 - crashRows/12,
		model.EventAccountAdded: crashRows / 2, model.EventPersonChanged: crashPeople, model.EventPersonAdded: 0, model.EventAccountsLoaded: 0} {
		seen := map[string]bool{}
		for _, e := range ev[kind] {
			if seen[e.Subject] {
				w.Fatalf("killed at commit %d: %s of %s came twice", at, kind, e.Subject)
			}
			seen[e.Subject] = true
		}
		if len(seen) != want {
			w.Fatalf("killed at commit %d: %d events %s, want %d", at, len(seen), kind, want)
		}
	}
	counts, err := w.s.Counts(w.Context(), w.tenant, "zoom")
	w.must(err)
	if want := int64(crashRows - crashRows/12 + crashRows/2); counts[model.DataAccounts] != want {
		w.Fatalf("killed at commit %d: %d accounts, want %d", at, counts[model.DataAccounts], want)
	}
	if n := w.tables("stage_"); n != 0 {
		w.Fatalf("killed at commit %d: %d stage tables are left", at, n)
	}
}

// tables counts tables whose name starts with a prefix.
func (w *world) tables(prefix string) (n int) {
	w.Helper()
	query := `SELECT count(*) FROM pg_tables WHERE tablename LIKE $1`
	if w.s.Dialect() == "sqlite" {
		query = `SELECT count(*) FROM sqlite_master WHERE type='table' AND name LIKE $1`
	}
	w.must(w.s.ReadDB().QueryRowContext(w.Context(), query, prefix+"%").Scan(&n))
	return n
}

func TestAbandonedSyncLeavesNothing(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.sync("zoom", accountsOf(accounts(10)...))
		y, err := w.s.BeginSync(w.Context(), w.claim("zoom", "zoom"))
		w.must(err)
		w.must(y.Stage(w.Context(), "users", "", accounts(9000)))
		if w.tables("stage_") == 0 {
			w.Fatal("nothing was staged")
		}
		w.step(time.Hour)
		w.sync("zoom", accountsOf(accounts(10)...))
		if n := w.tables("stage_"); n != 0 {
			w.Fatalf("%d stage tables are left", n)
		}
		if n := len(w.list(store.AccountQuery{})); n != 10 {
			w.Fatalf("%d accounts", n)
		}
	})
}

// Decision 9: the stage carries its row count.
func TestLostStageIsNoticed(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.sync("zoom", accountsOf(accounts(6000)...))
		y, err := w.s.BeginSync(w.Context(), w.claim("zoom", "zoom"))
		w.must(err)
		w.must(y.Stage(w.Context(), "users", "", accounts(11000))) // one batch is in the table, one on its way
		var table string
		w.must(w.s.ReadDB().QueryRowContext(w.Context(), `SELECT table_name FROM sync_stage`).Scan(&table))
		w.must(w.s.WriteSQL(w.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(w.Context(), `DELETE FROM `+table)
			return err
		}))
		if _, err := y.FinishStream(w.Context(), "users", accountsOf().outcome); !errors.Is(err, store.ErrStageLost) {
			w.Fatalf("got %v", err)
		}
		if n := w.known().Accounts; n != 6000 {
			w.Fatalf("%d accounts", n)
		}
	})
}

// A batch is written after the call that handed it over has returned, whatever
// becomes of that call's context.
func TestStagingOutlivesTheCall(t *testing.T) {
	eachWorld(t, func(w *world) {
		y, err := w.s.BeginSync(w.Context(), w.claim("zoom", "zoom"))
		w.must(err)
		all := accounts(12_000)
		for part := range slices.Chunk(all, 1000) {
			ctx, cancel := context.WithCancel(w.Context())
			err := y.Stage(ctx, "users", "", part)
			cancel()
			w.must(err)
		}
		res, err := y.FinishStream(w.Context(), "users", accountsOf().outcome)
		w.must(err)
		if n := res.Types[model.DataAccounts].Added; n != 12_000 {
			w.Fatalf("%d of 12000 accounts arrived", n)
		}
	})
}
