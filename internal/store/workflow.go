// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// States of a Workflow.
const (
	WorkflowReady   = "Ready"   // runs may start
	WorkflowInvalid = "Invalid" // something in it is wrong
)

// WorkflowState is a Workflow as its controller last checked it.
type WorkflowState struct {
	APIID       int64 // of the REST API; PutWorkflow gives it
	Name        string
	DisplayName string
	TriggerKind string // manual, person, …
	Subject     string // Person, or empty
	Trigger     string // what starts runs, as JSON; empty: nothing does by itself
	Direction   string
	Revision    int64 // that new runs start with; 0: none was valid yet
	State       string
	Message     string
	Suspended   bool
	DryRun      bool
	CreatedAt   time.Time
	UpdatedAt   time.Time
	// Spec is what the user wrote, as JSON, and Author who or what applied it.
	// PutWorkflow keeps them with the revision; reads leave them empty.
	Spec, Author string
	// ScannedAt is up to when the moments of its trigger were looked for, and
	// ScanAt when they are looked for next; zero: it has none. PutWorkflow and
	// ApplyStarts give them.
	ScannedAt, ScanAt time.Time
}

// PutWorkflow stores what was found about a Workflow and, if it is valid, its
// definition as a revision: the same definition is the same revision. Without a
// definition the last one stays. Nothing is written if nothing changed. A
// Workflow that is no longer suspended wakes its waiting runs.
func (s *Store) PutWorkflow(ctx context.Context, tenant model.TenantID, w WorkflowState, definition json.RawMessage) (WorkflowState, error) {
	spec, author := w.Spec, w.Author
	w.Spec, w.Author = "", ""
	var woken int64
	err := s.write(ctx, func(tx *sql.Tx) error {
		woken = 0
		have, err := workflowRow(ctx, tx, tenant, "name=$2", w.Name, true)
		known := err == nil
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		w.APIID, w.Revision, w.CreatedAt, w.UpdatedAt, w.ScannedAt, w.ScanAt = have.APIID, have.Revision, have.CreatedAt, have.UpdatedAt, have.ScannedAt, have.ScanAt
		if have.deletedAt != 0 { // made anew: it looks at nothing of before
			w.CreatedAt = fromMillis(s.now())
		} else if w.State != WorkflowReady && w.Trigger == "" {
			w.Trigger = have.Trigger // what it answers waits until it is mended
		}
		if len(definition) > 0 {
			// What starts a run is in the spec alone, so it makes a revision too.
			sum := sha256.Sum256(append(slices.Clone(definition), spec...))
			r := NewRun{Kind: kindWorkflow, Name: w.Name, Definition: definition, Source: spec, Cause: author}
			if w.Revision, err = s.ensureRevision(ctx, tx, tenant, r, hex.EncodeToString(sum[:])); err != nil {
				return err
			}
		}
		if known && have.deletedAt == 0 && have.WorkflowState == w {
			return nil
		}
		now := s.now()
		w.UpdatedAt = fromMillis(now)
		if !known {
			if w.APIID, err = nextID(ctx, tx, tenant, "workflow", 1); err != nil {
				return err
			}
			w.CreatedAt = w.UpdatedAt
		}
		if _, err = tx.ExecContext(ctx, `INSERT INTO workflow (tenant, name, api_id, display_name, trigger_kind, trigger_spec, subject, direction, revision, state, message, suspended, dry_run, created_at, updated_at, scanned_at, scan_at)
			VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$14,$14,$14)
			ON CONFLICT (tenant, name) DO UPDATE SET display_name=excluded.display_name, trigger_kind=excluded.trigger_kind, trigger_spec=excluded.trigger_spec, subject=excluded.subject,
			direction=excluded.direction, revision=excluded.revision, state=excluded.state, message=excluded.message, suspended=excluded.suspended,
			dry_run=excluded.dry_run, updated_at=excluded.updated_at, deleted_at=NULL,
			created_at=CASE WHEN workflow.deleted_at IS NOT NULL THEN excluded.created_at ELSE workflow.created_at END,
			scanned_at=CASE WHEN workflow.deleted_at IS NOT NULL OR workflow.trigger_spec <> excluded.trigger_spec THEN excluded.scanned_at ELSE workflow.scanned_at END,
			scan_at=CASE WHEN workflow.deleted_at IS NOT NULL OR workflow.trigger_spec <> excluded.trigger_spec THEN excluded.scan_at ELSE workflow.scan_at END`,
			tenant, w.Name, w.APIID, w.DisplayName, w.TriggerKind, w.Trigger, w.Subject, w.Direction, w.Revision, w.State, w.Message, w.Suspended, w.DryRun, now); err != nil {
			return err
		}
		if !have.Suspended || w.Suspended {
			return nil
		}
		res, err := tx.ExecContext(ctx, `UPDATE run SET due_at=$1, state='ready', version=version+1
			WHERE tenant=$2 AND kind IN ($3, $6, $7) AND name=$4 AND ended_at IS NULL AND state='waiting' AND reason=$5`, now, tenant, kindWorkflow, w.Name, ReasonWorkflowSuspended, kindOffboarding, kindItem)
		if err == nil {
			woken, err = res.RowsAffected()
		}
		return err
	})
	if err != nil {
		return WorkflowState{}, fmt.Errorf("store Workflow %q: %w", w.Name, err)
	}
	if woken > 0 {
		s.wakeEngine()
	}
	return w, nil
}

