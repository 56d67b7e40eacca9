// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"context"
	"fmt"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// guard divides candidates into those that start and those that the guard of the
// Workflow holds (decision 18).
func (l *look) guard(ctx context.Context, w *watch, candidates []candidate) (start, held []candidate, err error) {
	g := w.spec.Guard
	if g == nil || len(candidates) == 0 {
		return candidates, nil, nil
	}
	since := l.now.Add(-g.Per)
	started, err := l.Store.StartedSince(ctx, l.tenant, w.Name, since)
	if err != nil {
		return nil, nil, err
	}
	released, err := l.Store.ReleasedItems(ctx, l.tenant, store.WorkflowHold(w.Name))
	if err != nil {
		return nil, nil, err
	}
	allowed, err := l.allowed(ctx, w)
	if err != nil {
		return nil, nil, err
	}
	l.out.Counted = append(l.out.Counted, store.StartCount{Workflow: w.Name, Since: since, N: started})
	start, held = choose(candidates, allowed, started, released)
	return start, held, nil
}

func (l *look) allowed(ctx context.Context, w *watch) (int64, error) {
	if l.people == 0 {
		counts, err := l.Store.PeopleCounts(ctx, l.tenant)
		if err != nil {
			return 0, fmt.Errorf("count people: %w", err)
		}
		for lifecycle, n := range counts {
			if lifecycle != model.LifecyclePast {
				l.people += n
			}
		}
	}
	return w.spec.Guard.Allowed(w.spec.Subject, l.people), nil
}

// hold records what the guard of a Workflow holds now: what it held before and
// nobody looked at, and what it holds of these.
func (l *look) hold(ctx context.Context, w *watch, held []candidate) error {
	if w.spec.Guard == nil {
		return nil
	}
	allowed, err := l.allowed(ctx, w)
	if err != nil {
		return err
	}
	before, err := l.Store.HeldStarts(ctx, l.tenant, w.Name)
	if err != nil {
		return err
	}
	if len(before) == 0 && len(held) == 0 {
		return nil
	}
	decided := map[string]bool{}
	for _, r := range l.out.Runs {
		decided[r.TriggerKey] = decided[r.TriggerKey] || r.Name == w.Name
	}
	for _, rows := range [][]store.WorkflowStart{l.out.Starts, l.out.Dropped} {
		for _, row := range rows {
			decided[row.Key] = decided[row.Key] || row.Workflow == w.Name
		}
	}
	h := store.HeldStarts{Hold: store.Hold{HoldSubject: store.WorkflowHold(w.Name), Total: l.people, Allowed: allowed, Reason: ReasonGuardHeld}}
	add := func(key, label, detail string) {
		h.Items = append(h.Items, store.HoldItem{Item: key, Label: label, Detail: detail})
	}
	for _, c := range held {
		v := verdict{state: store.StartHeld, look: l.now.Add(heldAgain), reason: ReasonGuardHeld,
			message: fmt.Sprintf("the guard lets %d runs start in %s: `seatkeeper guards workflow/%s` lists what it holds", allowed, w.spec.Guard.Per, w.Name)}
		l.out.Starts = append(l.out.Starts, c.fact.start(w.Name, v))
		decided[c.fact.key] = true
		add(c.fact.key, c.fact.label, c.fact.kind)
	}
	for _, row := range before {
		if !decided[row.Key] {
			add(row.Key, row.Label, row.Kind)
		}
	}
	h.Hold.Count = int64(len(h.Items))
	l.out.Holds = append(l.out.Holds, h)
	return nil
}
