// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// benchAccount is row i of a company; in generation 1 every hundredth differs.
func benchAccount(i, generation int) *model.Account {
	id := fmt.Sprintf("acct-%09d", i)
	a := &model.Account{ExternalID: id, PersonKey: id + "@acme.example", Username: id + "@acme.example", DisplayName: "Firstname Lastname " + id,
		Status: model.AccountActive, RawStatus: "ACTIVE", Kind: model.AccountHuman, Role: "member", GrantedVia: "direct", CreatedAt: &benchCreated,
		ActivityReported: true, LastActivityAt: &benchActive, LastActivitySource: "bench.lastLogin"}
	if generation == 1 && i%100 == 0 {
		a.Role = "admin"
	}
	return a
}

var (
	benchCreated = t0.AddDate(-2, 0, 0)
	benchActive  = t0.AddDate(0, 0, -3)
)

// benchSync drives the real path, as the sync worker does.
func benchSync(b *testing.B, s *store.Store, tenant model.TenantID, rows, generation int) (time.Duration, store.Changes) {
	b.Helper()
	ctx := b.Context()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	requests++
	_, err := s.UpsertIntegration(ctx, tenant, store.IntegrationSpec{Name: "bench", Connector: "bench", RequestedAt: fmt.Sprint(requests)})
	must(err)
	claims, err := s.ClaimDueIntegrations(ctx, "bench", 10, time.Hour)
	must(err)
	runtime.GC()
	start := time.Now()
	y, err := s.BeginSync(ctx, claims[0])
	must(err)
	batch := make([]model.Record, 0, 1000)
	for i := range rows {
		if batch = append(batch, model.Record{Account: benchAccount(i, generation)}); len(batch) == cap(batch) {
			must(y.Stage(ctx, "users", "", batch))
			batch = batch[:0]
		}
	}
	must(y.Stage(ctx, "users", "", batch))
	res, err := y.FinishStream(ctx, "users", store.StreamOutcome{Complete: true, Types: []model.DataType{model.DataAccounts}, Guard: model.DefaultShrinkGuard})
	must(err)
	took := time.Since(start)
	must(s.FinishIntegration(ctx, claims[0], store.IntegrationResult{Synced: true}))
	return took, res.Types[model.DataAccounts]
}

// benchStore measures a first load, a re-sync with 1 % changed and one with
// nothing changed on an empty store.
func benchStore(b *testing.B, dsn string, rows int) (first, changed, same time.Duration) {
	b.Helper()
	s := storetest.Open(b, dsn)
	defer func() { _ = s.Close() }()
	tenant, err := s.EnsureTenant(b.Context(), "bench")
	if err != nil {
		b.Fatal(err)
	}
	first, c := benchSync(b, s, tenant, rows, 0)
	if c.Added != int64(rows) {
		b.Fatalf("first load: %+v", c)
	}
	changed, c = benchSync(b, s, tenant, rows, 1)
	if c.Changed != int64((rows+99)/100) || c.Added+c.Removed != 0 {
		b.Fatalf("re-sync: %+v", c)
	}
	same, c = benchSync(b, s, tenant, rows, 1)
	if c.Changed+c.Added+c.Removed+c.Touched != 0 {
		b.Fatalf("re-sync with nothing changed: %+v", c)
	}
	return first, changed, same
}

func report(b *testing.B, what string, rows int, ours, reference time.Duration) {
	ratio := reference.Seconds() / ours.Seconds()
	fmt.Printf("| %s | %d | %.0f/s (%.2f s) | %.0f/s (%.2f s) | **%.2f** |\n", what, rows, float64(rows)/ours.Seconds(), ours.Seconds(),
		float64(rows)/reference.Seconds(), reference.Seconds(), ratio)
	b.ReportMetric(ratio, strings.ReplaceAll(what, " ", "-")+"-ratio")
}

