// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// applyChunk is how many differences one transaction writes on SQLite, where a
// writer holds up all others: some 20 ms.
var applyChunk int64 = 5000

// SyncBeforeCommit is the failpoint before each commit of a sync's differences.
const SyncBeforeCommit = "sync-before-commit"

// apply writes a delta and its events: in one transaction on PostgreSQL, in
// chunks on SQLite. A chunk's events commit with its rows, so that a sync that
// starts again finds the rest, and repeats no event.
func (y *Sync) apply(ctx context.Context, stream string, d *delta, initial bool) error {
	if len(d.ops) == 0 || d.maxN == 0 {
		return nil
	}
	if d.f == &usageFact {
		return y.applyUsage(ctx, stream, d)
	}
	batch, err := uuid.NewV7()
	if err != nil {
		return err
	}
	a := applier{y: y, f: d.f, table: d.table, stream: stream, batch: batch.String(), initial: initial, ops: d.ops}
	if err := y.inChunks(ctx, d.maxN, func(tx *sql.Tx, from, to int64) error { return a.chunk(ctx, tx, from, to) }); err != nil {
		return err
	}
	if err := y.store.refreshStatistics(ctx, d); err != nil {
		return err
	}
	if !initial || d.f.loaded == "" || d.ops[opAdded] == 0 {
		return nil
	}
	payload, err := json.Marshal(map[string]any{"stream": stream, "count": d.ops[opAdded]})
	if err != nil {
		return err
	}
	return y.store.write(ctx, func(tx *sql.Tx) error {
		return y.store.appendEvent(ctx, tx, y.claim.Tenant, batch.String()+":0", model.Event{Kind: d.f.loaded, Subject: y.claim.Name, Initial: true, Payload: payload}, y.claim.Source)
	})
}

// refreshStatistics tells PostgreSQL of a large change at once: autovacuum
// would, but minutes later, and everybody who reads meanwhile gets poor plans.
func (s *Store) refreshStatistics(ctx context.Context, d *delta) error {
	if s.dialect.name != postgres.name || d.ops[opAdded] < max(50, d.live/5) {
		return nil
	}
	_, err := s.db.ExecContext(ctx, `ANALYZE `+d.f.table)
	return err
}