// ReasonWorkflowSuspended is why a run waits whose Workflow is suspended.
const ReasonWorkflowSuspended = "WorkflowSuspended"

const kindWorkflow = "Workflow"

// kindOffboarding is the kind of the runs for each account that an offboarding
// step of the Workflow with their name has started.
const kindOffboarding = "Offboarding"

// kindItem is the kind of the runs for each item of a forEach of the Workflow with
// their name.
const kindItem = "Item"

// ofWorkflow reports a run that a Workflow's suspension holds.
func (r Run) ofWorkflow() bool { return r.goesOn() || r.Kind == kindOffboarding }

// goesOn reports a run that goes on where it was when a person resumes it.
func (r Run) goesOn() bool { return r.Kind == kindWorkflow || r.Kind == kindItem }

// DeleteWorkflow forgets a Workflow that is gone: nothing starts it any more.
// Its number, revisions and runs stay. stop lets no further step of its runs
// start; otherwise they go on to their end.
func (s *Store) DeleteWorkflow(ctx context.Context, tenant model.TenantID, name string, stop bool, by Decider) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE workflow SET deleted_at=$3, suspended=FALSE, tokens='', updated_at=$3 WHERE tenant=$1 AND name=$2 AND deleted_at IS NULL`, tenant, name, s.now())
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM workflow_start WHERE tenant=$1 AND workflow=$2`, tenant, name); err != nil {
			return err
		}
		return s.clearHold(ctx, tx, tenant, WorkflowHold(name))
	})
	if err != nil {
		return fmt.Errorf("forget Workflow %q: %w", name, err)
	}
	if !stop {
		_, err := s.WakeRuns(ctx, tenant, kindWorkflow, name, nil)
		return err
	}
	ids, err := collect(ctx, s.reads, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) },
		`SELECT id FROM run WHERE tenant=$1 AND kind=$2 AND name=$3 AND ended_at IS NULL AND stop_requested_at IS NULL ORDER BY id`, tenant, kindWorkflow, name)
	if err != nil {
		return fmt.Errorf("list the runs of Workflow %q: %w", name, err)
	}
	for _, id := range ids {
		if _, err := s.StopRun(ctx, tenant, id, by); err != nil {
			return err
		}
	}
	return nil
}

// Workflow returns a Workflow that is there, or ErrNotFound.
func (s *Store) Workflow(ctx context.Context, tenant model.TenantID, name string) (WorkflowState, error) {
	w, err := workflowRow(ctx, s.reads, tenant, "name=$2", name, false)
	return w.WorkflowState, err
}

// WorkflowByNumber returns the Workflow with the number that the REST API
// shows, or ErrNotFound.
func (s *Store) WorkflowByNumber(ctx context.Context, tenant model.TenantID, id int64) (WorkflowState, error) {
	w, err := workflowRow(ctx, s.reads, tenant, "api_id=$2", id, false)
	return w.WorkflowState, err
}

