// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

const changingStream = `request: {get: /groups, query: {since: "${state.cursor}", size: "${config.size}"}}
records: resp
deletes: {by: absence}
filter: get(r, 'bot') != true
sync: {mode: incremental, cursor: "ts(get(r, 'at'))", overlap: 10m, fullEvery: 8h, removed: "get(r, 'gone') == true"}`

// changingManifest has users with seats and group memberships.
func changingManifest() string {
	return strings.NewReplacer(
		"  auth:", "  config: {size: {type: integer, default: 5}}\n  auth:",
		"      emit: [{type: Group, map: {externalId: r.id, name: r.name}}]", `      emit:
        - {type: Group, map: {externalId: r.id, name: r.name}}
        - {type: LicenseAssignment, forEach: "list(get(r, 'plans'))", as: plan, map: {accountExternalId: r.id, planKey: plan, state: "'active'"}}
        - {type: Membership, forEach: "list(get(r, 'members'))", as: m, map: {groupExternalId: r.id, accountExternalId: m}}
        - {type: DiscoveredApp, when: "get(r, 'app') != null", map: {externalId: r.id, name: r.app, source: "'idp'"}}`,
	).Replace(oneStream(changingStream))
}

// outline writes records short: a minus is a tombstone.
func outline(recs []model.Record) []string {
	var out []string
	for _, r := range recs {
		s := ""
		switch {
		case r.Group != nil:
			s = "group " + r.Group.ExternalID
		case r.Assignment != nil:
			s = "seat " + r.Assignment.AccountExternalID + "/" + r.Assignment.PlanKey
		case r.Membership != nil:
			s = "member " + r.Membership.GroupExternalID + "/" + r.Membership.AccountExternalID
		case r.App != nil:
			s = "app " + r.App.ExternalID
		}
		if r.Removed {
			s = "-" + s
		}
		out = append(out, s)
	}
	return out
}

