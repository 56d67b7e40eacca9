// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// StartState is how it stands with a run that has not started.
type StartState string

// Start states.
const (
	StartWaiting StartState = "waiting" // for its moment, or for its Workflow
	StartHeld    StartState = "held"    // by the guard
	// StartReleased: by a person, from what the guard held.
	StartReleased StartState = "released"
	StartSkipped  StartState = "skipped" // it was decided that there is no run
)

// WorkflowStart is a fact that a Workflow would answer with a run, and has not.
type WorkflowStart struct {
	Workflow string
	Key      string // of the trigger (decision 2)
	Kind     string // of the event
	PersonID string // empty: of nobody, or of somebody whom Data tells
	Subject  string // the app, the contract or the seat that it is about; empty: none
	Label    string // what people read: an address, a name
	Source   string // the Integration that told it; empty: none
	// Data is what expressions see as event.data.
	Data    json.RawMessage
	State   StartState
	Reason  string
	Message string
	// HappenedAt is when the fact came to be known, DueAt when its run is to start,
	// and LookAt when it is looked at again.
	HappenedAt, DueAt, LookAt, DecidedAt time.Time
}

// WorkflowHold names what the guard of a Workflow holds.
func WorkflowHold(workflow string) HoldSubject {
	return HoldSubject{Kind: HoldWorkflow, SubjectKind: kindWorkflow, SubjectName: workflow}
}

// TriggerWork names the tenants in which something may start runs: events that
// nobody has handled, starts that are due, or Workflows whose moments are to be
// looked for.
func (s *Store) TriggerWork(ctx context.Context) ([]model.TenantID, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (t model.TenantID, err error) { return t, r.Scan(&t) },
		`SELECT tenant FROM trigger_event WHERE state='new' UNION SELECT tenant FROM workflow_start WHERE state <> 'skipped' AND look_at <= $1
		UNION SELECT tenant FROM workflow WHERE deleted_at IS NULL AND trigger_spec <> '' AND scan_at <= $1`, s.now())
}

const startColumns = `workflow, trigger_key, kind, person_id, subject, label, source, data, state, reason, message, happened_at, due_at, look_at, decided_at`

func scanStart(r *sql.Rows) (w WorkflowStart, err error) {
	var data string
	var happened, due, look, decided int64
	err = r.Scan(&w.Workflow, &w.Key, &w.Kind, &w.PersonID, &w.Subject, &w.Label, &w.Source, &data, &w.State, &w.Reason, &w.Message, &happened, &due, &look, &decided)
	w.Data, w.HappenedAt, w.DueAt, w.LookAt, w.DecidedAt = json.RawMessage(data), fromMillis(happened), fromMillis(due), fromMillis(look), fromMillis(decided)
	return w, err
}

// DueStarts returns starts that wait and are due, the longest due first.
func (s *Store) DueStarts(ctx context.Context, tenant model.TenantID, limit int) ([]WorkflowStart, error) {
	out, err := collect(ctx, s.reads, scanStart, `SELECT `+startColumns+` FROM workflow_start
		WHERE tenant=$1 AND state <> 'skipped' AND look_at <= $2 ORDER BY look_at, trigger_key LIMIT $3`, tenant, s.now(), clampLimit(limit))
	if err != nil {
		return nil, fmt.Errorf("read starts that are due: %w", err)
	}
	return out, nil
}

// StartQuery selects starts of a tenant.
type StartQuery struct {
	Workflow string // empty: any
	States   []string
	// After is the Cursor of the last start of the previous page; empty: the first.
	After string
	Limit int
}

// Cursor is where a list goes on behind the start.
func (w WorkflowStart) Cursor() string {
	return cursor(strconv.FormatInt(w.HappenedAt.UnixMilli(), 10), w.Workflow, w.Key)
}

