// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// LoadedRun is what a decision about a run may look at.
type LoadedRun struct {
	Run Run
	// Intent is the attempt whose outcome is not recorded; a run has at most one.
	Intent *Attempt
	// Prompts are all of the run's prompts, oldest first.
	Prompts []Prompt
	// Children are the runs that the run has started, oldest first, if it waits
	// for one: its Reason is ReasonWaitingForRun. Those that it settled are not there.
	Children []Run
	// Deeper are the runs that its children started, and so on, each behind the one
	// that did; Approvals were asked for in the runs below it, by the child's id. Only
	// verbs read them.
	Deeper    []Run
	Approvals map[string][]Prompt
	// Suspended says that the run's Workflow is: no step may begin.
	Suspended bool
	// Removal is the guard that the run stands at, if it asked about an account.
	Removal *RemovalGuard
}

// RunChange is what a decision about a run writes. Prompts and Attempts are
// upserted.
type RunChange struct {
	Run      Run
	Attempts []Attempt
	Prompts  []Prompt
	Audits   []model.AuditRecord
	Bookings []Booking
	// Starts are runs that the run starts. StopChildren stops those that it
	// started before.
	Starts       []NewRun
	StopChildren bool
	// Settled are ended runs that it started and need not be shown again.
	Settled []string
	// RemovalAsk has the guard looked at for the next turn; Removal is what this
	// turn decided about the account that the run asked about before.
	RemovalAsk *RemovalAsk
	Removal    *RemovalAnswer
	// Claim asks for a place among the runs with the same concurrency key.
	Claim *SlotClaim
}

// AdvanceRuns moves runs on in one transaction. It checks first that the
// caller still owns every shard concerned (else a *FencedError and nothing is
// written), locks the runs, and writes what decide returns for each; nil
// leaves a run as it is. decide runs again from the start when the transaction
// is repeated, so it must be a pure function of what it is given. Keys of runs
// that do not exist are passed over.
func (s *Store) AdvanceRuns(ctx context.Context, leases Leases, keys []RunKey, decide func(now time.Time, l LoadedRun) (*RunChange, error)) error {
	if len(keys) == 0 {
		return nil
	}
	epochs := Leases{}
	for _, k := range keys {
		shard := ShardOf(k.ID)
		epoch, ok := leases[shard]
		if !ok {
			return &FencedError{Shards: []int{shard}}
		}
		epochs[shard] = epoch
	}
	keys = slices.SortedFunc(slices.Values(keys), compareKeys)
	others := false // some that are not of keys are due now
	err := s.write(ctx, func(tx *sql.Tx) error {
		if err := s.fenceShards(ctx, tx, epochs); err != nil {
			return err
		}
		loaded, err := s.loadRuns(ctx, tx, keys)
		if err != nil {
			return err
		}
		now := time.UnixMilli(s.now()).UTC()
		changes := make([]RunChange, 0, len(loaded))
		guards, err := s.loadRemovals(ctx, tx, loaded)
		if err != nil {
			return err
		}
		for _, l := range loaded {
			l.Removal = guards.of(l.Run)
			c, err := decide(now, l)
			if err == nil {
				err = guards.note(ctx, s, tx, c)
			}
			if err != nil {
				return err
			}
			if c != nil {
				changes = append(changes, *c)
			}
		}
		if err := s.writeChanges(ctx, tx, changes); err != nil {
			return err
		}
		if err := guards.holdAll(ctx, s, tx); err != nil {
			return err
		}
		others = slices.ContainsFunc(changes, func(c RunChange) bool {
			return len(c.Starts) > 0 || c.StopChildren || c.Run.EndedAt != nil && (c.Run.ParentID != "" || c.Run.SlotKey != "")
		})
		s.noteChanges(tx, loaded, changes)
		hitFailpoints(loaded, changes)
		return nil
	})
	if err != nil {
		return fmt.Errorf("advance runs: %w", err)
	}
	if others {
		s.wakeEngine()
	}
	return nil
}

