// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Concurrency bounds the runs with the same key that are under way at once. A
// run has its place from before its first step until it has ended.
type Concurrency struct {
	Max    int              `json:"max"`
	Key    string           `json:"key,omitempty"` // a text with holes; empty: all runs share one
	Policy store.SlotPolicy `json:"policy"`
}

type bound struct {
	Concurrency
	key value
}

func (l *linker) bound(c *Concurrency) (*bound, error) {
	if c == nil {
		return nil, nil
	}
	if c.Max < 1 {
		return nil, fmt.Errorf("concurrency.max: %d: want at least 1", c.Max)
	}
	switch c.Policy {
	case store.SlotQueue, store.SlotSkip, store.SlotReplace:
	default:
		return nil, fmt.Errorf("concurrency.policy: %q: want Queue, Skip or Replace", c.Policy)
	}
	key, err := l.value("concurrency.key", c.Key)
	return &bound{*c, key}, err
}

// unplaced says that the run must have a place before it goes on, and has none:
// it is new, or somebody resumed it. A dry run needs none; what is under way is
// resolved first.
func (t *turn) unplaced() bool {
	if t.program.bound == nil || t.run.SlotHeld || t.dryRun() || t.intent != nil || t.cur.Asking != "" || t.cur.Lost || t.event.kind != eventDue {
		return false
	}
	return t.run.StepPath != pathEnd && t.run.StopAt == nil && !t.suspended && !t.overdue()
}

// claim asks for a place. The store gives it, or not, in the transaction that
// writes this turn.
func (t *turn) claim() {
	b := t.program.bound
	key, err := b.key(t.scope())
	if err != nil {
		t.end(store.RunFailed, "failed", reasonExpression, "concurrency.key: "+err.Error())
		return
	}
	t.sleep(t.now.Add(holdFor), store.ReasonConcurrencyLimit, fmt.Sprintf("waits for its turn: spec.concurrency lets %d run at once", b.Max))
	t.change.Claim = &store.SlotClaim{Key: fmt.Sprint(key), Max: b.Max, Policy: b.Policy}
}
