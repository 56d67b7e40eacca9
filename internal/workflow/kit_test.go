// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

var start = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

// vendor is a SaaS in memory that counts effects by idempotency key.
type vendor struct {
	mu      sync.Mutex
	infos   map[string]ActionInfo
	effects map[string]int                            // by action + key: how often something changed
	calls   map[string]int                            // by action: Execute
	seats   map[string]bool                           // account → holds the seat
	replies map[string][]func(c Call) (Result, error) // scripted, by action, first in first out
	sent    []Call
	onCall  func(c Call)
	ts      int
}

func newVendor() *vendor {
	return &vendor{
		infos: map[string]ActionInfo{
			"license.remove": {Class: ClassIdempotent, Removes: true, HasPrecheck: true, HasVerify: true, VerifyWithin: 5 * time.Minute},
			"message.send":   {Class: ClassVerifiable, HasVerify: true, VerifyWithin: 10 * time.Second},
			"message.update": {Class: ClassIdempotent},
			"ticket.create":  {Class: ClassUnsafe},
			"noop":           {Class: ClassIdempotent},
		},
		effects: map[string]int{}, calls: map[string]int{}, seats: map[string]bool{"acc1": true}, replies: map[string][]func(Call) (Result, error){},
	}
}

func (v *vendor) Action(_ context.Context, _ model.TenantID, integration, action string) (ActionInfo, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	info, ok := v.infos[action]
	if !ok {
		return ActionInfo{}, fmt.Errorf("%s has no action %s", integration, action)
	}
	return info, nil
}

func (v *vendor) Precheck(_ context.Context, _ model.TenantID, c Call) (Result, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.seats[fmt.Sprint(c.Input["userId"])] {
		return Result{Class: ResultAlready}, nil
	}
	return Result{Class: ResultAbsent}, nil
}

// script makes the next Execute of the action do fn instead.
func (v *vendor) script(action string, fn func(c Call) (Result, error)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.replies[action] = append(v.replies[action], fn)
}

func (v *vendor) Execute(_ context.Context, _ model.TenantID, c Call) (Result, error) {
	v.mu.Lock()
	onCall := v.onCall
	v.calls[c.Action]++
	v.sent = append(v.sent, c)
	var scripted func(Call) (Result, error)
	if q := v.replies[c.Action]; len(q) > 0 {
		scripted, v.replies[c.Action] = q[0], q[1:]
	}
	v.mu.Unlock()
	if onCall != nil {
		onCall(c)
	}
	if scripted != nil {
		return scripted(c)
	}
	return v.do(c), nil
}

// do has the effect.
func (v *vendor) do(c Call) Result {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.effects[c.Action+" "+c.IdemKey]++
	if c.Action == "license.remove" {
		v.seats[fmt.Sprint(c.Input["userId"])] = false
	}
	v.ts++
	return Result{Class: ResultDone, Sent: true, RequestDigest: "sha256:test", StatusCode: 200, Output: map[string]any{"channel": "D1", "ts": fmt.Sprintf("%d.0", v.ts)}}
}

func (v *vendor) Verify(_ context.Context, _ model.TenantID, c Call) (Result, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c.Action == "license.remove" {
		if v.seats[fmt.Sprint(c.Input["userId"])] {
			return Result{Class: ResultAbsent}, nil
		}
		return Result{Class: ResultDone}, nil
	}
	if v.effects[c.Action+" "+c.IdemKey] > 0 {
		return Result{Class: ResultDone, Output: map[string]any{"channel": "D1", "ts": "1.0"}}, nil
	}
	return Result{Class: ResultAbsent}, nil
}

// count is how many effects an action had; doubled lists keys with several.
func (v *vendor) count(action string) (total int, doubled []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for key, n := range v.effects {
		if len(key) > len(action) && key[:len(action)+1] == action+" " {
			total += n
			if n > 1 {
				doubled = append(doubled, key)
			}
		}
	}
	return total, doubled
}

// facts and people are a policy and an inventory of four people.
type world struct {
	mu      sync.Mutex
	verdict Verdict
	holders map[Role][]store.Assignee
	slack   map[string]string // person → Slack user
	ways    []ChannelRef      // that the organisation declares
}

