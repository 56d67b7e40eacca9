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

// claimSlot asks for a place before the first step. The store gives it, or not,
// in the transaction that writes this turn; a dry run needs none.
func (t *turn) claimSlot() {
	b := t.program.bound
	if b == nil || t.run.SlotHeld || t.dryRun() {
		return
	}
	switch {
	case t.run.StopAt != nil:
		t.stop()
		return
	case t.overdue():
		t.fail(reasonTimedOut, fmt.Sprintf("the run took longer than %s", t.program.timeout))
		return
	}
	key, err := b.key(t.scope())
	if err != nil {
		t.end(store.RunFailed, "failed", reasonExpression, "concurrency.key: "+err.Error())
		return
	}
	t.run.StepPath, t.cur = pathEnd, cursor{} // it has not begun
	if t.suspended {
		t.holdSuspended()
		return
	}
	t.sleep(t.now.Add(holdFor), store.ReasonConcurrencyLimit, fmt.Sprintf("waits for its turn: spec.concurrency lets %d run at once", b.Max))
	t.change.Claim = &store.SlotClaim{Key: fmt.Sprint(key), Max: b.Max, Policy: b.Policy}
}