func TestIncrementalRead(t *testing.T) {
	body, asked := "", ""
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query().Get("since")
		_, _ = w.Write([]byte(body))
	}})
	manifest := load1(t, changingManifest())
	var state StreamState
	sync := func(after time.Duration, change ...func(*Options)) ([]string, ReadResult) {
		t.Helper()
		s, clk := session(t, v, append([]func(*Options){func(o *Options) {
			o.Manifest, o.State = manifest, map[string]StreamState{"groups": state}
		}}, change...)...)
		clk.Step(after)
		recs, res, err := read(t, s, "groups")
		if err != nil {
			t.Fatal(err)
		}
		return outline(recs), res
	}
	body = `[{"id":"a","name":"A","at":"2026-11-21T09:00:00Z","plans":["pro"],"members":["1"],"app":"x"},{"id":"b","name":"B","at":"2026-11-21T09:30:00Z"},{"id":"c","gone":true},{"id":"d","bot":true}]`
	recs, res := sync(0)
	if d := cmp.Diff([]string{"group a", "seat a/pro", "member a/1", "app a", "group b"}, recs); d != "" || asked != "" || res.Incremental || !res.AbsenceProves() {
		t.Fatalf("whole, since %q, %+v (-want +got)\n%s", asked, res, d)
	}
	if s := res.State; !s.Cursor.Equal(testNow.Add(-30*time.Minute)) || !s.FullAt.Equal(testNow) || s.Shape == "" {
		t.Fatalf("state %+v", s)
	}
	state = res.State
	// What a record no longer yields goes; so does one that is filtered by now.
	body = `[{"id":"a","name":"A","at":"2026-11-21T10:30:00Z","plans":["basic"]},{"id":"b","gone":true,"at":"2026-11-21T10:20:00Z"},{"id":"e","bot":true}]`
	recs, res = sync(time.Hour)
	want := []string{"-seat a/", "-member a/", "-app a", "group a", "seat a/basic", "-group b", "-seat b/", "-member b/", "-app b", "-group e", "-seat e/", "-member e/", "-app e"}
	if d := cmp.Diff(want, recs); d != "" || asked != "2026-11-21T09:20:00.000Z" || !res.Incremental || res.AbsenceProves() || res.Records != 2 {
		t.Fatalf("changes, since %q, %+v (-want +got)\n%s", asked, res, d)
	}
	if s := res.State; !s.Cursor.Equal(testNow.Add(30*time.Minute)) || !s.FullAt.Equal(testNow) {
		t.Errorf("state %+v", s)
	}
	state = res.State
	// A moment ahead of our clock would skip what comes until then.
	body = `[{"id":"a","name":"A","at":"2099-01-01T00:00:00Z"}]`
	if _, res = sync(2 * time.Hour); !res.State.Cursor.Equal(testNow.Add(2 * time.Hour)) {
		t.Errorf("state %+v", res.State)
	}
	// Nothing changed: the place stays.
	body = `[]`
	if _, res = sync(2 * time.Hour); !res.State.Cursor.Equal(state.Cursor) || !res.Incremental {
		t.Errorf("state %+v", res.State)
	}
	// What was read under other circumstances must be read again.
	for name, change := range map[string]func(*Options){
		"config":     func(o *Options) { o.Config = map[string]any{"size": 6} },
		"data types": func(o *Options) { o.DataTypes = []model.DataType{model.DataGroups} },
		"manifest": func(o *Options) {
			o.Manifest = load1(t, strings.Replace(changingManifest(), "name: r.name}", "name: lower(r.name)}", 1))
		},
		"no whole read": func(o *Options) {
			o.State = map[string]StreamState{"groups": {Cursor: state.Cursor, Shape: state.Shape}}
		},
		"no cursor": func(o *Options) {
			o.State = map[string]StreamState{"groups": {FullAt: state.FullAt, Shape: state.Shape}}
		},
		"clock went back": func(o *Options) {
			o.State = map[string]StreamState{"groups": {Cursor: state.Cursor, Shape: state.Shape, FullAt: testNow.Add(24 * time.Hour)}}
		},
	} {
		if _, res := sync(time.Hour, change); res.Incremental || asked != "" {
			t.Errorf("%s: read since %q", name, asked)
		}
	}
	// fullEvery is judged an eighth early.
	if _, res := sync(7*time.Hour - time.Second); !res.Incremental {
		t.Error("whole before its time")
	}
	if _, res := sync(7 * time.Hour); res.Incremental {
		t.Error("not whole in time")
	}
}

