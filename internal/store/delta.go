// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Differences between a stage and the facts known.
const (
	opAdded    = 1
	opReturned = 2 // known, but it had been removed
	opChanged  = 3
	opTouched  = 4 // only what changes by itself
	opRemoved  = 5
)

const deltaSuffix = "_d"

// delta is the table of differences of one type: staged rows that differ from
// what is known, and the keys of known rows that are absent. In a first load
// everything differs, so the stage itself is the delta.
type delta struct {
	f      *fact
	table  string
	ops    map[int]int64
	staged int64
	live   int64 // rows known before
	maxN   int64
	// left counts people whose lifecycle source now says they are gone: the
	// guard treats them like removals.
	left int64
}

// removals is what the guard bounds.
func (d *delta) removals() int64 { return d.ops[opRemoved] + d.left }

func (d *delta) changes() Changes {
	added := d.ops[opAdded] + d.ops[opReturned]
	return Changes{Staged: d.staged, Added: added, Changed: d.ops[opChanged], Removed: d.ops[opRemoved], Touched: d.ops[opTouched],
		Total: d.live + added - d.ops[opRemoved]}
}

// scope says which absences count as removals.
type scope struct {
	sweep bool
	parts []string // nil: the whole stream
	keep  []string // parts of the whole stream that stay as they are
}

func (o StreamOutcome) scope() scope {
	if o.KeepAbsent || o.Incremental {
		return scope{}
	}
	if o.Complete {
		return scope{sweep: true, keep: o.KeepParts}
	}
	return scope{sweep: len(o.CompleteParts) > 0, parts: o.CompleteParts}
}