// ListStarts returns starts, what happened last first: that stays, while what
// waits is decided on again and again.
func (s *Store) ListStarts(ctx context.Context, tenant model.TenantID, q StartQuery) ([]WorkflowStart, error) {
	where, args := "tenant=$1", []any{tenant}
	if q.Workflow != "" {
		args = append(args, q.Workflow)
		where += " AND workflow=$2"
	}
	if len(q.States) > 0 {
		var list string
		list, args = inList(args, q.States)
		where += " AND state IN (" + list + ")"
	}
	key, err := parseCursor(q.After, 3)
	if err != nil {
		return nil, err
	}
	if key != nil {
		at, err := strconv.ParseInt(key[0], 10, 64)
		if err != nil {
			return nil, ErrCursor
		}
		n := len(args)
		args = append(args, at, key[1], key[2])
		where += fmt.Sprintf(" AND (happened_at < $%d OR happened_at = $%d AND (workflow, trigger_key) > ($%d, $%d))", n+1, n+1, n+2, n+3)
	}
	args = append(args, clampLimit(q.Limit))
	out, err := collect(ctx, s.reads, scanStart, `SELECT `+startColumns+` FROM workflow_start WHERE `+where+
		fmt.Sprintf(` ORDER BY happened_at DESC, workflow, trigger_key LIMIT $%d`, len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("list starts: %w", err)
	}
	return out, nil
}

// StartedSince counts the runs of a Workflow that something else than a person
// started since an instant, as its guard counts them.
func (s *Store) StartedSince(ctx context.Context, tenant model.TenantID, workflow string, since time.Time) (int64, error) {
	return startedSince(ctx, s.reads, tenant, workflow, since)
}

func startedSince(ctx context.Context, q querier, tenant model.TenantID, workflow string, since time.Time) (n int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM run WHERE tenant=$1 AND kind='Workflow' AND name=$2 AND created_at >= $3 AND trigger_kind <> 'manual'`,
		tenant, workflow, since.UnixMilli()).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the runs of Workflow %q: %w", workflow, err)
	}
	return n, nil
}

// StartBatch is what a look at events and starts led to.
type StartBatch struct {
	// Handled are events that need no further look.
	Handled []string
	// Runs start; the starts of their keys end.
	Runs []NewRun
	// Starts are written down, except over what was decided already.
	Starts []WorkflowStart
	// Dropped end without a trace: what they waited for is no longer so.
	Dropped []WorkflowStart
	// Of are the Workflows of these runs as the look saw them.
	Of []WorkflowState
	// Counted is by what the guards let these runs start.
	Counted []StartCount
	// Holds say of Workflows what their guards allow; what they hold is what is
	// written as held.
	Holds []Hold
	// Scans are the Workflows whose moments were looked for.
	Scans []Scan
}

// Scan is up to when the moments of a Workflow were looked for, and when they are
// next; zero: it has none.
type Scan struct {
	Workflow string
	At, Next time.Time
}

// StartCount is how many runs of a Workflow had started since an instant.
type StartCount struct {
	Workflow string
	Since    time.Time
	N        int64
}

// ErrStartsMoved reports that runs started beside those that a guard counted: the
// look has to be taken again.
var ErrStartsMoved = errors.New("runs started meanwhile")

// ApplyStarts writes a batch in one transaction: an event is handled if and only
// if what it led to is there. A run whose key started one before is left out. It
// returns how many started.
func (s *Store) ApplyStarts(ctx context.Context, tenant model.TenantID, b StartBatch) (started int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) (err error) {
		if err := s.lockTenant(ctx, tx, tenant); err != nil {
			return err
		}
		for _, c := range b.Counted {
			n, err := startedSince(ctx, tx, tenant, c.Workflow, c.Since)
			if err != nil {
				return err
			}
			if n != c.N {
				return ErrStartsMoved
			}
		}
		if err := s.sameWorkflows(ctx, tx, tenant, b.Of); err != nil {
			return err
		}
		if started, err = s.createRuns(ctx, tx, tenant, b.Runs); err != nil {
			return err
		}
		if err := s.writeStarts(ctx, tx, tenant, b); err != nil {
			return err
		}
		for _, h := range b.Holds {
			if err := s.holdStarts(ctx, tx, tenant, h); err != nil {
				return err
			}
		}
		for _, c := range b.Scans {
			var next any
			if !c.Next.IsZero() {
				next = c.Next.UnixMilli()
			}
			if _, err := tx.ExecContext(ctx, `UPDATE workflow SET scanned_at=$3, scan_at=$4 WHERE tenant=$1 AND name=$2`, tenant, c.Workflow, c.At.UnixMilli(), next); err != nil {
				return err
			}
		}
		if len(b.Handled) > 0 {
			if err := s.markEventsHandled(ctx, tx, tenant, b.Handled); err != nil {
				return err
			}
		}
		failpoint.Hit(failpoint.RunCreatedBeforeCommit)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("start runs: %w", err)
	}
	if started > 0 {
		s.wakeEngine()
	}
	return started, nil
}

// sameWorkflows returns ErrStartsMoved if a Workflow is not as it was.
func (s *Store) sameWorkflows(ctx context.Context, tx *sql.Tx, tenant model.TenantID, seen []WorkflowState) error {
	for _, w := range seen {
		now, err := scanWorkflow(tx.QueryRowContext(ctx, `SELECT `+workflowColumns+` FROM workflow WHERE tenant=$1 AND name=$2`+s.dialect.forUpdate, tenant, w.Name))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err != nil || now.deletedAt != 0 || now.Suspended != w.Suspended || now.State != w.State || now.Revision != w.Revision || now.Trigger != w.Trigger || now.DryRun != w.DryRun {
			return ErrStartsMoved
		}
	}
	return nil
}

// holdStarts makes the hold of a Workflow that of what is held.
func (s *Store) holdStarts(ctx context.Context, tx *sql.Tx, tenant model.TenantID, h Hold) error {
	items, err := collect(ctx, tx, func(r *sql.Rows) (it HoldItem, err error) { return it, r.Scan(&it.Item, &it.Label, &it.Detail) },
		`SELECT trigger_key, label, kind FROM workflow_start WHERE tenant=$1 AND workflow=$2 AND state='held' ORDER BY trigger_key`, tenant, h.SubjectName)
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return s.clearHold(ctx, tx, tenant, h.HoldSubject)
	}
	h.Count = int64(len(items))
	_, err = s.putHold(ctx, tx, tenant, h, items)
	return err
}

func (s *Store) writeStarts(ctx context.Context, tx *sql.Tx, tenant model.TenantID, b StartBatch) error {
	ended := b.Dropped
	for _, r := range b.Runs {
		ended = append(ended, WorkflowStart{Workflow: r.Name, Key: r.TriggerKey})
	}
	for _, e := range ended {
		if _, err := tx.ExecContext(ctx, `DELETE FROM workflow_start WHERE tenant=$1 AND workflow=$2 AND trigger_key=$3`, tenant, e.Workflow, e.Key); err != nil {
			return err
		}
	}
	rows, now := make([][]any, len(b.Starts)), s.now()
	for i, w := range b.Starts {
		data := string(w.Data)
		if data == "" || w.State == StartSkipped { // nothing will read it again
			data = "{}"
		}
		rows[i] = []any{tenant, w.Workflow, w.Key, w.Kind, w.PersonID, w.Subject, cleanText(w.Label), w.Source, data, string(w.State), w.Reason, cleanText(w.Message),
			w.HappenedAt.UnixMilli(), w.DueAt.UnixMilli(), w.LookAt.UnixMilli(), now}
	}
	return s.insertRows(ctx, tx, `workflow_start (tenant, `+startColumns+`)`, rows, ` ON CONFLICT (tenant, workflow, trigger_key) DO UPDATE SET
		person_id=excluded.person_id, label=excluded.label, data=excluded.data, kind=excluded.kind, reason=excluded.reason, message=excluded.message,
		state=CASE WHEN workflow_start.state='released' AND excluded.state='held' THEN 'released' ELSE excluded.state END,
		look_at=CASE WHEN workflow_start.state='released' AND excluded.state='held' THEN workflow_start.look_at ELSE excluded.look_at END,
		source=excluded.source, happened_at=excluded.happened_at, due_at=excluded.due_at, decided_at=excluded.decided_at`)
}

// StartedKeys returns which of the keys have a run of the Workflow.
func (s *Store) StartedKeys(ctx context.Context, tenant model.TenantID, workflow string, keys []string) (map[string]bool, error) {
	return s.keysOf(ctx, tenant, workflow, keys, `SELECT trigger_key FROM run WHERE tenant=$1 AND kind='Workflow' AND name=$2 AND trigger_key IN (`, "")
}

// TakenKeys returns which of the keys have a run of the Workflow, or a start that
// was decided.
func (s *Store) TakenKeys(ctx context.Context, tenant model.TenantID, workflow string, keys []string) (map[string]bool, error) {
	return s.keysOf(ctx, tenant, workflow, keys, `SELECT trigger_key FROM run WHERE tenant=$1 AND kind='Workflow' AND name=$2 AND trigger_key IN (`,
		` UNION SELECT trigger_key FROM workflow_start WHERE tenant=$1 AND workflow=$2 AND trigger_key IN (`)
}

func (s *Store) keysOf(ctx context.Context, tenant model.TenantID, workflow string, keys []string, query, union string) (map[string]bool, error) {
	out := map[string]bool{}
	for from := 0; from < len(keys); from += listChunk {
		chunk := keys[from:min(from+listChunk, len(keys))]
		list, args := inList([]any{tenant, workflow}, chunk)
		statement := query + list + ")"
		if union != "" {
			statement += union + list + ")"
		}
		found, err := collect(ctx, s.reads, func(r *sql.Rows) (key string, err error) { return key, r.Scan(&key) }, statement, args...)
		if err != nil {
			return nil, fmt.Errorf("find what was started: %w", err)
		}
		for _, k := range found {
			out[k] = true
		}
	}
	return out, nil
}

// RecheckStarts has what waits for people looked at now: facts about them have
// changed.
func (s *Store) RecheckStarts(ctx context.Context, tenant model.TenantID, people []string) error {
	if len(people) == 0 {
		return nil
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		list, args := inList([]any{tenant, s.now()}, people)
		_, err := tx.ExecContext(ctx, `UPDATE workflow_start SET look_at=$2 WHERE tenant=$1 AND state IN ('waiting', 'held') AND look_at > $2 AND person_id IN (`+list+`)`, args...)
		return err
	})
}

// DatedPeople returns the ids of people whose start (or end) date is in a range,
// both ends included, by id after the cursor.
func (s *Store) DatedPeople(ctx context.Context, tenant model.TenantID, end bool, from, to model.Date, after string, limit int) ([]string, error) {
	column := "start_date"
	if end {
		column = "end_date"
	}
	return collect(ctx, s.reads, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) },
		`SELECT id FROM person WHERE tenant=$1 AND NOT hidden AND `+column+` <> '' AND `+column+` >= $2 AND `+column+` <= $3 AND id > $4 ORDER BY id LIMIT $5`,
		tenant, string(from), string(to), after, clampLimit(limit))
}

// PruneStarts forgets what was decided before the instant.
func (s *Store) PruneStarts(ctx context.Context, tenant model.TenantID, before time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM workflow_start WHERE tenant=$1 AND state='skipped' AND decided_at < $2`, tenant, before.UnixMilli())
		return err
	})
}

// releaseStarts lets what the guard of a Workflow holds start.
func releaseStarts(ctx context.Context, q querier, tenant model.TenantID, subject HoldSubject, now int64) error {
	_, err := q.ExecContext(ctx, `UPDATE workflow_start SET state='released', look_at=$3 WHERE tenant=$1 AND workflow=$2 AND state='held'`, tenant, subject.SubjectName, now)
	return err
}
