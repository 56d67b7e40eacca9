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
	"maps"
	"slices"
	"sync"
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
	perShard  map[int]int
	programs  map[programKey]*program
	effects   sync.WaitGroup
}

type programKey struct {
	tenant     model.TenantID
	kind, name string
	revision   int64
}

// arrival is an event that reached a run.
type arrival struct {
	key store.RunKey
	ev  event
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
		busy: map[store.RunKey]*program{}, perShard: map[int]int{}, programs: map[programKey]*program{}, leases: store.Leases{},
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
	held, err := e.o.Store.HoldShards(ctx, store.HoldRequest{Owner: e.owner, Lease: e.o.Lease, TakeOver: e.o.Alone})
	if err != nil {
		return fmt.Errorf("workflow engine: %w", err)
	}
	e.leases, e.fairShare = held.Leases, held.FairShare
	e.leaseEnd = time.AfterFunc(e.o.Lease, e.stopSend)
	return nil
}

// hold renews the leases, and gives surplus shards up to a replica that has
// fewer. It reports whether there are new ones.
func (e *Engine) hold(ctx context.Context) (gained bool) {
	var release []int
	for id := range e.leases {
		if len(e.leases)-len(release) > e.fairShare && e.perShard[id] == 0 {
			release = append(release, id)
		}
	}
	held, err := e.o.Store.HoldShards(ctx, store.HoldRequest{Owner: e.owner, Lease: e.o.Lease, Release: release})
	if err != nil {
		e.o.Log.Warn("The workflow engine could not renew its shards; calls stop when the lease ends", "error", err)
		return false
	}
	if e.sending.Err() != nil { // the lease had ended: calls may start again
		e.sending, e.stopSend = context.WithCancel(context.WithoutCancel(ctx))
		e.leaseEnd = time.AfterFunc(e.o.Lease, e.stopSend)
	} else {
		e.leaseEnd.Reset(e.o.Lease)
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
		worked := e.tick(ctx)
		for len(e.busy) > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case a := <-e.results:
				e.commit(ctx, e.collect(a))
			}
		}
		if !worked {
			return nil
		}
	}
	return ctx.Err()
}

