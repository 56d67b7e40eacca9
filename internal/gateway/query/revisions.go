// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"errors"
	"strconv"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

func (a *API) revisions(c *call) (any, error) {
	q := store.RevisionQuery{Limit: c.limit}
	if token := c.query.Get("continue"); token != "" {
		var err error
		if q.Before, err = strconv.ParseInt(token, 10, 64); err != nil || q.Before < 1 {
			return nil, badRequest("continue=%q: want what the page before said", token)
		}
	}
	all, err := a.Store.WorkflowRevisions(c, c.tenant, c.path("name"), q)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 && q.Before == 0 {
		return nil, notFound("there is no Workflow %q, or no spec of it was valid yet", c.path("name"))
	}
	return page("WorkflowRevisionList", all, c.next(len(all), func(i int) string { return strconv.FormatInt(all[i].Revision, 10) })), nil
}

func (a *API) revision(c *call) (any, error) {
	n, err := strconv.ParseInt(c.path("revision"), 10, 64)
	if err != nil || n < 1 {
		return nil, badRequest("revision %q: want a number from 1 on", c.path("revision"))
	}
	r, err := a.Store.WorkflowRevision(c, c.tenant, c.path("name"), n)
	if err == nil && len(r.Spec) == 0 {
		return nil, conflict("revision %d of Workflow %q was recorded before specs were kept, so it cannot be shown", n, c.path("name"))
	}
	return r, err
}

func (a *API) resumeRun(c *call) (any, error) { return a.verb(c, workflow.VerbResume) }
func (a *API) retryRun(c *call) (any, error)  { return a.verb(c, workflow.VerbRetry) }
func (a *API) skipRun(c *call) (any, error)   { return a.verb(c, workflow.VerbSkip) }

func (a *API) verb(c *call, kind workflow.VerbKind) (any, error) {
	var in struct {
		Reason     string `json:"reason"`
		FromStep   string `json:"fromStep"`
		ToRevision int64  `json:"toRevision"`
		LookedAt   bool   `json:"lookedAt"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.FromStep != "" && kind != workflow.VerbRetry:
		return nil, badRequest("fromStep=%q: only retry takes a step", in.FromStep)
	case in.ToRevision != 0 && kind != workflow.VerbResume:
		return nil, badRequest("toRevision=%d: only resume takes a revision", in.ToRevision)
	case in.ToRevision < 0:
		return nil, badRequest("toRevision=%d: want a number from 1 on", in.ToRevision)
	}
	run, err := workflow.Do(c, a.Store, c.tenant, c.path("name"), workflow.Verb{
		Kind: kind, FromStep: in.FromStep, ToRevision: in.ToRevision, LookedAt: in.LookedAt,
		By: store.Decider{Actor: c.user, Kind: model.ActorUser, Reason: in.Reason},
	}, expr.Workflow{})
	var not *workflow.VerbError
	if errors.As(err, &not) {
		return nil, conflict("%s", not.Message)
	}
	if err != nil {
		return nil, err
	}
	detail, err := a.Store.Run(c, c.tenant, run.ID)
	if err != nil {
		return nil, err
	}
	return a.runView(c, detail)
}
