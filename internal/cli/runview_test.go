// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const runDoc = `{"id":"0190c2","kind":"Workflow","name":"zoom-leaver","revision":3,"triggerKind":"manual","subject":"jo@acme.example","state":"waiting",
"reason":"Waiting","dueAt":"2026-11-27T09:00:00Z","createdAt":"2026-11-20T09:00:00Z",
"attempts":[
 {"stepPath":"signOut","state":"failed","integration":"zoom","action":"user.signOut","statusCode":500,"error":"oops","startedAt":"2026-11-20T09:00:00Z"},
 {"stepPath":"signOut","state":"ok","integration":"zoom","action":"user.signOut","startedAt":"2026-11-20T09:00:10Z"}],
"prompts":[{"stepPath":"agree","state":"answered","assignees":[{"email":"mia@acme.example"}]}],
"steps":[{"name":"signOut","result":"done","attempts":2,"at":"2026-11-20T09:00:12Z"},{"name":"agree","result":"Approved","at":"2026-11-20T11:30:12Z"},
 {"name":"byDepartment","result":"case 0","at":"2026-11-20T11:30:12Z"},{"name":"byDepartment.handOver","state":"waiting","reason":"Waiting"}]}`

func TestShowRun(t *testing.T) {
	var doc item
	if err := json.Unmarshal([]byte(runDoc), &doc); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := showRun(&b, doc); err != nil {
		t.Fatal(err)
	}
	const want = `Run 0190c2 of Workflow zoom-leaver, revision 3
About: jo@acme.example
Started: 2026-11-20 09:00:00Z by manual
State: waiting until 2026-11-27 09:00:00Z: Waiting

STEP          RESULT    AT                    TOOK   TRIES
signOut       done      2026-11-20 09:00:12Z  12s    2
  try 1, 2026-11-20 09:00:00Z: zoom user.signOut failed, HTTP 500: oops
agree         Approved  2026-11-20 11:30:12Z  2h30m  -
  asked mia@acme.example: answered
byDepartment  case 0    2026-11-20 11:30:12Z  0s     -
  handOver    waiting   -                     -      -
    Waiting
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
	if runIsOver(doc) || !runIsOver(item{"state": "failed"}) {
		t.Error("a waiting run is not over, and a failed one is")
	}
}

// TestWatch prints what is new or differs, once.
func TestWatch(t *testing.T) {
	c := changes{columns: []column{{Header: "ID", Path: "id"}, {Header: "STATE", Path: "state"}}, width: tableWidth}
	var b strings.Builder
	for _, items := range [][]item{
		{{"id": "a", "state": "ready"}},
		{{"id": "a", "state": "ready"}},
		{{"id": "b", "state": "ready"}, {"id": "a", "state": "succeeded"}},
	} {
		if err := c.print(&b, list{Items: items}); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff("ID  STATE\na   ready\na   succeeded\nb   ready\n", b.String()); d != "" {
		t.Error(d)
	}
	var w watchOne
	b.Reset()
	for _, text := range []string{"one\n", "one\n", "two\n"} {
		if err := w.print(&b, text); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff("one\n\ntwo\n", b.String()); d != "" {
		t.Error(d)
	}
}
