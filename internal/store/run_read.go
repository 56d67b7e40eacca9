// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// RunFilter selects runs; empty fields select all.
type RunFilter struct {
	Kind, Name string
	States     []RunState
	Reason     string
	PersonID   string
	Subject    string
	// Integration was called by the run, or is being called.
	Integration string
	Since       time.Time // started then or later
	Before      string    // id of the last run of the previous page
	Limit       int       // 0 is 100, at most 1000
}

// ListRuns returns runs newest first; the id of the last one is the next
// page's Before.
func (s *Store) ListRuns(ctx context.Context, tenant model.TenantID, f RunFilter) ([]Run, error) {
	where, args := []string{"r.tenant = $1"}, []any{tenant}
	add := func(column string, value string) {
		if value != "" {
			args = append(args, value)
			where = append(where, fmt.Sprintf("%s $%d", column, len(args)))
		}
	}
	add("r.kind =", f.Kind)
	add("r.name =", f.Name)
	add("r.reason =", f.Reason)
	if add("r.person_id =", f.PersonID); f.PersonID != "" {
		where = append(where, "r.person_id <> ''") // as run_person says
	}
	add("r.subject =", f.Subject)
	add("r.id <", f.Before) // UUIDv7 sorts by time
	if f.Integration != "" {
		args = append(args, f.Integration)
		where = append(where, fmt.Sprintf("EXISTS (SELECT 1 FROM attempt a WHERE a.tenant = r.tenant AND a.run_id = r.id AND a.integration = $%d)", len(args)))
	}
	if !f.Since.IsZero() {
		args = append(args, f.Since.UnixMilli())
		where = append(where, fmt.Sprintf("r.created_at >= $%d", len(args)))
	}
	if len(f.States) > 0 {
		where = append(where, "r.state IN ("+placeholders(len(args)+1, len(f.States))+")")
		for _, st := range f.States {
			args = append(args, st)
		}
		where = append(where, statesIndex(f.States)...)
	}
	args = append(args, clampLimit(f.Limit))
	return collect(ctx, s.reads, scanRun, fmt.Sprintf(`SELECT %s FROM run r WHERE %s ORDER BY r.id DESC LIMIT $%d`,
		runColumns, strings.Join(where, " AND "), len(args)), args...)
}

// statesIndex is what leads to the index of runs in such states, if there is one.
func statesIndex(states []RunState) []string {
	open := func(st RunState) bool { return !st.Ended() }
	notable := func(st RunState) bool { return st == RunAttention || st == RunFailed || st == RunStopped }
	switch {
	case !slices.ContainsFunc(states, func(st RunState) bool { return !notable(st) }):
		return []string{"r.state IN ('attention', 'failed', 'stopped')"} // as run_recent says
	case !slices.ContainsFunc(states, func(st RunState) bool { return !open(st) }):
		return []string{"r.ended_at IS NULL"} // as run_subject says
	}
	return nil
}

// Run returns one run with its attempts and prompts, or ErrNotFound.
func (s *Store) Run(ctx context.Context, tenant model.TenantID, id string) (RunDetail, error) {
	runs, err := collect(ctx, s.reads, scanRun, `SELECT `+runColumns+` FROM run r WHERE r.tenant = $1 AND r.id = $2`, tenant, id)
	if err != nil {
		return RunDetail{}, fmt.Errorf("read run %s: %w", id, err)
	}
	if len(runs) == 0 {
		return RunDetail{}, fmt.Errorf("run %s: %w", id, ErrNotFound)
	}
	d := RunDetail{Run: runs[0]}
	attempts, err := collect(ctx, s.reads, scanAttempt, `SELECT `+attemptColumns+` FROM attempt a WHERE a.tenant = $1 AND a.run_id = $2
		ORDER BY a.started_at, a.step_path, a.loop_ix, a.generation, a.n`, tenant, id)
	if err != nil {
		return RunDetail{}, fmt.Errorf("read attempts of run %s: %w", id, err)
	}
	for _, a := range attempts {
		d.Attempts = append(d.Attempts, a.Attempt)
	}
	if d.Prompts, err = collect(ctx, s.reads, scanPrompt, `SELECT `+promptColumns+` FROM prompt p WHERE p.tenant = $1 AND p.run_id = $2
		ORDER BY p.created_at, p.id`, tenant, id); err != nil {
		return RunDetail{}, fmt.Errorf("read prompts of run %s: %w", id, err)
	}
	return d, nil
}

