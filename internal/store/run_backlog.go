// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Backlog is what is not done yet, of every tenant.
type Backlog struct {
	Runs    []OpenRuns
	Starts  []OpenStarts
	Blocked []BlockedLane
}

// OpenRuns counts the runs of one definition that have not ended.
type OpenRuns struct {
	Namespace, Kind, Name       string
	Running, Waiting, Attention int64
	// Unreached runs wait because no channel reaches the people whom they ask, or
	// ended within a day and could not tell everybody.
	Unreached int64
	// Due is the earliest time at which a run could have gone on; zero: none could.
	Due time.Time
}

// OpenStarts counts the runs of a Workflow that have not started.
type OpenStarts struct {
	Namespace, Workflow string
	State               StartState
	Count               int64
}

// BlockedLane is an Integration, or a host, that asked not to be called.
type BlockedLane struct {
	Namespace, Integration string
	Until                  time.Time
}

// Backlog counts what is open, of every tenant. It reads each open run once.
func (s *Store) Backlog(ctx context.Context) (b Backlog, err error) {
	now := s.now()
	b.Runs, err = collect(ctx, s.reads, func(r *sql.Rows) (v OpenRuns, err error) {
		var due int64
		err = r.Scan(&v.Namespace, &v.Kind, &v.Name, &v.Running, &v.Waiting, &v.Attention, &v.Unreached, &due)
		v.Due = fromMillis(due)
		return v, err
	}, `SELECT t.namespace, q.kind, q.name, sum(q.running), sum(q.waiting), sum(q.attention), sum(q.unreached), coalesce(min(q.due), 0) FROM (
			SELECT tenant, kind, name, CASE WHEN state IN ('ready', 'inflight') THEN 1 ELSE 0 END AS running, CASE WHEN state = 'waiting' THEN 1 ELSE 0 END AS waiting,
				CASE WHEN state = 'attention' THEN 1 ELSE 0 END AS attention, CASE WHEN state = 'waiting' AND reason = 'NoReachableChannel' THEN 1 ELSE 0 END AS unreached,
				CASE WHEN state <> 'attention' AND due_at <= $1 THEN due_at END AS due FROM run WHERE ended_at IS NULL
			UNION ALL SELECT tenant, kind, name, 0, 0, 0, 1, NULL FROM run WHERE (outcome = 'undelivered' OR reason = 'NotDelivered') AND ended_at >= $2
		) AS q JOIN tenant t ON t.id = q.tenant GROUP BY t.namespace, q.kind, q.name ORDER BY t.namespace, q.kind, q.name`, now, now-unreachedFor.Milliseconds())
	if err != nil {
		return b, fmt.Errorf("count open runs: %w", err)
	}
	b.Starts, err = collect(ctx, s.reads, func(r *sql.Rows) (v OpenStarts, err error) {
		return v, r.Scan(&v.Namespace, &v.Workflow, &v.State, &v.Count)
	}, `SELECT t.namespace, w.workflow, w.state, count(*) FROM workflow_start w JOIN tenant t ON t.id = w.tenant WHERE w.state <> 'skipped'
		GROUP BY t.namespace, w.workflow, w.state ORDER BY t.namespace, w.workflow, w.state`)
	if err != nil {
		return b, fmt.Errorf("count runs that have not started: %w", err)
	}
	b.Blocked, err = collect(ctx, s.reads, func(r *sql.Rows) (v BlockedLane, err error) {
		var until int64
		err = r.Scan(&v.Namespace, &v.Integration, &until)
		v.Until = fromMillis(until)
		return v, err
	}, `SELECT t.namespace, l.integration, max(l.blocked_until) FROM lane l JOIN tenant t ON t.id = l.tenant WHERE l.blocked_until > $1
		GROUP BY t.namespace, l.integration ORDER BY t.namespace, l.integration`, now)
	if err != nil {
		return b, fmt.Errorf("find what asked not to be called: %w", err)
	}
	return b, nil
}
