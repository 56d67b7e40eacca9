// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package push_test

import (
	"bufio"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// A long push takes the memory of a short one: what came is in the stage.
func TestMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("100,000 records")
	}
	eachWorld(t, func(w *world) {
		w.api.MaxBytes = 1 << 30
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		before := m.HeapAlloc
		var peak atomic.Uint64
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					runtime.GC() // what is reachable counts, not what waits to be collected
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					peak.Store(max(peak.Load(), m.HeapAlloc))
				}
			}
		}()
		const records = 100_000
		body, feed := io.Pipe()
		go func() {
			out := bufio.NewWriterSize(feed, 64<<10)
			for i := range records {
				_, _ = fmt.Fprintf(out, `{"type":"Account","externalId":"u%06d","username":"somebody.with.a.long.name.%06d@acme.example","personKey":"somebody.%06d@acme.example","status":"active","lastActivityAt":"2026-11-20T12:00:00Z","custom":{"team":"sales","floor":%d}}`+"\n", i, i, i, i%9)
			}
			_, _ = io.WriteString(out, complete)
			_ = feed.CloseWithError(out.Flush())
		}()
		a := w.do(w.request("POST", recordsPath, agentUser, body, nil))
		close(stop)
		<-done
		if a.code != 200 || a.result.Records != records {
			t.Fatalf("%d %s", a.code, a.body)
		}
		grown := int64(peak.Load()) - int64(before) //nolint:gosec // a heap fits
		t.Logf("%s: %d records, at most %d KiB above idle", w.s.Dialect(), records, grown>>10)
		if grown > 64<<20 {
			t.Errorf("%d MiB above idle, want 64 at most", grown>>20)
		}
	})
}