// RunCounts sums up the runs of one definition for its status.
type RunCounts struct {
	Ready, Waiting, InFlight, Attention int
	// Unreached counts runs that wait because no channel reaches who is asked,
	// and those that ended within a day and could not tell everybody.
	Unreached int
	// Outcomes counts ended runs by outcome: reclaimed, kept, skipped, failed, stopped.
	Outcomes map[string]int
	// Parked is the run that has been in attention for longest; nil: none is.
	Parked *RunNote
	// Failed is the newest of the runs that have ended, if it failed within a week.
	Failed *RunNote
}

// RunNote says of one run why it stands as it does, and since when.
type RunNote struct {
	ID, Reason string
	At         time.Time
}

// Active counts the runs that have not ended.
func (c RunCounts) Active() int { return c.Ready + c.Waiting + c.InFlight + c.Attention }

// CountRuns counts the runs of a definition.
func (s *Store) CountRuns(ctx context.Context, tenant model.TenantID, kind, name string) (RunCounts, error) {
	type row struct {
		state   RunState
		outcome string
		n       int
		unasked int
	}
	rows, err := collect(ctx, s.reads, func(r *sql.Rows) (v row, err error) { return v, r.Scan(&v.state, &v.outcome, &v.n, &v.unasked) },
		`SELECT state, outcome, count(*), coalesce(sum(CASE WHEN reason = 'NoReachableChannel' THEN 1 ELSE 0 END), 0) FROM run WHERE tenant = $1 AND kind = $2 AND name = $3 GROUP BY state, outcome`, tenant, kind, name)
	if err != nil {
		return RunCounts{}, fmt.Errorf("count runs of %s/%s: %w", kind, name, err)
	}
	c := RunCounts{Outcomes: map[string]int{}}
	for _, r := range rows {
		switch r.state {
		case RunReady:
			c.Ready += r.n
		case RunWaiting:
			c.Waiting += r.n
			c.Unreached += r.unasked
		case RunInFlight:
			c.InFlight += r.n
		case RunAttention:
			c.Attention += r.n
		case RunSucceeded, RunFailed, RunStopped:
			outcome := r.outcome
			if outcome == "" {
				outcome = string(r.state)
			}
			c.Outcomes[outcome] += r.n
		}
	}
	return c, nil
}

// ActiveRunSubjects returns the subjects for which a run of the definition has
// not ended.
func (s *Store) ActiveRunSubjects(ctx context.Context, tenant model.TenantID, kind, name string) ([]string, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (v string, err error) { return v, r.Scan(&v) },
		`SELECT DISTINCT subject FROM run WHERE tenant = $1 AND kind = $2 AND name = $3 AND ended_at IS NULL ORDER BY subject`, tenant, kind, name)
}

// LaneGroup is a lane and priority class with work that may be due.
type LaneGroup struct {
	Lane     string
	Priority Priority
}

// LaneGroups lists every lane and priority that has unfinished runs, by one
// step through the index for each lane: thousands of queued runs cost nothing.
// (PostgreSQL would turn EXISTS into a join over all of them, and read the table
// for any one row of a lane that has much work; a minimum is in the index only.)
func (s *Store) LaneGroups(ctx context.Context) ([]LaneGroup, error) {
	const live = `state IN ('ready', 'waiting', 'inflight')`
	groups, err := collect(ctx, s.reads, func(r *sql.Rows) (g LaneGroup, err error) { return g, r.Scan(&g.Lane, &g.Priority) },
		fmt.Sprintf(`WITH RECURSIVE l (lane) AS (
			SELECT min(lane) FROM run WHERE `+live+`
			UNION ALL
			SELECT (SELECT min(r.lane) FROM run r WHERE `+live+` AND r.lane > l.lane) FROM l WHERE l.lane IS NOT NULL)
		SELECT l.lane, p.priority FROM l CROSS JOIN (SELECT %d AS priority UNION ALL SELECT %d UNION ALL SELECT %d UNION ALL SELECT %d) AS p
		WHERE l.lane IS NOT NULL AND (SELECT min(r.due_at) FROM run r WHERE r.lane = l.lane AND r.priority = p.priority AND r.`+live+`) IS NOT NULL
		ORDER BY l.lane, p.priority`, PriorityOffboarding, PriorityRealtime, PriorityScheduled, PriorityBulk))
	if err != nil {
		return nil, fmt.Errorf("find lanes with work: %w", err)
	}
	return groups, nil
}