// cpu is the processor time of this process alone.
func cpu() time.Duration {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// BenchmarkSyncPostgres compares the sync path with raw COPY of the same
// columns into a table without index, in the same run.
func BenchmarkSyncPostgres(b *testing.B) {
	rows, dsn := storetest.BenchRows(b), storetest.Postgres(b)
	for b.Loop() {
		before := rawCopy(b, dsn, rows)
		start := cpu()
		first, changed, same := benchStore(b, dsn, rows)
		used := cpu() - start
		reference := (before + rawCopy(b, dsn, rows)) / 2 // before and after: the machine is shared
		report(b, "PostgreSQL first load vs raw COPY", rows, first, reference)
		report(b, "PostgreSQL re-sync 1 % changed vs raw COPY", rows, changed, reference)
		report(b, "PostgreSQL re-sync nothing changed vs raw COPY", rows, same, reference)
		fmt.Printf("client CPU %.1f s for three syncs\n", used.Seconds())
	}
}

var benchColumns = []string{"part", "app_external_id", "external_id", "person_key", "person_external_id", "username", "display_name", "status", "raw_status",
	"kind", "role", "is_admin", "mfa", "granted_via", "created_at", "activity_reported", "last_activity_at", "last_activity_source", "custom", "row_hash", "aux_hash"}

const benchTable = ` (part TEXT, app_external_id TEXT, external_id TEXT, person_key TEXT, person_external_id TEXT, username TEXT, display_name TEXT, status TEXT,
	raw_status TEXT, kind TEXT, role TEXT, is_admin BOOLEAN, mfa BOOLEAN, granted_via TEXT, created_at BIGINT, activity_reported BOOLEAN, last_activity_at BIGINT,
	last_activity_source TEXT, custom TEXT, row_hash BIGINT, aux_hash BIGINT`

func benchValues(i, generation int) []any {
	a := benchAccount(i, generation)
	return []any{"", "", a.ExternalID, a.PersonKey, "", a.Username, a.DisplayName, string(a.Status), a.RawStatus, string(a.Kind), a.Role, false, nil,
		a.GrantedVia, a.CreatedAt.UnixMilli(), true, a.LastActivityAt.UnixMilli(), a.LastActivitySource, "", benchHash(a), int64(2)}
}

// benchHash is what somebody writing a diff by hand would do: FNV-1a.
func benchHash(a *model.Account) int64 {
	h := uint64(14695981039346656037)
	for _, s := range []string{a.ExternalID, a.PersonKey, a.Username, a.DisplayName, string(a.Status), a.RawStatus, a.Role, a.GrantedVia} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
	}
	return int64(h) //nolint:gosec // a hash has no sign
}

func rawCopy(b *testing.B, dsn string, rows int) time.Duration {
	b.Helper()
	ctx := b.Context()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "CREATE TABLE raw_copy"+benchTable+")"); err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	start, i := time.Now(), 0
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"raw_copy"}, benchColumns, pgx.CopyFromFunc(func() ([]any, error) {
		if i == rows {
			return nil, nil
		}
		i++
		return benchValues(i-1, 0), nil
	}))
	took := time.Since(start)
	if err != nil || n != int64(rows) {
		b.Fatalf("copied %d: %v", n, err)
	}
	if _, err := conn.Exec(ctx, "DROP TABLE raw_copy"); err != nil {
		b.Fatal(err)
	}
	return took
}

// BenchmarkSyncSQLite compares the sync path with a diff of the same columns
// written by hand for the same driver and the same settings.
func BenchmarkSyncSQLite(b *testing.B) {
	rows := storetest.BenchRows(b)
	for b.Loop() {
		handFirst, handChanged := handWritten(b, rows)
		first, changed, same := benchStore(b, storetest.SQLite(b), rows)
		report(b, "SQLite first load vs by hand", rows, first, handFirst)
		report(b, "SQLite re-sync 1 % changed vs by hand", rows, changed, handChanged)
		report(b, "SQLite re-sync nothing changed vs by hand, 1 %", rows, same, handChanged)
	}
}

