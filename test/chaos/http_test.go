// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
	"github.com/seatkeeper/seatkeeper/internal/workflow/httpstep"
)

// deskHost is the host of the requests; the operator redirects it to the desk.
const deskHost = "desk.example"

// The Workflows of requests: one whose lost answers resolve by themselves, and
// one that waits for a person.
const (
	safeRequests   = "safe"
	unsafeRequests = "unsafe"
)

func requestSteps(name string) []workflow.Step {
	retry := workflow.Retry{MaxAttempts: 100, Base: workflow.Span{Elapsed: 50 * time.Millisecond}}
	post := func(class workflow.Class) workflow.Step {
		return workflow.Step{Name: string(class), HTTP: &workflow.HTTPStep{
			Method: "POST", URL: "https://" + deskHost + "/" + string(class) + "/${input.account}", Class: class, Retry: retry, Body: map[string]any{"for": "${person.email}"},
		}}
	}
	if name == unsafeRequests {
		return []workflow.Step{post(workflow.ClassUnsafe)}
	}
	verifiable := post(workflow.ClassVerifiable)
	verifiable.HTTP.Verify = &workflow.HTTPVerify{
		URL: "https://" + deskHost + "/verifiable/${input.account}", Expect: "resp.count > 0", Within: workflow.Span{Elapsed: 50 * time.Millisecond},
	}
	return []workflow.Step{post(workflow.ClassKeyed), verifiable}
}

// startRequests is startWorkflows for requests.
func startRequests(ctx context.Context, s *store.Store, tenant model.TenantID, c config) error {
	d := workflow.Definition{Language: workflow.LanguageCEL, Subject: workflow.SubjectPerson, Steps: requestSteps(c.HTTP)}
	definition, err := d.Marshal()
	if err != nil {
		return err
	}
	state := store.WorkflowState{Name: c.HTTP, TriggerKind: workflow.TriggerManual, Subject: workflow.SubjectPerson, State: store.WorkflowReady}
	if _, err := s.PutWorkflow(ctx, tenant, state, definition); err != nil {
		return err
	}
	for _, one := range c.Seats {
		if _, _, err := workflow.Start(ctx, s, tenant, workflow.StartRequest{
			Workflow: c.HTTP, Key: one.PersonID, Person: one.Email, Input: map[string]any{"account": one.AccountID}, By: store.Decider{Actor: "chaos", Kind: model.ActorUser},
		}); err != nil {
			return err
		}
	}
	return nil
}

func newSender(c config) *httpstep.Sender {
	return &httpstep.Sender{
		Requester: connector.NewRequester(connector.RequesterOptions{Endpoints: c.Endpoints}), Clock: clock.RealClock{},
		Namespace: func(context.Context, model.TenantID) (string, error) { return "acme", nil },
	}
}

// desk counts the effects of requests. It honours keys.
type desk struct {
	mu      sync.Mutex
	effects map[string]int  // by class and account
	keys    map[string]bool // that had their effect
	lose    int             // every so many answers get lost; 0: none
	calls   int
}

func newDesk(t *testing.T) (*desk, string) {
	t.Helper()
	d := &desk{effects: map[string]int{}, keys: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{class}/{account}", func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		key := r.Header.Get("Idempotency-Key")
		if key == "" || !d.keys[key] {
			d.effects[r.PathValue("class")+"/"+r.PathValue("account")]++
		}
		d.keys[key] = key != ""
		d.calls++
		lost := d.lose > 0 && d.calls%d.lose == 0
		d.mu.Unlock()
		if lost {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusCreated)
	})
	mux.HandleFunc("GET /{class}/{account}", func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		_, _ = fmt.Fprintf(w, `{"count": %d}`, d.effects[r.PathValue("class")+"/"+r.PathValue("account")])
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return d, s.URL
}

