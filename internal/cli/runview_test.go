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

const runWithItems = `{"id":"0190c2","kind":"Workflow","name":"leaver","revision":3,"triggerKind":"manual","state":"waiting","reason":"WaitingForRun","message":"2 of 3 items are at work, 1 have ended",
"dueAt":"2026-11-27T09:00:00Z","createdAt":"2026-11-20T09:00:00Z","steps":[{"name":"access","state":"waiting"}],"moreRuns":2,"released":{"approved":480,"unused":12},
"runs":[
 {"step":"access","place":"[0]","id":"i0","kind":"Item","name":"leaver","state":"failed","reason":"Denied","message":"no","createdAt":"2026-11-20T09:00:00Z","endedAt":"2026-11-20T09:00:03Z",
  "steps":[{"name":"close","result":"failed","reason":"Denied","message":"no","attempts":1}]},
 {"step":"access","place":"[1]","id":"i1","kind":"Item","name":"leaver","state":"waiting","reason":"WaitingForRun","createdAt":"2026-11-20T09:00:00Z","steps":[{"name":"apps","state":"waiting"}],
  "runs":[{"step":"apps","place":"[0]","id":"o1","kind":"Offboarding","name":"leaver","subject":"zoom/zoom","state":"inflight","createdAt":"2026-11-20T09:00:00Z","steps":[{"name":"act0","state":"inflight"}]}]},
 {"step":"gone","id":"c1","kind":"Workflow","name":"other","state":"stopped","createdAt":"2026-11-20T09:00:00Z","endedAt":"2026-11-20T09:00:03Z","steps":[]}]}`

// The runs that a step has started are below it.
func TestShowRunsBelow(t *testing.T) {
	var doc item
	if err := json.Unmarshal([]byte(runWithItems), &doc); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := showRun(&b, doc); err != nil {
		t.Fatal(err)
	}
	head, got, _ := strings.Cut(b.String(), "\n\n")
	if !strings.HasSuffix(head, "\nReleased: access from up to 480 accounts beyond the guard, 12 of them left") {
		t.Error(head)
	}
	const want = `STEP             RESULT    AT                    TOOK  TRIES
access           waiting   -                     -     -
  [0]            failed    2026-11-20 09:00:03Z  3s    -
    run i0
    Denied no
    close        failed    -                     -     1
      Denied no
  [1]            waiting   -                     -     -
    run i1
    WaitingForRun
    apps         waiting   -                     -     -
      zoom/zoom  inflight  -                     -     -
        run o1
        act0     inflight  -                     -     -
other            stopped   2026-11-20 09:00:03Z  3s    -
  run c1
(2 more runs)
`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
