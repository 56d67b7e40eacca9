// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Bounds of one commit of received events.
const (
	arrivalsPerCommit = 256
	bytesPerCommit    = 8 << 20
	commitTimeout     = 10 * time.Second
)

// EventBeforeCommit is the failpoint before each commit of received events.
const EventBeforeCommit = "event-before-commit"

// arrival is an event on its way into the inbox.
type arrival struct {
	event   Event
	headers string
	at      int64 // when it came

	first string // the id by which it is known: its own, or its original's
	err   error
	done  chan struct{}
}

// dedupeUntil is the column's value: 0 is without end.
func (a *arrival) dedupeUntil() int64 {
	if a.event.DedupeFor <= 0 {
		return 0
	}
	return a.at + a.event.DedupeFor.Milliseconds()
}

// arrivals is the queue in front of the inbox. Whoever finds nobody committing
// starts to, and goes on until the queue is empty: a commit waits for the disk,
// and everything that comes meanwhile shares the next one.
type arrivals struct {
	mu      sync.Mutex
	waiting []*arrival
	busy    bool
	inserts map[int]*sql.Stmt // by rows
}

// receive returns once the event is committed, or ctx ends: then it may or may
// not be, and its sender will send it again.
func (q *arrivals) receive(ctx context.Context, s *Store, a *arrival) (string, error) {
	q.mu.Lock()
	q.waiting = append(q.waiting, a)
	if !q.busy {
		q.busy = true
		go q.commit(context.WithoutCancel(ctx), s)
	}
	q.mu.Unlock()
	select {
	case <-a.done:
		return a.first, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// commit commits batches until nothing waits.
func (q *arrivals) commit(ctx context.Context, s *Store) {
	for {
		batch := q.next()
		if len(batch) == 0 {
			return
		}
		s.commitArrivals(ctx, batch)
	}
}

func (q *arrivals) next() []*arrival {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.waiting) && n < arrivalsPerCommit && (n == 0 || size+len(q.waiting[n].event.Body) <= bytesPerCommit) {
		size += len(q.waiting[n].event.Body)
		n++
	}
	batch := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	q.busy = n > 0
	return batch
}

// commitArrivals commits a batch, or else each of it alone, so that nobody's
// event fails for another's.
func (s *Store) commitArrivals(ctx context.Context, batch []*arrival) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	failpoint.Hit(EventBeforeCommit)
	err := s.storeArrivals(ctx, batch)
	for _, a := range batch {
		if a.err = err; err != nil && len(batch) > 1 {
			a.err = s.storeArrivals(ctx, []*arrival{a})
		}
		close(a.done)
	}
	s.log.committed(ctx, len(batch))
}

const (
	arrivalColumns = `tenant, id, endpoint, dedupe_key, dedupe_until, body, size, headers, received_at`
	arrivalFields  = 9
)

func (a *arrival) row() []any {
	e := a.event
	return []any{e.Tenant, e.ID, e.Endpoint, e.DedupeKey, a.dedupeUntil(), e.Body, len(e.Body), a.headers, a.at}
}

// storeArrivals stores what is no copy by one statement, which is a transaction
// of its own, and then finds out of what the others are copies.
func (s *Store) storeArrivals(ctx context.Context, batch []*arrival) error {
	rows := slices.Clone(batch)
	// In one order everywhere, so that two gateways with the same events wait for
	// each other and do not lock each other out.
	slices.SortStableFunc(rows, func(a, b *arrival) int {
		return cmp.Or(cmp.Compare(a.event.Tenant, b.event.Tenant), strings.Compare(a.event.Endpoint, b.event.Endpoint), strings.Compare(a.event.DedupeKey, b.event.DedupeKey))
	})
	insert, err := s.arrivals.insert(ctx, s, len(rows)) //nolint:sqlclosecheck // kept for the next batch; the store closes it
	if err != nil {
		return err
	}
	args := make([]any, 0, len(rows)*arrivalFields)
	for _, a := range rows {
		a.first = a.event.ID
		args = append(args, a.row()...)
	}
	var stored int64
	for range maxTxAttempts {
		var res sql.Result
		if res, err = insert.ExecContext(ctx, args...); err == nil {
			stored, err = res.RowsAffected()
			break
		}
		if !retryable(err) {
			break
		}
	}
	if err != nil || stored == int64(len(rows)) {
		return err // no copies among them, as is the rule
	}
	return s.writeInbox(ctx, func(tx *sql.Tx) error { return s.findOriginals(ctx, tx, rows) })
}

// insert returns the statement for so many rows, prepared once.
func (q *arrivals) insert(ctx context.Context, s *Store, rows int) (*sql.Stmt, error) {
	if st := q.inserts[rows]; st != nil { // only who commits looks at it
		return st, nil
	}
	st, err := s.inbox.PrepareContext(ctx, `INSERT INTO inbox (`+arrivalColumns+`) VALUES `+s.dialect.tuples(rows, arrivalFields)+` ON CONFLICT (tenant, endpoint, dedupe_key) DO NOTHING`)
	if err != nil {
		return nil, err
	}
	if q.inserts == nil {
		q.inserts = map[int]*sql.Stmt{}
	}
	q.inserts[rows] = st
	return st, nil
}

// findOriginals finds of what those that were not stored are copies.
func (s *Store) findOriginals(ctx context.Context, tx *sql.Tx, rows []*arrival) error {
	ids, tenants := make([]string, len(rows)), make([]model.TenantID, len(rows))
	for i, a := range rows {
		ids[i], tenants[i] = a.event.ID, a.event.Tenant
	}
	list, args := inList(nil, ids)
	of, args := inList(args, slices.Compact(tenants)) // they are in order
	stored, err := collect(ctx, tx, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) }, `SELECT id FROM inbox WHERE tenant IN (`+of+`) AND id IN (`+list+`)`, args...)
	if err != nil {
		return err
	}
	fresh := make(map[string]bool, len(stored))
	for _, id := range stored {
		fresh[id] = true
	}
	for _, a := range rows {
		if fresh[a.event.ID] {
			continue
		}
		if a.first, err = s.original(ctx, tx, a); err != nil {
			return err
		}
	}
	return nil
}

// original returns the id of the event that a is a copy of. A key whose time is
// over makes no copy: the old event gives it up, and a is stored.
func (s *Store) original(ctx context.Context, tx *sql.Tx, a *arrival) (string, error) {
	e := a.event
	var first string
	var until int64
	err := tx.QueryRowContext(ctx, `SELECT id, dedupe_until FROM inbox WHERE tenant = $1 AND endpoint = $2 AND dedupe_key = $3`+s.dialect.forUpdate,
		e.Tenant, e.Endpoint, e.DedupeKey).Scan(&first, &until)
	if errors.Is(err, sql.ErrNoRows) { // erased this moment
		return e.ID, s.putArrival(ctx, tx, a)
	}
	if err != nil || until == 0 || until > a.at {
		return first, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE inbox SET dedupe_key = dedupe_key || '#' || id WHERE tenant = $1 AND id = $2`, e.Tenant, first); err != nil {
		return "", err
	}
	return e.ID, s.putArrival(ctx, tx, a)
}

func (s *Store) putArrival(ctx context.Context, tx *sql.Tx, a *arrival) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO inbox (`+arrivalColumns+`) VALUES `+s.dialect.tuples(1, arrivalFields), a.row()...)
	return err
}
