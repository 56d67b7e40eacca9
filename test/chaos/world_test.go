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
	"os"
	"os/exec"
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
	// timeout of a reclaim's question, which nobody answers then; 0: longer than
	// the test.
	timeout time.Duration
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
	if err := w.putPeople(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// putPeople has the people of the seats in the directory.
func (w *world) putPeople(ctx context.Context) (err error) {
	s, err := store.Open(ctx, store.Options{DSN: w.dsn})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Migrate(ctx); err != nil {
		return err
	}
	tenant, err := s.EnsureTenant(ctx, "acme")
	if err != nil {
		return err
	}
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
	url    chan string // of its Slack endpoint; closed when it ends
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
		DSN: w.dsn, Endpoints: endpoints, Load: w.load.name, Seats: w.seats, Failpoint: failpoint, Timeout: w.timeout,
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

// people press a choice under every question that they have not got an
// acknowledgement for, again and again, as Slack and people do.
type people struct {
	sim  *fakesaas.Server
	mu   sync.Mutex
	url  string
	done map[string]bool

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
func (w *world) toTheEnd(failpoint string, kill func(p *process, start int)) (report, int) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	answers := &people{sim: w.sim, done: map[string]bool{}, choice: w.load.choice}
	if w.timeout == 0 {
		go answers.press(ctx)
	}
	kills := 0
	deadline := time.NewTimer(3 * time.Minute)
	defer deadline.Stop()
	for start := 0; ; start++ {
		p := w.start(failpoint)
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