func newRequestWorld(t *testing.T, dsn, name string, seats int) (*world, *desk) {
	t.Helper()
	w := newWorkflowWorld(t, dsn, seats)
	d, url := newDesk(t)
	w.http, w.endpoints = name, map[string]string{deskHost: url}
	return w, d
}

// checkSafe wants one effect of each request for each person.
func (w *world) checkSafe(r report, d *desk) {
	w.t.Helper()
	if n := len(w.seats); r.Outcomes[""] != n || r.Audits["http.post"] != 2*n {
		w.t.Errorf("outcomes %v and audits %v, want %d runs that succeeded", r.Outcomes, r.Audits, n)
	}
	for _, s := range w.seats {
		for _, class := range []string{"keyed", "verifiable"} {
			if n := d.effects[class+"/"+s.AccountID]; n != 1 {
				w.t.Errorf("%s for %s had %d effects", class, s.AccountID, n)
			}
		}
	}
}

// TestRequestsKilledAtFailpoints kills the process wherever a lost outcome
// matters. A request with a key or a look has one effect; an unsafe one is not
// sent again and waits for a person.
func TestRequestsKilledAtFailpoints(t *testing.T) {
	for _, name := range []string{
		failpoint.AfterIntentBeforeSend, failpoint.AfterEffectBeforeOutcome, failpoint.OutcomeBeforeCommit, failpoint.AfterOutcomeBeforeNext,
		failpoint.BeforeVerify, failpoint.AfterVerifyBeforeOutcome,
	} {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, _ string) {
				t.Parallel()
				fresh := storetest.Postgres
				if t.Name()[len(t.Name())-6:] == "sqlite" {
					fresh = storetest.SQLite
				}
				hits := 0
				for n := 1; ; n++ {
					w, d := newRequestWorld(t, fresh(t), safeRequests, 1)
					if name == failpoint.BeforeVerify || name == failpoint.AfterVerifyBeforeOutcome {
						d.lose = 2 // the answer of the second request, which is read back
					}
					r, kills := w.toTheEnd(name+":"+strconv.Itoa(n), 0, nil)
					w.checkSafe(r, d)
					hits += kills
					if kills == 0 || t.Failed() {
						break
					}
				}
				if hits == 0 {
					t.Errorf("no run came to failpoint %s", name)
				}
				if name == failpoint.BeforeVerify || name == failpoint.AfterVerifyBeforeOutcome {
					return
				}
				w, d := newRequestWorld(t, fresh(t), unsafeRequests, 1)
				r, kills := w.toTheEnd(name+":1", 0, nil)
				effects := d.effects["unsafe/"+w.seats[0].AccountID]
				committed := name == failpoint.AfterOutcomeBeforeNext
				wantState, wantEffects := string(store.RunAttention), 1
				if committed {
					wantState = ""
				}
				if name == failpoint.AfterIntentBeforeSend {
					wantEffects = 0
				}
				if kills != 1 || effects != wantEffects || r.Outcomes[wantState] != 1 {
					t.Errorf("unsafe: killed %d times, %d effects, outcomes %v; want %d and %q", kills, effects, r.Outcomes, wantEffects, wantState)
				}
			})
		})
	}
}

// TestRequestsKilledAtRandom kills the process at random instants while many
// requests are under way and answers get lost.
func TestRequestsKilledAtRandom(t *testing.T) {
	total, seed := envInt(t, "SEATKEEPER_CHAOS_KILLS", 5), envInt(t, "SEATKEEPER_CHAOS_SEED", 3)
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		random := rand.New(rand.NewPCG(uint64(seed), 2))
		w, d := newRequestWorld(t, dsn, safeRequests, 20)
		d.lose = 7
		r, kills := w.toTheEnd("", 0, func(p *process, start int) {
			if start >= total {
				return
			}
			select {
			case <-time.After(time.Duration(50+random.IntN(300)) * time.Millisecond):
				_ = p.cmd.Process.Kill()
			case <-p.ended:
			}
		})
		t.Logf("killed %d times", kills)
		w.checkSafe(r, d)
	})
}
