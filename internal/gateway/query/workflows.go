// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"cmp"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Workflow is a Workflow as its controller last checked it.
type Workflow struct {
	Name        string    `json:"name"`
	DisplayName string    `json:"displayName,omitempty"`
	APIID       int64     `json:"apiID"` // of the REST API
	Trigger     string    `json:"trigger"`
	Subject     string    `json:"subject,omitempty"`
	Direction   string    `json:"direction,omitempty"`
	Revision    int64     `json:"revision"`
	State       string    `json:"state"` // Ready, Suspended, Invalid, NotImplemented
	DryRun      bool      `json:"dryRun"`
	Message     string    `json:"message,omitempty"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
}

// stateSuspended is the state of a Workflow that could run and shall not.
const stateSuspended = "Suspended"

func workflowView(w store.WorkflowState) Workflow {
	v := Workflow{
		Name: w.Name, DisplayName: w.DisplayName, APIID: w.APIID, Trigger: w.TriggerKind, Subject: w.Subject, Direction: w.Direction, Revision: w.Revision,
		State: w.State, DryRun: w.DryRun, Message: w.Message, CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
	}
	if w.Suspended && w.State == store.WorkflowReady {
		v.State = stateSuspended
	}
	return v
}

func (a *API) workflows(c *call) (any, error) {
	all, err := a.Store.ListWorkflows(c, c.tenant)
	if err != nil {
		return nil, err
	}
	views := make([]Workflow, len(all))
	for i, w := range all {
		views[i] = workflowView(w)
	}
	return page("WorkflowList", views, ""), nil
}

func (a *API) workflow(c *call) (any, error) {
	w, err := a.Store.Workflow(c, c.tenant, c.path("name"))
	if err != nil {
		return nil, err
	}
	return workflowView(w), nil
}

func (a *API) startRun(c *call) (any, error) {
	var in struct {
		Person      string         `json:"person"`
		Application string         `json:"application"`
		Contract    string         `json:"contract"`
		Input       map[string]any `json:"input"`
		DryRun      bool           `json:"dryRun"`
		Key         string         `json:"key"`
		Reason      string         `json:"reason"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if len(in.Key) > 255 {
		return nil, badRequest("key has %d bytes: want at most 255", len(in.Key))
	}
	run, _, err := workflow.Start(c, a.Store, c.tenant, workflow.StartRequest{
		Workflow: c.path("name"), Key: cmp.Or(in.Key, uuid.NewString()), Person: in.Person, Application: in.Application, Contract: in.Contract, Input: in.Input, DryRun: in.DryRun,
		By: store.Decider{Actor: c.user, Kind: model.ActorUser, Reason: in.Reason},
	})
	var not *workflow.StartError
	if errors.As(err, &not) {
		switch not.Reason {
		case workflow.StartNoWorkflow, workflow.StartNoSubject:
			return nil, notFound("%s", not.Message)
		case workflow.StartWrongSubject, workflow.StartBadInput:
			return nil, badRequest("%s", not.Message)
		case workflow.StartNotReady, workflow.StartSuspended, workflow.StartKeyTaken:
		}
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
