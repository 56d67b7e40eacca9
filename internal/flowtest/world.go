// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/trigger"
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
	tenant  model.TenantID
	given   Given
	clock   clock.PassiveClock
	starter *trigger.Starter // nil: the run is started by hand
	events  []model.Event    // that the starter has not seen
	start   Start
	run     string

	mu       sync.Mutex
	requests []Request
	used     map[string]int // by step: answers that were given
	people   []Person       // given.person is the first, if there is one
}

func newWorld(ctx context.Context, st *store.Store, given Given, c clock.PassiveClock) (w *world, err error) {
	w = &world{Store: st, given: given, clock: c, used: map[string]int{}}
	if given.Person != nil {
		w.people = append(w.people, *given.Person)
	}
	w.people = append(w.people, given.People...)
	w.given.Later = slices.Clone(given.Later)
	slices.SortStableFunc(w.given.Later, func(a, b Change) int { return a.At.Compare(b.At) })
	if w.tenant, err = st.EnsureTenant(ctx, "test"); err != nil {
		return nil, err
	}
	o := given.Organization
	return w, st.SetTenantFacts(ctx, w.tenant, store.TenantFacts{
		DisplayName: o.DisplayName, Domains: o.Domains, TimeZone: o.TimeZone, Workday: store.WorkdayFacts{End: o.EndOfDay, Weekdays: o.Weekdays, Holidays: o.Holidays},
		LifecycleIntegration: cmp.Or(o.LifecycleSource, hris), Protected: o.Protected,
	})
}

// change lets the next thing change of the person, and their source tell it.
func (w *world) change(now time.Time) error {
	c := w.given.Later[0]
	w.given.Later = w.given.Later[1:]
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.given.Person == nil {
		return errors.New("given.later: there is no given.person who could change")
	}
	p, was := w.people[0], w.people[0].lifecycle()
	if err := known(&c.Person, &p); err != nil {
		return fmt.Errorf("given.later.person: %w", err)
	}
	if p.Email != w.people[0].Email {
		return errors.New("given.later.person.email: whom the test is about stays the same")
	}
	p.before = store.NextPeriod(p.before, was, p.lifecycle())
	w.people[0] = p
	payload, err := json.Marshal(personPayload(p, c.fields(), string(was)))
	w.events = append(w.events, model.Event{ID: "later-" + strconv.Itoa(len(w.given.Later)), Kind: model.EventPersonChanged, Subject: personID(p), CreatedAt: now, Payload: payload})
	return err
}

// everybody is who is there now.
func (w *world) everybody() []Person {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.people)
}

// step is the one whose call this is: runs that go on at the same time are told
// apart by the keys of their calls.
func (w *world) step(ctx context.Context, key string) (name string, err error) {
	runs, err := w.ListRuns(ctx, w.tenant, store.RunFilter{States: []store.RunState{store.RunInFlight}})
	if err != nil {
		return "", err
	}
	for _, r := range runs {
		if key != "" && len(runs) > 1 {
			detail, err := w.Run(ctx, w.tenant, r.ID)
			if err != nil {
				return "", err
			}
			if !slices.ContainsFunc(detail.Attempts, func(a store.Attempt) bool { return a.IdemKey == key }) {
				continue
			}
		}
		return w.named(ctx, r, r.StepPath)
	}
	return "", errors.New("no run has a call under way")
}

// maxDue is how many runs are put in order of those that are due at once.
const maxDue = 2000

// DueRuns implements workflow.Store: what is due at the same time is done in the
// order in which it was started, so that a test comes out the same each time.
func (w *world) DueRuns(ctx context.Context, leases store.Leases, g store.LaneGroup, limit int) ([]store.DueRun, error) {
	due, err := w.Store.DueRuns(ctx, leases, g, maxDue)
	slices.SortFunc(due, func(a, b store.DueRun) int { return cmp.Compare(a.ID, b.ID) })
	return due[:min(limit, len(due))], err
}

// AdvanceRuns implements workflow.Store with a directory as large as the test says.
func (w *world) AdvanceRuns(ctx context.Context, leases store.Leases, keys []store.RunKey, decide func(time.Time, store.LoadedRun) (*store.RunChange, error)) error {
	return w.Store.AdvanceRuns(ctx, leases, keys, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) {
		if l.Removal != nil {
			l.Removal.People = cmp.Or(w.given.Guard.People, directory)
		}
		return decide(now, l)
	})
}