// hitFailpoints names the instants right before the commit.
func hitFailpoints(loaded []LoadedRun, changes []RunChange) {
	for _, l := range loaded {
		switch {
		case l.Run.State == RunWaiting:
			failpoint.Hit(failpoint.WaitFiredBeforeCommit)
		case l.Intent != nil:
			failpoint.Hit(failpoint.OutcomeBeforeCommit)
		}
	}
	for _, c := range changes {
		if len(c.Bookings) > 0 {
			failpoint.Hit(failpoint.BookBeforeCommit)
		}
		if c.Run.State.Ended() {
			failpoint.Hit(failpoint.EndBeforeCommit)
		}
	}
}

func compareKeys(a, b RunKey) int {
	return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID))
}

// loadRuns locks and reads runs; keys are sorted, so that every transaction
// locks in the same order.
func (s *Store) loadRuns(ctx context.Context, tx *sql.Tx, keys []RunKey) ([]LoadedRun, error) {
	var out []LoadedRun
	for len(keys) > 0 {
		n := 1
		for n < min(len(keys), bulkRows) && keys[n].Tenant == keys[0].Tenant {
			n++
		}
		chunk, err := s.loadChunk(ctx, tx, keys[:n])
		if err != nil {
			return nil, err
		}
		out, keys = append(out, chunk...), keys[n:]
	}
	return out, nil
}

// loadChunk is loadRuns for keys of one tenant.
func (s *Store) loadChunk(ctx context.Context, tx *sql.Tx, keys []RunKey) ([]LoadedRun, error) {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	read := func(columns, from, key, more string) (string, []any) {
		return s.dialect.byKeys(columns, from, key, more, keys[0].Tenant, ids)
	}
	query, args := read(runColumns, "run r", "r.id", s.dialect.forUpdate)
	runs, err := collect(ctx, tx, scanRun, query, args...)
	if err != nil {
		return nil, fmt.Errorf("load runs: %w", err)
	}
	slices.SortFunc(runs, func(a, b Run) int { return cmp.Compare(a.ID, b.ID) })
	out := make([]LoadedRun, len(runs))
	at := make(map[string]int, len(runs))
	for i, r := range runs {
		out[i].Run, at[r.ID] = r, i
	}
	query, args = read(attemptColumns, "attempt a", "a.run_id", " AND a.state = 'intent'")
	attempts, err := collect(ctx, tx, scanAttempt, query, args...)
	if err != nil {
		return nil, fmt.Errorf("load attempts: %w", err)
	}
	for _, a := range attempts {
		out[at[a.runID]].Intent = &a.Attempt
	}
	query, args = read(promptColumns, "prompt p", "p.run_id", " ORDER BY p.created_at, p.id")
	prompts, err := collect(ctx, tx, scanPrompt, query, args...)
	if err != nil {
		return nil, fmt.Errorf("load prompts: %w", err)
	}
	for _, p := range prompts {
		out[at[p.RunID]].Prompts = append(out[at[p.RunID]].Prompts, p)
	}
	if err := s.loadChildren(ctx, tx, out); err != nil {
		return nil, err
	}
	suspended, err := s.suspendedWorkflows(ctx, tx, keys[0].Tenant, out)
	if err != nil {
		return nil, err
	}
	for i, l := range out {
		out[i].Suspended = l.Run.ofWorkflow() && suspended[l.Run.Name]
	}
	return out, nil
}