// computeDelta compares the stage with the facts, without changing a fact.
func (y *Sync) computeDelta(ctx context.Context, stream string, st *stage, o StreamOutcome) (*delta, error) {
	s, c, d := y.store, y.claim, &delta{f: st.f, table: st.table, ops: map[int]int64{}}
	err := s.write(ctx, func(tx *sql.Tx) error {
		d.table, d.ops, d.left = st.table, map[int]int64{}, 0
		if err := s.planForBulk(ctx, tx); err != nil {
			return err
		}
		var err error
		if d.staged, err = s.prepareStage(ctx, tx, st, o); err != nil {
			return err
		}
		var known bool
		where := ` FROM ` + st.f.table + ` WHERE tenant=$1 AND source=$2 AND stream=$3`
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1`+where+`)`, c.Tenant, c.Source, stream).Scan(&known); err != nil {
			return err
		}
		if known {
			return s.compareKnown(ctx, tx, c, stream, st, d, o.scope())
		}
		if d.staged, err = s.dropRepeated(ctx, tx, st, d.staged); err != nil {
			return err
		}
		if err := s.dropReplaced(ctx, tx, st, d); err != nil {
			return err
		}
		if d.staged, err = s.dropTombstones(ctx, tx, st, d.staged); err != nil {
			return err
		}
		d.ops[opAdded] = d.staged
		return tx.QueryRowContext(ctx, `SELECT coalesce(max(n), 0) FROM `+st.table).Scan(&d.maxN)
	})
	if err != nil {
		return nil, fmt.Errorf("compare %s of stream %s: %w", st.f.typ, stream, err)
	}
	return d, nil
}

// compareKnown fills the delta table of a stream that has known rows.
func (s *Store) compareKnown(ctx context.Context, tx *sql.Tx, c Claim, stream string, st *stage, d *delta, sc scope) (err error) {
	d.table = st.table + deltaSuffix
	whole := sc.sweep && sc.parts == nil && len(sc.keep) == 0
	// Where a full join shows the rows of both sides, their numbers tell
	// afterwards whether a record came twice, which spares sorting the stage.
	counted := whole && s.dialect.fullJoin && !st.tombstones
	if !counted {
		if d.staged, err = s.dropRepeated(ctx, tx, st, d.staged); err != nil {
			return err
		}
	}
	if err := s.dropReplaced(ctx, tx, st, d); err != nil {
		return err
	}
	if sc.sweep { // what is not listed goes anyhow
		if d.staged, err = s.dropTombstones(ctx, tx, st, d.staged); err != nil {
			return err
		}
	}
	if err := s.fillDelta(ctx, tx, c, stream, st, d, sc); err != nil {
		return err
	}
	if whole && !counted {
		// Every known row was either staged too, or is missing.
		d.live = d.staged - d.ops[opAdded] - d.ops[opReturned] + d.ops[opRemoved]
		return nil
	}
	err = tx.QueryRowContext(ctx, `SELECT count(*) FROM `+st.f.table+` WHERE tenant=$1 AND source=$2 AND stream=$3 AND removed_at IS NULL`,
		c.Tenant, c.Source, stream).Scan(&d.live)
	if err != nil || !counted {
		return err
	}
	if twice, err := d.repeated(ctx, tx); err != nil || !twice {
		return err
	}
	if d.staged, err = s.dropRepeated(ctx, tx, st, d.staged); err != nil {
		return err
	}
	d.ops, d.maxN = map[int]int64{}, 0
	if _, err := tx.ExecContext(ctx, `DROP TABLE `+d.table); err != nil {
		return err
	}
	return s.fillDelta(ctx, tx, c, stream, st, d, sc)
}

// planForBulk keeps PostgreSQL from nested loops for the rest of the
// transaction. Its statistics know nothing of rows that have just been loaded:
// it would expect one and compare millions with millions one by one.
func (s *Store) planForBulk(ctx context.Context, q querier) error {
	if s.dialect.name != postgres.name {
		return nil
	}
	_, err := q.ExecContext(ctx, `SELECT set_config('enable_nestloop', 'off', true), set_config('jit', 'off', true), set_config('work_mem', '128MB', true)`)
	return err
}

// checkStage returns ErrStageLost unless every row sent is there.
func (s *Store) checkStage(ctx context.Context, q querier, st *stage) error {
	var n int64
	if err := q.QueryRowContext(ctx, `SELECT count(*) FROM `+st.table).Scan(&n); err != nil {
		if missingTable(err) {
			return ErrStageLost
		}
		return err
	}
	if n != st.rows {
		return fmt.Errorf("%w: %d of %d are there", ErrStageLost, n, st.rows)
	}
	return nil
}

// prepareStage makes sure that every row sent is there, and leaves and counts
// those that matter: rows of complete partitions.
func (s *Store) prepareStage(ctx context.Context, q querier, st *stage, o StreamOutcome) (int64, error) {
	prepare := `ANALYZE ` + st.table
	if s.dialect.name == sqlite.name {
		// Read in key order, the facts' B-tree is walked once, front to back.
		prepare = `CREATE INDEX IF NOT EXISTS ` + st.table + `_key ON ` + st.table + ` (` + names("", st.f.key) + `, row_hash, aux_hash, part` + st.opColumn() + `)`
	}
	if _, err := q.ExecContext(ctx, prepare); err != nil {
		if missingTable(err) {
			err = ErrStageLost
		}
		return 0, err
	}
	if err := s.checkStage(ctx, q, st); err != nil {
		return 0, err
	}
	left := st.rows
	drop := func(query string, args ...any) error {
		res, err := q.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		left -= n
		return err
	}
	if !o.Complete {
		list, args := inList(nil, o.CompleteParts)
		if err := drop(`DELETE FROM `+st.table+` WHERE part NOT IN (`+list+`)`, args...); err != nil {
			return 0, err
		}
	}
	return left, nil
}

// dropRepeated leaves, of records that came more than once (a list that moved
// while it was paged), the last, and returns how many of the staged rows remain.
func (s *Store) dropRepeated(ctx context.Context, q querier, st *stage, staged int64) (int64, error) {
	keys := names("", st.f.key)
	var twice bool
	if err := q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM `+st.table+` GROUP BY `+keys+` HAVING count(*) > 1)`).Scan(&twice); err != nil || !twice {
		return staged, err
	}
	res, err := q.ExecContext(ctx, `DELETE FROM `+st.table+` WHERE n NOT IN (SELECT max(n) FROM `+st.table+` GROUP BY `+keys+`)`)
	if err != nil {
		return staged, err
	}
	n, err := res.RowsAffected()
	return staged - n, err
}

