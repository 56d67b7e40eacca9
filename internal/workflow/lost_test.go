// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// A clear refusal says nothing of the attempt before it whose answer was lost: the
// effect keeps its key.
func TestLostThenRefused(t *testing.T) {
	for _, class := range []ResultClass{ResultConflict, ResultFailed} {
		t.Run(string(class), func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				k.vendor.infos["pay"] = ActionInfo{Class: ClassKeyed}
				k.vendor.script("pay", k.effectThenLost)
				k.vendor.script("pay", func(Call) (Result, error) {
					return Result{Class: class, Sent: true, Message: "a request with this key is being processed"}, nil
				})
				k.beginDefinition(one("pay", nil))
				k.pass(time.Minute)
				k.pass(time.Minute)
				keys := map[string]bool{}
				for _, a := range k.run().Attempts {
					if a.Action == "pay" {
						keys[a.IdemKey] = true
					}
				}
				if k.vendor.calls["pay"] != 3 || len(keys) != 1 {
					t.Errorf("%d calls with %d keys, want 3 with one", k.vendor.calls["pay"], len(keys))
				}
			})
		})
	}
}

// One that is refused for good waits for a person, who is told why.
func TestLostThenDenied(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.vendor.infos["ticket.create"] = ActionInfo{Class: ClassKeyed}
		k.vendor.script("ticket.create", k.effectThenLost)
		k.vendor.script("ticket.create", func(Call) (Result, error) {
			return Result{Class: ResultDenied, Sent: true, Message: "HTTP 401: the token has ended"}, nil
		})
		d := cel(ticket("act", "x"))
		d.OnFailure = []Step{ticket("sorry", "sorry")}
		k.put(d)
		k.by("k")
		k.pass(time.Minute)
		k.expect(store.RunAttention, "", reasonUnknown)
		k.refuses(Verb{Kind: VerbRetry}, "may have had its effect")
		if n, _ := k.vendor.count("ticket.create"); n != 1 {
			t.Errorf("%d effects", n)
		}
		if n := k.audits()["ticket.create"]; n != 2 {
			t.Errorf("%d audit records, want one of the refusal and one of what was lost", n)
		}
	})
}

// patient verifies, and never finds anything.
type patient struct {
	*vendor
	asked atomic.Int64
}

func (p *patient) Verify(context.Context, model.TenantID, Call) (Result, error) {
	p.asked.Add(1)
	return Result{Class: ResultAbsent}, nil
}

// calm lets the engine settle, which it does only if nothing is due at once again
// and again.
func (k *kit) calm(when string) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), 20*time.Second)
	defer cancel()
	if err := k.engine.Settle(ctx); err != nil {
		k.t.Fatalf("%s the run does not come to rest: %v", when, err)
	}
}

// What goes on beyond a timeout keeps its pace.
func TestPaceBeyondATimeout(t *testing.T) {
	t.Run("work that the vendor accepted", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			k.ada(nil)
			v := &patient{vendor: k.vendor}
			k.vendor.infos["data.transfer"] = ActionInfo{Class: ClassIdempotent, HasVerify: true, WaitTimeout: 6 * time.Hour, WaitEvery: time.Minute}
			k.vendor.script("data.transfer", func(Call) (Result, error) { return Result{Class: ResultAccepted, Sent: true, StatusCode: 202}, nil })
			k.engine = k.newEngine(func(o *Options) { o.Actions, o.Language = v, expr.Workflow{} })
			k.put(cel(Step{Name: "act", Timeout: Hours(1), Action: &ActionStep{Integration: "google", Action: "data.transfer"}}))
			k.by("k")
			k.clock.Step(30 * time.Minute)
			k.calm("before the timeout")
			if r := k.run(); r.State != store.RunWaiting || r.Reason != "Verifying" {
				t.Fatalf("before the timeout: %s %s", r.State, r.Reason)
			}
			k.clock.Step(31 * time.Minute)
			k.calm("after the timeout")
			k.expect(store.RunFailed, "failed", reasonTimedOut)
		})
	})
	t.Run("a call that may be lost", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			k.ada(nil)
			for range 1000 {
				k.vendor.script("noop", func(Call) (Result, error) { return Result{Class: ResultUnknown, Sent: true, Message: "HTTP 503"}, nil })
			}
			d := cel(Step{Name: "act", Action: &ActionStep{Integration: "zoom", Action: "noop"}})
			d.Timeout = Hours(1)
			k.put(d)
			k.by("k")
			for range 13 {
				k.clock.Step(5 * time.Minute)
				k.calm("while calls are lost")
			}
			if n := k.vendor.calls["noop"]; n > 40 {
				t.Errorf("%d calls in 65 minutes", n)
			}
		})
	})
	t.Run("a suspended Workflow", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			k.ada(nil)
			d := cel(waits("pause", Hours(1)), ticket("two", "2"))
			d.Timeout = Hours(2)
			k.put(d)
			k.by("k")
			k.put(d, func(s *store.WorkflowState) { s.Suspended = true })
			k.clock.Step(150 * time.Minute)
			k.calm("suspended and overdue")
			k.expect(store.RunWaiting, "", store.ReasonWorkflowSuspended)
		})
	})
}

