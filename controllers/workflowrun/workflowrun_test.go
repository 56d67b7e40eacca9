// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflowrun

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
	engine "github.com/seatkeeper/seatkeeper/internal/workflow"
)

func TestMain(m *testing.M) { testenv.Start(m) }

// backend is a store with one tenant.
type backend struct {
	*store.Store
	tenant model.TenantID
}

func (b backend) Start(ctx context.Context, _ string, r engine.StartRequest) (store.Run, error) {
	run, _, err := engine.Start(ctx, b.Store, b.tenant, r)
	return run, err
}

func (b backend) Find(ctx context.Context, _, workflow, key string) (store.RunDetail, error) {
	run, err := b.RunByTrigger(ctx, b.tenant, engine.KindWorkflow, workflow, engine.CallersKey(key))
	if err != nil {
		return store.RunDetail{}, err
	}
	return b.Run(ctx, b.tenant, run.ID)
}

func (b backend) Stop(ctx context.Context, _, id string, by store.Decider) error {
	_, err := b.StopRun(ctx, b.tenant, id, by)
	return err
}

// nothing is what an engine needs that runs nothing but waits.
type nothing struct{}

var errNothing = errors.New("there is nothing here")

func (nothing) Action(context.Context, model.TenantID, string, string) (engine.ActionInfo, error) {
	return engine.ActionInfo{}, errNothing
}
func (nothing) Precheck(context.Context, model.TenantID, engine.Call) (engine.Result, error) {
	return engine.Result{}, errNothing
}
func (nothing) Execute(context.Context, model.TenantID, engine.Call) (engine.Result, error) {
	return engine.Result{}, errNothing
}
func (nothing) Verify(context.Context, model.TenantID, engine.Call) (engine.Result, error) {
	return engine.Result{}, errNothing
}
func (nothing) Recheck(context.Context, model.TenantID, engine.Subject) (engine.Verdict, error) {
	return engine.Verdict{}, errNothing
}
func (nothing) ByEmail(context.Context, model.TenantID, string) ([]store.Assignee, bool, error) {
	return nil, false, errNothing
}

func (nothing) Channels(context.Context, model.TenantID) ([]engine.ChannelRef, error) {
	return nil, errNothing
}

func (nothing) Holders(context.Context, model.TenantID, engine.Subject, engine.Role) ([]store.Assignee, error) {
	return nil, errNothing
}
func (nothing) SlackUser(context.Context, model.TenantID, engine.Subject, string, string) (string, bool, error) {
	return "", false, errNothing
}

type kit struct {
	*testing.T
	client client.Client
	ns     string
	clock  *clocktesting.FakeClock
	store  backend
	r      *Reconciler
	engine *engine.Engine
}

func newKit(t *testing.T) *kit {
	t.Helper()
	env := testenv.Cluster(t)
	k := &kit{T: t, client: env.Client(t), ns: env.Namespace(t), clock: clocktesting.NewFakeClock(time.Now())}
	s := storetest.Open(t, storetest.SQLite(t), storetest.WithClock(k.clock))
	tenant, err := s.EnsureTenant(t.Context(), k.ns)
	if err != nil {
		t.Fatal(err)
	}
	k.store = backend{s, tenant}
	k.r = &Reconciler{Env: &reconcile.Env{Client: k.client, Clock: k.clock}, Backend: k.store}
	k.engine, err = engine.New(engine.Options{Store: s, Actions: nothing{}, Facts: nothing{}, People: nothing{}, PromptKey: make([]byte, 32), Clock: k.clock, Alone: true, Language: expr.Workflow{}})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// put stores a Workflow that waits for an hour.
func (k *kit) put(state string) {
	k.Helper()
	raw, err := engine.Definition{Language: engine.LanguageCEL, Steps: []engine.Step{
		{Name: "skipped", When: "false", Wait: &engine.WaitStep{For: engine.Hours(1)}}, {Name: "pause", Wait: &engine.WaitStep{For: engine.Hours(1)}},
	}}.Marshal()
	if err != nil {
		k.Fatal(err)
	}
	if _, err := k.store.PutWorkflow(k.Context(), k.store.tenant, store.WorkflowState{Name: "wf", TriggerKind: "manual", State: state}, raw); err != nil {
		k.Fatal(err)
	}
}

func (k *kit) create(name string, change func(*v1alpha1.WorkflowRunSpec)) *v1alpha1.WorkflowRun {
	k.Helper()
	r := &v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: name}, Spec: v1alpha1.WorkflowRunSpec{WorkflowRef: v1alpha1.ObjectReference{Name: "wf"}}}
	change(&r.Spec)
	if err := k.client.Create(k.Context(), r); err != nil {
		k.Fatal(err)
	}
	return r
}

func (k *kit) settle() {
	k.Helper()
	if err := k.engine.Settle(k.Context()); err != nil {
		k.Fatal(err)
	}
}

