// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// drawFor is how long starts that were drawn may be kept.
const drawFor = time.Second

// Of a lane that lets no call start for longer than shutFor, up to shutBatch runs
// at a time are taken all the same: they are told, and wait outside of it.
const (
	shutFor   = 2 * time.Minute
	shutBatch = 100
)

// laneGate says whether a call may start in a lane. Starts are drawn from the
// shared budget ahead of time, outside the transaction that commits intents,
// so that no intent ages in a queue.
type laneGate struct {
	shared Lanes // may be nil
	limit  int
	clock  clock.PassiveClock

	mu    sync.Mutex
	lanes map[string]*laneState
}

type laneState struct {
	calls   int // under way
	drawn   int // starts in hand
	drawnAt time.Time
	again   time.Time // nothing before
}

func newLaneGate(shared Lanes, limit int, c clock.PassiveClock) *laneGate {
	return &laneGate{shared: shared, limit: limit, clock: c, lanes: map[string]*laneState{}}
}

func (g *laneGate) lane(name string) *laneState {
	l, ok := g.lanes[name]
	if !ok {
		l = &laneState{}
		g.lanes[name] = l
	}
	return l
}

// places returns how many runs of a lane may be claimed, drawing on the shared
// budget for up to want. Runs without a lane are bounded by the caller alone.
func (g *laneGate) places(ctx context.Context, name string, want int, log *slog.Logger) int {
	if name == "" {
		return want
	}
	now := g.clock.Now()
	g.mu.Lock()
	l := g.lane(name)
	free := min(want, g.limit-l.calls)
	if now.Sub(l.drawnAt) > drawFor {
		l.drawn = 0
	}
	draw := free - l.drawn
	again := l.again
	g.mu.Unlock()
	switch {
	case again.Sub(now) >= shutFor:
		return min(want, shutBatch)
	case now.Before(again):
		return 0
	}
	if free <= 0 || g.shared == nil || draw <= 0 {
		return free
	}
	tenant, integration, ok := parseLane(name)
	if !ok {
		return free
	}
	got, again, err := g.shared.Draw(ctx, tenant, integration, draw)
	if err != nil {
		log.Warn("A connector's budget could not be drawn on; its runs wait", "integration", integration, "error", err)
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	l.drawn, l.drawnAt = l.drawn+got, now
	if got < draw {
		l.again = again
	}
	return min(free, l.drawn)
}

// start takes one place, or says when to ask again. It never draws: a lane
// that is new has its runs claimed once more, then with a draw.
func (g *laneGate) start(name string) (bool, time.Time) {
	now := g.clock.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lane(name)
	switch {
	case now.Before(l.again) && l.drawn == 0, g.shared == nil && now.Before(l.again):
		return false, l.again
	case l.calls >= g.limit, g.shared != nil && l.drawn == 0:
		return false, now
	}
	l.calls++
	if g.shared != nil {
		l.drawn--
	}
	return true, time.Time{}
}

// giveBack returns a place whose call was never intended.
func (g *laneGate) giveBack(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lane(name)
	l.calls--
	if g.shared != nil {
		l.drawn++
	}
}

// ended says that a call is over.
func (g *laneGate) ended(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lane(name).calls--
}

// block stops a lane for everybody.
func (g *laneGate) block(ctx context.Context, b block, log *slog.Logger) {
	g.mu.Lock()
	l := g.lane(laneName(b.tenant, b.integration))
	l.again, l.drawn = later(l.again, b.until), 0
	g.mu.Unlock()
	if g.shared == nil {
		return
	}
	if err := g.shared.Block(ctx, b.tenant, b.integration, b.until); err != nil {
		log.Warn("Other replicas could not be told of a rate limit", "integration", b.integration, "error", err)
	}
}

func parseLane(name string) (model.TenantID, string, bool) {
	tenant, integration, ok := strings.Cut(name, "/")
	id, err := strconv.ParseInt(tenant, 10, 64)
	return model.TenantID(id), integration, ok && err == nil
}
