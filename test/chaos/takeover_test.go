// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// paused waits until a process has been stopped by a signal.
func (p *process) paused(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			break
		}
		if fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])); fields[0] == "T" {
			return
		}
	}
	t.Fatalf("the child did not come to its failpoint:\n%s", p.errs.String())
}

// end waits for a process to end by itself.
func (w *world) end(p *process) report {
	w.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(endsWithin):
		_ = p.cmd.Process.Kill()
		<-p.ended
		w.t.Fatalf("the runs did not end in time; the child said:\n%s", p.errs.String())
	}
	return w.report(p)
}

// TestTakeover pauses a process that owns the shards; another one takes them over
// and brings the runs to their end. When the first goes on, it has no say any more:
// nothing it stores counts, and it sends nothing.
func TestTakeover(t *testing.T) {
	one := func(desk string, state store.RunState, effects int) expectation {
		outcome := ""
		if state == store.RunAttention {
			outcome = string(state)
		}
		return expectation{outcomes: map[string]int{outcome: 1}, desk: map[string]int{desk: effects}}
	}
	for _, c := range []struct {
		load  load
		point string
		want  expectation
	}{
		{safeRequests, failpoint.BeforeIntent, safeRequests.want},
		{safeRequests, failpoint.AfterIntentBeforeSend, safeRequests.want},
		{safeRequests, failpoint.AfterEffectBeforeOutcome, safeRequests.want},
		{safeRequests, failpoint.OutcomeBeforeCommit, safeRequests.want}, // in a transaction, with its locks
		{safeRequests, failpoint.AfterOutcomeBeforeNext, safeRequests.want},
		{unsafeRequests, failpoint.AfterIntentBeforeSend, one("unsafe", store.RunAttention, 0)},
		{unsafeRequests, failpoint.AfterEffectBeforeOutcome, one("unsafe", store.RunAttention, 1)},
	} {
		t.Run(c.load.name+"/"+c.point, func(t *testing.T) {
			t.Parallel()
			// The locks of one that is paused in a transaction go after a second.
			w := newWorld(t, storetest.Postgres(t)+"&idle_in_transaction_session_timeout=1000", c.load, 1)
			w.load.want = c.want
			old := w.start(c.point + ":1:pause")
			old.paused(t)
			w.check(w.end(w.start("")))
			if err := old.cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			w.check(w.end(old))
		})
	}
}

// TestTwoProcessesAtRandom has two processes share the mixed load on one
// PostgreSQL, and kills or pauses one of them again and again.
func TestTwoProcessesAtRandom(t *testing.T) {
	total, seed := envInt(t, envKills, defaultKills)/4, envInt(t, envSeed, 1)
	random := rand.New(rand.NewPCG(uint64(seed), 2))
	w := newWorld(t, storetest.Postgres(t), mixed, 4)
	w.misbehave()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	around := w.people(ctx)
	begin := func() *process {
		p := w.start("")
		around.follow(p)
		return p
	}
	both := [2]*process{begin(), begin()}
	kills, pauses := 0, 0
	for range total {
		i := random.IntN(2)
		pause, rest := time.Duration(50+random.IntN(400))*time.Millisecond, time.Duration(random.IntN(1500))*time.Millisecond
		p, kill := both[i], random.IntN(2) == 0
		select {
		case <-p.ended:
			continue
		case <-time.After(pause):
		}
		if kill {
			_ = p.cmd.Process.Kill()
			<-p.ended
			kills++
			both[i] = begin()
			continue
		}
		_ = p.cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(rest) // longer or shorter than its lease
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
		pauses++
	}
	t.Logf("killed %d times, paused %d times; %s=%d", kills, pauses, envSeed, seed)
	var r report
	for _, p := range both {
		if <-p.ended; !p.killed {
			r = w.report(p)
		}
	}
	w.check(r)
}