// settles reconciles until nothing changes any more, and compares the condition
// and the steps.
func (k *kit) settles(r *v1alpha1.WorkflowRun, want string, steps ...string) {
	k.Helper()
	reconciletest.Steady(k.T, k.client, r, k.r)
	c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionSucceeded)
	if c == nil || string(c.Status)+" "+c.Reason != want {
		k.Errorf("Succeeded is %+v, want %s", c, want)
	}
	got := []string{}
	for _, s := range r.Status.Steps {
		got = append(got, s.Name+" "+string(s.State))
	}
	if fmt.Sprint(got) != fmt.Sprint(append([]string{}, steps...)) {
		k.Errorf("steps are %v, want %v", got, steps)
	}
}

func same(*v1alpha1.WorkflowRunSpec) {}

// TestFollowsARun starts a run when its Workflow can, follows it to its end and
// then goes away, while the run stays.
func TestFollowsARun(t *testing.T) {
	k := newKit(t)
	r := k.create("first", same)
	k.settles(r, "Unknown WorkflowNotValid")
	k.put(store.WorkflowInvalid)
	k.settles(r, "Unknown WorkflowNotValid")
	k.put(store.WorkflowReady)
	k.settles(r, "Unknown Running")
	k.settle()
	k.settles(r, "Unknown Waiting", "skipped Skipped", "pause Waiting")
	id := r.Status.RunID
	if id == "" || r.Status.Revision != 1 || r.Status.StartTime == nil || r.Status.CompletionTime != nil {
		t.Errorf("status is %+v", r.Status)
	}
	k.clock.Step(time.Hour)
	k.settle()
	k.settles(r, "True Completed", "skipped Skipped", "pause Succeeded")
	if r.Status.CompletionTime == nil {
		t.Error("no completion time")
	}
	if err := k.client.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	r = k.create("first", same)
	k.settles(r, "True Completed", "skipped Skipped", "pause Succeeded")
	if r.Status.RunID != id {
		t.Error("created again, it follows another run")
	}
	k.clock.Step(167 * time.Hour)
	k.settles(r, "True Completed", "skipped Skipped", "pause Succeeded")
	k.clock.Step(2 * time.Hour)
	reconciletest.Reconcile(t, k.r, r)
	if err := k.client.Get(t.Context(), client.ObjectKeyFromObject(r), r); !apierrors.IsNotFound(err) {
		t.Errorf("after its time: %v", err)
	}
}

// TestStopsARun stops it by spec.stop, and not by going away.
func TestStopsARun(t *testing.T) {
	k := newKit(t)
	k.put(store.WorkflowReady)
	r := k.create("first", same)
	k.settles(r, "Unknown Running")
	k.settle()
	if err := k.client.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if run, err := k.store.Find(t.Context(), k.ns, "wf", "first"); err != nil || run.State != store.RunWaiting {
		t.Fatalf("the run is %s, %v", run.State, err)
	}
	r = k.create("first", func(s *v1alpha1.WorkflowRunSpec) { s.Stop = true })
	k.settles(r, "False Stopped", "skipped Skipped", "pause Stopped")
	none := k.create("none", func(s *v1alpha1.WorkflowRunSpec) { s.Stop = true })
	k.settles(none, "False Stopped")
	if _, err := k.store.Find(t.Context(), k.ns, "wf", "none"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a stopped run was started: %v", err)
	}
}

// TestRefusesASubject starts nothing for whom the Workflow is not.
func TestRefusesASubject(t *testing.T) {
	k := newKit(t)
	k.put(store.WorkflowReady)
	r := k.create("person", func(s *v1alpha1.WorkflowRunSpec) { s.Subject = &v1alpha1.RunSubject{Person: "jo@acme.example"} })
	k.settles(r, "False SubjectMismatch")
	r = k.create("app", func(s *v1alpha1.WorkflowRunSpec) { s.Subject = &v1alpha1.RunSubject{Application: "zoom"} })
	k.settles(r, "False SubjectMismatch")
	k.put(store.WorkflowReady)
	if _, err := k.store.PutWorkflow(t.Context(), k.store.tenant, store.WorkflowState{Name: "wf", TriggerKind: "manual", Subject: engine.SubjectPerson, State: store.WorkflowReady}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := k.store.PutWorkflow(t.Context(), k.store.tenant, store.WorkflowState{Name: "wf", TriggerKind: "manual", Subject: engine.SubjectApplication, State: store.WorkflowReady}, nil); err != nil {
		t.Fatal(err)
	}
	r = k.create("unknown-app", func(s *v1alpha1.WorkflowRunSpec) { s.Subject = &v1alpha1.RunSubject{Application: "figma"} })
	k.settles(r, "False SubjectNotFound")
	if _, err := k.store.PutWorkflow(t.Context(), k.store.tenant, store.WorkflowState{Name: "wf", TriggerKind: "manual", Subject: engine.SubjectPerson, State: store.WorkflowReady}, nil); err != nil {
		t.Fatal(err)
	}
	r = k.create("stranger", func(s *v1alpha1.WorkflowRunSpec) { s.Subject = &v1alpha1.RunSubject{Person: "jo@acme.example"} })
	k.settles(r, "False SubjectNotFound")
}
