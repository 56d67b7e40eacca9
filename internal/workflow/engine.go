// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Store is what the engine needs of the store.
type Store interface {
	HoldShards(ctx context.Context, r store.HoldRequest) (store.Held, error)
	ReleaseShards(ctx context.Context, owner string) error
	LaneGroups(ctx context.Context) ([]store.LaneGroup, error)
	DueRuns(ctx context.Context, leases store.Leases, g store.LaneGroup, limit int) ([]store.DueRun, error)
	AdvanceRuns(ctx context.Context, leases store.Leases, keys []store.RunKey, decide func(now time.Time, l store.LoadedRun) (*store.RunChange, error)) error
	Definition(ctx context.Context, tenant model.TenantID, kind, name string, revision int64) (json.RawMessage, error)
	VarsStore
	SubjectStore
	Person(ctx context.Context, tenant model.TenantID, id string) (store.PersonView, error)
	Workflow(ctx context.Context, tenant model.TenantID, name string) (store.WorkflowState, error)
	OnRunsDue(wake func())
}

// Options configure an Engine.
type Options struct {
	Store    Store
	Actions  Actions
	Facts    Facts
	People   People
	Leavers  Leavers // of offboarding steps; nil: they wait
	Seats    Seats   // that runs are about; nil: they stay as last known
	Channels []Channel
	Requests Requests // of http steps; nil: they fail
	Sealer   Sealer   // of sensitive outputs; nil: they fail
	Lanes    Lanes    // nil: only LaneConcurrency bounds a lane
	// Language compiles the expressions of users' definitions; nil: there are none.
	Language Language
	// PromptKey derives the tokens that answer prompts: at least 32 bytes,
	// mounted, the same in every replica and after a restart.
	PromptKey []byte
	// AnswerLink makes the link by which an assignee answers a prompt from an
	// e-mail; nil: no public address is known, so nobody is asked by e-mail.
	AnswerLink func(tenant model.TenantID, promptID string, to store.Assignee) (string, error)
	// Alone says that no other process can be running an engine on this store
	// (SQLite), so that shards need not be waited for after a crash.
	Alone bool
	// ZoneRules is a digest of the rules of time zones of this process. Waits that
	// were resolved by others are resolved again; empty: none are.
	ZoneRules string

	// OnDefect is told of each run that cannot be decided and of each effect that
	// panics, from several goroutines; nil: nobody is.
	OnDefect func()

	Clock clock.WithTicker // nil: the system clock
	Log   *slog.Logger     // nil: slog.Default()

	Lease           time.Duration // 0: 15 s
	Grace           time.Duration // 0: 5 s; after a deadline, before anybody resolves the attempt
	CallTimeout     time.Duration // 0: 30 s; of one call whose step sets none
	BusyPoll        time.Duration // 0: 1 s
	IdlePoll        time.Duration // 0: 5 s
	BatchDelay      time.Duration // 0: 5 ms; how long an outcome waits for company
	MaxInFlight     int           // 0: 256 runs at work at once
	LaneConcurrency int           // 0: 16 calls at once in one lane
}

