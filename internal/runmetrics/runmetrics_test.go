// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package runmetrics_test

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/runmetrics"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// scene is a store whose runs a test moves as an engine would.
type scene struct {
	*testing.T
	store  *store.Store
	clock  *clocktesting.FakeClock
	tenant model.TenantID
	leases store.Leases
}

func newScene(t *testing.T, open storetest.Opener, namespace string) *scene {
	t.Helper()
	s := &scene{T: t, clock: clocktesting.NewFakeClock(time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC))}
	s.store = open(storetest.WithClock(s.clock))
	var err error
	s.tenant, err = s.store.EnsureTenant(t.Context(), namespace)
	s.must(err)
	held, err := s.store.HoldShards(t.Context(), store.HoldRequest{Owner: "a", Lease: time.Hour})
	s.must(err)
	s.leases = held.Leases
	return s
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// run starts a run of the Workflow and returns its id.
func (s *scene) run(workflow, key string) string {
	s.Helper()
	_, err := s.store.CreateRuns(s.Context(), s.tenant, []store.NewRun{{Kind: "Workflow", Name: workflow, TriggerKind: "manual", TriggerKey: key, Definition: json.RawMessage(`{}`)}})
	s.must(err)
	r, err := s.store.RunByTrigger(s.Context(), s.tenant, "Workflow", workflow, key)
	s.must(err)
	return r.ID
}

func (s *scene) advance(id string, change func(*store.RunChange)) {
	s.Helper()
	s.must(s.tryAdvance(id, change))
}

func (s *scene) tryAdvance(id string, change func(*store.RunChange)) error {
	return s.store.AdvanceRuns(s.Context(), s.leases, []store.RunKey{{Tenant: s.tenant, ID: id}}, func(_ time.Time, l store.LoadedRun) (*store.RunChange, error) {
		c := &store.RunChange{Run: l.Run}
		change(c)
		return c, nil
	})
}

func (s *scene) begin(id string, state store.RunState, reason string) {
	s.advance(id, func(c *store.RunChange) {
		c.Run.State, c.Run.Reason, c.Run.Cursor, c.Run.DueAt = state, reason, json.RawMessage(`{"since":1}`), s.clock.Now().Add(time.Hour)
	})
}

func (s *scene) end(id string, state store.RunState, outcome string) {
	s.advance(id, func(c *store.RunChange) {
		now := s.clock.Now()
		c.Run.State, c.Run.Outcome, c.Run.EndedAt = state, outcome, &now
	})
}

// metricsOf reads every metric about runs of a namespace, as NAME{VALUES}.
func metricsOf(t *testing.T, g prometheus.Gatherer, namespace string) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "seatkeeper_") {
			continue
		}
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				if l.GetName() != "namespace" {
					values = append(values, l.GetValue())
				} else if l.GetValue() != namespace {
					values = nil
					break
				}
			}
			if len(values) > 0 {
				slices.Sort(values)
				out[strings.TrimPrefix(f.GetName(), "seatkeeper_")+"{"+strings.Join(values, ",")+"}"] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return out
}

