// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// defective is a vendor and a directory with defects.
type defective struct {
	*vendor
	*world
	action, verify, directory bool
}

func (b *defective) Action(ctx context.Context, tenant model.TenantID, integration, action string) (ActionInfo, error) {
	if b.action {
		panic("nobody expects ada@acme.example")
	}
	return b.vendor.Action(ctx, tenant, integration, action)
}

func (b *defective) Verify(ctx context.Context, tenant model.TenantID, c Call) (Result, error) {
	if b.verify {
		b.verify = false // the next works
		panic("nobody expects ada@acme.example")
	}
	return b.vendor.Verify(ctx, tenant, c)
}

func (b *defective) ByEmail(ctx context.Context, tenant model.TenantID, email string) ([]store.Assignee, bool, error) {
	if b.directory {
		panic("nobody expects ada@acme.example")
	}
	return b.world.ByEmail(ctx, tenant, email)
}

// lines is a log that several goroutines write.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// breaks gives the engine a defective world; the function returned checks what
// operators see of a number of panics.
func (k *kit) breaks(b *defective) (seen func(want int64)) {
	k.t.Helper()
	b.vendor, b.world = k.vendor, k.world
	var defects atomic.Int64
	log := &lines{}
	k.engine = k.newEngine(func(o *Options) {
		o.Language, o.Actions, o.People, o.OnDefect = expr.Workflow{}, b, b, func() { defects.Add(1) }
		o.Log = slog.New(slog.NewTextHandler(log, nil))
	})
	return func(want int64) {
		k.t.Helper()
		text := log.buf.String()
		if stacks := int64(strings.Count(text, "stack=")); defects.Load() != want || stacks != want || strings.Contains(text, "ada@") {
			k.t.Errorf("%d counted and %d stacks logged, want %d, without what was worked on:\n%s", defects.Load(), stacks, want, text)
		}
	}
}

// effectThenPanic has the effect and crashes.
func (k *kit) effectThenPanic(c Call) (Result, error) {
	k.vendor.do(c)
	panic("nobody expects ada@acme.example")
}

// The outcome of a call that panics is unknown, and is resolved by the class of
// the action as after a crash of the process.
func TestPanicInACall(t *testing.T) {
	for _, c := range []struct {
		class       ActionInfo
		calls       int
		state       store.RunState
		reason      string
		callsOfNext int
	}{
		{class: ActionInfo{Class: ClassUnsafe}, calls: 1, state: store.RunAttention, reason: reasonUnknown},
		{class: ActionInfo{Class: ClassKeyed}, calls: 2, state: store.RunSucceeded, callsOfNext: 1},
		{class: ActionInfo{Class: ClassIdempotent}, calls: 2, state: store.RunSucceeded, callsOfNext: 1},
		{class: ActionInfo{Class: ClassVerifiable, HasVerify: true, VerifyWithin: time.Minute}, calls: 1, state: store.RunSucceeded, callsOfNext: 1},
	} {
		t.Run(string(c.class.Class), func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				seen := k.breaks(&defective{})
				k.vendor.infos["pay"] = c.class
				k.vendor.script("pay", k.effectThenPanic)
				k.beginDefinition(one("pay", nil))
				k.pass(time.Minute)
				k.expect(c.state, "", c.reason)
				keys := map[string]bool{}
				for _, a := range k.run().Attempts {
					if a.Action == "pay" {
						keys[a.IdemKey] = true
					}
				}
				if k.vendor.calls["pay"] != c.calls || k.vendor.calls["noop"] != c.callsOfNext || len(keys) != 1 {
					t.Errorf("%d calls, want %d, with %d keys; %d of the next step", k.vendor.calls["pay"], c.calls, len(keys), k.vendor.calls["noop"])
				}
				seen(1)
			})
		})
	}
}

// What panics before a step can begin parks the run, that does nothing else.
func TestPanicWhileGathering(t *testing.T) {
	for name, b := range map[string]*defective{"what the action is": {action: true}, "whom to tell": {directory: true}} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				seen := k.breaks(b)
				step := ticket("act", "x")
				if b.directory {
					step = tellsIT()
				}
				k.put(Definition{Language: LanguageCEL, Steps: []Step{step}})
				if _, _, err := Start(t.Context(), k.store, k.tenant, StartRequest{Workflow: "wf", Key: "k", By: store.Decider{Actor: "test", Kind: model.ActorUser}}); err != nil {
					t.Fatal(err)
				}
				k.settle()
				if r := k.stand("wf", "attention Defect"); strings.Contains(r.Message, "ada@") || !strings.Contains(r.Message, "log") {
					t.Errorf("people read %q", r.Message)
				}
				seen(1)
			})
		})
	}
}

// A verification that panics is one that was not answered.
func TestPanicInAVerification(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		seen := k.breaks(&defective{verify: true})
		k.vendor.script("license.remove", func(c Call) (Result, error) { return k.vendor.do(c), nil })
		k.beginDefinition(one("license.remove", nil))
		k.pass(time.Minute)
		k.expect(store.RunSucceeded, "", "")
		k.effects(map[string]int{"license.remove": 1})
		seen(1)
	})
}
