// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// FinishStream ends a stream. A stream that is not complete, not even in part,
// changes nothing. Otherwise the differences to what is known are computed over
// the whole stage; if the guard lets them pass, they and their events are
// written, and the stream's generation rises last. A guard's breach changes
// nothing either and returns the hold.
func (y *Sync) FinishStream(ctx context.Context, stream string, o StreamOutcome) (StreamResult, error) {
	res, err := y.finishStream(ctx, stream, o)
	if err != nil {
		return res, fmt.Errorf("finish stream %s of integration %q: %w", stream, y.claim.Name, err)
	}
	return res, nil
}

func (y *Sync) finishStream(ctx context.Context, stream string, o StreamOutcome) (StreamResult, error) {
	res := StreamResult{Stream: stream, Types: map[model.DataType]Changes{}}
	stages, err := y.flushStream(ctx, stream, o.Types)
	if err != nil {
		return res, err
	}
	defer func() { y.forget(ctx, stream) }()
	if !o.Complete && len(o.CompleteParts) == 0 {
		return res, nil
	}
	var generation int64
	err = y.store.reads.QueryRowContext(ctx, `SELECT coalesce(max(generation), 0) FROM stream_state WHERE tenant=$1 AND source=$2 AND stream=$3`,
		y.claim.Tenant, y.claim.Source, stream).Scan(&generation)
	if err != nil {
		return res, err
	}
	if generation == 0 && o.Incremental {
		return res, errors.New("changes were read before anything was read as a whole")
	}
	res.Initial = generation == 0 || o.Loading
	deltas := make([]*delta, 0, len(stages))
	for _, st := range stages {
		d, err := y.deltaOf(ctx, stream, st, o)
		if err != nil {
			return res, err
		}
		deltas = append(deltas, d)
	}
	if res.Held, err = y.guard(ctx, stream, deltas, o); err != nil || res.Held != nil {
		return res, err
	}
	for _, d := range deltas {
		if err := y.apply(ctx, stream, d, res.Initial); err != nil {
			return res, fmt.Errorf("apply %s: %w", d.f.typ, err)
		}
		res.Types[d.f.typ] = d.changes()
	}
	if err := y.afterApply(ctx, deltas, o); err != nil {
		return res, err
	}
	for _, st := range stages {
		if err := y.noteUnseen(ctx, stream, st, o); err != nil {
			return res, err
		}
	}
	return res, y.finalise(ctx, stream, o, res.Written() > 0)
}

func (y *Sync) deltaOf(ctx context.Context, stream string, st *stage, o StreamOutcome) (*delta, error) {
	if st.f == &usageFact {
		return y.usageDelta(ctx, st, o)
	}
	d, err := y.computeDelta(ctx, stream, st, o)
	if err != nil {
		return nil, err
	}
	return d, y.countLeft(ctx, stream, d)
}

// order is that of applying: people before the accounts that link to them, and
// accounts before their seats.
var order = []model.DataType{model.DataPeople, model.DataAccounts, model.DataPlans, model.DataAssignments, model.DataGroups,
	model.DataMemberships, model.DataApps, model.DataTransactions, model.DataContracts, model.DataUsage}

// flushStream sends what is buffered and returns the stream's stages, an empty
// one for each declared type of which no record came.
func (y *Sync) flushStream(ctx context.Context, stream string, types []model.DataType) ([]*stage, error) {
	for _, typ := range types {
		if _, ok := facts[typ]; ok {
			if _, err := y.stageFor(ctx, stream, typ); err != nil {
				return nil, err
			}
		}
	}
	var out []*stage
	for _, typ := range order {
		y.mu.Lock()
		st := y.stages[stageKey{stream, typ}]
		y.mu.Unlock()
		if st == nil {
			continue
		}
		st.mu.Lock()
		err := st.flush(ctx, y.store)
		st.mu.Unlock()
		if err != nil {
			return nil, fmt.Errorf("stage %s: %w", typ, err)
		}
		out = append(out, st)
	}
	return out, nil
}

// forget drops the stream's stages. Failing to is harmless: the next sync does.
func (y *Sync) forget(ctx context.Context, stream string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	delete(y.places, stream)
	maps.DeleteFunc(y.stages, func(k stageKey, st *stage) bool {
		if k.stream == stream {
			st.abandon()
			_ = y.store.dropStages(context.WithoutCancel(ctx), y.claim, st.table)
		}
		return k.stream == stream
	})
}

// guard returns the hold that keeps the deltas from being applied, or nil.
func (y *Sync) guard(ctx context.Context, stream string, deltas []*delta, o StreamOutcome) (*Hold, error) {
	s, tenant := y.store, y.claim.Tenant
	h := Hold{HoldSubject: shrinkSubject(y.claim.Name, stream)}
	var items []HoldItem
	var reasons []string
	for _, d := range deltas {
		// Never over half is allowed, so that a source which had rows and now
		// returns none is held whatever the guard says.
		removals, allowed := d.removals(), o.Guard.Allowed(d.live)
		if removals <= allowed {
			continue
		}
		more, err := y.heldItems(ctx, stream, d)
		if err != nil {
			return nil, err
		}
		items = append(items, more...)
		h.Count, h.Total, h.Allowed = h.Count+removals, h.Total+d.live, h.Allowed+allowed
		reasons = append(reasons, fmt.Sprintf("%d of %d %s would go, %d may", removals, d.live, d.f.typ, allowed))
	}
	if len(items) == 0 {
		return nil, s.ClearHold(ctx, tenant, h.HoldSubject)
	}
	h.Reason = strings.Join(reasons, "; ")
	have, err := s.Hold(ctx, tenant, h.HoldSubject)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if err == nil && have.ReleasedAt != nil {
		pass, err := y.releases(ctx, have, items)
		if err != nil || pass {
			return nil, err
		}
	}
	held, err := s.putFencedHold(ctx, y.claim, h, items)
	return &held, err
}

