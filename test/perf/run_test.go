// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
	"github.com/seatkeeper/seatkeeper/internal/workflow/httpstep"
)

// vendorHost is the host of the requests; the operator redirects it to the vendor.
const vendorHost = "vendor.example"

// atOnce is how many runs are at work at once, the engine's default, and how many
// calls of one lane.
const atOnce = 256

// post is an http step that sends a body to the vendor.
func post(name string, body map[string]any) workflow.Step {
	return workflow.Step{Name: name, Outputs: map[string]string{"id": "resp.id"}, HTTP: &workflow.HTTPStep{
		Method: "POST", URL: "https://" + vendorHost + "/" + name, Class: workflow.ClassKeyed, Body: body,
	}}
}

// requests is three requests in a row, the second by department with what the
// first gave: A, then B or D, then C.
var requests = workflow.Definition{Language: workflow.LanguageCEL, Steps: []workflow.Step{
	post("a", map[string]any{"run": "${event.data.run}", "department": "${event.data.department}", "text": "${event.data.text}"}),
	{Name: "branch", Switch: &workflow.SwitchStep{
		When:      []workflow.CaseStep{{When: "event.data.department == 'Sales'", Steps: []workflow.Step{post("b", map[string]any{"run": "${event.data.run}", "id": "${steps.a.id}"})}}},
		Otherwise: []workflow.Step{post("d", map[string]any{"run": "${event.data.run}", "id": "${steps.a.id}"})},
	}},
	post("c", map[string]any{"run": "${event.data.run}"}),
}}

// words are what the text of a delivery is drawn from: a sentence over and over
// would compress to nothing.
var words = strings.Fields(`please revoke the licence of this person because they have moved to another department in Berlin and their manager approved
	the request last Tuesday after a review of seats which nobody used since March while finance asks for cost centre owner invoice number contract renewal
	date laptop badge office floor team lead remote worker contractor email address phone mobile start end holiday backup`)

// delivery is a webhook's body of 1 KiB.
func delivery(i int) map[string]any {
	d := map[string]any{"run": fmt.Sprintf("run-%07d", i), "department": []string{"Sales", "Support"}[i%2], "text": ""}
	raw, _ := json.Marshal(d)                                            // a map of texts
	draw, text := rand.New(rand.NewPCG(uint64(i), 0)), strings.Builder{} //nolint:gosec // the same each time
	for text.Len() < 1024 {
		text.WriteString(words[draw.IntN(len(words))] + " ")
	}
	d["text"] = text.String()[:1024-len(raw)]
	return d
}

// bench is a store with an engine that talks to a vendor.
type bench struct {
	*testing.B
	dsn    string
	store  *store.Store
	tenant model.TenantID
	vendor *vendor
	looks  int // transactions that moved runs on
}

func newBench(b *testing.B, dialect string) *bench {
	b.Helper()
	k := &bench{B: b, vendor: startVendor(b)}
	if k.dsn = storetest.SQLite(b); dialect == "postgres" {
		k.dsn = storetest.Postgres(b)
	}
	k.store = storetest.Open(b, k.dsn)
	var err error
	if k.tenant, err = k.store.EnsureTenant(b.Context(), "acme"); err != nil {
		b.Fatal(err)
	}
	return k
}

// counted counts the transactions of the engine.
type counted struct {
	*store.Store
	looks *int
}

// AdvanceRuns implements workflow.Store.
func (c counted) AdvanceRuns(ctx context.Context, leases store.Leases, keys []store.RunKey, decide func(time.Time, store.LoadedRun) (*store.RunChange, error)) error {
	*c.looks++
	return c.Store.AdvanceRuns(ctx, leases, keys, decide)
}

func (k *bench) engine(actions workflow.Actions, laneConcurrency int) *workflow.Engine {
	k.Helper()
	e, err := workflow.New(workflow.Options{
		Store: counted{k.store, &k.looks}, Actions: actions, Facts: nobody{}, People: nobody{}, Language: expr.Workflow{}, PromptKey: make([]byte, 32), Alone: true,
		LaneConcurrency: laneConcurrency, Log: slog.New(slog.DiscardHandler),
		Requests: &httpstep.Sender{
			Requester: connector.NewRequester(connector.RequesterOptions{Endpoints: map[string]string{vendorHost: k.vendor.url}}), Clock: clock.RealClock{},
			Namespace: func(context.Context, model.TenantID) (string, error) { return "acme", nil },
		},
	})
	if err != nil {
		k.Fatal(err)
	}
	return e
}

