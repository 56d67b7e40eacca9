// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package govern_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/govern/governtest"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// BenchmarkEvaluate compares a whole evaluation in steady state, in which
// nothing is written, with two raw scans over the same rows: one that only
// counts, inside the database, and one that fetches what a decision needs.
func BenchmarkEvaluate(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		dsn := storetest.SQLite(b)
		benchEvaluate(b, dsn, "sqlite", "file:"+filepath.Join(strings.TrimPrefix(dsn, "sqlite:"), "seatkeeper.db")+"?_pragma=busy_timeout(10000)")
	})
	b.Run("postgres", func(b *testing.B) {
		dsn := storetest.Postgres(b)
		benchEvaluate(b, dsn, "pgx", dsn)
	})
}

func benchEvaluate(b *testing.B, dsn, driver, raw string) {
	n := storetest.BenchRows(b)
	clock := clocktesting.NewFakePassiveClock(t0)
	st := storetest.Open(b, dsn, storetest.WithClock(clock))
	tenant, err := st.EnsureTenant(b.Context(), "acme")
	must(b, err)
	app := governtest.New(st, tenant, "zoom", clock.Now)
	app.Add("active", 3)
	app.Add("idle", 97)
	app.Sync(b)
	db, err := sql.Open(driver, raw)
	must(b, err)
	b.Cleanup(func() { _ = db.Close() })
	multiply(b, db, "active", n-n/5)
	multiply(b, db, "idle", n/5)
	rules := policy.Rules{Policy: name, InactiveAfterDays: 90, Signals: []string{"activity", "login"}, HoldOnLeave: true, Zone: "UTC",
		Sources:   map[string]policy.Source{"zoom": {App: "zoom", StaleAfter: 24 * time.Hour, FirstSyncedAt: t0}},
		Exempt:    []policy.Exemption{{When: "person.department == 'Legal'"}},
		Protected: policy.Protected{When: "account.kind == 'service'"}}
	text, err := json.Marshal(rules)
	must(b, err)
	must(b, st.UpsertPolicy(b.Context(), tenant, store.PolicyState{Policy: name, UID: "u", Generation: 1, Mode: "Report", Rules: text}))
	compiled, err := policy.Compile(rules)
	must(b, err)
	req := govern.Request{Rules: compiled, Guard: model.DefaultActionGuard, Per: 24 * time.Hour, Now: clock.Now()}
	start := time.Now()
	if _, err := govern.Evaluate(b.Context(), st, tenant, req); err != nil {
		b.Fatal(err)
	}
	first := time.Since(start)
	var evaluate, count, fetch time.Duration
	for b.Loop() {
		evaluate += timed(func() {
			res, err := govern.Evaluate(b.Context(), st, tenant, req)
			must(b, err)
			if res.Counts.Inactive != int64(n/5) {
				b.Fatalf("%+v", res.Counts)
			}
		})
		count += timed(func() { scanCount(b, db, n/5) })
		fetch += timed(func() { scanFetch(b, db, n) })
	}
	b.ReportMetric(first.Seconds(), "s/first")
	b.ReportMetric(evaluate.Seconds()/float64(b.N), "s/evaluation")
	b.ReportMetric(float64(evaluate.Nanoseconds())/float64(b.N)/float64(n), "ns/seat")
	b.ReportMetric(evaluate.Seconds()/count.Seconds(), "x-counting-scan")
	b.ReportMetric(evaluate.Seconds()/fetch.Seconds(), "x-fetching-scan")
}

// multiply makes n seats of the one that was synced: what is measured is
// reading, not syncing.
func multiply(b *testing.B, db *sql.DB, id string, n int) {
	b.Helper()
	const account = "person_key, username, display_name, status, kind, created_at, activity_reported, last_activity_at, last_activity_source, row_hash, aux_hash, first_seen_at, observed_since, changed_at, person_id, paid"
	const seat = "plan_key, plan_name, paid, state, row_hash, aux_hash, first_seen_at, observed_since, changed_at"
	numbers := fmt.Sprintf("(WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i FROM n) x", n)
	for _, statement := range []string{
		"INSERT INTO account (tenant, source, stream, external_id, " + account + ") SELECT tenant, source, stream, external_id || '-' || x.i, " + account +
			" FROM account, " + numbers + " WHERE external_id = '" + id + "'",
		"INSERT INTO assignment (tenant, source, stream, holder, account_external_id, " + seat + ") SELECT tenant, source, stream, holder || '-' || x.i, account_external_id || '-' || x.i, " + seat +
			" FROM assignment, " + numbers + " WHERE account_external_id = '" + id + "'",
		"ANALYZE",
	} {
		if _, err := db.ExecContext(b.Context(), statement); err != nil {
			b.Fatalf("%s: %v", statement, err)
		}
	}
}

func timed(fn func()) time.Duration {
	start := time.Now()
	fn()
	return time.Since(start)
}

const benchJoin = ` FROM assignment s JOIN account a ON a.tenant = s.tenant AND a.source = s.source AND a.app_external_id = '' AND a.external_id = s.account_external_id
	WHERE s.tenant = 1 AND s.removed_at IS NULL AND s.paid`

func scanCount(b *testing.B, db *sql.DB, want int) {
	var n int
	cutoff := t0.AddDate(0, 0, -90).UnixMilli()
	must(b, db.QueryRowContext(b.Context(), "SELECT count(*)"+benchJoin+" AND a.last_activity_at <= $1", cutoff).Scan(&n))
	if n != want {
		b.Fatalf("counted %d, want %d", n, want)
	}
}

func scanFetch(b *testing.B, db *sql.DB, want int) {
	rows, err := db.QueryContext(b.Context(), "SELECT s.account_external_id, s.plan_key, s.observed_since, a.status, a.kind, a.is_admin, a.person_id, a.last_activity_at, a.last_activity_source"+benchJoin)
	must(b, err)
	defer func() { _ = rows.Close() }()
	n := 0
	for rows.Next() {
		var id, plan, status, kind, person, source string
		var since, last int64
		var admin bool
		must(b, rows.Scan(&id, &plan, &since, &status, &kind, &admin, &person, &last, &source))
		n++
	}
	must(b, rows.Err())
	if n != want {
		b.Fatalf("fetched %d, want %d", n, want)
	}
}