// releases reports whether a released hold covers exactly the items, or, where
// a crash left a released set half applied, the rest of it.
func (y *Sync) releases(ctx context.Context, h Hold, items []HoldItem) (bool, error) {
	keys := make([]string, len(items))
	for i, it := range items {
		keys[i] = it.Item
	}
	s := y.store
	pass := model.SetDigest(keys) == h.Digest
	if !pass {
		var applying bool
		if err := s.db.QueryRowContext(ctx, `SELECT applying FROM guard_hold WHERE tenant=$1 AND id=$2`, y.claim.Tenant, h.ID).Scan(&applying); err != nil || !applying {
			return false, err
		}
		members, err := collect(ctx, s.db, func(r *sql.Rows) (item string, err error) { return item, r.Scan(&item) },
			`SELECT item FROM guard_hold_item WHERE tenant=$1 AND hold_id=$2`, y.claim.Tenant, h.ID)
		if err != nil {
			return false, err
		}
		slices.Sort(members)
		for _, k := range keys {
			if _, ok := slices.BinarySearch(members, k); !ok {
				return false, nil
			}
		}
	}
	return true, s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE guard_hold SET applying=TRUE WHERE tenant=$1 AND id=$2`, y.claim.Tenant, h.ID)
		return err
	})
}

func (s *Store) putFencedHold(ctx context.Context, c Claim, h Hold, items []HoldItem) (out Hold, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if err := s.fence(ctx, tx, c); err != nil {
			return err
		}
		out, err = s.putHold(ctx, tx, c.Tenant, h, items)
		return err
	})
	return out, err
}

func shrinkSubject(integration, stream string) HoldSubject {
	return HoldSubject{Kind: HoldShrink, SubjectKind: "Integration", SubjectName: integration + "/" + stream}
}

// integrationOf is the Integration of a shrink hold.
func integrationOf(s HoldSubject) string {
	name, _, _ := strings.Cut(s.SubjectName, "/")
	return name
}

// finalise raises the stream's generation and ends its hold: what was held has
// been released and applied, or is no longer so.
func (y *Sync) finalise(ctx context.Context, stream string, o StreamOutcome, changed bool) error {
	s, c := y.store, y.claim
	return s.write(ctx, func(tx *sql.Tx) error {
		now := s.now()
		if !o.ReadAt.IsZero() {
			now = min(now, o.ReadAt.UnixMilli())
		}
		from, until, err := coverage(ctx, tx, c, stream, o)
		if err != nil {
			return err
		}
		// An incremental read leaves when the last whole one was; one with gaps
		// makes nothing fresher.
		whole, completed := "NULL", "excluded.completed_at"
		if o.Incremental {
			whole = "coalesce(stream_state.whole_at, stream_state.completed_at)"
			if o.Gaps {
				completed = "stream_state.completed_at"
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO stream_state (tenant, source, stream, generation, completed_at, covers_from, covers_until, activity_reported, state)
			VALUES ($1,$2,$3,1,$4,$5,$6,$7,$8) ON CONFLICT (tenant, source, stream) DO UPDATE SET generation = stream_state.generation + 1,
			completed_at=`+completed+`, whole_at=`+whole+`, covers_from=excluded.covers_from, covers_until=excluded.covers_until,
			activity_reported=excluded.activity_reported, state=excluded.state`,
			c.Tenant, c.Source, stream, now, from, until, o.ActivityReported, string(o.State))
		if err != nil {
			return err
		}
		if err := s.clearHold(ctx, tx, c.Tenant, shrinkSubject(c.Name, stream)); err != nil {
			return err
		}
		if changed {
			if _, err := tx.ExecContext(ctx, `UPDATE integration_state SET data_version=data_version+1 WHERE tenant=$1 AND id=$2`, c.Tenant, c.Source); err != nil {
				return err
			}
		}
		return s.fence(ctx, tx, c)
	})
}

// coverage continues the time that a usage feed covers, or begins anew where
// the window leaves a gap.
func coverage(ctx context.Context, q querier, c Claim, stream string, o StreamOutcome) (from, until any, err error) {
	var haveFrom, haveUntil sql.NullInt64
	err = q.QueryRowContext(ctx, `SELECT covers_from, covers_until FROM stream_state WHERE tenant=$1 AND source=$2 AND stream=$3`,
		c.Tenant, c.Source, stream).Scan(&haveFrom, &haveUntil)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, nil, err
	}
	if haveFrom.Valid {
		from, until = haveFrom.Int64, haveUntil.Int64
	}
	if o.Window == nil || !o.Complete {
		return from, until, nil
	}
	start, end := o.Window.From.UnixMilli(), o.Window.Until.UnixMilli()
	if haveFrom.Valid && start <= haveUntil.Int64 && end >= haveFrom.Int64 {
		return min(start, haveFrom.Int64), max(end, haveUntil.Int64), nil
	}
	return start, end, nil
}