func (s *Store) writeChanges(ctx context.Context, tx *sql.Tx, changes []RunChange) error {
	now := s.now()
	var runs, attempts, prompts [][]any
	var audits []tenantAudit
	over, err := s.claimSlots(ctx, tx, changes)
	if err != nil {
		return err
	}
	for _, c := range changes {
		r := c.Run
		runs = append(runs, runRow(r, now))
		for _, a := range c.Attempts {
			attempts = append(attempts, []any{r.Tenant, r.ID, a.StepPath, a.LoopIx, a.Generation, a.N, a.State, a.Integration, a.Action, a.Class, pack(a.IdemKey),
				pack(a.RequestDigest), a.DeadlineAt.UnixMilli(), a.Result, a.StatusCode, a.Error, a.StartedAt.UnixMilli(), millis(a.EndedAt)})
		}
		for _, p := range c.Prompts {
			row, err := promptRow(r, p)
			if err != nil {
				return err
			}
			prompts = append(prompts, row)
		}
		for _, a := range c.Audits {
			audits = append(audits, tenantAudit{r.Tenant, a})
		}
		for _, b := range c.Bookings {
			if err := s.applyBooking(ctx, tx, r.Tenant, r, b); err != nil {
				return fmt.Errorf("book for run %s: %w", r.ID, err)
			}
		}
	}
	if err := s.updateRuns(ctx, tx, runs); err != nil {
		return err
	}
	if err := s.ended(ctx, tx, over); err != nil {
		return err
	}
	if err := s.changeChildren(ctx, tx, changes); err != nil {
		return err
	}
	if err := s.appendAudits(ctx, tx, audits); err != nil {
		return err
	}
	if len(attempts) > 0 {
		if _, err := s.bulk(ctx, tx, `INSERT INTO attempt (tenant, run_id, step_path, loop_ix, generation, n, state, integration, action, class, idem_key,
			request_digest, deadline_at, result, status_code, error, started_at, ended_at) `,
			` ON CONFLICT (tenant, run_id, step_path, loop_ix, generation, n) DO UPDATE SET state = excluded.state, request_digest = excluded.request_digest,
			result = excluded.result, status_code = excluded.status_code, error = excluded.error, ended_at = excluded.ended_at`, nil, attempts); err != nil {
			return fmt.Errorf("write attempts: %w", err)
		}
	}
	if len(prompts) > 0 {
		if _, err := s.bulk(ctx, tx, promptInsert, promptOnConflict, nil, prompts); err != nil {
			return fmt.Errorf("write prompts: %w", err)
		}
	}
	return nil
}

