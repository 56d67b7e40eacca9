// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Request is one that would have been sent.
type Request struct {
	Step        string         `json:"step" yaml:"step"`
	Integration string         `json:"integration,omitempty" yaml:"integration,omitempty"`
	Action      string         `json:"action,omitempty" yaml:"action,omitempty"`
	With        map[string]any `json:"with,omitempty" yaml:"with,omitempty"`
	Method      string         `json:"method,omitempty" yaml:"method,omitempty"` // of an http step
	URL         string         `json:"url,omitempty" yaml:"url,omitempty"`
	Body        any            `json:"body,omitempty" yaml:"body,omitempty"`
}

// world plays the vendors, the directory and the people. It is asked by the
// engine alone, from several goroutines.
type world struct {
	*store.Store
	tenant model.TenantID
	given  Given

	mu       sync.Mutex
	requests []Request
	used     map[string]int // by step: answers that were given
	run      string
}

// step is the one that has an effect now: a run has one at a time, and those
// that wait for one another have none. One of another Workflow has its name too.
func (w *world) step(ctx context.Context) (name string, err error) {
	runs, err := w.ListRuns(ctx, w.tenant, store.RunFilter{States: []store.RunState{store.RunInFlight}, Limit: 1})
	if err != nil || len(runs) == 0 {
		return "", fmt.Errorf("no run has a call under way: %w", err)
	}
	return w.named(runs[0], runs[0].StepPath), nil
}

func (w *world) named(r store.Run, path string) string {
	if r.ID == w.run {
		return workflow.StepName(path)
	}
	return r.Name + "/" + workflow.StepName(path)
}

// answer is the next one that is written down for a step.
func (w *world) answer(step string) (Answer, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := step
	all, ok := w.given.Answers[key]
	if !ok { // a step inside of others is known by its own name too
		key = short(step)
		all, ok = w.given.Answers[key]
	}
	if !ok {
		return Answer{}, false
	}
	i := min(w.used[key], len(all)-1)
	w.used[key]++
	return all[i], true
}

// short is a step's name without those around it.
func short(step string) string { return step[strings.LastIndexAny(step, "./")+1:] }

// actions is world as the engine's vendors.
type actions struct{ *world }

// Action implements workflow.Actions. Nothing is looked at before or after: what
// an action does, its answer says.
func (w actions) Action(_ context.Context, _ model.TenantID, integration, action string) (workflow.ActionInfo, error) {
	info, known, _ := describe(w.given.Integrations, integration, action)
	if !known || info.Class == "" {
		return workflow.ActionInfo{Class: workflow.ClassIdempotent}, nil
	}
	return workflow.ActionInfo{Class: workflow.Class(info.Class), EndsAccount: info.EndsAccount}, nil
}

// Precheck implements workflow.Actions.
func (w actions) Precheck(context.Context, model.TenantID, workflow.Call) (workflow.Result, error) {
	return workflow.Result{Class: workflow.ResultAbsent}, nil
}

// Verify implements workflow.Actions.
func (w actions) Verify(context.Context, model.TenantID, workflow.Call) (workflow.Result, error) {
	return workflow.Result{Class: workflow.ResultDone}, nil
}

// Execute implements workflow.Actions.
func (w actions) Execute(ctx context.Context, _ model.TenantID, c workflow.Call) (workflow.Result, error) {
	step, err := w.step(ctx)
	if err != nil {
		return workflow.Result{}, err
	}
	r := Request{Step: step, Integration: c.Integration, Action: c.Action, With: c.Input}
	mail := c.Integration == workflow.MailIntegration
	if mail { // what a person reads; how it is laid out is no test's matter
		r.With = map[string]any{"to": c.Input[workflow.MailTo], "subject": c.Input[workflow.MailSubject]}
	}
	w.mu.Lock()
	w.requests = append(w.requests, r)
	n := len(w.requests)
	w.mu.Unlock()
	res := workflow.Result{Class: workflow.ResultDone, Sent: true, StatusCode: http.StatusOK}
	if mail {
		res.Output = map[string]any{workflow.MailMessageID: fmt.Sprintf("<%d@test>", n), workflow.MailTo: c.Input[workflow.MailTo]}
		return res, nil
	}
	if a, ok := w.peek(step); ok && a.Answer == "" { // else it is a person's
		a, _ = w.answer(step)
		res.Class, res.Message, res.Output = workflow.ResultClass(cmp.Or(a.Result, string(workflow.ResultDone))), a.Message, a.Output
		if a.Status != 0 {
			res.StatusCode = a.Status
		}
	}
	if c.Action == "message.send" && res.Output == nil {
		res.Output = map[string]any{"channel": "D1", "ts": fmt.Sprintf("%d.0", n)}
	}
	return res, nil
}