// ListWorkflows returns all Workflows that are there, by name.
func (s *Store) ListWorkflows(ctx context.Context, tenant model.TenantID) ([]WorkflowState, error) {
	rows, err := collect(ctx, s.reads, func(r *sql.Rows) (workflowEntry, error) { return scanWorkflow(r) },
		`SELECT `+workflowColumns+` FROM workflow WHERE tenant=$1 AND deleted_at IS NULL ORDER BY name`, tenant)
	if err != nil {
		return nil, fmt.Errorf("list Workflows: %w", err)
	}
	out := make([]WorkflowState, len(rows))
	for i, w := range rows {
		out[i] = w.WorkflowState
	}
	return out, nil
}

const workflowColumns = `api_id, name, display_name, trigger_kind, trigger_spec, subject, direction, revision, state, message, suspended, dry_run, created_at, updated_at, scanned_at, coalesce(scan_at, 0), coalesce(deleted_at, 0)`

type workflowEntry struct {
	WorkflowState
	deletedAt int64
}

func scanWorkflow(r scanner) (w workflowEntry, err error) {
	var created, updated, scanned, scan int64
	err = r.Scan(&w.APIID, &w.Name, &w.DisplayName, &w.TriggerKind, &w.Trigger, &w.Subject, &w.Direction, &w.Revision, &w.State, &w.Message, &w.Suspended, &w.DryRun, &created, &updated, &scanned, &scan, &w.deletedAt)
	w.CreatedAt, w.UpdatedAt, w.ScannedAt = fromMillis(created), fromMillis(updated), fromMillis(scanned)
	if scan != 0 {
		w.ScanAt = fromMillis(scan)
	}
	return w, err
}

func workflowRow(ctx context.Context, q querier, tenant model.TenantID, condition string, value any, deleted bool) (workflowEntry, error) {
	w, err := scanWorkflow(q.QueryRowContext(ctx, `SELECT `+workflowColumns+` FROM workflow WHERE tenant=$1 AND `+condition, tenant, value))
	if errors.Is(err, sql.ErrNoRows) || err == nil && w.deletedAt != 0 && !deleted {
		return workflowEntry{}, fmt.Errorf("workflow %w", ErrNotFound)
	}
	if err != nil {
		return w, fmt.Errorf("read a Workflow: %w", err)
	}
	return w, nil
}

// WorkflowLoad counts the runs of a Workflow that have not ended, and those of its
// items and of the accounts of its leavers that wait for a person.
func (s *Store) WorkflowLoad(ctx context.Context, tenant model.TenantID, name string) (RunCounts, error) {
	type row struct {
		state RunState
		n     int
	}
	rows, err := collect(ctx, s.reads, func(r *sql.Rows) (v row, err error) { return v, r.Scan(&v.state, &v.n) },
		`SELECT state, count(*) FROM run WHERE tenant=$1 AND kind=$2 AND name=$3 AND ended_at IS NULL AND state <> 'attention' GROUP BY state
		UNION ALL SELECT state, count(*) FROM run WHERE tenant=$1 AND kind IN ($2, $4, $5) AND name=$3 AND ended_at IS NULL AND state='attention' GROUP BY state`,
		tenant, kindWorkflow, name, kindItem, kindOffboarding)
	if err != nil {
		return RunCounts{}, fmt.Errorf("count the runs of Workflow %q: %w", name, err)
	}
	var c RunCounts
	for _, r := range rows {
		switch r.state {
		case RunReady:
			c.Ready = r.n
		case RunWaiting:
			c.Waiting = r.n
		case RunInFlight:
			c.InFlight = r.n
		case RunAttention:
			c.Attention = r.n
		}
	}
	// Two look-ups, each by a partial index of few rows.
	for query, args := range map[string][]any{
		`SELECT count(*) FROM run WHERE tenant=$1 AND kind=$2 AND name=$3 AND ended_at IS NULL AND reason='NoReachableChannel'`:                        {tenant, kindWorkflow, name},
		`SELECT count(*) FROM run WHERE tenant=$1 AND kind=$2 AND name=$3 AND (outcome = 'undelivered' OR reason = 'NotDelivered') AND ended_at >= $4`: {tenant, kindWorkflow, name, s.now() - unreachedFor.Milliseconds()},
	} {
		n := 0
		if err := s.reads.QueryRowContext(ctx, query, args...).Scan(&n); err != nil {
			return RunCounts{}, fmt.Errorf("count the runs of Workflow %q that reached nobody: %w", name, err)
		}
		c.Unreached += n
	}
	if c.Attention > 0 {
		if c.Parked, err = s.runNote(ctx, `SELECT id, reason, updated_at FROM run WHERE tenant=$1 AND kind IN ($2, $4, $5) AND name=$3 AND ended_at IS NULL AND state='attention'
			ORDER BY updated_at, id LIMIT 1`, tenant, kindWorkflow, name, kindItem, kindOffboarding); err != nil {
			return RunCounts{}, fmt.Errorf("find the run of Workflow %q that waits for a person: %w", name, err)
		}
	}
	c.Failed, err = s.lastFailed(ctx, tenant, name)
	return c, err
}