// repeated reports whether a record came more than once, after the whole stream
// was compared: then more staged rows met a live row than there are live rows
// that were not missing, or the new ones repeat themselves.
func (d *delta) repeated(ctx context.Context, q querier) (twice bool, err error) {
	if d.staged-d.ops[opAdded]-d.ops[opReturned] != d.live-d.ops[opRemoved] {
		return true, nil
	}
	err = q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM `+d.table+` WHERE op IN (1, 2) GROUP BY `+names("", d.f.key)+` HAVING count(*) > 1)`).Scan(&twice)
	return twice, err
}

// fillDelta writes the differences of the stage and what is known.
func (s *Store) fillDelta(ctx context.Context, tx *sql.Tx, c Claim, stream string, st *stage, d *delta, sc scope) error {
	if err := s.createStage(ctx, tx, st.f, d.table); err != nil {
		return err
	}
	known := ` (SELECT ` + names("", st.f.key) + `, part, row_hash, aux_hash, removed_at FROM ` + st.f.table + ` WHERE tenant=$1 AND source=$2 AND stream=$3) f`
	args := []any{c.Tenant, c.Source, stream}
	absent := `f.removed_at IS NULL`
	if sc.parts != nil {
		var list string
		list, args = inList(args, sc.parts)
		absent += ` AND f.part IN (` + list + `)`
	}
	if len(sc.keep) > 0 {
		var list string
		list, args = inList(args, sc.keep)
		absent += ` AND f.part NOT IN (` + list + `)`
	}
	var err error
	switch {
	case !sc.sweep:
		err = compare(ctx, tx, st, d.table, "LEFT JOIN", known, "FALSE", args)
	case s.dialect.fullJoin:
		err = compare(ctx, tx, st, d.table, "FULL JOIN", known, absent, args)
	default:
		if err = compare(ctx, tx, st, d.table, s.dialect.inKeyOrder(st.table)+" LEFT JOIN", known, "FALSE", args[:3]); err != nil {
			return err
		}
		keys := names("f.", st.f.key)
		_, err = tx.ExecContext(ctx, `INSERT INTO `+d.table+` (op, part, `+names("", st.f.key)+`) SELECT 5, f.part, `+keys+` FROM`+known+`
			WHERE `+absent+` AND NOT EXISTS (SELECT 1 FROM `+st.table+` s WHERE `+st.f.match("s", "f")+`)`, args...)
	}
	if err == nil && st.tombstones {
		err = removeOwned(ctx, tx, st, d.table, known, args[:3])
	}
	if err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, `SELECT op, count(*), max(n) FROM `+d.table+` GROUP BY op`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var op int
		var n, maxN int64
		if err := rows.Scan(&op, &n, &maxN); err != nil {
			return err
		}
		d.ops[op], d.maxN = n, max(d.maxN, maxN)
	}
	return rows.Err()
}

// compare joins the stage s with the known rows f. A row f without one in s is a
// removal where absent holds.
func compare(ctx context.Context, tx *sql.Tx, st *stage, table, join, known, absent string, args []any) error {
	keys := make([]string, len(st.f.key))
	for i, k := range st.f.key {
		keys[i] = "coalesce(s." + k.name + ", f." + k.name + ")"
	}
	removed, tombstone := "s.n IS NULL", ""
	if st.tombstones {
		removed, tombstone = "s.n IS NULL OR s.op = 5", "WHEN s.op = 5 THEN f.row_hash IS NOT NULL AND f.removed_at IS NULL"
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO `+table+` (op, part, `+names("", st.f.all())+`, row_hash, aux_hash)
		SELECT CASE WHEN `+removed+` THEN 5 WHEN f.row_hash IS NULL THEN 1 WHEN f.removed_at IS NOT NULL THEN 2 WHEN f.row_hash <> s.row_hash THEN 3 ELSE 4 END,
		coalesce(s.part, f.part), `+strings.Join(keys, ", ")+`, `+names("s.", st.f.cols)+`, coalesce(s.row_hash, 0), coalesce(s.aux_hash, 0)
		FROM `+st.table+` s `+join+known+` ON `+st.f.match("f", "s")+`
		WHERE CASE WHEN s.n IS NULL THEN `+absent+` `+tombstone+`
		ELSE f.row_hash IS NULL OR f.removed_at IS NOT NULL OR f.row_hash <> s.row_hash OR f.aux_hash <> s.aux_hash OR f.part <> s.part END`, args...)
	return err
}

// dropTombstones leaves only the staged rows that are there.
func (s *Store) dropTombstones(ctx context.Context, q querier, st *stage, staged int64) (int64, error) {
	if !st.tombstones {
		return staged, nil
	}
	res, err := q.ExecContext(ctx, `DELETE FROM `+st.table+` WHERE op = 5`)
	if err != nil {
		return staged, err
	}
	n, err := res.RowsAffected()
	return staged - n, err
}

