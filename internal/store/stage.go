// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// stageBatch is how many rows are sent to the stage at a time; it bounds the
// memory of a sync and, on SQLite, how long other writers wait.
const stageBatch = 5000

// Sync is one run over the streams of a claimed Integration. Records are
// staged as they arrive; FinishStream compares the stage with what is known and
// writes only the differences. Streams may be staged concurrently.
type Sync struct {
	store *Store
	claim Claim

	mu     sync.Mutex
	stages map[stageKey]*stage
	places map[string]json.RawMessage // by stream: where a listing would go on
}

type stageKey struct {
	stream string
	typ    model.DataType
}

// stage is one table of rows that have arrived and were not compared yet.
type stage struct {
	f     *fact
	table string

	mu   sync.Mutex
	buf  [][]any
	free [][]any // the other buffer, while sending is nil
	// tombstones: rows carry whether they are there or gone.
	tombstones bool
	hash       []byte
	rows       int64
	// sending has the outcome of the batch on its way to the database; nil if
	// none is. The next batch is made meanwhile.
	sending chan error
	// stop ends it. It outlives the call that handed the batch over, and so has
	// no deadline of that call's.
	stop context.CancelFunc
}

// BeginSync starts a sync of the claimed Integration. What a sync that did not
// end has left staged is taken over where it has a place (see Checkpoint), and
// dropped otherwise; nothing of it was ever visible.
func (s *Store) BeginSync(ctx context.Context, c Claim) (*Sync, error) {
	err := s.write(ctx, func(tx *sql.Tx) error { return s.fence(ctx, tx, c) })
	y := &Sync{store: s, claim: c, stages: map[stageKey]*stage{}, places: map[string]json.RawMessage{}}
	if err == nil {
		err = y.adopt(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("begin the sync of integration %q: %w", c.Name, err)
	}
	return y, nil
}

// Close drops what is still staged, except where a listing can go on with it. A
// sync that is not closed is cleaned up by the next one.
func (y *Sync) Close(ctx context.Context) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	var errs []error
	for k, st := range y.stages {
		st.abandon()
		if y.places[k.stream] != nil {
			continue
		}
		errs = append(errs, y.store.dropStages(ctx, y.claim, st.table))
		delete(y.stages, k)
	}
	return errors.Join(errs...)
}

// dropStages drops one stage table and its delta, or all of the source.
func (s *Store) dropStages(ctx context.Context, c Claim, table string) error {
	tables, err := collect(ctx, s.reads, func(r *sql.Rows) (t string, err error) { return t, r.Scan(&t) },
		`SELECT table_name FROM sync_stage WHERE tenant=$1 AND source=$2 AND ($3 = '' OR table_name = $3)`, c.Tenant, c.Source, table)
	if err != nil {
		return err
	}
	for _, t := range tables {
		err := s.write(ctx, func(tx *sql.Tx) error {
			for _, q := range []string{`DROP TABLE IF EXISTS ` + t, `DROP TABLE IF EXISTS ` + t + deltaSuffix} {
				if _, err := tx.ExecContext(ctx, q); err != nil {
					return err
				}
			}
			_, err := tx.ExecContext(ctx, `DELETE FROM sync_stage WHERE tenant=$1 AND table_name=$2`, c.Tenant, t)
			return err
		})
		if err != nil {
			return fmt.Errorf("drop the stage: %w", err)
		}
	}
	return nil
}

