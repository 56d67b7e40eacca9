// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

func TestTurns(t *testing.T) {
	turns := NewTurns(2, 3)
	enter := func(tenant model.TenantID, want bool) (leave func()) {
		t.Helper()
		leave, ok := turns.Enter(t.Context(), tenant, 0)
		if ok != want {
			t.Fatalf("tenant %d entered: %v", tenant, ok)
		}
		return leave
	}
	first := enter(0, true)
	enter(0, true)
	enter(0, false) // no third of one tenant
	enter(1, true)
	enter(2, false) // no fourth in all
	first()
	third := enter(2, true)
	enter(0, false) // what was refused in all holds no turn of its tenant
	third()
	enter(0, true)
	enter(0, false)

	// Who has time waits for a turn.
	one := NewTurns(1, 0)
	leave, _ := one.Enter(t.Context(), 1, 0)
	entered := make(chan bool)
	go func() {
		_, ok := one.Enter(t.Context(), 1, time.Minute)
		entered <- ok
	}()
	leave()
	if !<-entered {
		t.Error("whoever waited did not get the turn that became free")
	}
	if _, ok := one.Enter(t.Context(), 2, 0); !ok {
		t.Error("one tenant took the turn of another")
	}
}