type shutLanes struct{ until time.Time }

func (s shutLanes) Draw(context.Context, model.TenantID, string, int) (int, time.Time, error) {
	return 0, s.until, nil
}

func (shutLanes) Block(context.Context, model.TenantID, string, time.Time) error { return nil }

// Who waits for a vendor that lets no call start says so, and does not wait longer
// than the step may take.
func TestShutLane(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		until := k.clock.Now().Add(10 * time.Hour)
		k.engine = k.newEngine(func(o *Options) { o.Language, o.Lanes = expr.Workflow{}, shutLanes{until} })
		s := ticket("act", "x")
		s.Timeout = Hours(1)
		k.put(cel(s))
		k.by("k")
		k.settle()
		k.expect(store.RunWaiting, "", "RateLimited")
		k.pass(2 * time.Hour)
		k.expect(store.RunFailed, "failed", reasonTimedOut)
	})
}

// broken fails to read the definition of "b" once.
type broken struct {
	*store.Store
	err  error
	left atomic.Int64
}

func (b *broken) Definition(ctx context.Context, tenant model.TenantID, kind, name string, revision int64) (json.RawMessage, error) {
	if name == "b" && b.left.Add(-1) >= 0 {
		return nil, b.err
	}
	return b.Store.Definition(ctx, tenant, kind, name, revision)
}

// A definition that cannot be read holds up nobody's run but its own.
func TestUnreadableDefinition(t *testing.T) {
	for name, tt := range map[string]struct {
		err   error
		times int64
		want  store.RunState
	}{
		"once":     {errors.New("connection reset"), 1, store.RunSucceeded},
		"for good": {store.ErrNotFound, 1 << 40, store.RunAttention},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				st := &broken{Store: k.store, err: tt.err}
				st.left.Store(tt.times)
				k.engine = k.newEngine(func(o *Options) { o.Store = st })
				raw, err := one("noop", nil).Marshal()
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range []string{"a", "b", "c"} {
					if _, err := k.store.CreateRuns(t.Context(), k.tenant, []store.NewRun{{Kind: "LicensePolicy", Name: name, TriggerKind: "manual", TriggerKey: "1", Definition: raw}}); err != nil {
						t.Fatal(err)
					}
					k.clock.Step(time.Second)
				}
				k.settle()
				k.pass(time.Second)
				runs, err := k.store.ListRuns(t.Context(), k.tenant, store.RunFilter{})
				if err != nil || len(runs) != 3 {
					t.Fatalf("%d runs, %v", len(runs), err)
				}
				for _, r := range runs {
					want := store.RunSucceeded
					if r.Name == "b" {
						want = tt.want
					}
					if r.State != want {
						t.Errorf("%s: %s %s, want %s", r.Name, r.State, r.Message, want)
					}
				}
			})
		})
	}
}