const (
	// failedFor is how long the failure of a Workflow's newest run counts.
	failedFor = 7 * 24 * time.Hour
	// newerRuns is how many of a tenant's runs are looked through for one that
	// succeeded after it.
	newerRuns = 20_000
)

// lastFailed is the newest run of a Workflow that has ended, if it failed. Newer is
// what was started later, as the ids say.
func (s *Store) lastFailed(ctx context.Context, tenant model.TenantID, name string) (*RunNote, error) {
	failed, err := s.runNote(ctx, `SELECT id, reason, ended_at FROM run WHERE tenant=$1 AND kind=$2 AND name=$3 AND state='failed' AND ended_at >= $4
		ORDER BY id DESC LIMIT 1`, tenant, kindWorkflow, name, s.now()-failedFor.Milliseconds())
	if err != nil || failed == nil {
		return nil, err
	}
	since, err := s.runNote(ctx, `SELECT id, reason, ended_at FROM (SELECT id, reason, ended_at, kind, name, state FROM run WHERE tenant=$1 AND id > $4 ORDER BY id DESC LIMIT $5) AS r
		WHERE kind=$2 AND name=$3 AND state='succeeded' LIMIT 1`, tenant, kindWorkflow, name, failed.ID, newerRuns)
	if err != nil || since != nil {
		return nil, err
	}
	return failed, nil
}

func (s *Store) runNote(ctx context.Context, query string, args ...any) (*RunNote, error) {
	found, err := collect(ctx, s.reads, func(r *sql.Rows) (n RunNote, err error) {
		var at int64
		err = r.Scan(&n.ID, &n.Reason, &at)
		n.At = time.UnixMilli(at).UTC()
		return n, err
	}, query, args...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// unreachedFor is how long a run counts that could not tell everybody.
const unreachedFor = 24 * time.Hour

// suspendedWorkflows returns which of the runs' Workflows are suspended. A
// reader of the row in the transaction that moves a run on sees a suspension
// that was committed before it.
func (s *Store) suspendedWorkflows(ctx context.Context, tx *sql.Tx, tenant model.TenantID, runs []LoadedRun) (map[string]bool, error) {
	args, seen := []any{tenant}, map[string]bool{}
	for _, l := range runs {
		if l.Run.ofWorkflow() && !seen[l.Run.Name] {
			seen[l.Run.Name] = true
			args = append(args, l.Run.Name)
		}
	}
	if len(args) == 1 {
		return nil, nil
	}
	names, err := collect(ctx, tx, func(r *sql.Rows) (name string, err error) { return name, r.Scan(&name) },
		`SELECT name FROM workflow WHERE tenant=$1 AND suspended AND name IN (`+s.dialect.placeholders(2, len(args)-1)+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("find suspended Workflows: %w", err)
	}
	out := map[string]bool{}
	for _, name := range names {
		out[name] = true
	}
	return out, nil
}
