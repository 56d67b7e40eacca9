// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// KindWorkflow is the definition kind of users' Workflows.
const KindWorkflow = "Workflow"

// Trigger kinds of runs.
const (
	TriggerManual = "manual"
)

// MaxInput bounds the input of a run in bytes.
const MaxInput = 64 << 10

// StartStore is what starting a run needs of the store.
type StartStore interface {
	VarsStore
	SubjectStore
	Workflow(ctx context.Context, tenant model.TenantID, name string) (store.WorkflowState, error)
	PersonByEmail(ctx context.Context, tenant model.TenantID, email string) (store.PersonView, error)
	StartRun(ctx context.Context, tenant model.TenantID, r store.NewRun, by store.Decider) (run store.Run, started bool, err error)
	RunByTrigger(ctx context.Context, tenant model.TenantID, kind, name, key string) (store.Run, error)
}

// StartRequest asks for one run of a Workflow by hand.
type StartRequest struct {
	Workflow string
	// Key makes the request idempotent: the same key is the same run.
	Key string
	// Person is an e-mail address. Application is the name of one, or
	// "INTEGRATION/ID" of an app that is none; Contract the name of one, declared or
	// reported. All empty: the run has no subject.
	Person, Application, Contract string

	Input  map[string]any
	DryRun bool
	By     store.Decider
}

// StartReason is why a run was not started.
type StartReason string

// Start reasons.
const (
	StartNoWorkflow   StartReason = "WorkflowNotFound"
	StartNotReady     StartReason = "WorkflowNotReady"
	StartSuspended    StartReason = "WorkflowSuspended"
	StartNoSubject    StartReason = "SubjectNotFound"
	StartWrongSubject StartReason = "SubjectMismatch"
	StartBadInput     StartReason = "InvalidInput"
	StartKeyTaken     StartReason = "KeyTaken"
)

// StartError says why nothing was started.
type StartError struct {
	Reason  StartReason
	Message string
}

func (e *StartError) Error() string { return e.Message }