func newWorld() *world {
	ada := store.Assignee{PersonID: "p-ada", Name: "Ada", Email: "ada@acme.example", TimeZone: "Europe/Berlin"}
	mia := store.Assignee{PersonID: "p-mia", Name: "Mia", Email: "mia@acme.example", KubernetesUser: "mia"}
	oz := store.Assignee{PersonID: "p-oz", Name: "Oz", Email: "oz@acme.example"}
	return &world{
		verdict: Verdict{Decision: Go},
		holders: map[Role][]store.Assignee{RolePerson: {ada}, RoleManager: {mia}, RoleAppOwner: {oz}},
		slack:   map[string]string{"p-ada": "U-ada", "p-mia": "U-mia", "p-oz": "U-oz"},
		ways:    []ChannelRef{{Kind: ChannelSlack, Integration: "slack"}},
	}
}

func (w *world) set(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn()
}

func (w *world) Recheck(context.Context, model.TenantID, Subject) (Verdict, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.verdict, nil
}

func (w *world) Holders(_ context.Context, _ model.TenantID, _ Subject, role Role) ([]store.Assignee, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.holders[role], nil
}

func (w *world) SlackUser(_ context.Context, _ model.TenantID, _ Subject, _, person string) (string, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	user, ok := w.slack[person]
	return user, ok, nil
}

func (w *world) ByEmail(_ context.Context, _ model.TenantID, email string) ([]store.Assignee, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, holders := range w.holders {
		for _, a := range holders {
			if a.Email == email {
				return []store.Assignee{a}, true, nil
			}
		}
	}
	return nil, false, nil
}

func (w *world) Channels(context.Context, model.TenantID) ([]ChannelRef, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ways, nil
}

// kit is an engine on a real store with a clock that stands still.
type kit struct {
	t      *testing.T
	store  *store.Store
	clock  *clocktesting.FakeClock
	vendor *vendor
	world  *world
	engine *Engine
	tenant model.TenantID
}

var promptKey = []byte("a key of thirty-two bytes, or more")

// eachStore runs a test on every database that is there.
func eachStore(t *testing.T, fn func(t *testing.T, k *kit)) {
	t.Helper()
	storetest.EachDSN(t, func(t *testing.T, dsn string) { fn(t, newKit(t, dsn)) })
}

func newKit(t *testing.T, dsn string) *kit {
	t.Helper()
	k := &kit{t: t, clock: clocktesting.NewFakeClock(start), vendor: newVendor(), world: newWorld()}
	k.store = storetest.Open(t, dsn, storetest.WithClock(k.clock))
	var err error
	if k.tenant, err = k.store.EnsureTenant(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	k.engine = k.newEngine(func(*Options) {})
	return k
}

func (k *kit) newEngine(change func(*Options)) *Engine {
	k.t.Helper()
	o := Options{
		Store: k.store, Actions: k.vendor, Facts: k.world, People: k.world, Channels: []Channel{Slack{}}, PromptKey: promptKey, Clock: k.clock, Alone: true,
	}
	change(&o)
	e, err := New(o)
	if err != nil {
		k.t.Fatal(err)
	}
	return e
}

func (k *kit) settle() {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), 30*time.Second)
	defer cancel()
	if err := k.engine.Settle(ctx); err != nil {
		k.t.Fatalf("settle: %v", err)
	}
}

// pass lets time go by and runs what falls due.
func (k *kit) pass(d time.Duration) {
	k.t.Helper()
	k.clock.Step(d)
	k.settle()
}

func (k *kit) spec() ReclaimSpec {
	last := time.Date(2026, 7, 27, 7, 30, 0, 0, time.UTC)
	return ReclaimSpec{
		Policy: "zoom-90d", Generation: 3, Mode: ModeAsk, IdleSince: "2026-07-27",
		Seat: ReclaimSeat{
			App: "zoom", AppTitle: "Zoom", Asker: "Acme IT", Why: "seats that were not used for 90 days are given back", Integration: "zoom",
			AccountID: "acc1", Account: "ada@acme.example", PlanKey: "licensed", PlanName: "Licensed", PersonID: "p-ada", PersonName: "Ada",
			Email: "ada@acme.example", TimeZone: "Europe/Berlin", LastUse: &last, Source: "zoom.last_login_time",
			Observed: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), YearlyCost: &model.Money{Minor: 18000, Currency: "EUR"},
			Effect: "your seat is downgraded to Basic; your account stays", GetBack: "ask in #it-help", Contact: "it@acme.example",
		},
		Ask: &ReclaimAsk{
			Channels: []ChannelRef{{Kind: ChannelSlack, Integration: "slack"}}, Reminders: []Span{Hours(24)}, Timeout: Hours(72), OnTimeout: "Keep", KeepFor: Days(90),
			Escalate: &ReclaimEscalate{To: []Role{RoleManager}, Fallback: []Role{RoleAppOwner}, Timeout: Hours(72)},
		},
		Removal: ReclaimRemoval{Action: "license.remove", With: map[string]any{"userId": "acc1"}},
	}
}

