// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

const signingSecret = fakesaas.SimSlackSigningSecret

func TestMain(m *testing.M) {
	if raw := os.Getenv(childEnv); raw != "" {
		if err := runChild(raw); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// world is the simulated vendors and the seats to reclaim.
type world struct {
	t     *testing.T
	sim   *fakesaas.Server
	seats []seat
	dsn   string
	// workflow runs a user's Workflow for each person instead of asking them.
	workflow bool
	approval bool // of one that asks
	nested   bool // of one whose items run another
	// http names such a Workflow whose steps are requests; endpoints are where
	// their hosts are, beside the simulators.
	http      string
	endpoints map[string]string
}

func newWorld(t *testing.T, dsn string, seats int) *world {
	t.Helper()
	company := fakesaas.Generate(fakesaas.Config{Seed: 7, People: 60, Now: time.Now()})
	sim, err := fakesaas.Start(t.Context(), fakesaas.Options{Company: company})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	w := &world{t: t, sim: sim, dsn: dsn}
	slack := map[string]*fakesaas.SlackMember{}
	for _, m := range company.SlackMembers {
		if !m.Deleted && !m.Bot && m.EmployeeID != "" {
			slack[m.EmployeeID] = m
		}
	}
	for _, z := range company.ZoomUsers {
		m := slack[z.EmployeeID]
		if z.Type == 2 && z.Status == "active" && z.ID != "" && m != nil && len(w.seats) < seats {
			w.seats = append(w.seats, seat{AccountID: z.ID, PersonID: "p-" + z.EmployeeID, Name: z.FirstName, Email: z.Email, SlackUser: m.ID})
		}
	}
	if len(w.seats) < seats {
		t.Fatalf("the company has %d seats to reclaim, want %d", len(w.seats), seats)
	}
	return w
}

// process is one start of the child.
type process struct {
	cmd    *exec.Cmd
	url    chan string // of its Slack endpoint; closed when it ends
	out    bytes.Buffer
	errs   bytes.Buffer
	ended  chan struct{}
	killed bool
	err    error
}

func (w *world) start(failpoint string, timeout time.Duration) *process {
	w.t.Helper()
	endpoints := w.sim.Endpoints()
	maps.Copy(endpoints, w.endpoints)
	raw, err := json.Marshal(config{
		DSN: w.dsn, Endpoints: endpoints, HTTP: w.http, Nested: w.nested, Seats: w.seats, Failpoint: failpoint, Timeout: timeout, Workflow: w.workflow, Approval: w.approval,
		Secrets: map[string]map[string]string{
			"zoom":  {"accountId": fakesaas.SimZoomAccountID, "clientId": fakesaas.SimZoomClientID, "clientSecret": fakesaas.SimZoomClientSecret},
			"slack": {"token": fakesaas.SimSlackBotToken},
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	p := &process{cmd: exec.Command(os.Args[0]), url: make(chan string, 1), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), childEnv+"="+string(raw))
	p.cmd.Stderr = &p.errs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		lines := bufio.NewReader(stdout)
		if line, err := lines.ReadString('\n'); err == nil {
			p.url <- line[:len(line)-1]
		}
		close(p.url)
		_, _ = io.Copy(&p.out, lines)
		p.err = p.cmd.Wait()
		var exit *exec.ExitError
		if errors.As(p.err, &exit) {
			if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
				p.killed, p.err = true, nil
			}
		}
	}()
	return p
}

// people press Reclaim under every question that they have not got an
// acknowledgement for, again and again, as Slack and people do.
type people struct {
	sim  *fakesaas.Server
	mu   sync.Mutex
	url  string
	done map[string]bool
	// choice that they make.
	choice string
}

func (a *people) at(url string) { a.mu.Lock(); defer a.mu.Unlock(); a.url = url }

func (a *people) press(ctx context.Context) {
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		a.mu.Lock()
		url := a.url
		a.mu.Unlock()
		if url == "" {
			continue
		}
		for _, m := range a.sim.Messages() {
			if a.done[m.TS] || len(m.Buttons()) == 0 {
				continue
			}
			res, err := a.sim.Click(ctx, m.TS, a.choice, "", fakesaas.ClickOptions{URL: url})
			if err == nil && res.Status == 200 {
				a.done[m.TS] = true
			}
		}
	}
}

// toTheEnd starts the child, kills it as said, starts it again until it ends
// by itself, and returns its report and how often it was killed.
func (w *world) toTheEnd(failpoint string, timeout time.Duration, kill func(p *process, start int)) (report, int) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	answers := &people{sim: w.sim, done: map[string]bool{}, choice: "Reclaim"}
	if w.approval {
		answers.choice = "Approve"
	}
	if timeout == 0 {
		go answers.press(ctx)
	}
	kills := 0
	deadline := time.NewTimer(3 * time.Minute)
	defer deadline.Stop()
	for start := 0; ; start++ {
		p := w.start(failpoint, timeout)
		failpoint = "" // once
		go func() {
			if url, ok := <-p.url; ok {
				answers.at(url)
			}
		}()
		if kill != nil {
			kill(p, start)
		}
		select {
		case <-p.ended:
		case <-deadline.C:
			_ = p.cmd.Process.Kill()
			<-p.ended
			w.t.Fatalf("the runs did not end in time; the child said:\n%s", p.errs.String())
		}
		switch {
		case p.killed:
			kills++
			continue
		case p.err != nil:
			w.t.Fatalf("the child failed: %v\n%s", p.err, p.errs.String())
		}
		var r report
		if err := json.Unmarshal(p.out.Bytes(), &r); err != nil {
			w.t.Fatalf("the child's report: %v\n%s", err, p.out.String())
		}
		return r, kills
	}
}

