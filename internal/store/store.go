// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"k8s.io/utils/clock"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Options says where the store is and how to open it.
type Options struct {
	// DSN is "sqlite:DIR" (DIR is created; it then holds seatkeeper.db,
	// inbox.db and lock) or a PostgreSQL URL "postgres://…".
	DSN string
	// Clock is the source of time; nil is the wall clock.
	Clock clock.PassiveClock
	// MaxConns bounds PostgreSQL connections; 0 is 16. A quarter of them, up to
	// 4, take received events and nothing else.
	MaxConns int
	// Apps recognises what sources discover; nil recognises nothing.
	Apps model.AppRecogniser
}

// Store is an open SQL store. It is safe for concurrent use.
type Store struct {
	dialect dialect
	clock   clock.PassiveClock
	db      *sql.DB   // writes; on PostgreSQL also reads
	reads   *sql.DB   // a read pool; the same pool as db on PostgreSQL
	inbox   *sql.DB   // received events; its own file on SQLite (decision 7), its own connections on PostgreSQL
	log     *inboxLog // of the inbox on SQLite
	lock    *os.File
	onDue   atomic.Pointer[func()] // see OnRunsDue
	onMoved atomic.Pointer[func([]RunMove)]
	moves   runMoves

	arrivals arrivals // received events on their way into the inbox
	known    knownApps
	apps     model.AppRecogniser
}

// Open opens the store without migrating it; call Migrate or CheckSchema next.
// With SQLite it takes the directory's lock and returns a *LockedError if
// another process has it.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.MaxConns <= 0 {
		o.MaxConns = 16
	}
	switch {
	case strings.HasPrefix(o.DSN, "sqlite:"):
		return openSQLite(ctx, strings.TrimPrefix(o.DSN, "sqlite:"), o)
	case strings.HasPrefix(o.DSN, "postgres://"), strings.HasPrefix(o.DSN, "postgresql://"):
		return openPostgres(ctx, o)
	}
	return nil, fmt.Errorf("store DSN %q: want sqlite:DIR or postgres://USER@HOST/DATABASE", redactDSN(o.DSN))
}

func openPostgres(ctx context.Context, o Options) (*Store, error) {
	// What is received is acknowledged only once it is stored: it must not wait
	// behind whatever else has all connections.
	received := min(max(o.MaxConns/4, 1), 4)
	db, err := openPostgresPool(ctx, o.DSN, max(o.MaxConns-received, 1))
	if err != nil {
		return nil, err
	}
	inbox, err := openPostgresPool(ctx, o.DSN, received)
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return &Store{dialect: postgres, clock: o.Clock, apps: o.Apps, db: db, reads: db, inbox: inbox}, nil
}

// idleInTransaction is for how long a process that is paused in the middle of a
// transaction keeps its locks, and with them its shards, from those who would take
// over. The DSN may set another time.
const (
	idleInTransaction = 30 * time.Second
	idleParameter     = "idle_in_transaction_session_timeout"
)

func openPostgresPool(ctx context.Context, dsn string, conns int) (*sql.DB, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL %s: %w", redactDSN(dsn), err)
	}
	// A statement and no parameter of the connection: poolers refuse those.
	limit := func(ctx context.Context, c *pgx.Conn) error {
		if config.RuntimeParams[idleParameter] != "" {
			return nil
		}
		_, err := c.Exec(ctx, fmt.Sprintf("SET %s = %d", idleParameter, idleInTransaction.Milliseconds()))
		return err
	}
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(limit))
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("connect to PostgreSQL %s: %w", redactDSN(dsn), err)
	}
	return db, nil
}

func openSQLite(ctx context.Context, dir string, o Options) (_ *Store, err error) {
	if dir == "" {
		return nil, errors.New("store DSN sqlite: names no directory; want sqlite:DIR")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the store's directory: %w", err)
	}
	if err := refuseNetworkFS(dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dialect: sqlite, clock: o.Clock, apps: o.Apps, lock: lock}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	main := filepath.Join(dir, "seatkeeper.db")
	// A page that many commits change is copied back once for all of them.
	if s.db, err = openSQLiteFile(ctx, main, false, 1, largeCache, "wal_autocheckpoint(4000)"); err != nil {
		return nil, err
	}
	if s.reads, err = openSQLiteFile(ctx, main, true, 4, largeCache); err != nil {
		return nil, err
	}
	inbox := filepath.Join(dir, "inbox.db")
	if s.inbox, err = openSQLiteFile(ctx, inbox, false, 1, mediumCache, "secure_delete(ON)", // see FinishEvent
		"wal_autocheckpoint(32000)"); err != nil { // see inboxLog, which does it before
		return nil, err
	}
	log, err := openSQLiteFile(ctx, inbox, false, 1, smallCache)
	if err != nil {
		return nil, err
	}
	s.log = &inboxLog{db: log}
	return s, nil
}

// Sizes of the cache of a connection, in KiB. A commit that has split a page
// walks all of it, which the inbox's many small commits would mostly do.
const (
	largeCache  = "cache_size(-65536)"
	mediumCache = "cache_size(-16384)"
	smallCache  = "cache_size(-256)"
)

// openSQLiteFile opens one file in WAL mode with synchronous=FULL: NORMAL
// loses acknowledged commits at a power cut.
func openSQLiteFile(ctx context.Context, path string, readOnly bool, conns int, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}}
	for _, p := range []string{"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "foreign_keys(ON)", "temp_store(MEMORY)"} {
		q.Add("_pragma", p)
	}
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	if readOnly {
		q.Set("_txlock", "deferred")
		q.Add("_pragma", "query_only(ON)")
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return db, nil
}

// receiving is what an address that receives events is looked up with: on
// PostgreSQL the connections that nothing else takes.
func (s *Store) receiving() *sql.DB {
	if s.dialect.name == postgres.name {
		return s.inbox
	}
	return s.reads
}

// Close releases connections and the directory's lock.
func (s *Store) Close() error {
	errs := []error{s.log.close()}
	seen := map[*sql.DB]bool{}
	for _, db := range []*sql.DB{s.reads, s.inbox, s.db} {
		if db != nil && !seen[db] {
			seen[db] = true
			errs = append(errs, db.Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Ping reports whether the store answers; it is the readiness probe's check.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.reads.PingContext(ctx); err != nil {
		return fmt.Errorf("store does not answer: %w", err)
	}
	return nil
}

// Dialect returns "sqlite" or "postgres".
func (s *Store) Dialect() string { return s.dialect.name }

// now is the store's clock in the unit of every instant column.
func (s *Store) now() int64 { return s.clock.Now().UnixMilli() }

func redactDSN(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return "(unparsable)"
	}
	return u.Redacted()
}