func TestDeltaRead(t *testing.T) {
	answers, asked := map[string]string{}, []string{}
	status := map[string]int{}
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, r *http.Request) {
		token := r.URL.Query().Get("token")
		asked = append(asked, token)
		if s := status[token]; s != 0 {
			w.WriteHeader(s)
		}
		_, _ = w.Write([]byte(answers[token]))
	}})
	manifest := load1(t, oneStream(`request: {get: /groups, query: {"$select": id}}
page: {type: delta, next: "get(resp, 'next')", delta: "get(resp, 'delta')", removed: "get(r, 'removed') != null"}
records: resp.value
deletes: {by: absence}`))
	at := func(token string) string { return "https://api.chaos.example/v1/groups?token=" + token }
	sync := func(delta string) ([]string, ReadResult, error) {
		asked = nil
		s, _ := session(t, v, func(o *Options) {
			o.Manifest = manifest
			if delta != "" {
				s, _ := session(t, v, func(o *Options) { o.Manifest = manifest })
				o.State = map[string]StreamState{"groups": {Delta: delta, FullAt: testNow.Add(-time.Hour), Shape: s.shape(manifest.stream("groups"))}}
			}
		})
		recs, res, err := read(t, s, "groups")
		return outline(recs), res, err
	}
	answers[""] = fmt.Sprintf(`{"value":[{"id":"a","name":"A"},{"id":"x","removed":{}}],"next":%q}`, at("p2"))
	answers["p2"] = fmt.Sprintf(`{"value":[{"id":"b","name":"B"}],"delta":%q}`, at("d1"))
	recs, res, err := sync("")
	if d := cmp.Diff([]string{"group a", "group b"}, recs); err != nil || d != "" || res.State.Delta != at("d1") || res.Incremental || !res.State.FullAt.Equal(testNow) {
		t.Fatalf("%+v, %v\n%s", res, err, d)
	}
	answers["d1"] = fmt.Sprintf(`{"value":[{"id":"a","removed":{"reason":"deleted"}}],"next":%q}`, at("d1b"))
	answers["d1b"] = fmt.Sprintf(`{"value":[{"id":"c","name":"C"}],"delta":%q}`, at("d2"))
	recs, res, err = sync(at("d1"))
	if d := cmp.Diff([]string{"-group a", "group c"}, recs); err != nil || d != "" || res.State.Delta != at("d2") || !res.Incremental || !res.State.FullAt.Equal(testNow.Add(-time.Hour)) {
		t.Fatalf("%+v, %v\n%s", res, err, d)
	}
	// Forgotten, in the vendor's own words or by status: everything is read.
	for token, code := range map[string]int{"old": http.StatusGone, "odd": http.StatusBadRequest} {
		status[token], answers[token] = code, `{"error":"syncStateNotFound"}`
		recs, res, err = sync(at(token))
		if err != nil || len(recs) != 2 || res.Incremental || cmp.Diff([]string{token, "", "p2"}, asked) != "" || len(res.Notes) != 1 || !res.AbsenceProves() {
			t.Errorf("%s: asked %v, %+v, %v", token, asked, res, err)
		}
	}
	// Forgotten in mid-list, when records have been handed on: the next sync.
	answers["half"] = fmt.Sprintf(`{"value":[{"id":"a","removed":{}}],"next":%q}`, at("old"))
	_, res, err = sync(at("half"))
	if e := wantClass(t, err, ClassNotFound); res.Complete || e.Status != http.StatusGone {
		t.Errorf("%+v", res)
	}
	// Without an address for later, the next read is whole.
	answers["p2"] = `{"value":[{"id":"b","name":"B"}]}`
	if _, res, err = sync(""); err != nil || res.State.Delta != "" {
		t.Errorf("%+v, %v", res, err)
	}
	// The place is the vendor's to choose, on declared hosts.
	_, _, err = sync("https://evil.example/groups?token=d1")
	wantClass(t, err, ClassHostRefused)
}

func TestIncrementalProblems(t *testing.T) {
	for stream, want := range map[string]string{
		"request: {get: /g}\nsync: {mode: incremental, cursor: ts(r.at)}":                                                               "does not use state.cursor",
		"request: {get: /g, query: {s: \"${state.cursor}\"}}\nsync: {mode: incremental}":                                                "spec.streams.groups.sync.cursor",
		"request: {get: /g}\nsync: {mode: full, cursor: ts(r.at)}":                                                                      "mode incremental",
		"request: {get: /g}\npage: {type: delta, next: \"''\", delta: \"''\"}\nforEach: {items: \"['a']\"}":                             "no forEach",
		"request: {get: /g}\npage: {type: delta, next: \"''\", delta: \"''\", removed: r.x}\nsync: {mode: incremental, removed: r.x}":   "one of them",
		"request: {get: /g}\npage: {type: delta, next: \"''\", delta: \"''\"}\nsync: {mode: window, start: now, step: 1h, history: 1h}": "that is what a delta listing is",
	} {
		_, err := Load("x.yaml", []byte(oneStream(stream+"\nrecords: resp")))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", stream, err, want)
		}
	}
	if m := load1(t, oneStream("request: {get: /g}\npage: {type: delta, next: \"''\", delta: \"''\"}\nrecords: resp")); m.Streams()[0].Mode != "incremental" {
		t.Errorf("%+v", m.Streams())
	}
}
