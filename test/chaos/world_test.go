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
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
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

// world is the simulated vendors, a desk that takes requests, and the seats that
// a load is about.
type world struct {
	t     *testing.T
	sim   *fakesaas.Server
	desk  *desk
	url   string // of the desk
	seats []seat
	dsn   string
	load  load
	// hook is the path of the webhook that everybody's change is told by; empty:
	// nothing is told.
	hook string
	// timeout of a reclaim's question, which nobody answers then; 0: longer than
	// the test.
	timeout time.Duration
	shift   time.Duration // of the processes' clocks
	ring    string        // the file of the keyring
	// between, if not nil, does something with the store after a kill.
	between func(s *store.Store, tenant model.TenantID) error
}

func newWorld(t *testing.T, dsn string, l load, seats int) *world {
	t.Helper()
	company := fakesaas.Generate(fakesaas.Config{Seed: 7, People: 60, Now: time.Now()})
	sim, err := fakesaas.Start(t.Context(), fakesaas.Options{Company: company})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	w := &world{t: t, sim: sim, dsn: dsn, load: l}
	w.desk, w.url = newDesk(t)
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
	w.ring = filepath.Join(t.TempDir(), "keyring")
	ring, err := store.LoadKeyring(w.ring, true)
	if err != nil {
		t.Fatal(err)
	}
	w.visit(func(s *store.Store, tenant model.TenantID) error {
		if err := w.putPeople(t.Context(), s, tenant); err != nil || l.prepare == nil {
			return err
		}
		return l.prepare(w, s, ring, tenant)
	})
	return w
}