// check compares what happened with what should have: once for each seat.
func (w *world) check(r report, answered bool) {
	w.t.Helper()
	n := len(w.seats)
	want := map[string]int{"license.remove": n, "message.send": n, "message.update": n, "prompt.answer": n}
	if !answered {
		delete(want, "prompt.answer")
	}
	for action, count := range want {
		if r.Audits[action] != count {
			w.t.Errorf("%d audit records of %s, want %d", r.Audits[action], action, count)
		}
	}
	if r.Outcomes["reclaimed"] != n {
		w.t.Errorf("outcomes %v, want %d reclaimed", r.Outcomes, n)
	}
	if r.Ledger["potential"] != n {
		w.t.Errorf("ledger %v, want %d potential", r.Ledger, n)
	}
	for _, s := range w.seats {
		if got := w.sim.EffectCount(fakesaas.Zoom, "license.remove", s.AccountID); got != 1 {
			w.t.Errorf("seat %s was removed %d times", s.AccountID, got)
		}
		if got := w.sim.EffectCount(fakesaas.Slack, "message.send", s.SlackUser); got != 1 {
			w.t.Errorf("%s got %d questions", s.SlackUser, got)
		}
		if got := w.sim.EffectCount(fakesaas.Slack, "message.update", s.SlackUser); got != 1 {
			w.t.Errorf("the question of %s was updated %d times", s.SlackUser, got)
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

// TestKilledAtEveryFailpoint kills the process at each named instant, each
// time that a run comes there.
func TestKilledAtEveryFailpoint(t *testing.T) {
	for _, name := range failpoint.All {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, _ string) {
				t.Parallel()
				kind := t.Name()[len(t.Name())-6:]
				hits := 0
				for n := 1; ; n++ {
					dsn := ""
					if kind == "sqlite" {
						dsn = storetest.SQLite(t)
					} else {
						dsn = storetest.Postgres(t)
					}
					w := newWorld(t, dsn, 1)
					timeout := time.Duration(0)
					if name == failpoint.WaitFiredBeforeCommit {
						timeout = 300 * time.Millisecond
					}
					r, kills := w.toTheEnd(name+":"+strconv.Itoa(n), timeout, nil)
					w.check(r, timeout == 0)
					hits += kills
					if kills == 0 || t.Failed() {
						break
					}
				}
				t.Logf("killed %d times", hits)
				if hits == 0 {
					t.Errorf("no run came to failpoint %s", name)
				}
			})
		})
	}
}

// misbehave makes the vendors lose answers after the effect, refuse for a
// while and break connections, in the midst of the calls that write.
func (w *world) misbehave() {
	for _, write := range []struct{ vendor, method, path string }{
		{fakesaas.Slack, "POST", "/api/chat.postMessage"}, {fakesaas.Slack, "POST", "/api/chat.update"}, {fakesaas.Zoom, "PATCH", "/v2/users/*"},
	} {
		for i, kind := range []fakesaas.FaultKind{fakesaas.FaultLostResponse, fakesaas.FaultError, fakesaas.FaultDropConnection, fakesaas.FaultRateLimit} {
			w.sim.AddFault(fakesaas.Fault{Kind: kind, Vendor: write.vendor, Method: write.method, Path: write.path, Skip: i, Times: 1, RetryAfter: 1})
		}
	}
}

// TestVendorsMisbehave loses answers instead of killing the process.
func TestVendorsMisbehave(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		t.Parallel()
		w := newWorld(t, dsn, 5)
		w.misbehave()
		r, _ := w.toTheEnd("", 0, nil)
		for _, f := range w.sim.Faults() {
			if f.Hits == 0 {
				t.Errorf("fault %s of %s did not happen", f.Kind, f.Path)
			}
		}
		w.check(r, true)
	})
}

// TestKilledAtRandom kills the process at random instants while many runs are
// under way. SEATKEEPER_CHAOS_KILLS says how often, SEATKEEPER_CHAOS_SEED when.
func TestKilledAtRandom(t *testing.T) {
	total, seed := envInt(t, "SEATKEEPER_CHAOS_KILLS", 10), envInt(t, "SEATKEEPER_CHAOS_SEED", 1)
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		random := rand.New(rand.NewPCG(uint64(seed), 0))
		w := newWorld(t, dsn, 20)
		r, kills := w.toTheEnd("", 0, func(p *process, start int) {
			if start >= total {
				return
			}
			select {
			case <-time.After(time.Duration(50+random.IntN(400)) * time.Millisecond):
				_ = p.cmd.Process.Kill()
			case <-p.ended:
			}
		})
		t.Logf("killed %d times", kills)
		w.check(r, true)
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
