// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"hash/fnv"
	"sort"
	"time"
)

// Shards is how many shards the runs are spread over, fixed at install.
const Shards = 64

// ShardOf returns the shard of a run.
func ShardOf(runID string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(runID))
	return int(h.Sum32() % Shards)
}

// Leases maps a shard that the caller owns to the epoch at which it took it.
type Leases map[int]int64

// FencedError lists the shards that another replica has taken over. It wraps
// ErrFenced.
type FencedError struct{ Shards []int }

func (e *FencedError) Error() string { return fmt.Sprintf("shards %v: %v", e.Shards, ErrFenced) }

// Unwrap returns ErrFenced.
func (e *FencedError) Unwrap() error { return ErrFenced }

// ShardRow is one row of the shard table.
type ShardRow struct {
	ID    int
	Owner string
	Epoch int64
	Until time.Time
}

// ShardRows lists every shard by id.
func (s *Store) ShardRows(ctx context.Context) ([]ShardRow, error) {
	return collect(ctx, s.reads, scanShard, `SELECT id, owner, epoch, lease_until FROM shard ORDER BY id`)
}

func scanShard(r *sql.Rows) (row ShardRow, err error) {
	var until int64
	err = r.Scan(&row.ID, &row.Owner, &row.Epoch, &until)
	row.Until = time.UnixMilli(until).UTC()
	return row, err
}

// HoldRequest asks for shards.
type HoldRequest struct {
	Owner string // unique per start of a process
	Lease time.Duration
	// Release gives shards up; the caller has nothing in flight there.
	Release []int
	// TakeOver takes shards whose lease still runs. Only a process that knows
	// to be alone may ask for it: with SQLite, the lock file proves that any
	// earlier owner is dead.
	TakeOver bool
	// Zones is a digest of the rules of time zones that the owner goes by. What
	// waits for a time in shards that were owned by other rules is made due, so
	// that it is resolved again. Empty: nothing is.
	Zones string
}

// Held is what a replica owns.
type Held struct {
	Leases Leases
	Until  time.Time
	// FairShare is how many shards each live replica should have.
	FairShare int
}

// HoldShards renews what the owner holds and takes free shards up to its fair
// share among live replicas.
func (s *Store) HoldShards(ctx context.Context, r HoldRequest) (h Held, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		now := s.now()
		h = Held{Until: time.UnixMilli(now + r.Lease.Milliseconds()).UTC()}
		if h.FairShare, err = s.beat(ctx, tx, r, now); err != nil {
			return err
		}
		for _, id := range r.Release {
			if _, err := tx.ExecContext(ctx, `UPDATE shard SET owner = '', lease_until = 0, epoch = epoch + 1 WHERE id = $1 AND owner = $2`, id, r.Owner); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `UPDATE shard SET lease_until = $1 WHERE owner = $2`, h.Until.UnixMilli(), r.Owner); err != nil {
			return err
		}
		rows, err := collect(ctx, tx, scanShard, `SELECT id, owner, epoch, lease_until FROM shard ORDER BY id`)
		if err != nil {
			return err
		}
		if h.Leases, err = s.takeShards(ctx, tx, r, rows, now, h); err != nil || r.Zones == "" {
			return err
		}
		return s.recheckZones(ctx, tx, r)
	})
	if err != nil {
		return Held{}, fmt.Errorf("hold shards: %w", err)
	}
	return h, nil
}

// beat records that owner is alive and returns its fair share of the shards.
func (s *Store) beat(ctx context.Context, tx *sql.Tx, r HoldRequest, now int64) (int, error) {
	if r.TakeOver {
		if _, err := tx.ExecContext(ctx, `DELETE FROM replica`); err != nil {
			return 0, err
		}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO replica (id, lease_until) VALUES ($1, $2)
		ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until`, r.Owner, now+r.Lease.Milliseconds()); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM replica WHERE lease_until < $1`, now-time.Hour.Milliseconds()); err != nil {
		return 0, err
	}
	var live int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM replica WHERE lease_until > $1`, now).Scan(&live); err != nil {
		return 0, err
	}
	live = max(live, 1)
	return (Shards + live - 1) / live, nil
}

// takeShards takes free shards by compare-and-set on the epoch.
func (s *Store) takeShards(ctx context.Context, tx *sql.Tx, r HoldRequest, rows []ShardRow, now int64, h Held) (Leases, error) {
	held := Leases{}
	for _, row := range rows {
		if row.Owner == r.Owner {
			held[row.ID] = row.Epoch
		}
	}
	for _, row := range rows {
		if len(held) >= h.FairShare {
			break
		}
		if row.Owner == r.Owner || (row.Until.UnixMilli() > now && !r.TakeOver) {
			continue
		}
		res, err := tx.ExecContext(ctx, `UPDATE shard SET owner = $1, epoch = epoch + 1, lease_until = $2 WHERE id = $3 AND epoch = $4 AND lease_until = $5`,
			r.Owner, h.Until.UnixMilli(), row.ID, row.Epoch, row.Until.UnixMilli())
		if err != nil {
			return nil, err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return nil, err
		}
		if n == 1 { // otherwise another replica was faster, or the owner renewed
			held[row.ID] = row.Epoch + 1
		}
	}
	return held, nil
}

// ReleaseShards gives up everything that owner holds, so that another replica
// need not wait for the lease to end.
func (s *Store) ReleaseShards(ctx context.Context, owner string) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE shard SET owner = '', lease_until = 0, epoch = epoch + 1 WHERE owner = $1`, owner); err != nil {
			return fmt.Errorf("release shards: %w", err)
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM replica WHERE id = $1`, owner)
		return err
	})
}

// fenceShards locks the shard rows of leases against take-over until commit and
// returns a *FencedError if any has moved on.
func (s *Store) fenceShards(ctx context.Context, tx *sql.Tx, leases Leases) error {
	if len(leases) == 0 {
		return nil
	}
	ids := make([]any, 0, len(leases))
	for id := range leases {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i].(int) < ids[j].(int) }) // one lock order for all
	rows, err := collect(ctx, tx, scanShard, `SELECT id, owner, epoch, lease_until FROM shard WHERE id IN (`+placeholders(1, len(ids))+`) ORDER BY id`+s.dialect.forShare, ids...)
	if err != nil {
		return fmt.Errorf("check shards: %w", err)
	}
	var lost []int
	for _, r := range rows {
		if r.Epoch != leases[r.ID] {
			lost = append(lost, r.ID)
		}
	}
	if len(lost) > 0 {
		return &FencedError{Shards: lost}
	}
	return nil
}