// stageFor returns the stage of one type of one stream, creating its table.
func (y *Sync) stageFor(ctx context.Context, stream string, typ model.DataType) (*stage, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	key := stageKey{stream, typ}
	if st, ok := y.stages[key]; ok {
		return st, nil
	}
	f := facts[typ]
	if typ == model.DataUsage {
		f = &usageFact
	}
	if f == nil {
		return nil, fmt.Errorf("stream %s: the store has no table for data type %q", stream, typ)
	}
	var random [8]byte
	for i := range random {
		random[i] = byte(rand.Uint32()) //nolint:gosec // a name, not a secret
	}
	st := &stage{f: f, table: "stage_" + string(typ) + "_" + hex.EncodeToString(random[:])}
	err := y.store.write(ctx, func(tx *sql.Tx) error {
		if err := y.store.fence(ctx, tx, y.claim); err != nil {
			return err
		}
		if err := y.store.createStage(ctx, tx, f, st.table); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO sync_stage (tenant, table_name, source, created_at) VALUES ($1,$2,$3,$4)`,
			y.claim.Tenant, st.table, y.claim.Source, y.store.now())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("create the stage of stream %s: %w", stream, err)
	}
	y.stages[key] = st
	return st, nil
}

// createStage creates a table for staged rows or for a delta. It is unlogged
// and permanent on PostgreSQL: it must be visible to every connection, and
// losing it in a crash only means to sync again.
func (s *Store) createStage(ctx context.Context, q querier, f *fact, table string) error {
	var b strings.Builder
	b.WriteString(s.dialect.createStage + table + " (n " + s.dialect.autoNumber + ", op SMALLINT NOT NULL DEFAULT 1, part TEXT NOT NULL DEFAULT ''")
	for _, c := range f.all() {
		b.WriteString(", " + c.name + " " + c.sqlType)
	}
	b.WriteString(", row_hash BIGINT NOT NULL DEFAULT 0, aux_hash BIGINT NOT NULL DEFAULT 0)" + s.dialect.stageOptions)
	_, err := q.ExecContext(ctx, b.String())
	return err
}

// Stage adds records of one partition ("" for a stream without partitions) to
// what FinishStream will compare.
func (y *Sync) Stage(ctx context.Context, stream, part string, records []model.Record) error {
	for len(records) > 0 {
		typ := records[0].Type()
		n := 1
		for n < len(records) && records[n].Type() == typ {
			n++
		}
		st, err := y.stageFor(ctx, stream, typ)
		if err != nil {
			return err
		}
		if err := st.add(ctx, y.store, part, records[:n]); err != nil {
			return fmt.Errorf("stage %s of stream %s: %w", typ, stream, err)
		}
		records = records[n:]
	}
	return nil
}

func (st *stage) add(ctx context.Context, s *Store, part string, records []model.Record) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	keys := len(st.f.key)
	for _, r := range records {
		if r.Removed && !st.tombstones {
			if st.f == &usageFact {
				return errors.New("use is never removed")
			}
			if err := st.send(ctx, s); err != nil { // rows so far have no such column
				return err
			}
			st.tombstones = true
		}
		values := st.f.values(r)
		for i, v := range values {
			if text, ok := v.(string); ok {
				values[i] = cleanText(text)
			}
		}
		if values[keys-1] == "" && !r.Removed {
			return fmt.Errorf("a record has no %s", st.f.key[keys-1].name)
		}
		var row, aux int64
		row, aux, st.hash = st.f.hashes(values, st.hash)
		full := make([]any, 0, len(values)+4)
		full = append(append(append(full, part), values...), row, aux)
		if st.tombstones {
			full = append(full, opOf(r))
		}
		if st.buf = append(st.buf, full); len(st.buf) >= stageBatch {
			if err := st.send(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// send starts to write the buffered rows once the batch before is written, whose
// error it returns. Its caller holds st.mu.
func (st *stage) send(ctx context.Context, s *Store) error {
	if err := st.settle(ctx); err != nil || len(st.buf) == 0 {
		return err
	}
	columns := append([]string{"part"}, strings.Split(names("", st.f.all()), ", ")...)
	columns = append(columns, "row_hash", "aux_hash")
	if st.tombstones {
		columns = append(columns, "op")
	}
	batch, done := st.buf, make(chan error, 1)
	st.rows += int64(len(batch))
	st.buf, st.free, st.sending = st.free[:0], batch, done
	ctx, st.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() { done <- s.bulkInsert(ctx, st.table, columns, batch) }()
	return nil
}

func opOf(r model.Record) int64 {
	if r.Removed {
		return opRemoved
	}
	return opAdded
}

// opColumn continues a list of columns.
func (st *stage) opColumn() string {
	if st.tombstones {
		return ", op"
	}
	return ""
}

// settle waits for the batch that is being written. After an error the stage
// stays short of its count, and no sync finishes with it.
func (st *stage) settle(ctx context.Context) error {
	if st.sending == nil {
		return nil
	}
	select {
	case err := <-st.sending:
		st.stop()
		st.sending = nil
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// flush writes what is buffered. Its caller holds st.mu.
func (st *stage) flush(ctx context.Context, s *Store) error {
	if err := st.send(ctx, s); err != nil {
		return err
	}
	return st.settle(ctx)
}

// abandon ends what still writes to the table, so that it can go.
func (st *stage) abandon() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.sending != nil {
		st.stop()
		_ = st.settle(context.Background()) // the stage is given up: nobody asks whether it is whole
	}
}

// bulkInsert writes rows with COPY on PostgreSQL and multi-row inserts on
// SQLite, all or none.
func (s *Store) bulkInsert(ctx context.Context, table string, columns []string, rows [][]any) error {
	if s.dialect.name != postgres.name {
		return s.write(ctx, func(tx *sql.Tx) error {
			return s.insertRows(ctx, tx, table+" ("+strings.Join(columns, ", ")+")", rows, "")
		})
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // back to the pool
	return conn.Raw(func(driver any) error {
		_, err := driver.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows))
		return err
	})
}
