// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
	"github.com/seatkeeper/seatkeeper/internal/workflow/httpstep"
)

// deskHost is the host of the requests; the operator redirects it to the desk.
const deskHost = "desk.example"

// safeRequests have lost answers resolve by themselves; unsafeRequests wait for a
// person.
var (
	safeRequests = load{
		name:  "safe",
		start: startOne(workflow.Definition{Steps: []workflow.Step{deskStep(workflow.ClassKeyed), deskStep(workflow.ClassVerifiable)}}),
		want: expectation{
			outcomes: map[string]int{"": 1}, audits: map[string]int{"http.post": 2},
			desk: map[string]int{"keyed": 1, "verifiable": 1},
		},
	}
	unsafeRequests = load{
		name: "unsafe", parks: true,
		start: startOne(workflow.Definition{Steps: []workflow.Step{deskStep(workflow.ClassUnsafe)}}),
	}
)

// deskStep is a request of a class, for the account that the run is started for.
func deskStep(class workflow.Class) workflow.Step {
	return deskPost(string(class), class, "${input.account}")
}

// deskPost is a request that the desk counts under its name.
func deskPost(name string, class workflow.Class, account string) workflow.Step {
	url := "https://" + deskHost + "/" + name + "/" + account
	s := workflow.Step{Name: name, HTTP: &workflow.HTTPStep{
		Method: "POST", URL: url, Class: class, Body: map[string]any{"for": "${person.email}"},
		Retry: workflow.Retry{MaxAttempts: 100, Base: workflow.Span{Elapsed: 50 * time.Millisecond}},
	}}
	if class == workflow.ClassVerifiable {
		s.HTTP.Verify = &workflow.HTTPVerify{URL: url, Expect: "resp.count > 0", Within: workflow.Span{Elapsed: 50 * time.Millisecond}}
	}
	return s
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
	effects map[string]int  // by name and account
	keys    map[string]bool // that had their effect
	lose    int             // every so many answers get lost; 0: none
	calls   int
}

func (d *desk) count(name, account string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.effects[name+"/"+account]
}

// refused is the name of requests that the desk never takes.
const refused = "refused"

// newDesk returns a desk and its address.
func newDesk(t *testing.T) (*desk, string) {
	t.Helper()
	d := &desk{effects: map[string]int{}, keys: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{name}/{account}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") == refused {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		d.mu.Lock()
		key := r.Header.Get("Idempotency-Key")
		if key == "" || !d.keys[key] {
			d.effects[r.PathValue("name")+"/"+r.PathValue("account")]++
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
	mux.HandleFunc("GET /{name}/{account}", func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		_, _ = fmt.Fprintf(w, `{"count": %d}`, d.effects[r.PathValue("name")+"/"+r.PathValue("account")])
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return d, s.URL
}

// TestRequestsKilledAtFailpoints kills the process wherever a lost outcome
// matters: a request with a key or a look has one effect.
func TestRequestsKilledAtFailpoints(t *testing.T) {
	killedAt(t, safeRequests, 1, []string{
		failpoint.AfterIntentBeforeSend, failpoint.AfterEffectBeforeOutcome, failpoint.OutcomeBeforeCommit, failpoint.AfterOutcomeBeforeNext,
		failpoint.BeforeVerify, failpoint.AfterVerifyBeforeOutcome,
	}, func(w *world, point string) {
		if point == failpoint.BeforeVerify || point == failpoint.AfterVerifyBeforeOutcome {
			w.desk.lose = 2 // the answer of the second request, which is read back
		}
	})
}

// TestUnsafeRequestKilledAtFailpoints kills the process around a request that
// nothing makes safe to repeat: it is not sent again and waits for a person.
func TestUnsafeRequestKilledAtFailpoints(t *testing.T) {
	parked, ended := map[string]int{string(store.RunAttention): 1}, map[string]int{"": 1}
	for point, want := range map[string]expectation{
		failpoint.AfterIntentBeforeSend:    {outcomes: parked, desk: map[string]int{"unsafe": 0}},
		failpoint.AfterEffectBeforeOutcome: {outcomes: parked, desk: map[string]int{"unsafe": 1}},
		failpoint.OutcomeBeforeCommit:      {outcomes: parked, desk: map[string]int{"unsafe": 1}},
		failpoint.AfterOutcomeBeforeNext:   {outcomes: ended, desk: map[string]int{"unsafe": 1}},
	} {
		t.Run(point, func(t *testing.T) {
			eachStore(t, func(t *testing.T, fresh func(testing.TB) string) {
				t.Parallel()
				w := newWorld(t, fresh(t), unsafeRequests, 1)
				w.load.want = want
				r, kills := w.toTheEnd(once(point + ":1"))
				w.check(r)
				if kills != 1 {
					t.Errorf("killed %d times", kills)
				}
			})
		})
	}
}