func (o *Options) setDefaults() error {
	if o.Store == nil || o.Actions == nil || o.Facts == nil || o.People == nil {
		return errors.New("workflow engine: store, actions, facts and people are required")
	}
	if len(o.PromptKey) < 32 {
		return errors.New("workflow engine: the prompt key needs at least 32 bytes")
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	for v, d := range map[*time.Duration]time.Duration{&o.Lease: 15 * time.Second, &o.Grace: 5 * time.Second, &o.CallTimeout: 30 * time.Second, &o.BusyPoll: time.Second,
		&o.IdlePoll: 5 * time.Second, &o.BatchDelay: 5 * time.Millisecond} {
		if *v <= 0 {
			*v = d
		}
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = 256
	}
	if o.LaneConcurrency <= 0 {
		o.LaneConcurrency = 16
	}
	return nil
}

// Engine executes the due runs of the shards that it owns. Its loop is one
// goroutine, which alone touches the fields below it; calls run in others and
// report back.
type Engine struct {
	o       Options
	owner   string
	env     surroundings
	lanes   *laneGate
	infos   *infoCache
	wake    chan struct{}
	results chan arrival

	leases    store.Leases
	fairShare int
	sending   context.Context // ends when the lease does
	stopSend  context.CancelFunc
	leaseEnd  *time.Timer
	busy      map[store.RunKey]*program // runs with something under way in this process
	launched  map[store.RunKey]uint64   // the number of the effect that is
	launches  uint64
	unstored  []arrival // what the store did not take yet
	again     time.Time // when it is offered again
	perShard  map[int]int
	programs  map[programKey]*program
	effects   sync.WaitGroup

	// heldUntil is when the lease ends, in milliseconds of the clock: unlike a
	// timer, it goes on while the machine is suspended.
	heldUntil atomic.Int64
}

type programKey struct {
	tenant     model.TenantID
	kind, name string
	revision   int64
}

// storeTimeout bounds one transaction of the engine.
const storeTimeout = 30 * time.Second

// maxBatch is how many runs one transaction moves on.
const maxBatch = 200

// New returns an engine; Run starts it.
func New(o Options) (*Engine, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	e := &Engine{
		o: o, owner: uuid.NewString(), wake: make(chan struct{}, 1), results: make(chan arrival, o.MaxInFlight+1),
		busy: map[store.RunKey]*program{}, launched: map[store.RunKey]uint64{}, perShard: map[int]int{}, programs: map[programKey]*program{}, leases: store.Leases{},
		infos: newInfoCache(o.Clock),
	}
	e.lanes = newLaneGate(o.Lanes, o.LaneConcurrency, o.Clock)
	channels := map[string]Channel{}
	for _, c := range o.Channels {
		channels[c.Kind()] = c
	}
	e.env = surroundings{info: e.infos.get, start: e.lanes.start, channels: channels, sealer: o.Sealer, grace: o.Grace, timeout: o.CallTimeout, token: e.token, link: o.AnswerLink}
	return e, nil
}

// token derives the token that answers a prompt: a re-sent message carries
// the same one, and nothing that could answer is stored.
func (e *Engine) token(tenant model.TenantID, promptID string) string {
	mac := hmac.New(sha256.New, e.o.PromptKey)
	_, _ = fmt.Fprintf(mac, "prompt\n%d\n%s", tenant, promptID)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Wake makes the engine look for due work now.
func (e *Engine) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Run executes runs until ctx ends. It then waits for calls that are under
// way, records their outcomes and gives its shards up.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before it began
		}
		return err
	}
	defer e.stopSend()
	e.o.Store.OnRunsDue(e.Wake)
	renew := e.o.Clock.NewTicker(e.o.Lease / 3)
	defer renew.Stop()
	poll := e.o.Clock.NewTimer(0)
	defer poll.Stop()
	// A stop is seen between two transactions, never in one: an outcome that is
	// not stored would be unknown to the next owner.
	work := context.WithoutCancel(ctx)
	for {
		worked := false
		select {
		case <-ctx.Done():
			return e.shutDown(work)
		case <-renew.C():
			if !e.hold(work) {
				continue // the poll keeps its time, else renewals as often as polls would put it off for ever
			}
			worked = e.tick(work)
		case a := <-e.results:
			e.commit(work, e.collect(a))
			worked = true
		case <-e.wake:
			worked = e.tick(work)
		case <-poll.C():
			worked = e.tick(work)
		}
		if worked && len(e.busy) < e.o.MaxInFlight/2 && ctx.Err() == nil {
			e.tick(work) // what a lane or the cap held back may start now
		}
		next := e.o.IdlePoll
		if worked || len(e.busy) > 0 {
			next = e.o.BusyPoll
		}
		poll.Stop()
		poll.Reset(next)
	}
}

// start takes the first shards.
func (e *Engine) start(ctx context.Context) error {
	e.sending, e.stopSend = context.WithCancel(context.WithoutCancel(ctx))
	since := e.o.Clock.Now()
	held, err := e.o.Store.HoldShards(ctx, store.HoldRequest{Owner: e.owner, Lease: e.o.Lease, TakeOver: e.o.Alone, Zones: e.o.ZoneRules})
	if err != nil {
		return fmt.Errorf("workflow engine: %w", err)
	}
	e.leases, e.fairShare = held.Leases, held.FairShare
	e.leaseEnd = time.AfterFunc(e.leased(since), e.stopSend)
	return nil
}

// leased notes a lease that was asked for at an instant, and returns what is left
// of it: the time that the store took to answer is part of it.
func (e *Engine) leased(since time.Time) time.Duration {
	until := since.Add(e.o.Lease)
	e.heldUntil.Store(until.UnixMilli())
	return max(0, until.Sub(e.o.Clock.Now()))
}