// named is a step as people name it: an account of an offboarding step goes by
// its app, an item of a forEach by its place, and a step of another Workflow by
// that first.
func (w *world) named(ctx context.Context, r store.Run, path string) (string, error) {
	if r.ID == w.run {
		return workflow.StepName(path), nil
	}
	of, last := workflow.StartedBy(r)
	if of == "" || r.Kind == workflow.KindWorkflow {
		return r.Name + "/" + workflow.StepName(path), nil
	}
	parent, err := w.Run(ctx, w.tenant, r.ParentID)
	if err != nil {
		return "", err
	}
	if r.Kind == workflow.KindOffboarding {
		last = "." + appOf(r)
	} else {
		last += "." + workflow.StepName(path)
	}
	name, err := w.named(ctx, parent.Run, of)
	return name + last, err
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
	return workflow.ActionInfo{Class: workflow.Class(info.Class), EndsAccount: info.EndsAccount, Removes: info.Effect == connector.EffectRemoves || info.Destructive}, nil
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
func (w actions) Execute(ctx context.Context, tenant model.TenantID, c workflow.Call) (workflow.Result, error) {
	step, err := w.step(ctx, c.IdemKey)
	if err != nil {
		return workflow.Result{}, err
	}
	if why, err := w.protected(ctx, tenant, c); err != nil || why != "" {
		return workflow.Result{Class: workflow.ResultDenied, Message: why + "; nothing was done"}, err
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
	if res.Class == workflow.ResultDone || res.Class == workflow.ResultAlready {
		w.acted(c)
	}
	if c.Action == "message.send" && res.Output == nil {
		res.Output = map[string]any{"channel": "D1", "ts": fmt.Sprintf("%d.0", n)}
	}
	return res, nil
}

// Send implements workflow.Requests.
func (w *world) Send(ctx context.Context, _ model.TenantID, r workflow.Request) (workflow.Result, error) {
	step, err := w.step(ctx, "")
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
	return workflow.Result{
		Class: workflow.ResultDone, Sent: true, StatusCode: status, RetryAfter: connector.RetryAfter(header["retry-after"], w.clock.Now()),
		Answer: &workflow.Answer{Status: status, Header: header, Body: a.Body, Words: a.Message},
	}, nil
}

// facts is world as what runs look at again before they act: the accounts of
// leavers, since users' Workflows have nothing to look at.
type facts struct{ *world }

// Recheck implements workflow.Facts.
func (w facts) Recheck(ctx context.Context, tenant model.TenantID, run workflow.Subject) (workflow.Verdict, error) {
	if run.Kind != workflow.KindOffboarding {
		return workflow.Verdict{Decision: workflow.Go}, nil
	}
	return govern.NewRechecker(w.world, w.clock).Recheck(ctx, tenant, run)
}

// protected is why nothing may be done to the account of a call.
func (w *world) protected(ctx context.Context, tenant model.TenantID, c workflow.Call) (string, error) {
	info, known, _ := describe(w.given.Integrations, c.Integration, c.Action)
	if !known || info.Effect != connector.EffectRemoves && !info.Destructive && c.Action != "user.update" && c.Action != "data.transfer" {
		return "", nil
	}
	return govern.NewRechecker(w, w.clock).Protected(ctx, tenant, c.Integration, c.Input)
}

// asked is world as the engine's directory of whom to ask.
type asked struct{ *world }

// Holders implements workflow.People.
func (w asked) Holders(ctx context.Context, tenant model.TenantID, run workflow.Subject, role workflow.Role) ([]store.Assignee, error) {
	switch role {
	case workflow.RoleAppOwner:
		return w.owners(run)
	case workflow.RoleOwner:
		return w.contractOwner(), nil
	}
	p, err := w.Person(ctx, tenant, run.PersonID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case role == workflow.RolePerson:
		return []store.Assignee{assignee(p)}, nil
	case role == workflow.RoleManager && p.ManagerEmail != "":
		if found, ok := w.find(p.ManagerEmail); ok {
			return []store.Assignee{assignee(w.view(found))}, nil
		}
		return []store.Assignee{assignee(w.view(Person{Email: p.ManagerEmail}))}, nil
	}
	return nil, nil
}

// ByEmail implements workflow.People.
func (w asked) ByEmail(_ context.Context, _ model.TenantID, email string) ([]store.Assignee, bool, error) {
	if p, ok := w.find(email); ok {
		return []store.Assignee{assignee(w.view(p))}, true, nil
	}
	return nil, false, nil
}

// Channels implements workflow.People.
func (w asked) Channels(context.Context, model.TenantID) ([]workflow.ChannelRef, error) {
	return []workflow.ChannelRef{{Kind: workflow.ChannelEmail}}, nil
}

// SlackUser implements workflow.People.
func (w asked) SlackUser(_ context.Context, _ model.TenantID, _ workflow.Subject, _, id string) (string, bool, error) {
	return "U" + id, true, nil
}

func (w *world) find(email string) (Person, bool) {
	for _, p := range w.everybody() {
		if strings.EqualFold(p.Email, email) {
			return p, true
		}
	}
	return Person{}, false
}

func assignee(p store.PersonView) store.Assignee {
	return store.Assignee{PersonID: p.ID, Name: cmp.Or(p.DisplayName, p.Email), Email: p.Email, TimeZone: p.TimeZone, KubernetesUser: p.Email}
}

// idPrefix begins the ids of the people of a test; those of others are the
// store's.
const idPrefix = "person/"

func personID(p Person) string { return idPrefix + p.Email }

// Person implements workflow.Store with the people of the test.
func (w *world) Person(ctx context.Context, tenant model.TenantID, id string) (store.PersonView, error) {
	email, ok := strings.CutPrefix(id, idPrefix)
	if !ok {
		return w.Store.Person(ctx, tenant, id)
	}
	p, ok := w.find(email)
	if !ok {
		return store.PersonView{}, fmt.Errorf("person %w", store.ErrNotFound)
	}
	return w.view(p), nil
}

// PersonGroups implements workflow.Store with the people of the test.
func (w *world) PersonGroups(ctx context.Context, tenant model.TenantID, id string) ([]string, error) {
	if email, ok := strings.CutPrefix(id, idPrefix); ok {
		p, _ := w.find(email)
		return p.Groups, nil
	}
	return w.Store.PersonGroups(ctx, tenant, id)
}

// ListAccounts implements workflow.Store with the accounts of the test. They are
// as they have just been read.
func (w *world) ListAccounts(ctx context.Context, tenant model.TenantID, q store.AccountQuery) ([]store.AccountView, string, error) {
	if q.PersonID != "" && !strings.HasPrefix(q.PersonID, idPrefix) {
		return w.Store.ListAccounts(ctx, tenant, q)
	}
	out := []store.AccountView{}
	for _, p := range w.everybody() {
		if q.PersonID != "" && q.PersonID != personID(p) {
			continue
		}
		for _, a := range p.Accounts {
			v := a.view(p)
			v.SyncedAt = w.clock.Now()
			if (q.App == "" || q.App == cmp.Or(a.App, "-")) && fits(q.Integrations, a.Integration) && fits(q.Statuses, string(v.Status)) && (fits(q.Known, a.ExternalID) || fits(q.Known, p.Email)) {
				out = append(out, v)
			}
		}
	}
	return out, "", nil
}

// fits says whether a value is among those asked for; nothing asked is any.
func fits(wanted []string, value string) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value)
}

