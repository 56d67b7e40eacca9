// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
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
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// childEnv holds the child's config, as JSON.
const childEnv = "SEATKEEPER_CHAOS_CHILD"

// config is what the parent tells the child.
type config struct {
	DSN       string
	Endpoints map[string]string
	Secrets   map[string]map[string]string // by integration
	Seats     []seat
	// Failpoint is NAME:N: the process kills itself when it comes to the name
	// for the Nth time. Empty: never.
	Failpoint string
	Timeout   time.Duration // of the question; 0: longer than the test
	// Load is the name of what to carry out.
	Load string
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

// runChild is the process under test: store, engine, Slack endpoint.
func runChild(raw string) error {
	var c config
	if err := json.Unmarshal([]byte(raw), &c); err != nil {
		return err
	}
	if err := arm(c.Failpoint); err != nil {
		return err
	}
	l := loadNamed(c.Load)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := store.Open(ctx, store.Options{DSN: c.DSN})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.Migrate(ctx); err != nil {
		return err
	}
	tenant, err := s.EnsureTenant(ctx, "acme")
	if err != nil {
		return err
	}
	world := &inventory{seats: map[string]seat{}}
	for _, one := range c.Seats {
		world.seats[one.PersonID] = one
	}
	actions, err := newActions(c)
	if err != nil {
		return err
	}
	engine, err := workflow.New(workflow.Options{
		Store: s, Actions: actions, Facts: world, People: world, Channels: []workflow.Channel{workflow.Slack{}}, Language: expr.Workflow{},
		Requests: newSender(c), PromptKey: []byte("a key that every start of the child shares"), Alone: s.Dialect() == "sqlite",
		Lease: lease, Grace: grace, CallTimeout: callTimeout, BusyPoll: 20 * time.Millisecond, IdlePoll: 50 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	if err := serve(ctx, s); err != nil {
		return err
	}
	if err := l.start(ctx, s, tenant, c); err != nil {
		return err
	}
	stopped := make(chan error, 1)
	go func() { stopped <- engine.Run(ctx) }()
	for {
		runs, err := s.ListRuns(ctx, tenant, store.RunFilter{Limit: 1000})
		if err != nil {
			return err
		}
		ended := 0
		for _, r := range runs {
			if r.State.Ended() {
				ended++
			}
			if r.State == store.RunAttention && l.parks {
				ended++
			} else if r.State == store.RunAttention {
				return fmt.Errorf("run %s is parked at %s: %s: %s", r.ID, r.StepPath, r.Reason, r.Message)
			}
		}
		if ended == l.runs(len(c.Seats)) {
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

// arm makes the process kill itself at a failpoint.
func arm(spec string) error {
	if spec == "" {
		return nil
	}
	name, count, _ := strings.Cut(spec, ":")
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
		if n--; n == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until the signal is there
		}
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

// serve is the gateway's Slack endpoint; its address is the first line that
// the child prints.
func serve(ctx context.Context, s *store.Store) error {
	h := &slackgate.Handler{Inbox: s, Directory: directory{s}, Answers: answers{s}, Replier: noReply{}, Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler)}
	mux := http.NewServeMux()
	h.Register(mux)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = (&http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}).Serve(l) }()
	// What was acknowledged before a crash and not handled is handled now.
	pending, err := s.PendingEvents(ctx, 0, 1000)
	if err != nil {
		return err
	}
	for _, e := range pending {
		if err := h.Process(ctx, e); err != nil {
			return err
		}
	}
	_, err = fmt.Printf("http://%s/slack/interactions/acme/slack\n", l.Addr())
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

// inventory is the people and the policy: every seat stays unused.
type inventory struct{ seats map[string]seat }

func (*inventory) Recheck(context.Context, model.TenantID, workflow.Subject) (workflow.Verdict, error) {
	return workflow.Verdict{Decision: workflow.Go}, nil
}

func (v *inventory) ByEmail(_ context.Context, _ model.TenantID, email string) ([]store.Assignee, bool, error) {
	for _, one := range v.seats {
		if one.Email == email {
			return []store.Assignee{{PersonID: one.PersonID, Name: one.Name, Email: one.Email}}, true, nil
		}
	}
	return nil, false, nil
}

func (*inventory) Channels(context.Context, model.TenantID) ([]workflow.ChannelRef, error) {
	return []workflow.ChannelRef{{Kind: workflow.ChannelSlack, Integration: "slack"}}, nil
}

func (v *inventory) Holders(_ context.Context, _ model.TenantID, run workflow.Subject, role workflow.Role) ([]store.Assignee, error) {
	if role != workflow.RolePerson {
		return nil, nil
	}
	one := v.seats[run.PersonID]
	return []store.Assignee{{PersonID: one.PersonID, Name: one.Name, Email: one.Email}}, nil
}

func (v *inventory) SlackUser(_ context.Context, _ model.TenantID, _ workflow.Subject, _, personID string) (string, bool, error) {
	one, ok := v.seats[personID]
	return one.SlackUser, ok, nil
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
	return workflow.ActionInfo{Class: workflow.Class(info.Class), HasPrecheck: info.HasPrecheck, HasVerify: info.HasVerify, VerifyWithin: info.VerifyWithin}, nil
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
