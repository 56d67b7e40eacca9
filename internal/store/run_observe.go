// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"database/sql"
	"sync"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// RunMove is how a transaction of this process moved one run: its first step was
// taken up, calls ended, or it ended. Outcome is empty unless it did.
type RunMove struct {
	Tenant     model.TenantID
	Kind, Name string
	Began      bool
	Outcome    string
	Calls      []CallEnd
}

// CallEnd is how one attempt at a call ended.
type CallEnd struct {
	Integration string
	State       AttemptState
}

// OnRunsMoved sets what is told of runs after the commit that moved them, once
// for each run and transaction. It must not block.
func (s *Store) OnRunsMoved(observe func([]RunMove)) { s.onMoved.Store(&observe) }

// runMoves keeps what open transactions do to runs.
type runMoves struct {
	mu   sync.Mutex
	open map[*sql.Tx]map[RunKey]RunMove
}

// note remembers a move until the transaction is through. A run that is noted
// twice has moved once.
func (m *runMoves) note(tx *sql.Tx, key RunKey, v RunMove) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open == nil {
		m.open = map[*sql.Tx]map[RunKey]RunMove{}
	}
	if m.open[tx] == nil {
		m.open[tx] = map[RunKey]RunMove{}
	}
	m.open[tx][key] = v
}

// take forgets a transaction and returns what it did.
func (m *runMoves) take(tx *sql.Tx) []RunMove {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []RunMove
	for _, v := range m.open[tx] {
		out = append(out, v)
	}
	delete(m.open, tx)
	return out
}

// noteChanges notes how decisions moved runs, as it will be written.
func (s *Store) noteChanges(tx *sql.Tx, loaded []LoadedRun, changes []RunChange) {
	fresh := map[RunKey]bool{}
	for _, l := range loaded {
		fresh[l.Run.Key()] = string(l.Run.Cursor) == "{}"
	}
	for _, c := range changes {
		v := moveOf(c.Run)
		v.Began = fresh[c.Run.Key()] && orEmptyObject(c.Run.Cursor) != "{}"
		for _, a := range c.Attempts {
			if a.State != AttemptIntent {
				v.Calls = append(v.Calls, CallEnd{a.Integration, a.State})
			}
		}
		if v.Began || v.Outcome != "" || len(v.Calls) > 0 {
			s.moves.note(tx, c.Run.Key(), v)
		}
	}
}

func moveOf(r Run) RunMove {
	v := RunMove{Tenant: r.Tenant, Kind: r.Kind, Name: r.Name}
	if r.State.Ended() {
		v.Outcome = cmp.Or(r.Outcome, string(r.State))
	}
	return v
}

func (s *Store) observeMoves(tx *sql.Tx, committed bool) {
	moved := s.moves.take(tx)
	if observe := s.onMoved.Load(); observe != nil && committed && len(moved) > 0 {
		(*observe)(moved)
	}
}