// dropReplaced drops the staged rows of an owner that were staged before its
// tombstone: a list of changes may name a record twice, and the last one wins.
func (s *Store) dropReplaced(ctx context.Context, q querier, st *stage, d *delta) error {
	if !st.tombstones || !st.f.paired {
		return nil
	}
	for i, absent := range st.f.key {
		owner := st.f.key[1-i].name
		res, err := q.ExecContext(ctx, `DELETE FROM `+st.table+` WHERE op <> 5 AND EXISTS (SELECT 1 FROM `+st.table+` t
			WHERE t.op = 5 AND t.`+absent.name+` = '' AND t.`+owner+` <> '' AND t.`+owner+` = `+st.table+`.`+owner+` AND t.n > `+st.table+`.n)`)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		d.staged -= n
	}
	return nil
}

// removeOwned adds the removals of tombstones with a part of the key only: an
// account's seats, or a group's memberships, that were not listed again.
func removeOwned(ctx context.Context, tx *sql.Tx, st *stage, table, known string, args []any) error {
	if !st.f.paired {
		return nil
	}
	for i, absent := range st.f.key {
		owner := st.f.key[1-i].name
		keys := names("f.", st.f.key)
		_, err := tx.ExecContext(ctx, `INSERT INTO `+table+` (op, part, `+names("", st.f.key)+`) SELECT 5, f.part, `+keys+` FROM`+known+`
			WHERE f.removed_at IS NULL AND f.`+owner+` IN (SELECT `+owner+` FROM `+st.table+` WHERE op = 5 AND `+absent.name+` = '' AND `+owner+` <> '')
			AND NOT EXISTS (SELECT 1 FROM `+st.table+` s WHERE `+st.f.match("s", "f")+`)
			AND NOT EXISTS (SELECT 1 FROM `+table+` d WHERE `+st.f.match("d", "f")+`)`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// heldItems lists what the guard would hold of d, with labels for people.
func (y *Sync) heldItems(ctx context.Context, stream string, d *delta) ([]HoldItem, error) {
	c, f := y.claim, d.f
	label := labels[f.typ]
	if label == "" {
		label = "''"
	}
	keys := make([]string, len(f.key))
	for i, k := range f.key {
		keys[i] = "f." + k.name
	}
	left := "FALSE"
	if f.typ == model.DataPeople && d.left > 0 {
		left = leftCondition
	}
	return collect(ctx, y.store.db, func(r *sql.Rows) (it HoldItem, err error) {
		return it, r.Scan(&it.Item, &it.Label, &it.Detail)
	}, `SELECT '`+string(f.typ)+`:' || `+strings.Join(keys, ` || '/' || `)+`, `+label+`, CASE d.op WHEN 5 THEN 'removed' ELSE 'left' END
		FROM `+d.table+` d JOIN `+f.table+` f ON f.tenant=$1 AND f.source=$2 AND f.stream=$3 AND `+f.match("f", "d")+`
		WHERE d.op = 5 OR (`+left+`)`, c.Tenant, c.Source, stream)
}

// labels says how people recognise a fact f.
var labels = map[model.DataType]string{
	model.DataPeople:      "f.display_name || ' <' || f.email || '>'",
	model.DataAccounts:    "CASE WHEN f.username <> '' THEN f.username ELSE f.display_name END",
	model.DataPlans:       "f.name",
	model.DataAssignments: "f.plan_name",
	model.DataGroups:      "f.name",
	model.DataMemberships: "f.role",
	model.DataApps:        "f.name",

	model.DataTransactions: "f.booked_on || ' ' || f.vendor_name",
	model.DataContracts:    "f.name",
}

// leftCondition holds for a changed person who was not past before and is now.
const leftCondition = "d.op = 3 AND d.lifecycle = 'past' AND f.lifecycle <> 'past'"

// countLeft counts the people whom the source of truth now calls past.
func (y *Sync) countLeft(ctx context.Context, stream string, d *delta) error {
	if d.f.typ != model.DataPeople || d.ops[opChanged] == 0 {
		return nil
	}
	tf, err := y.store.TenantFacts(ctx, y.claim.Tenant)
	if err != nil || tf.LifecycleIntegration != y.claim.Name {
		return err
	}
	return y.store.db.QueryRowContext(ctx, `SELECT count(*) FROM `+d.table+` d JOIN person_source f
		ON f.tenant=$1 AND f.source=$2 AND f.stream=$3 AND `+d.f.match("f", "d")+` WHERE `+leftCondition,
		y.claim.Tenant, y.claim.Source, stream).Scan(&d.left)
}
