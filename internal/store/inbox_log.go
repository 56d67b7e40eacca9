// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
)

// eventsPerCheckpoint is after how many received events the inbox's log is
// copied into its file: with usual bodies some thousand pages.
const eventsPerCheckpoint = 1000

// inboxLog copies the write-ahead log of SQLite's inbox into its file beside
// the commits. SQLite itself does it within one, which a burst then waits for;
// it still does where this falls behind (see openSQLite).
type inboxLog struct {
	db     *sql.DB // a connection of its own
	events atomic.Int64
	copier sync.WaitGroup
	busy   atomic.Bool
}

// committed counts what was committed. It never waits.
func (l *inboxLog) committed(ctx context.Context, events int) {
	if l == nil || l.events.Add(int64(events)) < eventsPerCheckpoint || !l.busy.CompareAndSwap(false, true) {
		return
	}
	l.events.Store(0)
	l.copier.Go(func() {
		defer l.busy.Store(false)
		// A failure is no loss: what was not copied stays in the log.
		_, _ = l.db.ExecContext(context.WithoutCancel(ctx), `PRAGMA wal_checkpoint(PASSIVE)`)
	})
}

func (l *inboxLog) close() error {
	if l == nil {
		return nil
	}
	l.copier.Wait()
	return l.db.Close()
}
