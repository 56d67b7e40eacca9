// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	slackgate "github.com/seatkeeper/seatkeeper/internal/gateway/slack"
	"github.com/seatkeeper/seatkeeper/internal/gateway/webhook"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/trigger"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// childEnv holds the child's config, as JSON.
const childEnv = "SEATKEEPER_CHAOS_CHILD"

// config is what the parent tells the child.
type config struct {
	DSN       string
	Keyring   string // the file
	Endpoints map[string]string
	Secrets   map[string]map[string]string // by integration
	Seats     []seat
	// Load is the name of what to carry out.
	Load string
	// Failpoint is NAME:N: the process kills itself when it comes to the name
	// for the Nth time; NAME:N:pause: it stops there until it is continued.
	Failpoint string
	Timeout   time.Duration // of the question; 0: longer than the test
	Shift     time.Duration // of the process's clock
}

// seat is one seat to reclaim.
type seat struct {
	AccountID, PersonID, Name, Email, SlackUser string
}

// report is what the child prints when every run has ended.
type report struct {
	Outcomes map[string]int // runs by outcome
	Audits   map[string]int // records by action
	Ledger   map[string]int // entries by kind
}

// the child's timing: short enough that a test of many kills ends soon.
const (
	lease       = 600 * time.Millisecond
	callTimeout = 500 * time.Millisecond
	grace       = 100 * time.Millisecond
)

// slack is how long a busy machine may take beyond that.
const slack = 15 * time.Second

// shifted is the time of day in a process that was started later.
type shifted struct {
	clock.RealClock
	by time.Duration
}