// queue starts runs of a definition as deliveries of a webhook do.
func (k *bench) queue(name string, d workflow.Definition, from, n int, lane string) {
	k.Helper()
	if err := workflow.Check(d, expr.Workflow{}); err != nil {
		k.Fatal(err)
	}
	raw, err := d.Marshal()
	if err != nil {
		k.Fatal(err)
	}
	w := store.WorkflowState{Name: name, TriggerKind: "Webhook", State: store.WorkflowReady}
	if _, err := k.store.PutWorkflow(k.Context(), k.tenant, w, raw); err != nil {
		k.Fatal(err)
	}
	if w, err = k.store.Workflow(k.Context(), k.tenant, name); err != nil {
		k.Fatal(err)
	}
	for at := 0; at < n; at += 1000 {
		runs := make([]store.NewRun, min(1000, n-at))
		for i := range runs {
			data := delivery(from + at + i)
			begin := workflow.Beginning{Event: map[string]any{"kind": "Webhook", "data": data}, Why: "a webhook was received"}
			vars, err := begin.Vars(k.Context(), k.store, k.tenant)
			if err != nil {
				k.Fatal(err)
			}
			raw, err := json.Marshal(vars)
			if err != nil {
				k.Fatal(err)
			}
			runs[i] = store.NewRun{Kind: workflow.KindWorkflow, Name: name, Revision: w.Revision, TriggerKind: "Webhook", TriggerKey: data["run"].(string),
				Cause: "Workflow/" + name, Vars: raw, Lane: lane, Priority: store.PriorityRealtime}
		}
		if _, err := k.store.CreateRuns(k.Context(), k.tenant, runs); err != nil {
			k.Fatal(err)
		}
	}
}

// run has the engine at work until stop is called.
func (k *bench) run(e *workflow.Engine) (stop func()) {
	k.Helper()
	ctx, cancel := context.WithCancel(k.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			k.Errorf("the engine stopped: %v", err)
		}
	})
	k.Cleanup(stop)
	return stop
}

// untilEnded waits until all runs of a Workflow have succeeded.
func (k *bench) untilEnded(name string, n int) {
	k.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		counts, err := k.store.CountRuns(k.Context(), k.tenant, workflow.KindWorkflow, name)
		if err == nil && counts.Outcomes["succeeded"] == n {
			return
		}
		if time.Now().After(deadline) {
			k.Fatalf("%+v, %v: want %d that succeeded", counts, err, n)
		}
	}
}

// BenchmarkRuns carries out SEATKEEPER_BENCH_RUNS runs (20,000) of three requests
// each that wait in the store, with their 1 KiB of input.
func BenchmarkRuns(b *testing.B) {
	n := number(b, "SEATKEEPER_BENCH_RUNS", 20_000)
	for _, dialect := range []string{"sqlite", "postgres"} {
		b.Run(dialect, func(b *testing.B) {
			k := newBench(b, dialect)
			empty, _ := storetest.Size(b, k.dsn)
			k.queue("requests", requests, 0, n, "")
			e := k.engine(nobody{}, atOnce)
			b.ResetTimer()
			began, own, server, theirs := time.Now(), ownCPU(), storetest.ServerCPU(b, k.dsn), k.vendor.cpu()
			stop := k.run(e)
			k.vendor.until(3*n, 10*time.Minute)
			k.untilEnded("requests", n)
			took := time.Since(began)
			own, server, theirs = ownCPU()-own, storetest.ServerCPU(b, k.dsn)-server, k.vendor.cpu()-theirs
			b.StopTimer()
			stop()
			k.vendor.exactlyOnce(n, 3)
			rewritten, left := storetest.Size(b, k.dsn)
			per := func(d time.Duration) float64 { return d.Seconds() * 1000 / float64(n) }
			b.ReportMetric(float64(n)/took.Seconds(), "runs/s")
			b.ReportMetric(per(own+server), "cpu-s/1000")
			b.ReportMetric(per(server), "server-cpu-s/1000")
			b.ReportMetric(per(theirs), "vendor-cpu-s/1000")
			b.ReportMetric(float64(k.looks)*1000/float64(n), "commits/1000")
			b.ReportMetric(float64(rewritten-empty)/float64(n), "B/run")
			b.ReportMetric(float64(left-empty)/float64(n), "left-B/run")
		})
	}
}

// nobody is an installation without people and Integrations.
type nobody struct{}

var errNobody = errors.New("there is nobody here")

func (nobody) Action(context.Context, model.TenantID, string, string) (workflow.ActionInfo, error) {
	return workflow.ActionInfo{}, errNobody
}

func (nobody) Precheck(context.Context, model.TenantID, workflow.Call) (workflow.Result, error) {
	return workflow.Result{}, errNobody
}

func (nobody) Execute(context.Context, model.TenantID, workflow.Call) (workflow.Result, error) {
	return workflow.Result{}, errNobody
}

func (nobody) Verify(context.Context, model.TenantID, workflow.Call) (workflow.Result, error) {
	return workflow.Result{}, errNobody
}

func (nobody) Recheck(context.Context, model.TenantID, workflow.Subject) (workflow.Verdict, error) {
	return workflow.Verdict{}, errNobody
}

func (nobody) ByEmail(context.Context, model.TenantID, string) ([]store.Assignee, bool, error) {
	return nil, false, nil
}

func (nobody) Channels(context.Context, model.TenantID) ([]workflow.ChannelRef, error) {
	return nil, nil
}

func (nobody) Holders(context.Context, model.TenantID, workflow.Subject, workflow.Role) ([]store.Assignee, error) {
	return nil, nil
}

func (nobody) SlackUser(context.Context, model.TenantID, workflow.Subject, string, string) (string, bool, error) {
	return "", false, nil
}
