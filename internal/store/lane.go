// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
)

// micro is one token in the unit of the lane table.
const micro = 1_000_000

// Lane is the budget of one Integration's credential, shared by syncs and
// actions of every replica (decision 10). Tokens live in rows; a lane draws up
// to a second's worth at a time by compare-and-set and hands them out from
// memory. It implements connector.Budget and is safe for concurrent use.
type Lane struct {
	store       *Store
	tenant      model.TenantID
	integration string

	mu   sync.Mutex
	keys map[string]*drawn
}

// drawn is what the lane holds of one key.
type drawn struct {
	tokens  int64 // whole tokens
	expires time.Time
	blocked time.Time
}

// Lane returns the budget of an Integration. Use one Lane per Integration and
// process: what it has drawn is not shared with another.
func (s *Store) Lane(tenant model.TenantID, integration string) *Lane {
	return &Lane{store: s, tenant: tenant, integration: integration, keys: map[string]*drawn{}}
}

// Take takes one token of key and returns 0, or takes none and returns how long
// to wait before asking again. The zero rate asks about blocks only.
func (l *Lane) Take(ctx context.Context, key string, rate ratelimit.Rate) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.store.clock.Now()
	d := l.keys[key]
	if d == nil {
		d = &drawn{}
		l.keys[key] = d
	}
	if wait := d.blocked.Sub(now); wait > 0 {
		return wait, nil
	}
	if now.Before(d.expires) {
		if rate.IsZero() {
			return 0, nil
		}
		if d.tokens > 0 {
			d.tokens--
			return 0, nil
		}
	}
	wait, err := l.draw(ctx, key, rate, d)
	if err != nil {
		return 0, fmt.Errorf("draw on the budget of integration %q: %w", l.integration, err)
	}
	return wait, nil
}

// drawFor is how long drawn tokens last: after it, what others have said of the
// lane is read again.
const drawFor = time.Second

func (l *Lane) draw(ctx context.Context, key string, rate ratelimit.Rate, d *drawn) (wait time.Duration, err error) {
	s := l.store
	err = s.write(ctx, func(tx *sql.Tx) error {
		now := s.now()
		row, err := l.load(ctx, tx, key, rate, now)
		if err != nil {
			return err
		}
		wait = 0
		d.tokens, d.expires, d.blocked = 0, fromMillis(now).Add(drawFor), fromMillis(row.blocked)
		if row.blocked > now {
			wait = time.Duration(row.blocked-now) * time.Millisecond
			return nil
		}
		if rate.IsZero() {
			return nil
		}
		perSecond := rate.PerSecond() * micro
		if passed := now - row.refilled; passed > 0 {
			row.tokens = int64(math.Min(rate.Max()*micro, float64(row.tokens)+float64(passed)/1000*perSecond))
		}
		have := row.tokens / micro
		if have == 0 {
			d.expires = time.Time{}
			wait = time.Duration(math.Ceil(float64(micro-row.tokens)/perSecond*1000)) * time.Millisecond
			return nil // nothing to write: the row refills by its own time
		}
		take := min(have, max(1, int64(perSecond/micro)))
		res, err := tx.ExecContext(ctx, `UPDATE lane SET tokens=$4, refilled_at=$5, revision=revision+1 WHERE tenant=$1 AND integration=$2 AND lane_key=$3 AND revision=$6`,
			l.tenant, l.integration, key, row.tokens-take*micro, now, row.revision)
		if err != nil {
			return err
		}
		if err := oneRow(res, errConflict); err != nil {
			return err
		}
		d.tokens = take - 1 // the one asked for
		return nil
	})
	return wait, err
}

type laneRow struct{ tokens, refilled, blocked, revision int64 }

// load returns the key's row, full if it is new. A row that only a block made
// has never been refilled and is full too.
func (l *Lane) load(ctx context.Context, tx *sql.Tx, key string, rate ratelimit.Rate, now int64) (r laneRow, err error) {
	read := func() error {
		return tx.QueryRowContext(ctx, `SELECT tokens, refilled_at, blocked_until, revision FROM lane WHERE tenant=$1 AND integration=$2 AND lane_key=$3`+l.store.dialect.forUpdate,
			l.tenant, l.integration, key).Scan(&r.tokens, &r.refilled, &r.blocked, &r.revision)
	}
	err = read()
	if errors.Is(err, sql.ErrNoRows) {
		if rate.IsZero() {
			return laneRow{}, nil // nothing to remember until the key is blocked
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO lane (tenant, integration, lane_key, tokens, refilled_at) VALUES ($1,$2,$3,0,0) ON CONFLICT DO NOTHING`,
			l.tenant, l.integration, key)
		if err == nil {
			err = read()
		}
	}
	if err == nil && r.refilled == 0 {
		r.tokens, r.refilled = int64(rate.Max()*micro), now
	}
	return r, err
}

// Block lets nobody take from key before until; an earlier instant than the one
// already known changes nothing. It survives a restart.
func (l *Lane) Block(ctx context.Context, key string, until time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	ms := until.UnixMilli()
	if !until.Equal(fromMillis(ms)) {
		ms++ // never earlier than asked
	}
	err := l.store.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO lane (tenant, integration, lane_key, tokens, refilled_at, blocked_until) VALUES ($1,$2,$3,0,0,$4)
			ON CONFLICT (tenant, integration, lane_key) DO UPDATE SET blocked_until = excluded.blocked_until, revision = lane.revision + 1
			WHERE lane.blocked_until < excluded.blocked_until`, l.tenant, l.integration, key, ms)
		return err
	})
	if err != nil {
		return fmt.Errorf("block the budget of integration %q: %w", l.integration, err)
	}
	d := l.keys[key]
	if d == nil {
		d = &drawn{}
		l.keys[key] = d
	}
	if until.After(d.blocked) {
		d.tokens, d.blocked = 0, until
	}
	return nil
}
