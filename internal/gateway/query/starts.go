// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"time"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Start is what a Workflow has not answered with a run.
type Start struct {
	Workflow   string     `json:"workflow"`
	About      string     `json:"about"`
	Event      string     `json:"event"`
	Key        string     `json:"key"`
	State      string     `json:"state"` // waiting, held or skipped
	Reason     string     `json:"reason"`
	Message    string     `json:"message"`
	HappenedAt time.Time  `json:"happenedAt"`
	Due        *time.Time `json:"due,omitempty"` // of one that waits: when its run is to start
}

func (a *API) starts(c *call) (any, error) {
	states, err := oneOf(c, "state", store.StartWaiting, store.StartHeld, store.StartSkipped)
	if err != nil {
		return nil, err
	}
	q := store.StartQuery{Workflow: c.query.Get("workflow"), After: c.query.Get("continue"), Limit: c.limit}
	for _, s := range states {
		q.States = append(q.States, string(s))
	}
	rows, err := a.Store.ListStarts(c, c.tenant, q)
	if err != nil {
		return nil, cursorError(err)
	}
	views := make([]Start, len(rows))
	for i, r := range rows {
		views[i] = Start{Workflow: r.Workflow, About: r.Label, Event: r.Kind, Key: r.Key, State: string(r.State), Reason: r.Reason, Message: r.Message, HappenedAt: r.HappenedAt}
		if r.State != store.StartSkipped {
			views[i].Due = &r.DueAt
		}
	}
	return page("StartList", views, c.next(len(rows), func(i int) string { return rows[i].Cursor() })), nil
}
