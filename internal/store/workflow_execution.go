// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Statuses of an action execution.
const (
	ExecutionRunning   = "running"   // an attempt is under way, or another follows
	ExecutionAttention = "attention" // a person must say how to go on
	ExecutionSuccess   = "success"
	ExecutionFailed    = "failed"
	ExecutionUnknown   = "unknown" // the effect may be there, and the run has gone on
)

// ActionExecution is one effect that a Workflow's run had or tried to have, as
// its last attempt left it.
type ActionExecution struct {
	RunID       string
	StepPath    string
	LoopIx      int
	Workflow    string
	WorkflowID  int64 // of the REST API; 0: its Workflow was never stored
	Revision    int64
	PersonID    string
	PersonAPIID int64
	Integration string
	// IntegrationID is the number of the Integration; 0: it is gone.
	IntegrationID int64
	Action        string
	Sent          bool
	Completed     bool
	Status        string
	Error         string
	StartedAt     time.Time
	EndedAt       *time.Time
}

// Number is an integer that names the execution, the same at every look.
func (e ActionExecution) Number() int64 {
	return number(e.RunID, e.StepPath, strconv.Itoa(e.LoopIx))
}

// ActionNumber is an integer that names the step of the Workflow.
// The index of an item in its path is none of the step's.
func (e ActionExecution) ActionNumber() int64 {
	return number(e.Workflow, itemIndex.ReplaceAllString(e.StepPath, "[#]"))
}

// itemIndex marks the item of a loop in the path of a step.
var itemIndex = regexp.MustCompile(`\[#[0-9]+\]`)

// number is 53 bits of a digest: what every reader of JSON takes for a whole
// number. A sequence would tell tenants how much the others do.
func number(parts ...string) int64 {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 11) //nolint:gosec // 53 bits fit
}

// ExecutionQuery selects action executions; empty fields do not restrict.
type ExecutionQuery struct {
	Page
	WorkflowID    int64
	IntegrationID int64
	PersonAPIID   int64
	Status        string
}

const (
	executionDone   = `(r.ended_at IS NOT NULL OR r.step_path <> a.step_path)`
	executionStatus = `CASE WHEN a.state = 'ok' AND ` + executionDone + ` THEN '` + ExecutionSuccess + `'
		WHEN r.state = 'attention' AND r.step_path = a.step_path THEN '` + ExecutionAttention + `'
		WHEN NOT ` + executionDone + ` THEN '` + ExecutionRunning + `'
		WHEN a.state = 'ambiguous' OR a.state = 'intent' THEN '` + ExecutionUnknown + `' ELSE '` + ExecutionFailed + `' END`
	executionFrom = ` FROM attempt a JOIN run r ON r.tenant=a.tenant AND r.id=a.run_id
		LEFT JOIN workflow w ON w.tenant=r.tenant AND w.name=r.name
		LEFT JOIN person p ON p.tenant=r.tenant AND p.id=r.person_id AND NOT p.hidden
		LEFT JOIN integration_state i ON i.tenant=a.tenant AND i.name=a.integration AND i.hidden_at IS NULL WHERE `
	executionLast = `a.tenant = $1 AND r.kind IN ('Workflow', 'Offboarding') AND NOT EXISTS (SELECT 1 FROM attempt b WHERE b.tenant=a.tenant AND b.run_id=a.run_id
		AND b.step_path=a.step_path AND b.loop_ix=a.loop_ix AND (b.generation > a.generation OR b.generation = a.generation AND b.n > a.n))`
)

// ActionExecutions returns what the runs of Workflows did, newest first, with
// the cursor of the next page and how many there are in all.
func (s *Store) ActionExecutions(ctx context.Context, tenant model.TenantID, q ExecutionQuery) (found []ActionExecution, next string, total int64, err error) {
	c := where(tenant, executionLast)
	for column, id := range map[string]int64{"w.api_id": q.WorkflowID, "i.id": q.IntegrationID, "p.api_id": q.PersonAPIID} {
		if id != 0 {
			c.add(column+" = ?", id)
		}
	}
	if q.Status != "" {
		c.add(executionStatus+" = ?", q.Status)
	}
	if err := s.reads.QueryRowContext(ctx, `SELECT count(*)`+executionFrom+c.String(), c.args...).Scan(&total); err != nil {
		return nil, "", 0, fmt.Errorf("count action executions: %w", err)
	}
	key, err := parseCursor(q.Cursor, 4)
	if err != nil {
		return nil, "", 0, err
	}
	if key != nil {
		at, errAt := strconv.ParseInt(key[0], 10, 64)
		loop, errLoop := strconv.Atoi(key[3])
		if errors.Join(errAt, errLoop) != nil {
			return nil, "", 0, ErrCursor
		}
		c.add("(a.started_at, a.run_id, a.step_path, a.loop_ix) < (?, ?, ?, ?)", at, key[1], key[2], loop)
	}
	limit := clampLimit(q.Limit)
	found, err = collect(ctx, s.reads, scanExecution, fmt.Sprintf(`SELECT a.run_id, a.step_path, a.loop_ix, r.name, coalesce(w.api_id, 0), r.revision, r.person_id,
		coalesce(p.api_id, 0), a.integration, coalesce(i.id, 0), a.action, a.state <> 'notSent', %s, %s, a.error, a.started_at, a.ended_at%s%s
		ORDER BY a.started_at DESC, a.run_id DESC, a.step_path DESC, a.loop_ix DESC LIMIT %d`, executionDone, executionStatus, executionFrom, c, limit+1), c.args...)
	if err != nil {
		return nil, "", 0, fmt.Errorf("list action executions: %w", err)
	}
	found, next = page(found, limit, func(e ActionExecution) string {
		return cursor(strconv.FormatInt(e.StartedAt.UnixMilli(), 10), e.RunID, e.StepPath, strconv.Itoa(e.LoopIx))
	})
	return found, next, total, nil
}

func scanExecution(rows *sql.Rows) (e ActionExecution, err error) {
	var started int64
	var ended sql.NullInt64
	err = rows.Scan(&e.RunID, &e.StepPath, &e.LoopIx, &e.Workflow, &e.WorkflowID, &e.Revision, &e.PersonID, &e.PersonAPIID, &e.Integration, &e.IntegrationID,
		&e.Action, &e.Sent, &e.Completed, &e.Status, &e.Error, &started, &ended)
	e.StartedAt, e.EndedAt = fromMillis(started), nullTime(ended)
	return e, err
}