// inChunks runs fn over the row numbers 1 to maxN, each chunk in a fenced
// transaction.
func (y *Sync) inChunks(ctx context.Context, maxN int64, fn func(tx *sql.Tx, from, to int64) error) error {
	size := applyChunk
	if y.store.dialect.name == postgres.name {
		size = maxN
	}
	for from := int64(1); from <= maxN; from += size {
		err := y.store.write(ctx, func(tx *sql.Tx) error {
			if err := y.store.planForBulk(ctx, tx); err != nil {
				return err
			}
			if err := fn(tx, from, from+size-1); err != nil {
				return err
			}
			failpoint.Hit(SyncBeforeCommit)
			return y.store.fence(ctx, tx, y.claim)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// applier writes chunks of one delta.
type applier struct {
	y       *Sync
	f       *fact
	table   string
	stream  string
	batch   string
	initial bool
	ops     map[int]int64
}

func (a applier) chunk(ctx context.Context, tx *sql.Tx, from, to int64) error {
	for _, step := range []struct {
		ops []int
		run func(context.Context, *sql.Tx, int64, int64) error
	}{
		{[]int{opAdded, opReturned, opChanged, opRemoved}, a.events},
		{[]int{opAdded}, a.insert},
		{[]int{opReturned, opChanged, opTouched}, a.update},
		{[]int{opRemoved}, a.remove},
	} {
		for _, op := range step.ops {
			if a.ops[op] > 0 {
				if err := step.run(ctx, tx, from, to); err != nil {
					return err
				}
				break
			}
		}
	}
	return a.derive(ctx, tx, from, to)
}

// events writes one outbox row per difference that has a kind.
func (a applier) events(ctx context.Context, tx *sql.Tx, from, to int64) error {
	f, added := a.f, a.f.added
	if a.initial && f.loaded != "" {
		added = ""
	}
	if added == "" && f.changed == "" && f.removed == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO trigger_event (tenant, id, kind, subject, source, initial, created_at)
		SELECT $1, $2 || ':' || d.n, e.kind, `+f.subject+`, $3, $4, $5
		FROM `+a.table+` d JOIN (SELECT 1 AS op, $6 AS kind UNION ALL SELECT 2, $6 UNION ALL SELECT 3, $7 UNION ALL SELECT 5, $8) e ON e.op = d.op
		WHERE e.kind <> '' AND d.n BETWEEN $9 AND $10`,
		a.y.claim.Tenant, a.batch, a.y.claim.Source, a.initial, a.y.store.now(), string(added), string(f.changed), string(f.removed), from, to)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	return nil
}

// insert adds new rows. An account is linked to its person on the way; people
// rows wait to be merged.
func (a applier) insert(ctx context.Context, tx *sql.Tx, from, to int64) error {
	f, c := a.f, a.y.claim
	extra, values, joins := "", "", ""
	switch f.typ {
	case model.DataAccounts:
		extra, values, joins = ", person_id", ", coalesce(lp.person_id, lm.person_id, '')", accountLinkJoins
	case model.DataPeople:
		extra, values = ", dirty", ", "+dirtyMark(a.initial)
	}
	cols := names("", f.all())
	_, err := tx.ExecContext(ctx, `INSERT INTO `+f.table+` (tenant, source, stream, part, `+cols+`, row_hash, aux_hash, first_seen_at, observed_since, changed_at`+extra+`)
		SELECT $1, $2, $3, d.part, `+names("d.", f.all())+`, d.row_hash, d.aux_hash, $4, $4, $4`+values+`
		FROM `+a.table+` d`+joins+` WHERE d.op = 1 AND d.n BETWEEN $5 AND $6`, c.Tenant, c.Source, a.stream, a.y.store.now(), from, to)
	if err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	return nil
}

// accountLinkJoins find the person of an account d: by the source's own id of
// the person, else by an address that stands for exactly one person.
const accountLinkJoins = `
	LEFT JOIN (SELECT external_id, min(person_id) AS person_id FROM person_source WHERE tenant=$1 AND source=$2 AND person_id <> '' AND removed_at IS NULL
		GROUP BY external_id) lp ON d.person_external_id <> '' AND lp.external_id = d.person_external_id
	LEFT JOIN person_mail lm ON lm.tenant=$1 AND d.person_key <> '' AND lm.mail = d.person_key`

func dirtyMark(initial bool) string {
	if initial {
		return "2"
	}
	return "1"
}

// update writes changed rows over what is known and brings back removed ones.
func (a applier) update(ctx context.Context, tx *sql.Tx, from, to int64) error {
	f, c, set := a.f, a.y.claim, ""
	for _, col := range f.cols {
		value := "d." + col.name
		if col.daily { // forward only: a source that forgets proves no disuse
			value = `CASE WHEN d.` + col.name + ` IS NULL OR d.` + col.name + ` < ` + f.table + `.` + col.name + ` THEN ` + f.table + `.` + col.name + ` ELSE d.` + col.name + ` END`
		}
		set += ", " + col.name + " = " + value
	}
	switch f.typ {
	case model.DataPeople:
		set += ", dirty = " + dirtyMark(a.initial)
	case model.DataApps:
		set += ", known_by = CASE WHEN d.op = 4 THEN discovered_app.known_by ELSE '' END"
	case model.DataAccounts:
		set += ", person_id = " + accountPerson("d", `CASE WHEN d.op = 2 THEN $4 ELSE account.observed_since END`)
	}
	_, err := tx.ExecContext(ctx, `UPDATE `+f.table+` SET part = d.part, row_hash = d.row_hash, aux_hash = d.aux_hash, changed_at = $4, removed_at = NULL,
		observed_since = CASE WHEN d.op = 2 THEN $4 ELSE observed_since END`+set+`
		FROM `+a.table+` d WHERE tenant=$1 AND source=$2 AND stream=$3 AND `+f.match(f.table, "d")+` AND d.op IN (2, 3, 4) AND d.n BETWEEN $5 AND $6`,
		c.Tenant, c.Source, a.stream, a.y.store.now(), from, to)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return nil
}

// accountPerson is the SQL expression that links an account of tenant $1 and
// source $2, whose person_external_id and person_key have the alias. An address
// that was somebody else's before stands for nobody in accounts of then.
func accountPerson(alias, since string) string {
	return `coalesce(
		(SELECT min(ps.person_id) FROM person_source ps WHERE ps.tenant=$1 AND ps.source=$2 AND ps.external_id=` + alias + `.person_external_id
			AND ` + alias + `.person_external_id <> '' AND ps.person_id <> '' AND ps.removed_at IS NULL),
		(SELECT pm.person_id FROM person_mail pm WHERE pm.tenant=$1 AND pm.mail=` + alias + `.person_key AND ` + alias + `.person_key <> '' AND pm.since <= ` + since + `), '')`
}

// remove leaves a tombstone.
func (a applier) remove(ctx context.Context, tx *sql.Tx, from, to int64) error {
	f, c, set := a.f, a.y.claim, ""
	if f.typ == model.DataPeople {
		set = ", dirty = " + dirtyMark(a.initial)
	}
	_, err := tx.ExecContext(ctx, `UPDATE `+f.table+` SET removed_at = $4, changed_at = $4`+set+` FROM `+a.table+` d
		WHERE tenant=$1 AND source=$2 AND stream=$3 AND `+f.match(f.table, "d")+` AND d.op = 5 AND d.n BETWEEN $5 AND $6`,
		c.Tenant, c.Source, a.stream, a.y.store.now(), from, to)
	if err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	return nil
}

// derive keeps what follows from the rows of the chunk: which account a seat
// given by address belongs to, and which accounts hold an active paid seat.
func (a applier) derive(ctx context.Context, tx *sql.Tx, from, to int64) error {
	c := a.y.claim
	args := []any{c.Tenant, c.Source, from, to}
	exec := func(query string, args ...any) error {
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			return fmt.Errorf("derive: %w", err)
		}
		return nil
	}
	switch a.f.typ {
	case model.DataAssignments:
		if err := exec(resolveHolders+` AND holder IN (SELECT d.holder FROM `+a.table+` d WHERE d.n BETWEEN $3 AND $4)`, args...); err != nil {
			return err
		}
		return exec(markPaid+` AND external_id IN (SELECT s.account_external_id FROM assignment s JOIN `+a.table+` d
			ON d.holder = s.holder AND d.plan_key = s.plan_key WHERE s.tenant=$1 AND s.source=$2 AND d.n BETWEEN $3 AND $4)`, args...)
	case model.DataAccounts:
		var seats bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM assignment WHERE tenant=$1 AND source=$2)`, c.Tenant, c.Source).Scan(&seats); err != nil || !seats {
			return err
		}
		if err := exec(resolveHolders+` AND person_key IN (SELECT d.person_key FROM `+a.table+` d WHERE d.n BETWEEN $3 AND $4)`, args...); err != nil {
			return err
		}
		return exec(markPaid+` AND external_id IN (SELECT d.external_id FROM `+a.table+` d WHERE d.n BETWEEN $3 AND $4)`, args...)
	case model.DataTransactions:
		return a.noteVendors(ctx, tx, from, to)
	}
	return nil
}

const (
	resolveHolders = `UPDATE assignment SET account_external_id = coalesce((SELECT min(a.external_id) FROM account a WHERE a.tenant=$1 AND a.source=$2
		AND a.app_external_id = '' AND a.person_key = assignment.person_key AND a.removed_at IS NULL), '')
		WHERE tenant=$1 AND source=$2 AND holder = 'mail:' || person_key`

	holdsPaid = `EXISTS (SELECT 1 FROM assignment s WHERE s.tenant=$1 AND s.source=$2 AND s.account_external_id = account.external_id
		AND s.paid AND s.state = 'active' AND s.removed_at IS NULL)`
	markPaid = `UPDATE account SET paid = ` + holdsPaid + ` WHERE tenant=$1 AND source=$2 AND app_external_id = '' AND paid <> ` + holdsPaid
)

// afterApply numbers new apps and recognises them, notes custom fields and merges
// people.
func (y *Sync) afterApply(ctx context.Context, deltas []*delta, o StreamOutcome) error {
	for _, d := range deltas {
		if d.f.typ == model.DataPeople {
			if err := y.noteFields(ctx, d, o); err != nil {
				return fmt.Errorf("note custom fields: %w", err)
			}
		}
		if d.f.typ == model.DataApps && d.ops[opAdded] > 0 {
			if err := y.numberApps(ctx); err != nil {
				return err
			}
		}
	}
	if err := y.store.recogniseApps(ctx, y.claim.Tenant); err != nil {
		return err
	}
	return y.store.mergePeople(ctx, y.claim.Tenant)
}

// numberApps gives apps that have none the number by which REST reaches them.
func (y *Sync) numberApps(ctx context.Context) error {
	c := y.claim
	return y.store.write(ctx, func(tx *sql.Tx) error {
		type key struct{ stream, id string }
		apps, err := collect(ctx, tx, func(r *sql.Rows) (k key, err error) { return k, r.Scan(&k.stream, &k.id) },
			`SELECT stream, external_id FROM discovered_app WHERE tenant=$1 AND source=$2 AND api_id IS NULL ORDER BY external_id`, c.Tenant, c.Source)
		if err != nil || len(apps) == 0 {
			return err
		}
		first, err := nextID(ctx, tx, c.Tenant, "api.app", int64(len(apps)))
		if err != nil {
			return err
		}
		for i, k := range apps {
			if _, err := tx.ExecContext(ctx, `UPDATE discovered_app SET api_id=$5 WHERE tenant=$1 AND source=$2 AND stream=$3 AND external_id=$4`,
				c.Tenant, c.Source, k.stream, k.id, first+int64(i)); err != nil {
				return err
			}
		}
		return nil
	})
}
