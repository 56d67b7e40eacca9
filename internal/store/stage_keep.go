// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// maxStageAge is how old a stage may be for a listing to go on with it.
const maxStageAge = 6 * time.Hour

// Checkpoint keeps what has been staged of a stream for the next sync, should
// this one not end: place is where the listing would go on, in the connector's
// words. Nothing of it is visible before FinishStream.
func (y *Sync) Checkpoint(ctx context.Context, stream string, place json.RawMessage) error {
	err := y.checkpoint(ctx, stream, place)
	if err != nil {
		return fmt.Errorf("checkpoint stream %s of integration %q: %w", stream, y.claim.Name, err)
	}
	return nil
}

func (y *Sync) checkpoint(ctx context.Context, stream string, place json.RawMessage) error {
	stages := y.stagesOf(stream)
	if len(stages) == 0 {
		return nil // nothing to keep: the next read begins anew
	}
	for _, st := range stages {
		st.mu.Lock()
		err := st.flush(ctx, y.store)
		st.mu.Unlock()
		if err != nil {
			return err
		}
	}
	s, c := y.store, y.claim
	err := s.write(ctx, func(tx *sql.Tx) error {
		for typ, st := range stages {
			_, err := tx.ExecContext(ctx, `UPDATE sync_stage SET stream=$3, data_type=$4, staged=$5, tombstones=$6, place=$7,
				last_n=(SELECT coalesce(max(n), 0) FROM `+st.table+`) WHERE tenant=$1 AND table_name=$2`,
				c.Tenant, st.table, stream, string(typ), st.rows, st.tombstones, string(place))
			if err != nil {
				return err
			}
		}
		return s.fence(ctx, tx, c)
	})
	if err != nil {
		return err
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.places[stream] = place
	return nil
}

func (y *Sync) stagesOf(stream string) map[model.DataType]*stage {
	y.mu.Lock()
	defer y.mu.Unlock()
	out := map[model.DataType]*stage{}
	for k, st := range y.stages {
		if k.stream == stream {
			out[k.typ] = st
		}
	}
	return out
}

// Place returns where the listing of a stream that broke off would go on, nil
// if nothing of it is staged.
func (y *Sync) Place(stream string) json.RawMessage {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.places[stream]
}

// Discard drops what is staged of a stream.
func (y *Sync) Discard(ctx context.Context, stream string) { y.forget(ctx, stream) }

// keptStage is a row of sync_stage.
type keptStage struct {
	table, stream, place string
	typ                  model.DataType
	rows, last, created  int64
	tombstones           bool
}

// adopt takes over the stages that a sync which did not end has left with a
// place, and drops all others of the source.
func (y *Sync) adopt(ctx context.Context) error {
	s, c := y.store, y.claim
	kept, err := collect(ctx, s.reads, func(r *sql.Rows) (k keptStage, err error) {
		return k, r.Scan(&k.table, &k.stream, &k.typ, &k.rows, &k.last, &k.tombstones, &k.place, &k.created)
	}, `SELECT table_name, stream, data_type, staged, last_n, tombstones, place, created_at FROM sync_stage WHERE tenant=$1 AND source=$2`, c.Tenant, c.Source)
	if err != nil {
		return err
	}
	oldest := s.now() - maxStageAge.Milliseconds()
	whole := map[string]bool{} // by stream: all of its stages are there
	for _, k := range kept {
		ok := k.place != "" && k.created >= oldest
		if ok {
			ok, err = y.restore(ctx, k)
			if err != nil {
				return err
			}
		}
		if before, seen := whole[k.stream]; k.place != "" {
			whole[k.stream] = ok && (!seen || before)
		}
		if !ok {
			if err := s.dropStages(ctx, c, k.table); err != nil {
				return err
			}
		}
	}
	for stream, ok := range whole {
		if !ok {
			y.forget(ctx, stream)
		}
	}
	return nil
}

// restore brings a stage back to what its checkpoint says. It reports false if
// rows are missing, or if the table is that of another release.
func (y *Sync) restore(ctx context.Context, k keptStage) (bool, error) {
	f := facts[k.typ]
	if k.typ == model.DataUsage {
		f = &usageFact
	}
	if f == nil {
		return false, nil
	}
	s := y.store
	if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT `+names("", f.all())+` FROM `+k.table+` WHERE 1=0) q`).Scan(new(int64)); err != nil {
		if ctx.Err() != nil {
			return false, err
		}
		return false, nil // a column, or the table, is not there
	}
	st := &stage{f: f, table: k.table, rows: k.rows, tombstones: k.tombstones}
	err := s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+k.table+` WHERE n > $1`, k.last); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DROP TABLE IF EXISTS `+k.table+deltaSuffix); err != nil {
			return err
		}
		if err := s.checkStage(ctx, tx, st); err != nil {
			return err
		}
		return s.fence(ctx, tx, y.claim)
	})
	if errors.Is(err, ErrStageLost) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.stages[stageKey{k.stream, k.typ}] = st
	y.places[k.stream] = json.RawMessage(k.place)
	return true, nil
}
