// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// slow is a vendor that accepts data.transfer and goes on by itself.
type slow struct {
	*vendor
	polls    int
	accepted map[string]any // of the last poll
	say      func(poll int) (Result, error)
}

func (s *slow) Verify(ctx context.Context, tenant model.TenantID, c Call) (Result, error) {
	if c.Action != "data.transfer" {
		return s.vendor.Verify(ctx, tenant, c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.polls++
	s.accepted = c.Accepted
	return s.say(s.polls)
}

// transfer begins a run that hands data over and waits for the vendor.
func (k *kit) transfer(say func(poll int) (Result, error)) *slow {
	k.t.Helper()
	s := &slow{vendor: k.vendor, say: say}
	k.vendor.infos["data.transfer"] = ActionInfo{Class: ClassIdempotent, WaitTimeout: 6 * time.Hour, WaitEvery: 10 * time.Minute}
	accept := func(c Call) (Result, error) {
		res := k.vendor.do(c)
		res.Class, res.Output = ResultAccepted, map[string]any{"job": "j" + fmt.Sprint(k.vendor.calls["data.transfer"])}
		return res, nil
	}
	k.vendor.script("data.transfer", accept)
	k.vendor.script("data.transfer", accept)
	k.engine = k.newEngine(func(o *Options) { o.Actions = s })
	k.beginDefinition(one("data.transfer", nil))
	return s
}

func (k *kit) transfers(want int) {
	k.t.Helper()
	if n, doubled := k.vendor.count("data.transfer"); n != want || len(doubled) > 0 {
		k.t.Errorf("%d transfers, doubled %v; want %d", n, doubled, want)
	}
}

var atIt = Result{Class: ResultAbsent, Message: "still at it"}

// Accepted work is asked for at the action's own pace. Nothing is in flight
// between, another process goes on after a crash, and what the vendor accepted
// is not asked for twice.
func TestAcceptedWorkIsWaitedForWithoutAWorker(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		s := k.transfer(func(poll int) (Result, error) {
			switch {
			case poll == 2:
				return Result{}, errors.New("the vendor is away")
			case poll < 5:
				return atIt, nil
			}
			return Result{Class: ResultDone, Output: map[string]any{"files": 7.0}}, nil
		})
		for i := 1; i <= 4; i++ {
			r := k.expect(store.RunWaiting, "", "Verifying")
			if s.polls != i || len(k.engine.busy) != 0 || r.DueAt.Sub(k.clock.Now()) != 10*time.Minute {
				t.Fatalf("poll %d: %d polls, %d busy, due in %s", i, s.polls, len(k.engine.busy), r.DueAt.Sub(k.clock.Now()))
			}
			if d := cmp.Diff(map[string]any{"job": "j1"}, s.accepted); d != "" {
				t.Fatal(d)
			}
			if i == 2 { // the process dies and another takes over
				k.engine = k.newEngine(func(o *Options) { o.Actions = s })
			}
			k.pass(9 * time.Minute)
			if s.polls != i {
				t.Fatalf("asked again after 9 minutes")
			}
			k.pass(time.Minute)
		}
		r := k.expect(store.RunSucceeded, "", "")
		k.transfers(1)
		if n := k.audits()["data.transfer"]; n != 1 {
			t.Errorf("%d audit records", n)
		}
		for _, a := range r.Attempts {
			if a.Action == "data.transfer" && (a.State != store.AttemptOK || a.Result != "accepted") {
				t.Errorf("%+v", a)
			}
		}
	})
}

// Work that the vendor says failed is a definite failure: the next try is a
// new effect, and it is waited for again.
func TestAcceptedWorkThatFails(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		s := k.transfer(func(poll int) (Result, error) {
			switch poll {
			case 1:
				return Result{Class: ResultFailed, Final: true, Message: "no such owner"}, nil
			case 2:
				return atIt, nil
			}
			return Result{Class: ResultDone}, nil
		})
		k.expect(store.RunWaiting, "", "Retrying")
		k.pass(10 * time.Second)
		k.expect(store.RunWaiting, "", "Verifying")
		if s.accepted["job"] != "j2" {
			t.Errorf("asked for %v", s.accepted)
		}
		k.pass(10 * time.Minute)
		k.expect(store.RunSucceeded, "", "")
		k.transfers(2) // two keys: doubled would name one that was used twice
	})
}

func TestAcceptedWorkThatNeverEnds(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.transfer(func(int) (Result, error) { return atIt, nil })
		for range 36 {
			k.expect(store.RunWaiting, "", "Verifying")
			k.pass(10 * time.Minute)
		}
		k.expect(store.RunFailed, "failed", "NotVerified")
	})
	eachStore(t, func(t *testing.T, k *kit) { // nothing can be learnt: a person looks
		k.transfer(func(int) (Result, error) { return Result{}, errors.New("the vendor is away") })
		for range 38 {
			k.pass(10 * time.Minute)
		}
		k.expect(store.RunAttention, "", "OutcomeUnknown")
		k.transfers(1)
	})
}

// A wait for a date of the person goes by the date as it is then, whichever way it
// was moved.
func TestWaitForADateThatMoves(t *testing.T) {
	for name, tt := range map[string]struct{ from, to string }{"later": {"2026-11-20", "2027-03-31"}, "sooner": {"2027-03-31", "2026-11-20"}} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				ends := func(on string) { k.ada(func(p *model.Person) { p.EndDate = model.Date(on) }) }
				ends(tt.from)
				k.put(cel(Step{Name: "last", Wait: &WaitStep{Until: &Moment{Date: "person.endDate", Time: "18:00"}}}, ticket("close", "close on ${person.endDate}")))
				k.by("k")
				k.pass(24 * time.Hour)
				ends(tt.to)
				for until := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC); k.clock.Now().Before(until); {
					k.pass(24 * time.Hour)
				}
				want := []string{"close on 2026-11-20"}
				if tt.to > "2027" {
					want = nil
				}
				k.want("tickets on 21 November", k.tickets(), want)
			})
		})
	}
}
