// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connectors_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// An answer of any length is read in flat memory, where a manifest declares
// that the vendor gives its list in one. The extended tests make it 2 GiB.
func TestChaosHugeAnswer(t *testing.T) {
	size := 72 << 20 // an answer that is read as a whole has at most 64 MiB
	if v := os.Getenv("SEATKEEPER_CHAOS_LIST_MB"); v != "" {
		mb, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		size = mb << 20
	}
	played := 0
	for _, name := range connectors.Names() {
		m, err := connectors.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range m.Streams() {
			l, ok := m.Listing(st.Name)
			if !ok || m.Native() || l.Decode != "json" {
				continue
			}
			played++
			t.Run(name+"/"+st.Name, func(t *testing.T) {
				f, err := fixture.Load(name + "/testdata/fixtures.yaml")
				if err != nil {
					t.Fatal(err)
				}
				b := behaved(t, m, f, st.Name)
				sent := 0
				srv, err := f.Serve(b.strike(b.atVictim(func(x exchange, _ *http.Request, w http.ResponseWriter) bool {
					sent = b.endlessly(t, x, w, size)
					return true
				})))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = srv.Close() }()
				s, err := srv.Open(m)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				idle, peak, batches := heap(), uint64(0), 0
				res, err := s.Read(t.Context(), st.Name, func(_ context.Context, _ string, recs []model.Record) error {
					if batches++; batches%20 == 0 {
						peak = max(peak, heap())
					}
					return nil
				})
				if err != nil || !res.Complete || res.Items < sent {
					t.Fatalf("read %d of %d: %v", res.Items, sent, err)
				}
				t.Logf("%d records of %d MiB; %d KiB above idle", res.Items, size>>20, int64(peak-min(peak, idle))>>10)
				if peak > idle+(16<<20) {
					t.Errorf("memory grew by %d MiB", (peak-idle)>>20)
				}
			})
		}
	}
	if played == 0 {
		t.Error("no stream declares an answer that is read as it arrives")
	}
}

// endlessly sends the first record of an answer again and again, each time as
// another one, and returns how often.
func (b *baseline) endlessly(t *testing.T, x exchange, w http.ResponseWriter, size int) (records int) {
	t.Helper()
	list, _ := b.listOf(x)
	one, err := json.Marshal(list[0])
	if err != nil {
		t.Fatal(err)
	}
	const here = "here the records are"
	path, _ := b.recordsPath()
	var body any
	if err := json.Unmarshal(x.body, &body); err != nil {
		t.Fatal(err)
	}
	around, err := json.Marshal(put(body, path, here))
	if err != nil {
		t.Fatal(err)
	}
	before, after, _ := bytes.Cut(around, []byte(`"`+here+`"`))
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(before, '['))
	for n := 0; n < size; records++ {
		if records > 0 {
			_, _ = w.Write([]byte{','})
		}
		// Every text of the record that names it changes with it.
		k, err := w.Write(bytes.ReplaceAll(one, []byte(`@`), fmt.Appendf(nil, "+%d@", records)))
		if err != nil {
			return records
		}
		n += k
	}
	_, _ = w.Write(append([]byte{']'}, after...))
	return records
}

// heap is what the collector cannot free.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
