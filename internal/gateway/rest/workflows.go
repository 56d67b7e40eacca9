// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// keyHeader makes starting a run idempotent.
const (
	keyHeader = "Idempotency-Key"
	maxKey    = 255
)

// schemaVersion is that of a Workflow as these routes show it.
const schemaVersion = 1

// workflowView is a Workflow in GET /v1.0/workflows.
type workflowView struct {
	ID           int64     `json:"id"`
	Name         string    `json:"name" doc:"What people read."`
	Key          string    `json:"key" doc:"The name of the resource."`
	Type         string    `json:"type" doc:"What starts its runs." enum:"manual,person,application,license,contract,realtime,webhook,schedule"`
	Version      int       `json:"version" doc:"Of the form of this answer."`
	Revision     int64     `json:"revision" doc:"That new runs start with; 0: none was valid yet."`
	State        string    `json:"state" enum:"active,paused,invalid"`
	Message      string    `json:"message,omitempty" doc:"Why it is not active."`
	Subject      string    `json:"subject,omitempty" doc:"What a run is about: Person, or nothing."`
	Direction    string    `json:"direction,omitempty"`
	DryRun       bool      `json:"dryRun"`
	CreationTime time.Time `json:"creationTime"`
	UpdateTime   time.Time `json:"updateTime"`
}

type workflowList struct {
	Workflows  []workflowView `json:"workflows"`
	Count      int            `json:"count"`
	Total      int            `json:"total"`
	NextCursor *string        `json:"nextCursor" doc:"Null: this is the last page."`
}

// triggerBody starts a run. The fields after dryRun are the reference
// product's, for subjects that runs cannot have yet.
type triggerBody struct {
	TriggerUserEmail string         `json:"triggerUserEmail,omitempty" doc:"The person whom the run is about, who must be in the directory."`
	Input            map[string]any `json:"input,omitempty" doc:"What expressions read as input."`
	IdempotencyKey   string         `json:"idempotencyKey,omitempty" doc:"As the header Idempotency-Key."`
	DryRun           bool           `json:"dryRun,omitempty" doc:"Go through the steps and send nothing."`

	TriggerAppID        any `json:"triggerAppId,omitempty"`
	TriggerContractID   any `json:"triggerContractId,omitempty"`
	TriggerLicenseName  any `json:"triggerLicenseName,omitempty"`
	TriggerLicenseAppID any `json:"triggerLicenseAppId,omitempty"`
}

// runView is a run.
type runView struct {
	ID             string     `json:"id"`
	IDWorkflow     int64      `json:"idWorkflow"`
	Workflow       string     `json:"workflow" doc:"The name of the resource."`
	Revision       int64      `json:"revision"`
	State          string     `json:"state" enum:"ready,waiting,inflight,attention,succeeded,failed,stopped"`
	Outcome        string     `json:"outcome,omitempty"`
	Reason         string     `json:"reason,omitempty"`
	Message        string     `json:"message,omitempty"`
	IsCompleted    bool       `json:"isCompleted"`
	IdempotencyKey string     `json:"idempotencyKey"`
	CreationTime   time.Time  `json:"creationTime"`
	CompletionTime *time.Time `json:"completionTime"`
	Steps          []runStep  `json:"steps"`
}

type runStep struct {
	Name     string `json:"name" doc:"With the names of the steps around it: dept.crm."`
	Result   string `json:"result,omitempty" doc:"Of a finished step."`
	State    string `json:"state,omitempty" doc:"Of the step that the run is at."`
	Reason   string `json:"reason,omitempty"`
	Message  string `json:"message,omitempty"`
	Attempts int    `json:"attempts"`

	Request map[string]any `json:"request,omitempty" doc:"What a dry run would have sent."`
}

// executionView is an action execution.
type executionView struct {
	ID           int64      `json:"id"`
	IDWorkflow   int64      `json:"idWorkflow"`
	IDAction     int64      `json:"idAction" doc:"Names the step of the Workflow."`
	IDRun        string     `json:"idRun"`
	IDActionApp  *int64     `json:"idActionApp" doc:"The number of the Integration; null: it is gone."`
	IDActionUser *int64     `json:"idActionUser" doc:"The number of the person; null: none."`
	Workflow     string     `json:"workflow"`
	Step         string     `json:"step"`
	Integration  string     `json:"integration"`
	Action       string     `json:"action"`
	IsRun        bool       `json:"isRun" doc:"False if the request provably never left."`
	IsCompleted  bool       `json:"isCompleted"`
	Status       string     `json:"status" enum:"running,attention,success,failed,unknown"`
	ErrorMessage string     `json:"errorMessage,omitempty"`
	CreationTime time.Time  `json:"creationTime" doc:"Of the last attempt."`
	EndTime      *time.Time `json:"endTime"`
}

type executionList struct {
	ActionExecutions []executionView `json:"actionExecutions"`
	Count            int             `json:"count"`
	Total            int64           `json:"total"`
	NextCursor       *string         `json:"nextCursor" doc:"Null: this is the last page."`
}