// What becomes of runs is counted once, whoever ends them, and what is rolled
// back is not.
func TestCounted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		namespace := strings.ToLower(strings.NewReplacer("/", "-").Replace(t.Name()))
		s := newScene(t, open, namespace)
		runmetrics.Count(s.store)

		good := s.run("leaver", "1")
		s.begin(good, store.RunInFlight, "")
		attempt := store.Attempt{StepPath: "off", N: 1, State: store.AttemptIntent, Integration: "zoom", Action: "user.suspend", Class: "idempotent", IdemKey: "k", StartedAt: s.clock.Now()}
		put := func(state store.AttemptState) func(*store.RunChange) {
			return func(c *store.RunChange) { attempt.State = state; c.Attempts = []store.Attempt{attempt} }
		}
		s.advance(good, put(store.AttemptIntent))
		if err := s.tryAdvance(good, func(c *store.RunChange) {
			put(store.AttemptFailed)(c)
			c.Bookings = []store.Booking{{}} // which cannot be written
		}); err == nil {
			t.Fatal("the transaction was to fail")
		}
		s.advance(good, put(store.AttemptOK))
		s.end(good, store.RunSucceeded, "")
		s.end(s.run("leaver", "2"), store.RunFailed, "failed")

		// A person stops one that waits, and the runs that it has started end with it.
		parent := s.run("leaver", "3")
		s.begin(parent, store.RunWaiting, store.ReasonWaitingForRun)
		s.advance(parent, func(c *store.RunChange) {
			c.Starts = []store.NewRun{{Kind: "Workflow", Name: "child", TriggerKind: "run", TriggerKey: "c", ParentID: parent, Definition: json.RawMessage(`{}`)}}
		})
		if _, err := s.store.StopRun(t.Context(), s.tenant, parent, store.Decider{Actor: "user:mia", Kind: model.ActorUser}); err != nil {
			t.Fatal(err)
		}
		want := map[string]float64{
			"runs_started_total{Workflow,leaver}":         2, // the others ended at once
			"runs_ended_total{Workflow,leaver,succeeded}": 1, "runs_ended_total{Workflow,failed,leaver}": 1, "runs_ended_total{Workflow,leaver,stopped}": 1,
			"runs_ended_total{Workflow,child,stopped}": 1, "run_calls_total{ok,zoom}": 1,
		}
		if d := cmp.Diff(want, metricsOf(t, metrics.Registry, namespace)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

// What is open is served as it is, and not counted again at each scrape.
func TestBacklog(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		s := newScene(t, open, "acme")
		registry := prometheus.NewRegistry()
		registry.MustRegister(&runmetrics.Backlog{Store: s.store, Clock: s.clock, Log: slog.New(slog.DiscardHandler)})
		equal := func(when string, want map[string]float64) {
			t.Helper()
			if d := cmp.Diff(want, metricsOf(t, registry, "acme")); d != "" {
				t.Errorf("%s (-want +got):\n%s", when, d)
			}
		}
		equal("nothing is open", map[string]float64{})

		late := s.run("leaver", "1") // due now, and nobody takes it
		s.begin(s.run("leaver", "2"), store.RunWaiting, "WaitingForApproval")
		s.begin(s.run("leaver", "3"), store.RunWaiting, "NoReachableChannel")
		s.begin(s.run("leaver", "4"), store.RunAttention, "OutcomeUnknown")
		s.end(s.run("hire", "1"), store.RunSucceeded, store.OutcomeUndelivered)
		s.end(s.run("quiet", "1"), store.RunSucceeded, "")
		start := func(key string, state store.StartState) store.WorkflowStart {
			return store.WorkflowStart{Workflow: "hire", Key: key, Kind: "PersonJoined", State: state, HappenedAt: s.clock.Now(), DueAt: s.clock.Now(), LookAt: s.clock.Now(), DecidedAt: s.clock.Now()}
		}
		_, err := s.store.ApplyStarts(t.Context(), s.tenant, store.StartBatch{Starts: []store.WorkflowStart{start("a", store.StartHeld), start("b", store.StartHeld), start("c", store.StartWaiting), start("d", store.StartSkipped)}})
		s.must(err)
		s.must(s.store.Lane(s.tenant, "zoom").Block(t.Context(), "users", s.clock.Now().Add(90*time.Second)))
		equal("what was counted is kept a moment", map[string]float64{})

		s.clock.Step(30 * time.Second)
		want := map[string]float64{
			"runs{Workflow,leaver,running}": 1, "runs{Workflow,leaver,waiting}": 2, "runs{Workflow,attention,leaver}": 1,
			"run_lag_seconds{Workflow,leaver}": 30, "runs_unreached{Workflow,leaver}": 1,
			"runs{Workflow,hire,running}": 0, "runs{Workflow,hire,waiting}": 0, "runs{Workflow,attention,hire}": 0,
			"run_lag_seconds{Workflow,hire}": 0, "runs_unreached{Workflow,hire}": 1,
			"workflow_starts{held,hire}": 2, "workflow_starts{hire,waiting}": 1, "lane_blocked_seconds{zoom}": 60,
		}
		equal("later", want)

		s.end(late, store.RunFailed, "failed")
		s.clock.Step(25 * time.Hour)
		equal("a day later", map[string]float64{
			"runs{Workflow,leaver,running}": 0, "runs{Workflow,leaver,waiting}": 2, "runs{Workflow,attention,leaver}": 1,
			"run_lag_seconds{Workflow,leaver}": (24*time.Hour + 30*time.Second).Seconds(), "runs_unreached{Workflow,leaver}": 1,
			"workflow_starts{held,hire}": 2, "workflow_starts{hire,waiting}": 1,
		})

		s.must(s.store.Close())
		s.clock.Step(time.Hour)
		equal("the store is away: what is missing is what an alarm sees", map[string]float64{})
	})
}