// leaseOver reports that another replica may own the shards by now.
func (e *Engine) leaseOver() bool { return e.o.Clock.Now().UnixMilli() >= e.heldUntil.Load() }

// hold renews the leases, and gives surplus shards up to a replica that has
// fewer. It reports whether there are new ones.
func (e *Engine) hold(ctx context.Context) (gained bool) {
	var release []int
	for id := range e.leases {
		if len(e.leases)-len(release) > e.fairShare && e.perShard[id] == 0 {
			release = append(release, id)
		}
	}
	since := e.o.Clock.Now()
	held, err := e.o.Store.HoldShards(ctx, store.HoldRequest{Owner: e.owner, Lease: e.o.Lease, Release: release, Zones: e.o.ZoneRules})
	if err != nil {
		e.o.Log.Warn("The workflow engine could not renew its shards; calls stop when the lease ends", "error", err)
		return false
	}
	if e.sending.Err() != nil { // the lease had ended: calls may start again
		e.sending, e.stopSend = context.WithCancel(context.WithoutCancel(ctx))
		e.leaseEnd = time.AfterFunc(e.leased(since), e.stopSend)
	} else {
		e.leaseEnd.Reset(e.leased(since))
	}
	for id := range held.Leases {
		if _, had := e.leases[id]; !had {
			gained = true
		}
	}
	e.leases, e.fairShare = held.Leases, held.FairShare
	return gained
}

// Settle runs everything that is due, and what follows from it, until nothing
// is left but waits. It serves tests and one-shot tools; Run is the service.
func (e *Engine) Settle(ctx context.Context) error {
	if len(e.leases) == 0 {
		if err := e.start(ctx); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		e.keepLease(ctx)
		worked := e.tick(ctx)
		for len(e.busy) > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case a := <-e.results:
				e.keepLease(ctx)
				e.commit(ctx, e.collect(a))
			case <-e.offerAgain():
				e.offer(ctx)
			}
		}
		if !worked {
			return nil
		}
	}
	return ctx.Err()
}

// keepLease renews the lease where no ticker does, before it is over.
func (e *Engine) keepLease(ctx context.Context) {
	if left := e.heldUntil.Load() - e.o.Clock.Now().UnixMilli(); left < e.o.Lease.Milliseconds()/2 {
		e.hold(ctx)
	}
}

// shutDown lets calls that are under way end and records them.
func (e *Engine) shutDown(ctx context.Context) error {
	done := make(chan struct{})
	go func() { e.effects.Wait(); close(done) }()
	ctx, cancel := context.WithTimeout(ctx, e.o.Lease)
	defer cancel()
	e.env.start = func(string) (bool, time.Time) { return false, e.o.Clock.Now() } // nothing new
	for done != nil || len(e.results)+len(e.unstored) > 0 {
		select {
		case a := <-e.results:
			e.record(ctx, e.collect(a))
			continue
		case <-e.offerAgain():
			e.record(ctx, e.takeUnstored())
			continue
		case <-done:
			if len(e.results) > 0 {
				continue
			}
			if len(e.unstored) > 0 {
				done = nil // they are offered until the time is up
				continue
			}
		case <-ctx.Done():
		}
		break
	}
	e.leaseEnd.Stop()
	if err := e.o.Store.ReleaseShards(context.WithoutCancel(ctx), e.owner); err != nil {
		return fmt.Errorf("workflow engine: %w", err)
	}
	return nil
}

// collect waits a moment for more outcomes, so that they share a transaction.
func (e *Engine) collect(first arrival) []arrival {
	batch := e.current(nil, first)
	timer := time.NewTimer(e.o.BatchDelay)
	defer timer.Stop()
	for len(batch) < maxBatch && len(batch) < len(e.busy) {
		select {
		case a := <-e.results:
			batch = e.current(batch, a)
		case <-timer.C:
			return batch
		}
	}
	return batch
}

// tick claims what is due. It reports whether there was anything.
func (e *Engine) tick(ctx context.Context) bool {
	if len(e.unstored) > 0 && !e.o.Clock.Now().Before(e.again) {
		e.offer(ctx)
	}
	batch, err := e.claim(ctx)
	if err != nil {
		e.o.Log.Warn("The workflow engine could not look for due runs", "error", err)
		return false
	}
	for part := range slices.Chunk(batch, maxBatch) {
		failpoint.Hit(failpoint.BeforeIntent)
		e.commit(ctx, part)
	}
	return len(batch) > 0
}
