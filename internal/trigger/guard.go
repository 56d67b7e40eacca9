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
	allowed, err := l.allowed(ctx, w)
	if err != nil {
		return nil, nil, err
	}
	l.out.Counted = append(l.out.Counted, store.StartCount{Workflow: w.Name, Since: since, N: started})
	pass, held := apart(candidates, l.reach(w))
	start, over := choose(pass, allowed, started)
	return start, append(held, over...), nil
}

// reach is how many accounts one run may be about that nobody released: as many as
// runs about people may start.
func (l *look) reach(w *watch) int64 {
	return model.Guard{MinItems: w.spec.Guard.MinItems, MaxPercent: w.spec.Guard.MaxPercent}.Allowed(l.people)
}

// apart divides off the runs that are about more accounts than one may be. It is
// pure.
func apart(candidates []candidate, reach int64) (pass, held []candidate) {
	for _, c := range candidates {
		if c.accounts > reach && !c.released() {
			held = append(held, c)
		} else {
			pass = append(pass, c)
		}
	}
	return pass, held
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

// hold writes down what the guard of a Workflow holds of these, beside what it held
// before.
func (l *look) hold(ctx context.Context, w *watch, held []candidate) error {
	h := store.Hold{HoldSubject: store.WorkflowHold(w.Name), Reason: ReasonGuardHeld}
	if w.spec.Guard != nil {
		var err error
		if h.Allowed, err = l.allowed(ctx, w); err != nil {
			return err
		}
		h.Total = l.people
	}
	for _, c := range held {
		v := verdict{state: store.StartHeld, look: l.now.Add(heldAgain), reason: ReasonGuardHeld,
			message: fmt.Sprintf("the guard lets %d runs start in %s: `seatkeeper guards workflow/%s` lists what it holds", h.Allowed, w.spec.Guard.Per, w.Name)}
		if reach := l.reach(w); c.accounts > reach {
			v.message = fmt.Sprintf("the run is about %d accounts, and the guard lets one be about %d: `seatkeeper guards workflow/%s` lists what it holds", c.accounts, reach, w.Name)
		}
		l.out.Starts = append(l.out.Starts, c.fact.start(w.Name, v))
	}
	l.out.Holds = append(l.out.Holds, h)
	return nil
}