// DueRun is a run that may be claimed, and the definition that it runs.
type DueRun struct {
	RunKey
	Kind, Name string
	Revision   int64
}

// DueRuns lists runs of a lane and priority that are due, oldest first, in the
// shards of leases.
func (s *Store) DueRuns(ctx context.Context, leases Leases, g LaneGroup, limit int) ([]DueRun, error) {
	if len(leases) == 0 || limit <= 0 {
		return nil, nil
	}
	args := []any{g.Lane, g.Priority, s.now(), limit}
	shards := ""
	if len(leases) < Shards {
		ids := make([]int, 0, len(leases))
		for id := range leases {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		shards = " AND shard IN (" + placeholders(len(args)+1, len(ids)) + ")"
		for _, id := range ids {
			args = append(args, id)
		}
	}
	due, err := collect(ctx, s.reads, func(r *sql.Rows) (d DueRun, err error) {
		return d, r.Scan(&d.Tenant, &d.ID, &d.Kind, &d.Name, &d.Revision)
	},
		`SELECT tenant, id, kind, name, revision FROM run WHERE lane = $1 AND priority = $2 AND due_at <= $3 AND state IN ('ready', 'waiting', 'inflight')`+shards+` ORDER BY due_at LIMIT $4`, args...)
	if err != nil {
		return nil, fmt.Errorf("find due runs: %w", err)
	}
	return due, nil
}

// PromptFilter selects prompts; empty fields select all.
type PromptFilter struct {
	State    PromptState
	PersonID string // an assignee's
	RunID    string
	ID       string
	Purposes []string
	// User is an assignee's user name, in any case.
	User   string
	Before string
	Limit  int
}

// ListPrompts returns prompts newest first.
func (s *Store) ListPrompts(ctx context.Context, tenant model.TenantID, f PromptFilter) ([]Prompt, error) {
	where, args := []string{"p.tenant = $1"}, []any{tenant}
	add := func(column, value string) {
		if value != "" {
			args = append(args, value)
			where = append(where, fmt.Sprintf("%s $%d", column, len(args)))
		}
	}
	add("p.state =", string(f.State))
	add("p.run_id =", f.RunID)
	add("p.id =", f.ID)
	add("p.id <", f.Before)
	if len(f.Purposes) > 0 {
		marks := make([]string, len(f.Purposes))
		for i, v := range f.Purposes {
			args = append(args, v)
			marks[i] = fmt.Sprintf("$%d", len(args))
		}
		where = append(where, "p.purpose IN ("+strings.Join(marks, ", ")+")")
	}
	if f.User != "" {
		user, err := json.Marshal(strings.ToLower(f.User))
		if err != nil {
			return nil, err
		}
		add("lower(p.assignees) LIKE", `%"kubernetesuser":`+likeEscaper.Replace(string(user))+`%`)
		where[len(where)-1] += ` ESCAPE '\'`
	}
	if f.PersonID != "" {
		id, err := json.Marshal(f.PersonID)
		if err != nil {
			return nil, err
		}
		add("p.assignees LIKE", `%"personID":`+likeEscaper.Replace(string(id))+`%`)
		where[len(where)-1] += ` ESCAPE '\'`
	}
	args = append(args, clampLimit(f.Limit))
	return collect(ctx, s.reads, scanPrompt, fmt.Sprintf(`SELECT %s FROM prompt p WHERE %s ORDER BY p.id DESC LIMIT $%d`,
		promptColumns, strings.Join(where, " AND "), len(args)), args...)
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
