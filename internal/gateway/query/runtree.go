// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// RunDetail is a run with its steps in order, and the runs that it has started.
type RunDetail struct {
	store.RunDetail
	Steps []workflow.StepProgress `json:"steps"`
	Runs  []RunBelow              `json:"runs,omitempty"`
	// MoreRuns that it has started are not among Runs.
	MoreRuns int `json:"moreRuns,omitempty"`
	// Released is what a person let it take beyond the guard.
	Released store.RemovalRelease `json:"released,omitzero"`
}

// RunBelow is a run that a step of another has started.
type RunBelow struct {
	// Step is the name of that step, and Place that of the item or account in it: [2].
	Step  string `json:"step"`
	Place string `json:"place,omitempty"`
	RunDetail
}

// maxRunsBelow bounds the runs that are shown with another, those below all of
// them together.
const maxRunsBelow = 100

func (a *API) runView(c *call, r store.RunDetail) (RunDetail, error) {
	left := maxRunsBelow
	out, err := a.runTree(c, r, &left)
	if err == nil {
		out.Released, err = a.Store.Released(c, c.tenant, r.ID)
	}
	return out, err
}

func (a *API) runTree(c *call, r store.RunDetail, left *int) (out RunDetail, err error) {
	if out.Steps, err = workflow.Progress(r); err != nil {
		return out, err
	}
	r.TriggerKey = workflow.ShownKey(r.TriggerKey)
	out.RunDetail = r
	if r.Kind == workflow.KindOffboarding || *left <= 0 {
		return out, nil
	}
	below, more, err := a.Store.RunsBelow(c, c.tenant, r.ID, *left)
	if err != nil {
		return out, err
	}
	*left -= len(below)
	out.MoreRuns = more
	for _, b := range below {
		detail, err := a.Store.Run(c, c.tenant, b.ID)
		if err != nil {
			return out, err
		}
		tree, err := a.runTree(c, detail, left)
		if err != nil {
			return out, err
		}
		path, place := workflow.StartedBy(b)
		out.Runs = append(out.Runs, RunBelow{Step: workflow.StepName(path), Place: place, RunDetail: tree})
	}
	return out, nil
}