func workflowOperations() []operation {
	read := access.Request{Verb: "list", Resource: "workflows"}
	runs := access.Request{Verb: "list", Resource: "runs"} // they tell about people
	number := func(name, doc string) param { return param{name: name, kind: kindInteger, doc: doc, min: 1} }
	return []operation{
		{
			method: http.MethodGet, path: "/workflows", id: "listWorkflows", summary: "List Workflows by name",
			scope: "workflows:read", want: read, answer: workflowList{}, serve: (*API).workflows,
			params: []param{{name: "type", kind: kindString, doc: "Only those that this starts.", enum: []string{"manual", "person", "application", "license", "contract", "realtime", "webhook", "schedule"}}},
		},
		{
			method: http.MethodGet, path: "/workflows/{id}", id: "getWorkflow", summary: "Read one Workflow",
			scope: "workflows:read", want: read, answer: workflowView{}, serve: (*API).workflow,
		},
		{
			method: http.MethodPost, path: "/workflows/{id}/trigger", id: "triggerWorkflow", summary: "Start a run of a Workflow",
			scope: "workflows:write", want: access.Request{Verb: "create", Resource: "workflowruns"}, body: triggerBody{}, answer: runView{}, serve: (*API).trigger,
			codes: []int{http.StatusOK, http.StatusAccepted}, refusals: []int{http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType},
		},
		{
			method: http.MethodGet, path: "/workflows/{id}/runs/{runId}", id: "getWorkflowRun", summary: "Read how a run stands",
			scope: "workflows:read", want: runs, answer: runView{}, serve: (*API).workflowRun,
		},
		{
			method: http.MethodGet, path: "/workflows/actionExecutions", id: "listActionExecutions", summary: "List what runs did, newest first",
			scope: "workflows:read", want: runs, answer: executionList{}, serve: (*API).executions,
			params: []param{
				number("idWorkflow", "Only of this Workflow."), number("idActionApp", "Only in this Integration."), number("idActionUser", "Only for this person."),
				{name: "status", kind: kindString, doc: "Only those that stand so.", enum: []string{store.ExecutionRunning, store.ExecutionAttention, store.ExecutionSuccess, store.ExecutionFailed, store.ExecutionUnknown}},
				{name: "size", kind: kindInteger, doc: "How many at most; 100 unless told.", min: 1, max: 1000},
				{name: "cursor", kind: kindString, doc: "The nextCursor of the page before."},
			},
		},
	}
}

func viewOf(w store.WorkflowState) workflowView {
	v := workflowView{
		ID: w.APIID, Name: cmp.Or(w.DisplayName, w.Name), Key: w.Name, Type: w.TriggerKind, Version: schemaVersion, Revision: w.Revision, State: "active",
		Subject: w.Subject, Direction: w.Direction, DryRun: w.DryRun, CreationTime: w.CreatedAt, UpdateTime: w.UpdatedAt,
	}
	switch {
	case w.State != store.WorkflowReady:
		v.State, v.Message = "invalid", w.Message
	case w.Suspended:
		v.State, v.Message = "paused", "spec.suspend is true"
	}
	return v
}

func (a *API) workflows(c *call) (any, error) {
	all, err := a.Store.ListWorkflows(c, c.Tenant)
	if err != nil {
		return nil, err
	}
	out := workflowList{Workflows: []workflowView{}}
	for _, w := range all {
		if kind := c.text("type"); kind == "" || kind == w.TriggerKind {
			out.Workflows = append(out.Workflows, viewOf(w))
		}
	}
	out.Count, out.Total = len(out.Workflows), len(out.Workflows)
	return out, nil
}

func (a *API) workflow(c *call) (any, error) {
	w, err := a.find(c)
	if err != nil {
		return nil, err
	}
	return viewOf(w), nil
}

// find returns the Workflow that the path names by number or by name.
func (a *API) find(c *call) (store.WorkflowState, error) {
	id := c.r.PathValue("id")
	var w store.WorkflowState
	var err error
	if n, notNumber := strconv.ParseInt(id, 10, 64); notNumber == nil {
		w, err = a.Store.WorkflowByNumber(c, c.Tenant, n)
	} else {
		w, err = a.Store.Workflow(c, c.Tenant, id)
	}
	if errors.Is(err, store.ErrNotFound) {
		return w, access.Refuse(http.StatusNotFound, "there is no Workflow %q in namespace %q", id, c.Namespace)
	}
	return w, err
}

