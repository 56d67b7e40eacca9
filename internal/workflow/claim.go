// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seatkeeper/seatkeeper/internal/defect"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// claim lists due runs that may start now, by lane and priority, and marks
// them busy. Within a lane the higher priorities go first, but bulk keeps a
// tenth of the places so that it is never starved.
func (e *Engine) claim(ctx context.Context) ([]arrival, error) {
	room := e.o.MaxInFlight - len(e.busy)
	if room <= 0 || len(e.leases) == 0 {
		return nil, nil
	}
	groups, err := e.o.Store.LaneGroups(ctx)
	if err != nil {
		return nil, err
	}
	var out []arrival
	for _, lane := range byLane(groups) {
		places := min(room, e.lanes.places(ctx, lane.name, room, e.o.Log))
		if places <= 0 {
			continue
		}
		claimed, err := e.claimLane(ctx, lane, places)
		out = append(out, claimed...)
		if err != nil { // the next look finds them again
			for _, a := range out {
				e.release(a.key)
			}
			return nil, err
		}
		if room -= len(claimed); room <= 0 {
			break
		}
	}
	return out, nil
}

type lane struct {
	name       string
	priorities []store.Priority // ascending: the most urgent first
}

// byLane groups, putting lanes with urgent work first.
func byLane(groups []store.LaneGroup) []lane {
	var lanes []lane
	for _, g := range groups { // sorted by lane, priority
		if n := len(lanes); n == 0 || lanes[n-1].name != g.Lane {
			lanes = append(lanes, lane{name: g.Lane})
		}
		l := &lanes[len(lanes)-1]
		l.priorities = append(l.priorities, g.Priority)
	}
	slices.SortStableFunc(lanes, func(a, b lane) int { return int(a.priorities[0] - b.priorities[0]) })
	return lanes
}

func (e *Engine) claimLane(ctx context.Context, l lane, places int) ([]arrival, error) {
	var out []arrival
	take := func(p store.Priority, n int) error {
		if n <= 0 {
			return nil
		}
		// Runs at work in this process may still be due by their row.
		due, err := e.o.Store.DueRuns(ctx, e.leases, store.LaneGroup{Lane: l.name, Priority: p}, n+len(e.busy))
		if err != nil {
			return err
		}
		for _, d := range due {
			if _, busy := e.busy[d.RunKey]; busy || n <= 0 {
				continue
			}
			p, err := e.program(ctx, d)
			if err != nil {
				return err
			}
			e.busy[d.RunKey] = p
			e.perShard[store.ShardOf(d.ID)]++
			out = append(out, arrival{key: d.RunKey})
			n--
		}
		return nil
	}
	if i := slices.Index(l.priorities, store.PriorityBulk); i > 0 {
		if err := take(store.PriorityBulk, max(1, places/10)); err != nil {
			return out, err
		}
	}
	for _, p := range l.priorities {
		if err := take(p, places-len(out)); err != nil {
			return out, err
		}
	}
	return out, nil
}

// program returns the compiled definition of a run's revision. Revisions are
// immutable, so it is kept, also when it is lost or does not compile: its runs are
// parked, and nobody else's wait.
func (e *Engine) program(ctx context.Context, d store.DueRun) (*program, error) {
	key := programKey{d.Tenant, d.Kind, d.Name, d.Revision}
	if p, ok := e.programs[key]; ok {
		return p, nil
	}
	raw, err := e.o.Store.Definition(ctx, d.Tenant, d.Kind, d.Name, d.Revision)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	var p *program
	if err == nil {
		err = defect.Guard(func() (err error) { p, err = compile(raw, e.o.Language); return err })
	}
	if err != nil {
		p = &program{defect: fmt.Errorf("definition %s/%s revision %d: %w", d.Kind, d.Name, d.Revision, err)}
	}
	p.revision = d.Revision
	if len(e.programs) >= maxPrograms {
		clear(e.programs)
	}
	e.programs[key] = p
	return p, nil
}

// maxPrograms bounds the memory that compiled definitions take.
const maxPrograms = 1000