// visit opens the store while no process has it.
func (w *world) visit(do func(s *store.Store, tenant model.TenantID) error) {
	w.t.Helper()
	ctx := w.t.Context()
	s, err := store.Open(ctx, store.Options{DSN: w.dsn})
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Migrate(ctx); err != nil {
		w.t.Fatal(err)
	}
	tenant, err := s.EnsureTenant(ctx, "acme")
	if err == nil {
		err = do(s, tenant)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// putPeople has the people of the seats in the directory.
func (w *world) putPeople(ctx context.Context, s *store.Store, tenant model.TenantID) error {
	if _, err := s.UpsertIntegration(ctx, tenant, store.IntegrationSpec{Name: "hris", UID: "hris", Connector: "csv", Interval: time.Hour}); err != nil {
		return err
	}
	c, err := s.ClaimIntegration(ctx, tenant, "hris", "chaos", time.Minute)
	if err != nil {
		return err
	}
	y, err := s.BeginSync(ctx, c)
	if err != nil {
		return err
	}
	var people []model.Record
	for _, one := range w.seats {
		people = append(people, model.Record{Person: &model.Person{ExternalID: one.PersonID, Email: one.Email, DisplayName: one.Name, Lifecycle: model.LifecycleCurrent}})
	}
	if err := y.Stage(ctx, "people", "", people); err != nil {
		return err
	}
	_, err = y.FinishStream(ctx, "people", store.StreamOutcome{Complete: true, Types: []model.DataType{model.DataPeople}, Guard: model.DefaultShrinkGuard})
	return errors.Join(err, y.Close(ctx), s.FinishIntegration(ctx, c, store.IntegrationResult{Synced: true}))
}

// process is one start of the child.
type process struct {
	cmd    *exec.Cmd
	url    string        // of its endpoints, once it is ready
	ready  chan struct{} // or has ended
	out    bytes.Buffer
	errs   bytes.Buffer
	ended  chan struct{}
	killed bool
	err    error
}

func (w *world) start(failpoint string) *process {
	w.t.Helper()
	endpoints := w.sim.Endpoints()
	endpoints[deskHost] = w.url
	raw, err := json.Marshal(config{
		DSN: w.dsn, Keyring: w.ring, Shift: w.shift, Endpoints: endpoints, Load: w.load.name, Seats: w.seats, Failpoint: failpoint, Timeout: w.timeout,
		Secrets: map[string]map[string]string{
			"zoom":  {"accountId": fakesaas.SimZoomAccountID, "clientId": fakesaas.SimZoomClientID, "clientSecret": fakesaas.SimZoomClientSecret},
			"slack": {"token": fakesaas.SimSlackBotToken},
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	p := &process{cmd: exec.Command(os.Args[0]), ready: make(chan struct{}), ended: make(chan struct{})}
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
			p.url = line[:len(line)-1]
		}
		close(p.ready)
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

// people press a choice under every question that they have not got an
// acknowledgement for, and tell of everybody's change, again and again, as Slack,
// vendors and people do.
type people struct {
	w    *world
	mu   sync.Mutex
	url  string
	done map[string]bool
}

func (w *world) people(ctx context.Context) *people {
	a := &people{w: w, done: map[string]bool{}}
	go a.act(ctx)
	return a
}

func (a *people) at(url string) { a.mu.Lock(); defer a.mu.Unlock(); a.url = url }

// follow turns to a process when it answers.
func (a *people) follow(p *process) {
	go func() {
		if <-p.ready; p.url != "" {
			a.at(p.url)
		}
	}()
}

func (a *people) act(ctx context.Context) {
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
		if url != "" {
			a.press(ctx, url)
			a.tell(ctx, url)
		}
	}
}

func (a *people) press(ctx context.Context, url string) {
	if a.w.timeout != 0 {
		return
	}
	for _, m := range a.w.sim.Messages() {
		for _, b := range m.Buttons() {
			chosen := func(choice string) bool { return strings.EqualFold(b.Text, choice) }
			if a.done[m.TS] || !slices.ContainsFunc(a.w.load.choices, chosen) {
				continue
			}
			res, err := a.w.sim.Click(ctx, m.TS, b.ActionID, "", fakesaas.ClickOptions{URL: url + "/slack/interactions/acme/slack"})
			a.done[m.TS] = err == nil && res.Status == http.StatusOK
		}
	}
}

func (a *people) tell(ctx context.Context, url string) {
	if a.w.hook == "" {
		return
	}
	for _, one := range a.w.seats {
		if a.done[one.Email] {
			continue
		}
		body := fmt.Sprintf(`{"email": %q, "account": %q}`, one.Email, one.AccountID)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+a.w.hook, strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			continue
		}
		_ = res.Body.Close()
		a.done[one.Email] = res.StatusCode == http.StatusAccepted
	}
}

// plan says of each start of a process at which failpoint it dies, and when it is
// killed after it is ready; empty and zero: not.
type plan func(start int) (failpoint string, after time.Duration)

// once has the first process die at a failpoint.
func once(failpoint string) plan {
	return func(start int) (string, time.Duration) {
		if start > 0 {
			return "", 0
		}
		return failpoint, 0
	}
}

// toTheEnd starts the child, kills it as planned, starts it again until it ends
// by itself, and returns its report and how often it was killed.
func (w *world) toTheEnd(to plan) (report, int) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	around := w.people(ctx)
	deadline := time.NewTimer(endsWithin)
	defer deadline.Stop()
	for start := 0; ; start++ {
		failpoint, after := to(start)
		p := w.start(failpoint)
		around.follow(p)
		if after > 0 {
			p.killAfter(after)
		}
		select {
		case <-p.ended:
		case <-deadline.C:
			_ = p.cmd.Process.Kill()
			<-p.ended
			w.t.Fatalf("the runs did not end in time; the child said:\n%s", p.errs.String())
		}
		if !p.killed {
			return w.report(p), start
		}
		if w.between != nil {
			w.visit(w.between)
		}
	}
}

// killAfter kills a process so long after it is ready, unless it has ended.
func (p *process) killAfter(d time.Duration) {
	<-p.ready
	select {
	case <-p.ended:
	case <-time.After(d):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// endsWithin is how long a load takes at most, however often it is killed.
const endsWithin = 5 * time.Minute

// report is what a process found that ended by itself.
func (w *world) report(p *process) (r report) {
	w.t.Helper()
	if p.err != nil {
		w.t.Fatalf("the child failed: %v\n%s", p.err, p.errs.String())
	}
	if err := json.Unmarshal(p.out.Bytes(), &r); err != nil {
		w.t.Fatalf("the child's report: %v\n%s", err, p.out.String())
	}
	return r
}

// misbehave makes the vendors lose answers after the effect, refuse for a while and
// break connections, in the midst of the calls that write.
func (w *world) misbehave() {
	for _, write := range []struct{ vendor, method, path string }{
		{fakesaas.Slack, "POST", "/api/chat.postMessage"}, {fakesaas.Slack, "POST", "/api/chat.update"}, {fakesaas.Zoom, "PATCH", "/v2/users/*"},
	} {
		for i, kind := range []fakesaas.FaultKind{fakesaas.FaultLostResponse, fakesaas.FaultError, fakesaas.FaultDropConnection, fakesaas.FaultRateLimit} {
			w.sim.AddFault(fakesaas.Fault{Kind: kind, Vendor: write.vendor, Method: write.method, Path: write.path, Skip: i, Times: 1, RetryAfter: 1})
		}
	}
	w.desk.lose = 7
}
