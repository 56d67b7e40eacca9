// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

func FuzzSpan(f *testing.F) {
	for _, s := range []string{"90d", "72h", "1h30m", "500ms", "0h", "d", "99999h99999h", "-1d", "02000m", "99999h", "1h1m1s1ms"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		span, err := ParseSpan(s)
		if err != nil {
			return
		}
		again, err := ParseSpan(span.String())
		if !span.IsZero() && (err != nil || again != span) {
			t.Errorf("%q is %+v, written %q, read %+v, %v", s, span, span.String(), again, err)
		}
	})
}

func FuzzFill(f *testing.F) {
	f.Add("${seat.app}", `{"seat":{"app":"zoom"}}`)
	f.Add("a ${x} b ${y", `{"x":[1]}`)
	f.Add("${}", `{"":null}`)
	f.Fuzz(func(t *testing.T, s, raw string) {
		v, err := parseVars(json.RawMessage(raw))
		if err != nil {
			return
		}
		if v == nil { // "null"
			v = vars{}
		}
		_, _ = v.fill(s)
	})
}

// FuzzDefinition feeds definitions to the interpreter: whatever they are, one
// turn ends, and never panics.
func FuzzDefinition(f *testing.F) {
	def, err := (&kit{}).spec().Definition()
	if err != nil {
		f.Fatal(err)
	}
	raw, err := def.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(raw), []byte(`{"seat":{"integration":"zoom"},"with":{}}`), []byte(`{}`))
	f.Add([]byte(`{"steps":[{"name":"w","wait":{"for":"1h"}},{"name":"s","switch":{"on":"x","cases":{"1":[{"name":"e","end":{"outcome":"o"}}]}}}]}`), []byte(`{"x":1}`), []byte(`{"phase":"send"}`))
	env := &surroundings{
		info:     func(infoKey) (ActionInfo, bool, error) { return ActionInfo{Class: ClassUnsafe}, true, nil },
		start:    func(string) (bool, time.Time) { return true, time.Time{} },
		channels: map[string]Channel{ChannelSlack: Slack{}}, token: func(_ model.TenantID, id string) string { return id },
	}
	f.Add([]byte(`{"language":"CEL","subject":"Person","when":"person.email != ''","steps":[{"name":"a","when":"now > timestamp('2026-01-01T00:00:00Z')","wait":{"for":"","until":{"date":"person.endDate","time":"09:00"}}},
		{"name":"s","switch":{"when":[{"when":"input.x == 1","steps":[{"name":"b","onError":"Continue","outputs":{"o":"resp.x"},"action":{"integration":"i","action":"a","with":{"v":"${steps.a.result}"}}}]}]}}],"timeout":"90d"}`),
		[]byte(`{"person":{"email":"a@b.example","endDate":"2026-01-01"},"input":{"x":1}}`), []byte(`{}`))
	f.Add([]byte(`{"language":"CEL","steps":[{"name":"l","forEach":{"in":"input.x","as":"i","failurePolicy":"Stop","steps":[{"name":"m","onError":"Ask","forEach":{"in":"[i]","as":"j","steps":[{"name":"a","action":{"integration":"i","action":"a","with":{"v":"${i} ${j}"}}}]}}]}}]}`),
		[]byte(`{"input":{"x":[1,2]},"dryRun":true}`), []byte(`{"loops":[{"path":"l","items":[1,2],"ix":1},{"path":"l[#1]/m","items":[1],"ix":1}]}`))
	f.Fuzz(func(t *testing.T, definition, variables, cursor []byte) {
		p, err := compile(definition, expr.Workflow{})
		if err != nil {
			return
		}
		_, _ = decide(start, p, store.LoadedRun{Run: store.Run{ID: "r", State: store.RunReady, Vars: variables, Cursor: cursor, DueAt: start}}, event{}, env)
	})
}
