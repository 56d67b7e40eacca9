// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// load is what the child carries out, and what must have happened in the end.
type load struct {
	name string
	// start asks for the runs at every start of the process; their keys make each
	// of them one.
	start func(ctx context.Context, s *store.Store, tenant model.TenantID, c config) error
	// prepare, if not nil, is what somebody did before the first start.
	prepare func(w *world, s *store.Store, ring *store.Keyring, tenant model.TenantID) error
	// perSeat is how many runs there are for each seat; 0: one.
	perSeat int
	// choices are what people press.
	choices []string
	// parks says that a run may wait for a person in the end.
	parks bool
	want  expectation
}

// loads are those that the child knows by name.
var loads = []load{reclaims, leavers, approvals, nested, parallel, safeRequests, unsafeRequests, told, nightly, edited, stopped, mixed}

func loadNamed(name string) load {
	for _, l := range loads {
		if l.name == name {
			return l
		}
	}
	panic("no load is called " + name)
}

// runs is how many there are in the end.
func (l load) runs(seats int) int { return seats * max(1, l.perSeat) }

// expectation is what must have happened in the end, for each seat.
type expectation struct {
	outcomes map[string]int // runs by outcome; "": succeeded
	audits   map[string]int // records by action
	ledger   map[string]int // entries by kind
	zoom     map[string]int // effects on the account, by action
	slack    map[string]int // effects on the person's conversation, by action
	desk     map[string]int // requests for the account that took effect, by name
}

// check compares what happened with what should have.
func (w *world) check(r report) {
	w.t.Helper()
	n, want := len(w.seats), w.load.want
	for _, c := range []struct {
		what      string
		got, want map[string]int
	}{{"runs", r.Outcomes, want.outcomes}, {"audit records", r.Audits, want.audits}, {"ledger entries", r.Ledger, want.ledger}} {
		for key, each := range c.want {
			if c.got[key] != n*each {
				w.t.Errorf("%s: %v, want %d of %q", c.what, c.got, n*each, key)
			}
		}
	}
	for _, s := range w.seats {
		for action, count := range want.zoom {
			if got := w.sim.EffectCount(fakesaas.Zoom, action, s.AccountID); got != count {
				w.t.Errorf("%s of %s had %d effects, want %d", action, s.AccountID, got, count)
			}
		}
		for action, count := range want.slack {
			if got := w.sim.EffectCount(fakesaas.Slack, action, s.SlackUser); got != count {
				w.t.Errorf("%s to %s had %d effects, want %d", action, s.SlackUser, got, count)
			}
		}
		for name, count := range want.desk {
			if got := w.desk.count(name, s.AccountID); got != count {
				w.t.Errorf("the %s request for %s had %d effects, want %d", name, s.AccountID, got, count)
			}
		}
	}
	for _, m := range w.sim.Messages() {
		if len(m.Buttons()) > 0 {
			w.t.Errorf("message %s still has buttons", m.TS)
		}
	}
	if v := w.sim.Violations(); len(v) > 0 {
		w.t.Errorf("the simulators refused: %+v", v)
	}
}

// eachStore runs a test on each kind of store. fresh gives the DSN of an empty one.
func eachStore(t *testing.T, fn func(t *testing.T, fresh func(testing.TB) string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, storetest.SQLite) })
	t.Run("postgres", func(t *testing.T) { fn(t, storetest.Postgres) })
}

// killedAt kills the process that carries out a load at each of the instants, each
// time that it comes there. change may change the world before it begins.
func killedAt(t *testing.T, l load, seats int, points []string, change func(w *world, point string)) {
	t.Helper()
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			eachStore(t, func(t *testing.T, fresh func(testing.TB) string) {
				t.Parallel()
				hits := 0
				for n := 1; ; n++ {
					w := newWorld(t, fresh(t), l, seats)
					if change != nil {
						change(w, point)
					}
					r, kills := w.toTheEnd(once(point + ":" + strconv.Itoa(n)))
					w.check(r)
					hits += kills
					if kills == 0 || t.Failed() {
						break
					}
				}
				t.Logf("killed %d times", hits)
				if hits == 0 {
					t.Errorf("no run came to failpoint %s", point)
				}
			})
		})
	}
}

