// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Size returns how many bytes a store has on disk: once everything is rewritten
// without gaps, and before that, as use has left it.
func Size(tb testing.TB, dsn string) (rewritten, left int64) {
	tb.Helper()
	driver, address, size, tidy, rewrite := "pgx", dsn, "SELECT pg_database_size(current_database())", "VACUUM", "VACUUM FULL"
	if dir, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, address = "sqlite", sqliteFile(dir)
		size, tidy, rewrite = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", "PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM"
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	measure := func(statement string) (n int64) {
		if _, err := db.ExecContext(tb.Context(), statement); err != nil {
			tb.Fatalf("%s: %v", statement, err)
		}
		if err := db.QueryRowContext(tb.Context(), size).Scan(&n); err != nil {
			tb.Fatalf("size of the store: %v", err)
		}
		return n
	}
	left = measure(tidy)
	return measure(rewrite), left
}

// EndRuns adds ended runs to a tenant: copies, row by row, of its run of that
// name, numbered from from to before to.
func EndRuns(tb testing.TB, dsn string, name string, from, to int) {
	tb.Helper()
	driver, address, tidy := "pgx", dsn, "VACUUM ANALYZE run"
	if dir, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, address, tidy = "sqlite", sqliteFile(dir), "PRAGMA wal_checkpoint(TRUNCATE)"
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	const step = 50_000
	for ; from < to; from += step {
		if _, err := db.ExecContext(tb.Context(), `WITH RECURSIVE n (i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $2)
			INSERT INTO run (tenant, id, shard, kind, name, revision, trigger_kind, trigger_key, subject, person_id, cause, state, outcome, step_path,
			cursor, vars, lane, priority, due_at, version, created_at, updated_at, ended_at)
			SELECT tenant, 'ended-' || i, i % 64, kind, name, revision, trigger_kind, trigger_key || '-' || i, subject, person_id, cause, 'succeeded', 'succeeded', step_path,
			cursor, vars, lane, priority, due_at, 4, created_at, updated_at, updated_at FROM run CROSS JOIN n WHERE run.name = $3 AND run.id NOT LIKE 'ended-%'`,
			from, min(from+step, to), name); err != nil {
			tb.Fatalf("add ended runs: %v", err)
		}
	}
	if _, err := db.ExecContext(tb.Context(), tidy); err != nil {
		tb.Fatalf("%s: %v", tidy, err)
	}
}

func sqliteFile(dir string) string {
	return "file:" + (&url.URL{Path: filepath.Join(dir, "seatkeeper.db")}).EscapedPath() + "?_pragma=busy_timeout(60000)"
}

// ServerCPU returns the time that the server of a store has computed for
// anybody, 0 on SQLite. The server must be on this machine.
func ServerCPU(tb testing.TB, dsn string) time.Duration {
	tb.Helper()
	if strings.HasPrefix(dsn, "sqlite:") {
		return 0
	}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var backend int
	if err := db.QueryRowContext(tb.Context(), "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		tb.Fatal(err)
	}
	own, err := readStat(backend)
	if err != nil {
		tb.Skipf("what PostgreSQL computes cannot be seen: %v", err)
	}
	postmaster := own.parent
	files, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		tb.Fatal(err)
	}
	var ticks int64
	for _, f := range files {
		pid, err := strconv.Atoi(filepath.Base(f))
		if err != nil {
			continue
		}
		p, err := readStat(pid)
		switch {
		case err != nil: // it has ended
		case pid == postmaster:
			ticks += p.own + p.children
		case p.parent == postmaster:
			ticks += p.own
		}
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ, which Linux fixes at 100 for /proc
}

// stat is what the kernel says of a process.
type stat struct {
	parent        int
	own, children int64 // ticks; children are those that have ended
}

func readStat(pid int) (s stat, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, err
	}
	// The second field, the command in parentheses, may hold spaces; ppid is field
	// 4, utime, stime, cutime and cstime are 14 to 17 (proc_pid_stat(5)).
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < 15 {
		return s, fmt.Errorf("process %d has no times", pid)
	}
	var n [5]int64
	for i, f := range []int{1, 11, 12, 13, 14} {
		if n[i], err = strconv.ParseInt(fields[f], 10, 64); err != nil {
			return s, err
		}
	}
	return stat{int(n[0]), n[1] + n[2], n[3] + n[4]}, nil
}
