// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

var start = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func take(t *testing.T, take func(context.Context, string, Rate) (time.Duration, error), key string, r Rate) time.Duration {
	t.Helper()
	wait, err := take(t.Context(), key, r)
	if err != nil {
		t.Fatal(err)
	}
	return wait
}

// However it is asked, a bucket gives no more than its burst and its rate.
func TestMemoryKeepsTheRate(t *testing.T) {
	c := clocktesting.NewFakeClock(start)
	m := NewMemory(c)
	rate := Rate{Count: 18, Per: time.Minute}
	taken := 0
	for c.Since(start) < 10*time.Minute {
		if wait := take(t, m.Take, "k", rate); wait > 0 {
			c.Step(wait)
			if again := take(t, m.Take, "k", rate); again > 0 {
				t.Fatalf("after waiting as told: wait %s more", again)
			}
		}
		taken++
	}
	if taken < 18*10 || taken > 18*11+1 {
		t.Errorf("%d taken in 10 minutes at 18/m", taken)
	}
	if take(t, m.Take, "other", rate) != 0 {
		t.Error("keys are not apart")
	}
}

// To look takes nothing, and says what taking would.
func TestPeek(t *testing.T) {
	c := clocktesting.NewFakeClock(start)
	m := NewMemory(c)
	rate := Rate{Count: 2, Per: time.Second, Burst: 3}
	for i := range 20 {
		for range 3 {
			m.Peek("k", rate)
		}
		looked := m.Peek("k", rate)
		if took := take(t, m.Take, "k", rate); took != looked {
			t.Fatalf("step %d: to look says %s, to take %s", i, looked, took)
		}
		c.Step(time.Duration(i%3) * 200 * time.Millisecond)
	}
	if err := m.Block(t.Context(), "k", c.Now().Add(time.Minute)); err != nil || m.Peek("k", rate) != time.Minute {
		t.Errorf("%s, %v for what is blocked", m.Peek("k", rate), err)
	}
}

func TestBlock(t *testing.T) {
	c := clocktesting.NewFakeClock(start)
	m := NewMemory(c)
	a, b := m.Scope("a"), m.Scope("b")
	if take(t, a.Take, "k", Rate{}) != 0 {
		t.Fatal("blocked from the start")
	}
	for _, until := range []time.Duration{time.Minute, 10 * time.Second} { // the later one stands
		if err := a.Block(t.Context(), "k", start.Add(until)); err != nil {
			t.Fatal(err)
		}
	}
	if got := take(t, a.Take, "k", Rate{}); got != time.Minute {
		t.Errorf("wait %s, want 1m", got)
	}
	if got := take(t, a.Take, "k", Rate{Count: 1, Per: time.Second}); got != time.Minute {
		t.Errorf("with a rate: wait %s, want 1m", got)
	}
	if take(t, b.Take, "k", Rate{}) != 0 {
		t.Error("another credential is blocked")
	}
	c.Step(time.Minute)
	if take(t, a.Take, "k", Rate{}) != 0 || take(t, a.Take, "k", Rate{Count: 1, Per: time.Second}) != 0 {
		t.Error("still blocked")
	}
}

func TestMemoryIsSafeForManyCallers(t *testing.T) {
	m := NewMemory(clocktesting.NewFakeClock(start))
	var got atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if wait, err := m.Take(context.Background(), "k", Rate{Count: 50, Per: time.Hour}); err == nil && wait == 0 {
					got.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if got.Load() != 50 {
		t.Errorf("%d tokens of 50 were given", got.Load())
	}
}

func TestParseRate(t *testing.T) {
	for in, want := range map[string]Rate{
		"18/m": {Count: 18, Per: time.Minute}, "1/s": {Count: 1, Per: time.Second}, "200/10s": {Count: 200, Per: 10 * time.Second}, "75000/d": {Count: 75000, Per: 24 * time.Hour},
	} {
		got, err := ParseRate(in)
		if err != nil || got != want {
			t.Errorf("%q: got %v, %v", in, got, err)
		}
		if back, err := ParseRate(got.String()); err != nil || back != got {
			t.Errorf("%q: comes back as %v, %v", in, back, err)
		}
	}
	for _, in := range []string{"", "5", "0/s", "-1/s", "x/s", "1/", "1/y", "1/10ms", "9999999/s"} {
		if got, err := ParseRate(in); err == nil {
			t.Errorf("%q: got %v", in, got)
		}
	}
}

func TestScale(t *testing.T) {
	for _, tt := range []struct{ count, reserve, want int }{{100, 50, 50}, {1, 50, 1}, {18, 0, 18}, {10, 99, 1}, {10, 200, 1}, {10, -5, 10}} {
		if got := (Rate{Count: tt.count, Per: time.Minute}).Scale(tt.reserve).Count; got != tt.want {
			t.Errorf("%d less %d%%: got %d, want %d", tt.count, tt.reserve, got, tt.want)
		}
	}
}