// shutDown lets calls that are under way end and records them.
func (e *Engine) shutDown(ctx context.Context) error {
	done := make(chan struct{})
	go func() { e.effects.Wait(); close(done) }()
	ctx, cancel := context.WithTimeout(ctx, e.o.Lease)
	defer cancel()
	e.env.start = func(string) (bool, time.Time) { return false, e.o.Clock.Now() } // nothing new
	for {
		select {
		case a := <-e.results:
			e.record(ctx, e.collect(a))
			continue
		case <-done:
			if len(e.results) > 0 {
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
	batch := []arrival{first}
	timer := time.NewTimer(e.o.BatchDelay)
	defer timer.Stop()
	for len(batch) < maxBatch && len(batch) < len(e.busy) {
		select {
		case a := <-e.results:
			batch = append(batch, a)
		case <-timer.C:
			return batch
		}
	}
	return batch
}

// tick claims what is due. It reports whether there was anything.
func (e *Engine) tick(ctx context.Context) bool {
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

// commit moves runs on in one transaction and then has the effects that the
// decisions intend.
func (e *Engine) commit(ctx context.Context, batch []arrival) {
	for _, t := range e.record(ctx, batch) {
		e.launch(t)
	}
}

// record moves runs on and returns the turns whose effects are to be had. It
// tries again when the store fails; a run that cannot be stored even alone is
// parked, and failing that its open intent is resolved by its class later.
func (e *Engine) record(ctx context.Context, batch []arrival) []*turn {
	outcomes := false
	for attempt := 0; len(batch) > 0; attempt++ {
		turns, err := e.advance(ctx, batch)
		var fenced *store.FencedError
		switch {
		case err == nil:
			for _, a := range batch {
				outcomes = outcomes || a.ev.kind == eventResult
				if t := turns[a.key]; t == nil || t.effect == nil {
					e.release(a.key)
				}
			}
			e.applyBlocks(ctx, turns)
			if outcomes {
				failpoint.Hit(failpoint.AfterOutcomeBeforeNext)
			}
			return withEffects(turns)
		case errors.As(err, &fenced):
			batch = e.dropShards(fenced.Shards, batch)
			continue
		case ctx.Err() != nil:
			for _, a := range batch {
				e.release(a.key)
			}
			return nil
		}
		if len(batch) > 1 && attempt == 0 { // one run's defect must not hold up the others
			var out []*turn
			for _, a := range batch {
				out = append(out, e.record(ctx, []arrival{a})...)
			}
			return out
		}
		e.o.Log.Error("The workflow engine could not store a run's step", "run", batch[0].key.ID, "error", err)
		if attempt >= 3 {
			for _, a := range batch {
				e.park(ctx, a.key, err)
				e.release(a.key)
			}
			return nil
		}
		select {
		case <-ctx.Done():
		case <-e.o.Clock.After(e.o.BusyPoll):
		}
	}
	return nil
}

// park hands a run whose step cannot be stored to a person.
func (e *Engine) park(ctx context.Context, key store.RunKey, cause error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := e.o.Store.AdvanceRuns(ctx, e.leases, []store.RunKey{key}, func(_ time.Time, l store.LoadedRun) (*store.RunChange, error) {
		if l.Run.State.Ended() {
			return nil, nil
		}
		l.Run.State, l.Run.Reason, l.Run.Message = store.RunAttention, "Defect", "the step could not be stored: "+cause.Error()
		return &store.RunChange{Run: l.Run}, nil
	})
	if err != nil {
		e.o.Log.Error("A run could not be parked", "run", key.ID, "error", err)
	}
}

// advance runs the interpreter inside the store's transaction.
func (e *Engine) advance(ctx context.Context, batch []arrival) (map[store.RunKey]*turn, error) {
	events := make(map[store.RunKey]event, len(batch))
	keys := make([]store.RunKey, len(batch))
	for i, a := range batch {
		events[a.key], keys[i] = a.ev, a.key
	}
	turns := make(map[store.RunKey]*turn, len(batch))
	drop := func(key store.RunKey) {
		if t := turns[key]; t != nil && t.effect != nil && t.effect.call != nil {
			e.lanes.giveBack(t.effect.lane)
		}
		delete(turns, key)
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := e.o.Store.AdvanceRuns(ctx, e.leases, keys, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) {
		key := l.Run.Key()
		drop(key) // of an earlier try of this transaction
		t, err := decide(now, e.busy[key], l, events[key], &e.env)
		if err != nil { // repeating it would not help: a person must look
			e.o.Log.Error("A run cannot go on", "run", key.ID, "error", err)
			t = &turn{}
			t.change.Run = l.Run
			t.change.Run.State, t.change.Run.Reason, t.change.Run.Message = store.RunAttention, "Defect", err.Error()
		}
		if t == nil {
			return nil, nil
		}
		turns[key] = t
		return &t.change, nil
	})
	if err != nil {
		for key := range maps.Clone(turns) {
			drop(key)
		}
		return nil, err
	}
	for _, t := range turns {
		if len(t.change.Bookings) > 0 {
			failpoint.Hit(failpoint.BookAfterCommit)
		}
	}
	return turns, nil
}

func withEffects(turns map[store.RunKey]*turn) []*turn {
	var out []*turn
	for _, t := range turns {
		if t.effect != nil {
			out = append(out, t)
		}
	}
	return out
}

func (e *Engine) applyBlocks(ctx context.Context, turns map[store.RunKey]*turn) {
	for _, t := range turns {
		for _, b := range t.blocks {
			e.lanes.block(ctx, b, e.o.Log)
		}
	}
}

// dropShards forgets shards that another replica took over, and their runs.
func (e *Engine) dropShards(shards []int, batch []arrival) []arrival {
	e.o.Log.Warn("Another replica has taken over shards of workflow runs", "shards", shards)
	lost := map[int]bool{}
	for _, id := range shards {
		lost[id] = true
		delete(e.leases, id)
	}
	var rest []arrival
	for _, a := range batch {
		if lost[store.ShardOf(a.key.ID)] {
			e.release(a.key)
		} else {
			rest = append(rest, a)
		}
	}
	return rest
}

// release says that nothing is under way for the run any more.
func (e *Engine) release(key store.RunKey) {
	if _, ok := e.busy[key]; ok {
		delete(e.busy, key)
		e.perShard[store.ShardOf(key.ID)]--
	}
}