// claimSlots gives places to the runs that ask for one, and returns those that
// end.
func (s *Store) claimSlots(ctx context.Context, tx *sql.Tx, changes []RunChange) (over []Run, err error) {
	var bounded []Run
	for i := range changes {
		r := &changes[i].Run
		if c := changes[i].Claim; c != nil {
			r.SlotKey = c.hash()
		}
		if changes[i].Claim != nil || r.EndedAt != nil {
			bounded = append(bounded, *r)
		}
	}
	if err := s.lockSlots(ctx, tx, bounded); err != nil {
		return nil, err
	}
	for i := range changes {
		if changes[i].Claim != nil {
			if err := s.claimSlot(ctx, tx, changes, i); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range changes {
		if r := c.Run; r.EndedAt != nil && (r.SlotKey != "" || r.ParentID != "") {
			over = append(over, r)
		}
	}
	return over, nil
}

func (s *Store) updateRuns(ctx context.Context, tx *sql.Tx, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	_, err := s.bulk(ctx, tx, `WITH v (tenant, id, state, reason, message, outcome, step_path, cursor_, vars, archive, lane, due_at, updated_at, ended_at) AS (`,
		`) UPDATE run SET state = v.state, reason = v.reason, message = v.message, outcome = v.outcome, step_path = v.step_path, cursor = v.cursor_,
		vars = v.vars, archive = v.archive, lane = v.lane, due_at = v.due_at, updated_at = v.updated_at, ended_at = v.ended_at, version = run.version + 1
		FROM `+s.dialect.located("v", "run"),
		[]string{"BIGINT", "TEXT", "TEXT", "TEXT", "TEXT", "TEXT", "TEXT", "TEXT", "TEXT", s.dialect.bytes, "TEXT", "BIGINT", "BIGINT", "BIGINT"}, rows)
	if err != nil {
		return fmt.Errorf("write runs: %w", err)
	}
	return nil
}

const runColumns = `r.tenant, r.id, r.shard, r.parent_id, r.kind, r.name, r.revision, r.trigger_kind, r.trigger_key, r.subject, r.person_id, r.cause,
	r.state, r.reason, r.message, r.outcome, r.step_path, r.cursor, r.vars, r.archive, r.lane, r.priority, r.due_at, r.version, r.stop_requested_at,
	r.stop_requested_by, r.created_at, r.updated_at, r.ended_at, r.slot_key, r.slot_held`

func scanRun(rows *sql.Rows) (r Run, err error) {
	var cursor, vars string
	var packed []byte
	var due, created, updated int64
	var stop, ended sql.NullInt64
	err = rows.Scan(&r.Tenant, &r.ID, &r.Shard, &r.ParentID, &r.Kind, &r.Name, &r.Revision, &r.TriggerKind, &r.TriggerKey, &r.Subject, &r.PersonID, &r.Cause,
		&r.State, &r.Reason, &r.Message, &r.Outcome, &r.StepPath, &cursor, &vars, &packed, &r.Lane, &r.Priority, &due, &r.Version, &stop,
		&r.StopBy, &created, &updated, &ended, &r.SlotKey, &r.SlotHeld)
	r.Cursor, r.Vars = json.RawMessage(cursor), json.RawMessage(vars)
	r.DueAt, r.CreatedAt, r.UpdatedAt = time.UnixMilli(due).UTC(), time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC()
	r.StopAt, r.EndedAt = nullTime(stop), nullTime(ended)
	if err == nil && len(packed) > 0 {
		if r.Cursor, r.Vars, err = unarchive(packed); err != nil {
			err = fmt.Errorf("run %s: %w", r.ID, err)
		}
	}
	return r, err
}

const attemptColumns = `a.run_id, a.step_path, a.loop_ix, a.generation, a.n, a.state, a.integration, a.action, a.class, a.idem_key,
	a.request_digest, a.deadline_at, a.result, a.status_code, a.error, a.started_at, a.ended_at`

type attemptRow struct {
	runID string
	Attempt
}

func scanAttempt(rows *sql.Rows) (a attemptRow, err error) {
	var deadline, started int64
	var ended sql.NullInt64
	err = rows.Scan(&a.runID, &a.StepPath, &a.LoopIx, &a.Generation, &a.N, &a.State, &a.Integration, &a.Action, &a.Class, packedColumn{&a.IdemKey},
		packedColumn{&a.RequestDigest}, &deadline, &a.Result, &a.StatusCode, &a.Error, &started, &ended)
	a.DeadlineAt, a.StartedAt, a.EndedAt = time.UnixMilli(deadline).UTC(), time.UnixMilli(started).UTC(), nullTime(ended)
	return a, err
}

const promptColumns = `p.tenant, p.id, p.run_id, p.step_path, p.stage, p.purpose, p.token_hash, p.state, p.assignees, p.options, p.subject, p.messages,
	p.expires_at, p.answer, p.answered_by, p.answer_reason, p.answered_at, p.closed_reason, p.created_at`

const (
	promptInsert = `INSERT INTO prompt (tenant, id, run_id, step_path, stage, purpose, token_hash, state, assignees, options, subject, messages,
		expires_at, answer, answered_by, answer_reason, answered_at, closed_reason, created_at) `
	promptOnConflict = ` ON CONFLICT (tenant, id) DO UPDATE SET state = excluded.state, assignees = excluded.assignees, messages = excluded.messages, expires_at = excluded.expires_at,
		closed_reason = excluded.closed_reason`
)

func promptRow(r Run, p Prompt) ([]any, error) {
	var cols [3]string
	for i, v := range []any{p.Assignees, p.Options, p.Messages} {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("prompt %s: %w", p.ID, err)
		}
		cols[i] = string(raw)
	}
	return []any{r.Tenant, p.ID, r.ID, p.StepPath, p.Stage, p.Purpose, p.TokenHash, p.State, cols[0], cols[1], orEmptyObject(p.Subject), cols[2],
		p.ExpiresAt.UnixMilli(), p.Answer, p.AnsweredBy, p.AnswerReason, millis(p.AnsweredAt), p.ClosedReason, p.CreatedAt.UnixMilli()}, nil
}

func scanPrompt(rows *sql.Rows) (p Prompt, err error) {
	var assignees, options, subject, messages string
	var expires, created int64
	var answered sql.NullInt64
	if err = rows.Scan(&p.Tenant, &p.ID, &p.RunID, &p.StepPath, &p.Stage, &p.Purpose, &p.TokenHash, &p.State, &assignees, &options, &subject, &messages,
		&expires, &p.Answer, &p.AnsweredBy, &p.AnswerReason, &answered, &p.ClosedReason, &created); err != nil {
		return p, err
	}
	p.Subject = json.RawMessage(subject)
	p.ExpiresAt, p.CreatedAt, p.AnsweredAt = time.UnixMilli(expires).UTC(), time.UnixMilli(created).UTC(), nullTime(answered)
	for raw, into := range map[*string]any{&assignees: &p.Assignees, &options: &p.Options, &messages: &p.Messages} {
		if err = json.Unmarshal([]byte(*raw), into); err != nil {
			return p, fmt.Errorf("prompt %s: %w", p.ID, err)
		}
	}
	return p, nil
}