// How often the tests at random kill in all, on both stores, and when.
const (
	envKills     = "SEATKEEPER_CHAOS_KILLS"
	envSeed      = "SEATKEEPER_CHAOS_SEED"
	defaultKills = 40
)

// killedAtRandom kills the process that carries out a load at random instants and
// failpoints. So many eighths of all kills are its share on each store.
func killedAtRandom(t *testing.T, l load, seats, eighths int, points []string) {
	t.Helper()
	total, seed := envInt(t, envKills, defaultKills)*eighths/8, envInt(t, envSeed, 1)
	t.Logf("%s=%d repeats this", envSeed, seed)
	eachStore(t, func(t *testing.T, fresh func(testing.TB) string) {
		random := rand.New(rand.NewPCG(uint64(seed), 0))
		alive := 500 // ms
		if strings.HasSuffix(t.Name(), "postgres") {
			alive += 1000 // the lease of the one before must end first
		}
		kills := 0
		for !t.Failed() && kills < total { // the runs of one world may be over before
			w := newWorld(t, fresh(t), l, seats)
			w.misbehave()
			r, n := w.toTheEnd(func(start int) (string, time.Duration) {
				after, point, at := time.Duration(1+random.IntN(alive))*time.Millisecond, points[random.IntN(len(points))], 1+random.IntN(4)
				switch {
				case kills+start >= total:
					return "", 0
				case start%2 == 0:
					return "", after
				}
				return point + ":" + strconv.Itoa(at), 2 * time.Second // or then, if it does not come there
			})
			w.check(r)
			kills += n
			t.Logf("killed %d times until all runs had ended", n)
		}
	})
}

func envInt(t *testing.T, name string, d int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return d
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// without is a copy of counts in which a key is not looked at.
func without(counts map[string]int, key string) map[string]int {
	out := maps.Clone(counts)
	delete(out, key)
	return out
}

// byHand is a Workflow that is started by hand.
func byHand(name string) store.WorkflowState {
	return store.WorkflowState{Name: name, TriggerKind: workflow.TriggerManual, Subject: workflow.SubjectPerson}
}

// putWorkflow stores a user's Workflow.
func putWorkflow(ctx context.Context, s *store.Store, tenant model.TenantID, w store.WorkflowState, d workflow.Definition) error {
	d.Language, d.Subject, w.State = workflow.LanguageCEL, w.Subject, store.WorkflowReady
	raw, err := d.Marshal()
	if err != nil {
		return err
	}
	_, err = s.PutWorkflow(ctx, tenant, w, raw)
	return err
}

// startEach asks for a run of a Workflow for each person.
func startEach(ctx context.Context, s *store.Store, tenant model.TenantID, name string, seats []seat) error {
	for _, one := range seats {
		if _, _, err := workflow.Start(ctx, s, tenant, workflow.StartRequest{
			Workflow: name, Key: one.PersonID, Person: one.Email, Input: map[string]any{"account": one.AccountID},
			By: store.Decider{Actor: "chaos", Kind: model.ActorUser},
		}); err != nil {
			return err
		}
	}
	return nil
}

// startOne puts a Workflow there and asks for a run of it for each person.
func startOne(d workflow.Definition) func(context.Context, *store.Store, model.TenantID, config) error {
	return func(ctx context.Context, s *store.Store, tenant model.TenantID, c config) error {
		if err := putWorkflow(ctx, s, tenant, byHand(c.Load), d); err != nil {
			return err
		}
		return startEach(ctx, s, tenant, c.Load, c.Seats)
	}
}

// soon is how the loads repeat what failed.
var soon = workflow.Retry{Base: workflow.Span{Elapsed: 50 * time.Millisecond}}

// zoomStep is an action on the account that the run was started for.
func zoomStep(name, action string) workflow.Step {
	return workflow.Step{Name: name, Action: &workflow.ActionStep{Integration: "zoom", Action: action, With: map[string]any{"userId": "${input.account}"}, Retry: soon}}
}