func notStarted(reason StartReason, format string, args ...any) error {
	return &StartError{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// callersPrefix begins the trigger keys that callers choose, so that none takes
// the place of a run that something else starts.
const callersPrefix = "by/"

// CallersKey is the trigger key of a run that somebody starts under a key of
// their own.
func CallersKey(key string) string { return callersPrefix + key }

// ShownKey is a trigger key as the one knows it who chose it.
func ShownKey(trigger string) string { return strings.TrimPrefix(trigger, callersPrefix) }

// Start starts one run by hand, or returns the run that the key started
// before. The guard of decision 18 bounds what automation starts, not this.
func Start(ctx context.Context, st StartStore, tenant model.TenantID, r StartRequest) (run store.Run, started bool, err error) {
	run, err = st.RunByTrigger(ctx, tenant, KindWorkflow, r.Workflow, CallersKey(r.Key))
	if err == nil {
		return run, false, sameSubject(ctx, st, tenant, run, r)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return run, false, err
	}
	w, err := st.Workflow(ctx, tenant, r.Workflow)
	if errors.Is(err, store.ErrNotFound) {
		return run, false, notStarted(StartNoWorkflow, "there is no Workflow %q", r.Workflow)
	}
	if err != nil {
		return run, false, err
	}
	of, vars, err := startVars(ctx, st, tenant, w, r)
	if err != nil {
		return run, false, err
	}
	return st.StartRun(ctx, tenant, store.NewRun{
		Kind: KindWorkflow, Name: w.Name, Revision: w.Revision, TriggerKind: TriggerManual, TriggerKey: CallersKey(r.Key), Subject: of.label, PersonID: of.personID,
		Cause: fmt.Sprintf("%s/%s revision %d", KindWorkflow, w.Name, w.Revision), Vars: vars, Priority: PriorityOf(w.Direction, true),
	}, r.By)
}

// sameSubject refuses a key that started a run about somebody or something else: to
// answer with that run would be taken for success.
func sameSubject(ctx context.Context, st StartStore, tenant model.TenantID, run store.Run, r StartRequest) error {
	if r.Application+r.Contract != "" {
		v, err := parseVars(run.Vars)
		if err != nil {
			return err
		}
		if r.Contract != v.text(varAbout+".contract") || r.Application != "" && r.Application != v.text(varAbout+".app") {
			return notStarted(StartKeyTaken, "the idempotency key started run %s, which is about something else; nothing was started", run.ID)
		}
	}
	if r.Person == "" {
		return nil
	}
	p, err := st.PersonByEmail(ctx, tenant, r.Person)
	switch {
	case errors.Is(err, store.ErrNotFound): // has left the directory since
		return nil
	case err != nil:
		return err
	case p.ID != run.PersonID:
		return notStarted(StartKeyTaken, "the idempotency key started run %s, which is about another person; nothing was started", run.ID)
	}
	return nil
}

// startVars checks a request and returns what its run begins with.
func startVars(ctx context.Context, st StartStore, tenant model.TenantID, w store.WorkflowState, r StartRequest) (of startSubject, vars json.RawMessage, err error) {
	switch {
	case w.Suspended:
		return of, nil, notStarted(StartSuspended, "Workflow %q is suspended: spec.suspend is true", w.Name)
	case w.State != store.WorkflowReady:
		return of, nil, notStarted(StartNotReady, "Workflow %q cannot run: %s", w.Name, w.Message)
	case r.Key == "":
		return of, nil, errors.New("start a run: no idempotency key")
	}
	if err := r.names(w); err != nil {
		return of, nil, err
	}
	input, err := json.Marshal(r.Input)
	if err != nil {
		return of, nil, fmt.Errorf("start a run: %w", err)
	}
	if len(input) > MaxInput {
		return of, nil, notStarted(StartBadInput, "input has %d bytes: at most %d are taken", len(input), MaxInput)
	}
	begin := Beginning{Event: map[string]any{"kind": TriggerManual, "data": map[string]any{}}, Input: r.Input, Why: "started by hand by " + r.By.Actor, By: r.By.Actor, DryRun: r.DryRun || w.DryRun}
	if of, err = r.subject(ctx, st, tenant, &begin); err != nil {
		return of, nil, err
	}
	all, err := begin.Vars(ctx, st, tenant)
	if err == nil {
		vars, err = json.Marshal(all)
	}
	if err != nil {
		return of, nil, fmt.Errorf("start a run: %w", err)
	}
	return of, vars, nil
}

// VarsStore is what the variables of a new run are read from.
type VarsStore interface {
	PeopleStore
	TenantFacts(ctx context.Context, tenant model.TenantID) (store.TenantFacts, error)
}

// Beginning is what a run begins with.
type Beginning struct {
	Event  map[string]any // kind and data
	Input  map[string]any
	Person *store.PersonView // nil: the run has none
	// App, Contract and License are what the run is about, where that is no person;
	// App is that of the contract or the seat too.
	App      *model.AppFacts
	Contract *model.ContractFacts
	License  *model.SeatFacts
	About    *About // what is read again of them; nil: nothing is
	Why      string // it was started, for people
	By       string // who started it by hand; empty: nobody
	DryRun   bool
}

// Vars are the variables of the run, of which expressions see some.
func (b Beginning) Vars(ctx context.Context, st VarsStore, tenant model.TenantID) (map[string]any, error) {
	facts, err := st.TenantFacts(ctx, tenant)
	if err != nil {
		return nil, err
	}
	domains := facts.Domains
	if domains == nil {
		domains = []string{}
	}
	input := b.Input
	if input == nil {
		input = map[string]any{}
	}
	start := map[string]any{"why": b.Why}
	if b.By != "" {
		start["by"] = b.By
	}
	all := map[string]any{
		"org":   map[string]any{"displayName": facts.DisplayName, "domains": domains, "timeZone": facts.TimeZone},
		"event": b.Event, "input": input, "start": start,
	}
	if facts.Workday.End != "" {
		all["workday"] = map[string]any{"end": facts.Workday.End}
	}
	if b.DryRun {
		all["dryRun"] = true
	}
	if b.Person != nil {
		if all["person"], err = personVars(ctx, st, tenant, *b.Person); err != nil {
			return nil, err
		}
	}
	if b.About != nil {
		all[varAbout] = b.About
	}
	if b.App != nil {
		all["application"] = appVars(*b.App, b.License == nil)
	}
	if b.Contract != nil {
		all["contract"] = contractVars(*b.Contract)
	}
	if b.License != nil {
		all["license"] = licenseVars(*b.License)
	}
	return all, nil
}

// Scope is what expressions see of the variables of a run, at an instant.
func Scope(all map[string]any, now time.Time) map[string]any {
	out := map[string]any{"now": now}
	for _, name := range scopeVars {
		v, ok := all[name]
		if !ok {
			v = map[string]any{}
		}
		out[name] = plain(v)
	}
	return out
}

// PriorityOf is the class of runs of a direction, in the order of which they are
// carried out; urgent ones are those of something that just happened.
func PriorityOf(direction string, urgent bool) store.Priority {
	switch {
	case direction == "Offboarding":
		return store.PriorityOffboarding
	case urgent:
		return store.PriorityRealtime
	}
	return store.PriorityScheduled
}

// PeopleStore reads people with what they have.
type PeopleStore interface {
	Person(ctx context.Context, tenant model.TenantID, id string) (store.PersonView, error)
	PersonGroups(ctx context.Context, tenant model.TenantID, person string) ([]string, error)
	ListAccounts(ctx context.Context, tenant model.TenantID, q store.AccountQuery) ([]store.AccountView, string, error)
}

// maxAccounts bounds the accounts that a run knows of its person.
const maxAccounts = 200

// personVars is a person, with the accounts and groups that are there now, as expressions
// see one (decision 25).
func personVars(ctx context.Context, st PeopleStore, tenant model.TenantID, p store.PersonView) (map[string]any, error) {
	var found []store.AccountView
	var err error
	if p.ID != "" { // else it is somebody who is not known yet, and has none
		if found, _, err = st.ListAccounts(ctx, tenant, store.AccountQuery{Page: store.Page{Limit: maxAccounts}, PersonID: p.ID}); err != nil {
			return nil, fmt.Errorf("read the accounts of a person: %w", err)
		}
	}
	accounts := make([]any, 0, len(found))
	for _, a := range found {
		if a.RemovedAt != nil || a.AppExternalID != "" { // what an identity provider knows of other apps is no account there
			continue
		}
		accounts = append(accounts, map[string]any{
			"integration": a.Integration, "externalId": a.ExternalID, "username": a.Username, "displayName": a.DisplayName,
			"status": string(a.Status), "kind": string(cmp.Or(a.Kind, model.AccountHuman)), "role": a.Role, "isAdmin": a.IsAdmin,
		})
	}
	groups := []any{}
	var manager store.PersonView
	if p.ID != "" {
		names, err := st.PersonGroups(ctx, tenant, p.ID)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			groups = append(groups, name)
		}
	}
	if p.ManagerID != "" {
		if manager, err = st.Person(ctx, tenant, p.ManagerID); err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("read the manager of a person: %w", err)
		}
	}
	custom := p.Custom
	if custom == nil {
		custom = map[string]any{}
	}
	return map[string]any{
		"id": p.APIID, "email": p.Email, "displayName": p.DisplayName, "givenName": p.GivenName, "familyName": p.FamilyName,
		"title": p.Title, "department": p.Department, "division": p.Division, "costCenter": p.CostCenter,
		"location": p.Location, "timeZone": p.TimeZone, "employeeId": p.EmployeeID, "employmentType": p.EmploymentType,
		"managerEmail": p.ManagerEmail, "startDate": string(p.StartDate), "endDate": string(p.EndDate), "lifecycle": string(p.Lifecycle),
		"custom": custom, "accounts": accounts, "groups": groups,
		"manager": map[string]any{
			"email": cmp.Or(manager.Email, p.ManagerEmail), "displayName": manager.DisplayName, "title": manager.Title, "department": manager.Department,
			"employeeId": manager.EmployeeID, "timeZone": manager.TimeZone, "lifecycle": string(manager.Lifecycle),
		},
	}, nil
}