// PersonByEmail is who has the address.
func (w *world) PersonByEmail(ctx context.Context, tenant model.TenantID, email string) (store.PersonView, error) {
	if p, ok := w.find(email); ok {
		return w.view(p), nil
	}
	return w.Store.PersonByEmail(ctx, tenant, email)
}

func (a Account) view(of Person) store.AccountView {
	return store.AccountView{Integration: a.Integration, PersonID: personID(of), PersonEmail: of.Email, PersonName: of.DisplayName, Account: model.Account{
		ExternalID: a.ExternalID, AppExternalID: a.App, Username: a.Username, DisplayName: a.DisplayName, Status: model.AccountStatus(cmp.Or(a.Status, string(model.AccountActive))),
		Kind: model.AccountKind(a.Kind), Role: a.Role, IsAdmin: a.IsAdmin,
	}}
}

func (p Person) lifecycle() model.Lifecycle {
	return model.Lifecycle(cmp.Or(p.Lifecycle, string(model.LifecycleCurrent)))
}

// period is the employment that the person is in.
func (p Person) period() int64 { return store.FirstPeriod + p.before }

func (w *world) view(p Person) store.PersonView {
	out := store.PersonView{
		ID: personID(p), APIID: p.ID, EmployeeID: p.EmployeeID, Email: p.Email, DisplayName: p.DisplayName, GivenName: p.GivenName, FamilyName: p.FamilyName,
		Title: p.Title, Department: p.Department, Division: p.Division, CostCenter: p.CostCenter, Location: p.Location, TimeZone: p.TimeZone,
		EmploymentType: p.EmploymentType, ManagerEmail: p.ManagerEmail, StartDate: model.Date(p.StartDate), EndDate: model.Date(p.EndDate),
		Lifecycle: p.lifecycle(), Custom: p.Custom, Period: p.period(),
	}
	if m, ok := w.find(p.ManagerEmail); ok {
		out.ManagerID = personID(m)
	}
	return out
}