// begin starts the run of a spec and runs it to its first wait.
func (k *kit) begin(s ReclaimSpec) store.RunDetail {
	k.t.Helper()
	r, err := s.NewRun()
	if err != nil {
		k.t.Fatal(err)
	}
	if n, err := k.store.CreateRuns(k.t.Context(), k.tenant, []store.NewRun{r}); err != nil || n != 1 {
		k.t.Fatalf("create run: %d, %v", n, err)
	}
	k.settle()
	return k.run()
}

// run is the newest run.
func (k *kit) run() store.RunDetail {
	k.t.Helper()
	runs, err := k.store.ListRuns(k.t.Context(), k.tenant, store.RunFilter{Limit: 1})
	if err != nil || len(runs) != 1 {
		k.t.Fatalf("list runs: %d, %v", len(runs), err)
	}
	d, err := k.store.Run(k.t.Context(), k.tenant, runs[0].ID)
	if err != nil {
		k.t.Fatal(err)
	}
	return d
}

func (k *kit) answer(p store.Prompt, who, choice string) store.AnswerOutcome {
	k.t.Helper()
	k.clock.Step(time.Second)
	out, err := k.store.AnswerPrompt(k.t.Context(), k.tenant, store.AnswerRequest{
		Token: k.engine.token(k.tenant, p.ID), Actor: store.Identity{SlackIntegration: "slack", SlackUserID: who}, Choice: choice,
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return out
}

// expect checks where the newest run stands.
func (k *kit) expect(state store.RunState, outcome, reason string) store.RunDetail {
	k.t.Helper()
	r := k.run()
	if r.State != state || r.Outcome != outcome || r.Reason != reason {
		k.t.Fatalf("run is %s, outcome %q, reason %q (%s), at %s; want %s, %q, %q", r.State, r.Outcome, r.Reason, r.Message, r.StepPath, state, outcome, reason)
	}
	return r
}

// effects checks how many effects each action had, and that none is doubled.
func (k *kit) effects(want map[string]int) {
	k.t.Helper()
	got := map[string]int{}
	for _, action := range []string{"license.remove", "message.send", "message.update", "ticket.create"} {
		n, doubled := k.vendor.count(action)
		if len(doubled) > 0 {
			k.t.Errorf("doubled effects: %v", doubled)
		}
		if n > 0 {
			got[action] = n
		}
	}
	if !maps.Equal(got, want) {
		k.t.Errorf("effects %v, want %v", got, want)
	}
}

// audits counts audit records by action.
func (k *kit) audits() map[string]int {
	k.t.Helper()
	records, err := k.store.Audit(k.t.Context(), k.tenant, store.AuditQuery{Limit: 1000})
	if err != nil {
		k.t.Fatal(err)
	}
	n := map[string]int{}
	for _, r := range records {
		n[r.Action]++
	}
	return n
}

// lastUpdate is the text of the newest message update.
func (k *kit) lastUpdate() string {
	k.vendor.mu.Lock()
	defer k.vendor.mu.Unlock()
	for i := len(k.vendor.sent) - 1; i >= 0; i-- {
		if k.vendor.sent[i].Action == "message.update" {
			return fmt.Sprint(k.vendor.sent[i].Input["text"])
		}
	}
	return ""
}

func (k *kit) ledger() []model.LedgerEntry {
	k.t.Helper()
	entries, err := k.store.Ledger(k.t.Context(), k.tenant, store.LedgerQuery{})
	if err != nil {
		k.t.Fatal(err)
	}
	return entries
}