// handWritten stages, upserts what differs and deletes what is absent.
func handWritten(b *testing.B, rows int) (first, changed time.Duration) {
	b.Helper()
	dsn := "file:" + filepath.Join(b.TempDir(), "hand.db") + "?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-65536)"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	run := func(q string) {
		b.Helper()
		if _, err := db.ExecContext(b.Context(), q); err != nil {
			b.Fatalf("%s: %v", q, err)
		}
	}
	run("CREATE TABLE acct" + benchTable + ", PRIMARY KEY (app_external_id, external_id)) WITHOUT ROWID")
	run("CREATE INDEX acct_person ON acct (person_key)")
	one := func(generation int) time.Duration {
		runtime.GC()
		start := time.Now()
		run("CREATE TABLE stg" + benchTable + ", PRIMARY KEY (app_external_id, external_id)) WITHOUT ROWID")
		handStage(b, db, rows, generation)
		cols := strings.Join(benchColumns, ", ")
		set := make([]string, len(benchColumns))
		for i, c := range benchColumns {
			set[i] = c + "=excluded." + c
		}
		run("INSERT INTO acct (" + cols + ") SELECT s." + strings.Join(benchColumns, ", s.") + ` FROM stg s LEFT JOIN acct a ON a.app_external_id=s.app_external_id AND a.external_id=s.external_id
			WHERE a.row_hash IS NULL OR a.row_hash <> s.row_hash ON CONFLICT (app_external_id, external_id) DO UPDATE SET ` + strings.Join(set, ", "))
		run("DELETE FROM acct WHERE NOT EXISTS (SELECT 1 FROM stg s WHERE s.app_external_id=acct.app_external_id AND s.external_id=acct.external_id)")
		run("DROP TABLE stg")
		return time.Since(start)
	}
	first = one(0)
	return first, one(1)
}

func handStage(b *testing.B, db *sql.DB, rows, generation int) {
	b.Helper()
	const perStatement, perTx = 50, 10_000
	one := "(" + strings.TrimSuffix(strings.Repeat("?,", len(benchColumns)), ",") + ")"
	statement := "INSERT INTO stg (" + strings.Join(benchColumns, ", ") + ") VALUES " + strings.TrimSuffix(strings.Repeat(one+",", perStatement), ",")
	for from := 0; from < rows; from += perTx {
		tx, err := db.BeginTx(b.Context(), nil)
		if err != nil {
			b.Fatal(err)
		}
		st, err := tx.PrepareContext(b.Context(), statement)
		if err != nil {
			b.Fatal(err)
		}
		args := make([]any, 0, perStatement*len(benchColumns))
		for i := from; i < min(from+perTx, rows); i += perStatement {
			args = args[:0]
			for j := i; j < i+perStatement; j++ {
				args = append(args, benchValues(j, generation)...)
			}
			if _, err := st.ExecContext(b.Context(), args...); err != nil {
				b.Fatal(err)
			}
		}
		_ = st.Close() //nolint:sqlclosecheck // one per transaction, inside the loop
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSyncGrowth fits the exponent of a re-sync's time over three sizes.
func BenchmarkSyncGrowth(b *testing.B) {
	top := storetest.BenchRows(b)
	for b.Loop() {
		for _, dialect := range []string{"sqlite", "postgres"} {
			var xs, ys []float64
			line := ""
			for _, rows := range []int{top / 100, top / 10, top} {
				dsn := storetest.SQLite(b)
				if dialect == "postgres" {
					dsn = storetest.Postgres(b)
				}
				_, changed, _ := benchStore(b, dsn, rows)
				xs, ys = append(xs, math.Log(float64(rows))), append(ys, math.Log(changed.Seconds()))
				line += fmt.Sprintf(" %d: %.3f s ·", rows, changed.Seconds())
			}
			e := slope(xs, ys)
			fmt.Printf("| growth of a re-sync, 1 %% changed, %s |%s exponent **%.2f** |\n", dialect, strings.TrimSuffix(line, "·"), e)
			b.ReportMetric(e, dialect+"-exponent")
		}
	}
}

// slope is that of the least-squares line.
func slope(xs, ys []float64) float64 {
	var sx, sy, sxx, sxy float64
	n := float64(len(xs))
	for i := range xs {
		sx, sy, sxx, sxy = sx+xs[i], sy+ys[i], sxx+xs[i]*xs[i], sxy+xs[i]*ys[i]
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}
