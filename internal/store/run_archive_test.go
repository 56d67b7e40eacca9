// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"
	"strings"
	"testing"
)

// What an ended run kept comes back as it was; what is sealed stays in sight of
// the rotation of keys, and a run that goes on keeps its columns.
func TestArchive(t *testing.T) {
	long := `{"event":{"data":{"text":"` + strings.Repeat("a seat in Berlin ", 60) + `"}}}`
	for name, c := range map[string]struct {
		state        RunState
		cursor, vars string
		packed       bool
	}{
		"succeeded": {RunSucceeded, `{"since":"2026-11-22T13:45:29Z"}`, long, true},
		"stopped":   {RunStopped, `{"phase":"asked"}`, `{"é":"\u0000"}`, true},
		"nothing":   {RunFailed, ``, ``, true},
		"sealed":    {RunFailed, `{}`, `{"password":{"` + SealedMark + `":"x"}}`, false},
		"waits":     {RunWaiting, `{"phase":"asked"}`, long, false},
		"attention": {RunAttention, `{}`, long, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := Run{State: c.state, Cursor: json.RawMessage(c.cursor), Vars: json.RawMessage(c.vars)}
			cursor, vars, packed := archive(r)
			wantCursor, wantVars := orEmptyObject(r.Cursor), orEmptyObject(r.Vars)
			raw, ok := packed.([]byte)
			if ok != c.packed {
				t.Fatalf("packed %t, want %t", ok, c.packed)
			}
			if ok {
				if cursor != "{}" || vars != "{}" || len(raw) > 200 {
					t.Fatalf("the columns are %s and %s; %d bytes beside them", cursor, vars, len(raw))
				}
				gotCursor, gotVars, err := unarchive(raw)
				if err != nil {
					t.Fatal(err)
				}
				cursor, vars = string(gotCursor), string(gotVars)
			}
			if cursor != wantCursor || vars != wantVars {
				t.Fatalf("%s and %s; want %s and %s", cursor, vars, wantCursor, wantVars)
			}
		})
	}
}

// Whatever stands in the column is read or refused.
func FuzzUnarchive(f *testing.F) {
	_, _, packed := archive(Run{State: RunSucceeded, Cursor: json.RawMessage(`{"phase":"asked"}`)})
	f.Add(packed.([]byte))
	f.Add([]byte{archiveFormat, 200, 1})
	f.Add([]byte{archiveFormat + 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if cursor, vars, err := unarchive(raw); err == nil && len(raw) == 0 {
			t.Fatalf("%s and %s of nothing", cursor, vars)
		}
	})
}