func (c shifted) Now() time.Time                  { return c.RealClock.Now().Add(c.by) }
func (c shifted) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// runChild is the process under test: store, engine, what starts runs, and the
// gateway's endpoints.
func runChild(raw string) (err error) {
	var c config
	if err := json.Unmarshal([]byte(raw), &c); err != nil {
		return err
	}
	if err := arm(c.Failpoint); err != nil {
		return err
	}
	l, now := loadNamed(c.Load), shifted{by: c.Shift}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := store.Open(ctx, store.Options{DSN: c.DSN, Clock: now})
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
	engine, err := newEngine(s, c, now)
	if err != nil {
		return err
	}
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel()
	if err := serve(ctx, &working, s, c, now); err != nil {
		return err
	}
	if err := l.start(ctx, s, tenant, c); err != nil {
		return err
	}
	stopped := make(chan error, 1)
	go func() { stopped <- engine.Run(ctx) }()
	for began := now.Now(); ; {
		left, err := l.left(ctx, s, tenant, len(c.Seats), began, now.Now())
		if err != nil {
			return err
		}
		if left == 0 {
			break
		}
		select {
		case err := <-stopped:
			return fmt.Errorf("the engine stopped: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	cancel()
	if err := <-stopped; err != nil {
		return err
	}
	return printReport(s, tenant)
}

// left is how many runs have not ended. A run that was due and that nobody took
// up when lease and deadline of an owner that died were over is stuck.
func (l load) left(ctx context.Context, s *store.Store, tenant model.TenantID, seats int, began, now time.Time) (int, error) {
	runs, err := s.ListRuns(ctx, tenant, store.RunFilter{Limit: 1000})
	if err != nil {
		return 0, err
	}
	left := l.runs(seats)
	for _, r := range runs {
		switch {
		case r.State.Ended(), r.State == store.RunAttention && l.parks:
			left--
		case r.State == store.RunAttention:
			return 0, fmt.Errorf("run %s is parked at %s: %s: %s", r.ID, r.StepPath, r.Reason, r.Message)
		case !r.DueAt.IsZero() && now.Sub(r.DueAt) > lease+callTimeout+grace+slack && now.Sub(began) > lease+callTimeout+grace+slack:
			return 0, fmt.Errorf("run %s is stuck: %s at %s, due %s ago", r.ID, r.State, r.StepPath, now.Sub(r.DueAt))
		}
	}
	return left, nil
}

func newEngine(s *store.Store, c config, now clock.WithTicker) (*workflow.Engine, error) {
	world := &inventory{seats: map[string]seat{}}
	for _, one := range c.Seats {
		world.seats[one.Email] = one
	}
	actions, err := newActions(c)
	if err != nil {
		return nil, err
	}
	return workflow.New(workflow.Options{
		Store: s, Actions: actions, Facts: world, People: world, Leavers: world, Channels: []workflow.Channel{workflow.Slack{}}, Language: expr.Workflow{},
		Requests: newSender(c), PromptKey: []byte("a key that every start of the child shares"), Alone: s.Dialect() == "sqlite", Clock: now,
		Lease: lease, Grace: grace, CallTimeout: callTimeout, BusyPoll: 20 * time.Millisecond, IdlePoll: 50 * time.Millisecond, Log: childLog(),
	})
}

func childLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// arm makes the process kill or pause itself at a failpoint.
func arm(spec string) error {
	if spec == "" {
		return nil
	}
	name, rest, _ := strings.Cut(spec, ":")
	count, how, _ := strings.Cut(rest, ":")
	n, err := strconv.Atoi(count)
	if err != nil {
		return fmt.Errorf("failpoint %q: %w", spec, err)
	}
	var mu sync.Mutex
	failpoint.Set(func(at string) {
		mu.Lock()
		defer mu.Unlock()
		if at != name {
			return
		}
		if n--; n != 0 {
			return
		}
		if how == "pause" {
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			return
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal is there
	})
	return nil
}

func printReport(s *store.Store, tenant model.TenantID) error {
	ctx := context.Background()
	r := report{Outcomes: map[string]int{}, Audits: map[string]int{}, Ledger: map[string]int{}}
	runs, err := s.ListRuns(ctx, tenant, store.RunFilter{Limit: 1000})
	if err != nil {
		return err
	}
	for _, run := range runs {
		outcome := run.Outcome
		if run.State == store.RunAttention {
			outcome = string(run.State)
		}
		r.Outcomes[outcome]++
	}
	for before := ""; ; {
		page, err := s.Audit(ctx, tenant, store.AuditQuery{Limit: 1000, Before: before})
		if err != nil {
			return err
		}
		for _, a := range page {
			r.Audits[a.Action]++
			before = a.ID
		}
		if len(page) < 1000 {
			break
		}
	}
	entries, err := s.Ledger(ctx, tenant, store.LedgerQuery{Limit: 1000})
	if err != nil {
		return err
	}
	for _, e := range entries {
		r.Ledger[string(e.Kind)]++
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// serve is the gateway's endpoints for Slack and webhooks, and what starts runs;
// the address is the first line that the child prints.
func serve(ctx context.Context, working *sync.WaitGroup, s *store.Store, c config, now clock.WithTicker) error {
	ring, err := store.LoadKeyring(c.Keyring, false)
	if err != nil {
		return err
	}
	manifest := (&syncer.Sessions{Builtin: connectors.Builtin}).Manifest
	starter := trigger.NewStarter(trigger.Starter{Store: s, Language: expr.Workflow{}, Clock: now, Log: childLog()})
	drainer := webhook.NewDrainer(webhook.Drainer{Store: s, Keyring: ring, Manifest: manifest, Told: starter.Hint, Clock: now, Log: childLog()})
	clicks := &slackgate.Handler{Inbox: s, Directory: directory{s}, Answers: answers{s}, Replier: noReply{}, Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler)}
	hooks := &webhook.Handler{
		Endpoints: &webhook.Endpoints{Store: s, Keyring: ring, Manifest: manifest, Clock: now},
		Inbox:     s, Limiter: ratelimit.NewMemory(now), Clock: now, Log: childLog(), Received: drainer.Hint,
	}
	mux := http.NewServeMux()
	clicks.Register(mux)
	hooks.Register(mux)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	// What was acknowledged before a crash and not handled is handled now.
	pending, err := s.PendingEvents(ctx, 0, 1000)
	if err != nil {
		return err
	}
	for _, e := range pending {
		if err := clicks.Process(ctx, e); err != nil {
			return err
		}
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	working.Go(func() { _ = server.Serve(l) })
	working.Go(func() { <-ctx.Done(); _ = server.Close() })
	working.Go(func() { _ = drainer.Start(ctx) })
	working.Go(func() { _ = starter.Start(ctx) })
	_, err = fmt.Printf("http://%s\n", l.Addr())
	return err
}

type directory struct{ *store.Store }

func (directory) SigningSecret(context.Context, model.TenantID, string) ([]byte, error) {
	return []byte(signingSecret), nil
}

type answers struct{ s *store.Store }

func (a answers) AnswerFromSlack(ctx context.Context, tenant model.TenantID, in slackgate.Answer) (string, error) {
	out, err := a.s.AnswerPrompt(ctx, tenant, store.AnswerRequest{
		Token: in.Token, Choice: in.Choice, Actor: store.Identity{SlackIntegration: in.Integration, SlackUserID: in.UserID},
	})
	if err != nil {
		return "", err
	}
	failpoint.Hit(failpoint.AnswerRecordedBeforeAck)
	if out.Status != store.AnswerAccepted && out.Status != store.AnswerAlready {
		return "", fmt.Errorf("answer: %s: %s", out.Status, out.Message)
	}
	return "", nil
}

type noReply struct{}

func (noReply) Reply(context.Context, string, string) error { return nil }

// inventory is the people, by address, and the policy: every seat stays unused,
// and everybody is their own manager.
type inventory struct{ seats map[string]seat }

func (*inventory) Recheck(context.Context, model.TenantID, workflow.Subject) (workflow.Verdict, error) {
	return workflow.Verdict{Decision: workflow.Go}, nil
}

// Plan of a leaver closes the account, and leaves another one alone.
func (v *inventory) Plan(_ context.Context, _ model.TenantID, run workflow.Subject, _ workflow.OffboardingStep) ([]workflow.Leaving, error) {
	one, err := v.of(run)
	return []workflow.Leaving{
		{App: "wiki", Integration: "wiki", AccountID: one.AccountID, Method: workflow.LeaveIgnore, Why: "it is closed already"},
		{App: "zoom", Title: "Zoom", Integration: "zoom", AccountID: one.AccountID, Account: one.Email, Method: workflow.LeaveAutomatic,
			Calls: []workflow.LeavingCall{{Action: "user.deactivate", Input: map[string]any{"userId": one.AccountID}}}},
	}, err
}

// of is the seat of the person that a run is about.
func (v *inventory) of(run workflow.Subject) (seat, error) {
	var vars struct {
		Person struct{ Email string }
		Seat   struct{ Email string }
	}
	if err := json.Unmarshal(run.Vars, &vars); err != nil {
		return seat{}, err
	}
	one, ok := v.seats[cmp.Or(vars.Person.Email, vars.Seat.Email)]
	if !ok {
		return one, fmt.Errorf("run %s is about nobody that is known", run.RunID)
	}
	return one, nil
}

func (s seat) assignee() store.Assignee {
	return store.Assignee{PersonID: s.PersonID, Name: s.Name, Email: s.Email}
}

func (v *inventory) ByEmail(_ context.Context, _ model.TenantID, email string) ([]store.Assignee, bool, error) {
	if one, ok := v.seats[email]; ok {
		return []store.Assignee{one.assignee()}, true, nil
	}
	return nil, false, nil
}

func (*inventory) Channels(context.Context, model.TenantID) ([]workflow.ChannelRef, error) {
	return []workflow.ChannelRef{{Kind: workflow.ChannelSlack, Integration: "slack"}}, nil
}

func (v *inventory) Holders(_ context.Context, _ model.TenantID, run workflow.Subject, _ workflow.Role) ([]store.Assignee, error) {
	one, err := v.of(run)
	return []store.Assignee{one.assignee()}, err
}

func (v *inventory) SlackUser(_ context.Context, _ model.TenantID, _ workflow.Subject, _, personID string) (string, bool, error) {
	for _, one := range v.seats {
		if one.PersonID == personID {
			return one.SlackUser, true, nil
		}
	}
	return "", false, nil
}

// actions are real connector sessions against the simulated vendors.
type actions struct{ sessions map[string]*connector.Session }

// granted are the destructive actions that each integration names.
var granted = map[string][]string{"zoom": {"user.deactivate"}}

func newActions(c config) (*actions, error) {
	a := &actions{sessions: map[string]*connector.Session{}}
	for name, secrets := range c.Secrets {
		m, err := connectors.Builtin(name)
		if err != nil {
			return nil, err
		}
		if a.sessions[name], err = connector.Open(connector.Options{
			Manifest: m, Secrets: secrets, Permission: connector.PermissionReadAndAct, Destructive: granted[name], Endpoints: c.Endpoints,
			AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		}); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *actions) Action(_ context.Context, _ model.TenantID, integration, action string) (workflow.ActionInfo, error) {
	info, ok := a.sessions[integration].Action(action)
	if !ok {
		return workflow.ActionInfo{}, fmt.Errorf("%s has no action %s", integration, action)
	}
	return workflow.ActionInfo{Class: workflow.Class(info.Class), HasPrecheck: info.HasPrecheck, HasVerify: info.HasVerify,
		VerifyWithin: min(info.VerifyWithin, time.Second)}, nil // the simulators show an effect at once
}

func (a *actions) Precheck(ctx context.Context, _ model.TenantID, c workflow.Call) (workflow.Result, error) {
	return result(a.sessions[c.Integration].Precheck(ctx, call(c)))
}

func (a *actions) Execute(ctx context.Context, _ model.TenantID, c workflow.Call) (workflow.Result, error) {
	return result(a.sessions[c.Integration].Execute(ctx, call(c)))
}

func (a *actions) Verify(ctx context.Context, _ model.TenantID, c workflow.Call) (workflow.Result, error) {
	return result(a.sessions[c.Integration].Verify(ctx, call(c)))
}

func call(c workflow.Call) connector.ActionCall {
	return connector.ActionCall{Name: c.Action, Input: c.Input, IdempotencyKey: c.IdemKey}
}

// result keeps what a connector knows; its error only explains the result.
func result(r connector.ActionResult, err error) (workflow.Result, error) {
	if r.Class == "" {
		return workflow.Result{}, errors.Join(err, errors.New("the connector returned no result"))
	}
	return workflow.Result{Class: workflow.ResultClass(r.Class), Output: r.Output, Sent: r.Sent, RequestDigest: r.RequestDigest, StatusCode: r.StatusCode,
		RetryAfter: r.RetryAfter, Message: r.Message}, nil
}