// Send implements workflow.Requests.
func (w *world) Send(ctx context.Context, _ model.TenantID, r workflow.Request) (workflow.Result, error) {
	step, err := w.step(ctx)
	if err != nil {
		return workflow.Result{}, err
	}
	out := Request{Step: step, Method: r.Method, URL: r.URL, Body: r.Body}
	if len(r.Query) > 0 {
		var pairs []string
		for _, k := range slices.Sorted(maps.Keys(r.Query)) {
			pairs = append(pairs, k+"="+r.Query[k])
		}
		out.URL += "?" + strings.Join(pairs, "&")
	}
	w.mu.Lock()
	w.requests = append(w.requests, out)
	w.mu.Unlock()
	a, _ := w.answer(step)
	header := map[string]string{}
	for k, v := range a.Headers {
		header[strings.ToLower(k)] = v
	}
	status := cmp.Or(a.Status, http.StatusOK)
	return workflow.Result{Class: workflow.ResultDone, Sent: true, StatusCode: status, Answer: &workflow.Answer{Status: status, Header: header, Body: a.Body, Words: a.Message}}, nil
}

// Recheck implements workflow.Facts: users' Workflows have nothing to recheck.
func (w *world) Recheck(context.Context, model.TenantID, workflow.Subject) (workflow.Verdict, error) {
	return workflow.Verdict{Decision: workflow.Go}, nil
}

// people is world as the engine's directory of whom to ask.
type people struct{ *world }

// Holders implements workflow.People.
func (w people) Holders(_ context.Context, _ model.TenantID, _ workflow.Subject, role workflow.Role) ([]store.Assignee, error) {
	p := w.given.Person
	switch {
	case p == nil:
		return nil, nil
	case role == workflow.RolePerson:
		return []store.Assignee{assignee(*p)}, nil
	case role == workflow.RoleManager && p.ManagerEmail != "":
		if found, ok := w.find(p.ManagerEmail); ok {
			return []store.Assignee{assignee(found)}, nil
		}
		return []store.Assignee{assignee(Person{Email: p.ManagerEmail})}, nil
	}
	return nil, nil
}

// ByEmail implements workflow.People.
func (w people) ByEmail(_ context.Context, _ model.TenantID, email string) ([]store.Assignee, bool, error) {
	if p, ok := w.find(email); ok {
		return []store.Assignee{assignee(p)}, true, nil
	}
	return nil, false, nil
}

// Channels implements workflow.People.
func (w people) Channels(context.Context, model.TenantID) ([]workflow.ChannelRef, error) {
	return []workflow.ChannelRef{{Kind: workflow.ChannelEmail}}, nil
}

// SlackUser implements workflow.People.
func (w people) SlackUser(_ context.Context, _ model.TenantID, _ workflow.Subject, _, id string) (string, bool, error) {
	return "U" + id, true, nil
}

func (w *world) find(email string) (Person, bool) {
	all := w.given.People
	if w.given.Person != nil {
		all = append([]Person{*w.given.Person}, all...)
	}
	for _, p := range all {
		if strings.EqualFold(p.Email, email) {
			return p, true
		}
	}
	return Person{}, false
}

func assignee(p Person) store.Assignee {
	return store.Assignee{PersonID: "person/" + p.Email, Name: cmp.Or(p.DisplayName, p.Email), Email: p.Email, TimeZone: p.TimeZone, KubernetesUser: p.Email}
}

// Person implements workflow.Store with the people of the test.
func (w *world) Person(_ context.Context, _ model.TenantID, id string) (store.PersonView, error) {
	p, ok := w.find(strings.TrimPrefix(id, "person/"))
	if !ok {
		return store.PersonView{}, store.ErrNotFound
	}
	return view(p), nil
}

// ListAccounts implements workflow.Store with the accounts of the test.
func (w *world) ListAccounts(_ context.Context, _ model.TenantID, q store.AccountQuery) ([]store.AccountView, string, error) {
	p, _ := w.find(strings.TrimPrefix(q.PersonID, "person/"))
	out := make([]store.AccountView, len(p.Accounts))
	for i, a := range p.Accounts {
		out[i] = store.AccountView{Integration: a.Integration, Account: model.Account{
			ExternalID: a.ExternalID, Username: a.Username, DisplayName: a.DisplayName, Status: model.AccountStatus(cmp.Or(a.Status, "active")),
			Kind: model.AccountKind(a.Kind), Role: a.Role, IsAdmin: a.IsAdmin,
		}}
	}
	return out, "", nil
}

func view(p Person) store.PersonView {
	return store.PersonView{
		ID: "person/" + p.Email, APIID: p.ID, EmployeeID: p.EmployeeID, Email: p.Email, DisplayName: p.DisplayName, GivenName: p.GivenName, FamilyName: p.FamilyName,
		Title: p.Title, Department: p.Department, Division: p.Division, CostCenter: p.CostCenter, Location: p.Location, TimeZone: p.TimeZone,
		EmploymentType: p.EmploymentType, ManagerEmail: p.ManagerEmail, StartDate: model.Date(p.StartDate), EndDate: model.Date(p.EndDate),
		Lifecycle: model.Lifecycle(cmp.Or(p.Lifecycle, string(model.LifecycleCurrent))), Custom: p.Custom,
	}
}