func (a *API) trigger(c *call) (any, error) {
	var in triggerBody
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	for name, set := range map[string]bool{
		"triggerAppId": in.TriggerAppID != nil, "triggerContractId": in.TriggerContractID != nil,
		"triggerLicenseName": in.TriggerLicenseName != nil, "triggerLicenseAppId": in.TriggerLicenseAppID != nil,
	} {
		if set {
			return nil, access.Refuse(http.StatusBadRequest, "%s: this version runs Workflows for persons, or for nothing in particular", name)
		}
	}
	key, err := keyOf(c.r, in.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	w, err := a.find(c)
	if err != nil {
		return nil, err
	}
	actor := c.Actor()
	run, started, err := workflow.Start(c, a.Store, c.Tenant, workflow.StartRequest{
		Workflow: w.Name, Key: key, Person: strings.TrimSpace(in.TriggerUserEmail), Input: in.Input, DryRun: in.DryRun,
		By: store.Decider{Actor: actor.Name, Kind: actor.Kind, Reason: "POST /v1.0/workflows/ID/trigger"},
	})
	if err != nil {
		return nil, refusal(err)
	}
	c.code = http.StatusAccepted
	if !started {
		c.code = http.StatusOK
		c.w.Header().Set("Idempotency-Replayed", "true")
	}
	detail, err := a.Store.Run(c, c.Tenant, run.ID)
	if err != nil {
		return nil, err
	}
	return viewOfRun(w, detail)
}

// keyOf returns the idempotency key of a request; without one each is its own.
func keyOf(r *http.Request, inBody string) (string, error) {
	header := r.Header.Get(keyHeader)
	key := cmp.Or(header, inBody)
	switch {
	case header != "" && inBody != "" && header != inBody:
		return "", access.Refuse(http.StatusBadRequest, "idempotencyKey: the header %s names another key", keyHeader)
	case len(key) > maxKey:
		return "", access.Refuse(http.StatusBadRequest, "the idempotency key has %d bytes: want at most %d", len(key), maxKey)
	case key == "":
		return uuid.NewString(), nil
	}
	return key, nil
}

// refusal answers for a run that was not started.
func refusal(err error) error {
	var not *workflow.StartError
	if !errors.As(err, &not) {
		return err
	}
	code := http.StatusConflict
	switch not.Reason {
	case workflow.StartNoWorkflow, workflow.StartNoSubject:
		code = http.StatusNotFound
	case workflow.StartWrongSubject, workflow.StartBadInput:
		code = http.StatusBadRequest
	case workflow.StartNotReady, workflow.StartSuspended, workflow.StartKeyTaken:
	}
	return access.Refuse(code, "%s", not.Message)
}

func (a *API) workflowRun(c *call) (any, error) {
	w, err := a.find(c)
	if err != nil {
		return nil, err
	}
	id := c.r.PathValue("runId")
	run, err := a.Store.Run(c, c.Tenant, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (run.Kind != workflow.KindWorkflow || run.Name != w.Name) {
		return nil, access.Refuse(http.StatusNotFound, "Workflow %q has no run %q", w.Name, id)
	}
	if err != nil {
		return nil, err
	}
	return viewOfRun(w, run)
}

func viewOfRun(w store.WorkflowState, r store.RunDetail) (runView, error) {
	v := runView{
		ID: r.ID, IDWorkflow: w.APIID, Workflow: w.Name, Revision: r.Revision, State: string(r.State), Outcome: r.Outcome, Reason: r.Reason, Message: r.Message,
		IsCompleted: r.State.Ended(), IdempotencyKey: workflow.ShownKey(r.TriggerKey), CreationTime: r.CreatedAt, CompletionTime: r.EndedAt, Steps: []runStep{},
	}
	steps, err := workflow.Progress(r)
	for _, s := range steps {
		v.Steps = append(v.Steps, runStep{Name: s.Name, Result: s.Result, State: string(s.State), Reason: s.Reason, Message: s.Message, Attempts: s.Attempts, Request: s.Request})
	}
	return v, err
}

func (a *API) executions(c *call) (any, error) {
	found, next, total, err := a.Store.ActionExecutions(c, c.Tenant, store.ExecutionQuery{
		Page:       store.Page{Cursor: c.text("cursor"), Limit: int(c.number("size"))},
		WorkflowID: c.number("idWorkflow"), IntegrationID: c.number("idActionApp"), PersonAPIID: c.number("idActionUser"), Status: c.text("status"),
	})
	if errors.Is(err, store.ErrCursor) {
		return nil, access.Refuse(http.StatusBadRequest, "cursor: %v", err)
	}
	if err != nil {
		return nil, err
	}
	out := executionList{ActionExecutions: []executionView{}, Count: len(found), Total: total}
	if next != "" {
		out.NextCursor = &next
	}
	for _, e := range found {
		v := executionView{
			ID: e.Number(), IDWorkflow: e.WorkflowID, IDAction: e.ActionNumber(), IDRun: e.RunID, Workflow: e.Workflow, Step: workflow.StepName(e.StepPath), Integration: e.Integration,
			Action: e.Action, IsRun: e.Sent, IsCompleted: e.Completed, Status: e.Status, ErrorMessage: e.Error, CreationTime: e.StartedAt, EndTime: e.EndedAt,
		}
		if e.IntegrationID != 0 {
			v.IDActionApp = &e.IntegrationID
		}
		if e.PersonAPIID != 0 {
			v.IDActionUser = &e.PersonAPIID
		}
		out.ActionExecutions = append(out.ActionExecutions, v)
	}
	return out, nil
}
