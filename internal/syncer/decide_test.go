// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// TestReasonsAreTheAPIs keeps the words that a sync gives equal to the
// condition reasons and annotations that the API documents.
func TestReasonsAreTheAPIs(t *testing.T) {
	for _, r := range Reasons() {
		if !slices.ContainsFunc(v1alpha1.Reasons, func(known v1alpha1.ReasonInfo) bool { return known.Reason == r }) {
			t.Errorf("the API has no reason %q", r)
		}
	}
	if acceptAccountAnnotation != v1alpha1.AcceptAccountAnnotation || releaseAnnotation != v1alpha1.ReleaseAnnotation {
		t.Error("the annotations differ from the API's")
	}
}

func TestNeedsTest(t *testing.T) {
	spec := handover.Spec{Connector: "zoom", SecretVersion: "1"}
	rotated := spec
	rotated.SecretVersion = "2"
	passed := &handover.Test{Input: spec.TestInput(), Outcome: handover.AllPassed, Day: "2026-01-01"}
	partial := &handover.Test{Input: spec.TestInput(), Outcome: handover.Partial, Day: "2026-03-01"}
	tests := []struct {
		name  string
		spec  handover.Spec
		last  *handover.Test
		today model.Date
		want  bool
	}{
		{"never tested", spec, nil, "2026-03-02", true},
		{"passed long ago", spec, passed, "2026-12-31", false},
		{"Secret rotated", rotated, passed, "2026-01-02", true},
		{"failed", spec, &handover.Test{Input: spec.TestInput(), Outcome: handover.Failed}, "2026-01-02", true},
		{"inconclusive", spec, &handover.Test{Input: spec.TestInput(), Outcome: handover.Inconclusive}, "2026-01-02", true},
		{"partial, this week", spec, partial, "2026-03-07", false},
		{"partial, a week later", spec, partial, "2026-03-08", true},
		{"partial, clock went back", spec, partial, "2026-02-01", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := needsTest(tt.spec, tt.last, tt.today); got != tt.want {
				t.Errorf("needsTest = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestJudgeTest(t *testing.T) {
	groups := connector.StreamTest{Stream: "groups", DataTypes: []model.DataType{model.DataGroups}, State: connector.TestFailed,
		Class: connector.ClassPermission, Message: "403", Fix: "grant okta.groups.read"}
	partial := connector.TestReport{Outcome: connector.Partial, Streams: []connector.StreamTest{{Stream: "users", State: connector.TestPassed}, groups}}
	tests := []struct {
		name     string
		spec     handover.Spec
		report   connector.TestReport
		outcome  handover.Outcome
		reason   string // "" goes on
		disabled int
	}{
		{"A", handover.Spec{}, connector.TestReport{Outcome: connector.AllPassed}, handover.AllPassed, "", 0},
		{"B without consent", handover.Spec{}, partial, handover.Partial, ReasonPartial, 1},
		{"B with consent", handover.Spec{AcceptPartial: true}, partial, handover.Partial, "", 1},
		{"C", handover.Spec{AcceptPartial: true}, connector.TestReport{Outcome: connector.Failed,
			Err: &connector.Error{Class: connector.ClassAuth, Message: "401"}}, handover.Failed, ReasonFailed, 0},
		{"transient", handover.Spec{}, connector.TestReport{Outcome: connector.Inconclusive}, handover.Inconclusive, ReasonVendorError, 0},
		{"unknown outcome is C", handover.Spec{}, connector.TestReport{}, handover.Failed, ReasonFailed, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			verdict, problem := judgeTest(tt.spec, tt.report, "2026-03-01")
			reason := ""
			if problem != nil {
				reason = problem.Reason
			}
			if verdict.Outcome != tt.outcome || reason != tt.reason || len(verdict.Disabled) != tt.disabled {
				t.Errorf("outcome %s, reason %q, %d disabled; want %s, %q, %d", verdict.Outcome, reason, len(verdict.Disabled), tt.outcome, tt.reason, tt.disabled)
			}
		})
	}
}

func TestChangedAccount(t *testing.T) {
	known := &handover.Account{ID: "A"}
	spec := handover.Spec{Connector: "slack", Namespace: "acme", SecretName: "slack"}
	accepted := spec
	accepted.AcceptAccount = "B"
	if changedAccount("slack", spec, nil, connector.RemoteAccount{ID: "B"}, true) != nil {
		t.Error("the first account counts as changed")
	}
	if changedAccount("slack", spec, known, connector.RemoteAccount{}, true) != nil {
		t.Error("an identity that could not be read counts as changed")
	}
	if changedAccount("slack", accepted, known, connector.RemoteAccount{ID: "B"}, true) != nil {
		t.Error("the accepted account is refused")
	}
	if changedAccount("slack", accepted, known, connector.RemoteAccount{ID: "C"}, true) == nil {
		t.Error("accepting B accepted C")
	}
}

// TestChangedAccountPrintsTheSecondIntegration whatever the first one says.
func TestChangedAccountPrintsTheSecondIntegration(t *testing.T) {
	known := &handover.Account{ID: "A"}
	const tenant = "7f3c1a52-90ab-4cde-8123-4567890abcde"
	long := strings.Repeat("n", 253)
	for name, tt := range map[string]struct {
		name  string
		spec  handover.Spec
		found connector.RemoteAccount
		want  string
		hint  string
	}{
		"all of it": {"okta", handover.Spec{Connector: "okta", Namespace: "acme", SecretName: "okta-token", DisplayName: "Okta", Config: map[string]any{"domain": "acme.okta.com", "tenant": tenant, "text": "two  spaces\nand a line"}},
			connector.RemoteAccount{ID: "B", Name: "Acme\nEurope"},
			`{"apiVersion":"seatkeeper.dev/v1alpha1","kind":"Integration","metadata":{"name":"okta-2","namespace":"acme"},"spec":{"connector":"okta","displayName":"Okta (Acme Europe)",` +
				`"config":{"domain":"acme.okta.com","tenant":"` + tenant + `","text":"two  spaces\nand a line"},"credentialsRef":{"name":"okta-token-2"}}}`, "its Secret is called okta-token-2"},
		"a resource without a Secret": {"crm", handover.Spec{ConnectorRef: "crm", Namespace: "acme"}, connector.RemoteAccount{ID: tenant},
			`{"apiVersion":"seatkeeper.dev/v1alpha1","kind":"Integration","metadata":{"name":"crm-2","namespace":"acme"},"spec":{"connectorRef":{"name":"crm"},"displayName":"` + tenant + `"}}`,
			"accept-account=" + tenant + "."},
		"too much config": {"okta", handover.Spec{Connector: "okta", Namespace: "acme", Config: map[string]any{"x": strings.Repeat("x", maxPrinted)}}, connector.RemoteAccount{ID: "it's; B"},
			`{"apiVersion":"seatkeeper.dev/v1alpha1","kind":"Integration","metadata":{"name":"okta-2","namespace":"acme"},"spec":{"connector":"okta","displayName":"it's; B"}}`,
			"too large to print"},
		"long names": {long, handover.Spec{Connector: "okta", Namespace: "acme", DisplayName: strings.Repeat("d", 128)}, connector.RemoteAccount{ID: "B", Name: strings.Repeat("ü", 200)},
			`{"apiVersion":"seatkeeper.dev/v1alpha1","kind":"Integration","metadata":{"name":"` + long[:251] + `-2","namespace":"acme"},"spec":{"connector":"okta","displayName":"` + strings.Repeat("ü", 128) + `"}}`,
			"apply a second Integration: "},
	} {
		t.Run(name, func(t *testing.T) {
			p := changedAccount(tt.name, tt.spec, known, tt.found, true)
			if p == nil || p.Reason != ReasonAccountChanged || !p.Verbatim || !strings.HasSuffix(p.Message, ": "+tt.want) || !strings.Contains(p.Message, tt.hint) {
				t.Errorf("problem %+v\nwant at its end %s\nand %q", p, tt.want, tt.hint)
			}
			if strings.Contains(p.Message, "\n") {
				t.Error("more than one line")
			}
		})
	}
	if p := changedAccount("okta", handover.Spec{}, known, connector.RemoteAccount{ID: "it's; B"}, true); !strings.Contains(p.Message, `='it'\''s; B'`) {
		t.Errorf("the remote id is not quoted for the command line: %s", p.Message)
	}
}

// TestChangedAccountOfAConnectorOfOneAccount offers no second Integration, which
// would be refused.
func TestChangedAccountOfAConnectorOfOneAccount(t *testing.T) {
	p := changedAccount("zoom", handover.Spec{Connector: "zoom", Namespace: "acme", SecretName: "zoom"}, &handover.Account{ID: "A"}, connector.RemoteAccount{ID: "B"}, false)
	if p == nil || p.Reason != ReasonAccountChanged || strings.Contains(p.Message, "kind") || strings.Contains(p.Message, "zoom-2") ||
		!strings.HasSuffix(p.Message, "kubectl annotate integration zoom -n acme --overwrite seatkeeper.dev/accept-account=B") {
		t.Errorf("problem %+v", p)
	}
}

func TestMergeDataTypesTakesTheWorstStream(t *testing.T) {
	streams := []connector.StreamInfo{
		{Name: "users", DataTypes: []model.DataType{model.DataAccounts}},
		{Name: "assignments", DataTypes: []model.DataType{model.DataAccounts, model.DataAssignments}},
		{Name: "groups", DataTypes: []model.DataType{model.DataGroups}},
	}
	state := map[string]handover.Stream{
		"users":       {State: handover.Fresh, Quarantined: 1},
		"assignments": {State: handover.Stale, Reason: ReasonVendorError, Message: "503", Quarantined: 2},
	}
	got := mergeDataTypes([]model.DataType{model.DataAccounts, model.DataAssignments, model.DataGroups, model.DataApps}, streams, state,
		map[model.DataType]int64{model.DataAccounts: 7})
	want := []handover.DataType{
		{Name: model.DataAccounts, State: handover.Stale, Reason: ReasonVendorError, Message: "503", Records: 7, Quarantined: 3},
		{Name: model.DataApps, State: handover.Disabled, Reason: ReasonNotEnabled, Message: "left out by spec.dataTypes, by spec.config or for want of a credential"},
		{Name: model.DataGroups, State: handover.Pending, Reason: ReasonSyncing},
		{Name: model.DataAssignments, State: handover.Stale, Reason: ReasonVendorError, Message: "503", Quarantined: 2},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestNextDue(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	spec := handover.Spec{Interval: time.Hour, RetryInterval: 5 * time.Minute}
	down := &handover.Problem{Reason: ReasonVendorError, Transient: true}
	held := &handover.Problem{Reason: ReasonGuardHeld}
	tests := []struct {
		name       string
		problem    *handover.Problem
		failures   int
		retryAfter time.Duration
		min, max   time.Duration
	}{
		{"success", nil, 0, 0, 54 * time.Minute, 66 * time.Minute},
		{"held waits for the next listing", held, 1, 0, 54 * time.Minute, 66 * time.Minute},
		{"first failure", down, 1, 0, 270 * time.Second, 330 * time.Second},
		{"third failure", down, 3, 0, 18 * time.Minute, 22 * time.Minute},
		{"many failures", down, 100, 0, 54 * time.Minute, 66 * time.Minute},
		{"the vendor said when", down, 1, 3 * time.Hour, 3 * time.Hour, 3 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i := range 50 {
				wait := nextDue(now, fmt.Sprintf("acme/i%d", i), spec, tt.problem, tt.failures, tt.retryAfter).Sub(now)
				if wait < tt.min || wait > tt.max {
					t.Fatalf("waits %s, want %s to %s", wait, tt.min, tt.max)
				}
			}
		})
	}
	spread := map[time.Duration]bool{}
	for i := range 50 {
		spread[jittered(time.Hour, fmt.Sprintf("acme/i%d", i))] = true
	}
	if len(spread) < 25 {
		t.Errorf("50 Integrations share %d offsets", len(spread))
	}
	want := jittered(time.Hour, "a/b")
	for range 3 {
		if got := jittered(time.Hour, "a/b"); got != want {
			t.Errorf("the offset of one Integration moves from %s to %s", want, got)
		}
	}
}

func TestTestInputIgnoresWhatNeedsNoTest(t *testing.T) {
	base := handover.Spec{Connector: "okta", Config: map[string]any{"a": 1.0, "b": "x"}, SecretVersion: "1", Permission: "Read"}
	same := base
	same.Config = map[string]any{"b": "x", "a": 1.0}
	same.Interval, same.AcceptPartial, same.Suspended, same.ShrinkMinItems = time.Hour, true, true, 9
	if base.TestInput() != same.TestInput() {
		t.Error("settings that no test depends on ask for a new one")
	}
	other := base
	other.Permission = "ReadAndAct"
	if base.TestInput() == other.TestInput() {
		t.Error("another permission needs no test")
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	s := Secret{Data: map[string]string{"token": "hunter2"}, Version: "1"}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), fmt.Sprintf("%v", &s)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("printed a secret: %s", text)
		}
	}
}

func TestParseEndpoint(t *testing.T) {
	for _, good := range []string{"zoom.us=http://127.0.0.1:9000", "acme.okta.com=https://okta.internal/base"} {
		if _, _, err := ParseEndpoint(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "zoom.us", "=http://x", "zoom.us=", "zoom.us=ftp://x", "zoom.us=http://u:p@x", "zoom.us=http://x?q=1", "zoom.us=/path"} {
		if _, _, err := ParseEndpoint(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func FuzzParseEndpoint(f *testing.F) {
	f.Add("zoom.us=http://127.0.0.1:9000")
	f.Fuzz(func(t *testing.T, s string) {
		host, base, err := ParseEndpoint(s)
		if err == nil && (host == "" || !strings.HasPrefix(base, "http") || host+"="+base != s) {
			t.Errorf("%q became %q and %q", s, host, base)
		}
	})
}

func FuzzTruncate(f *testing.F) {
	f.Add(strings.Repeat("ä", 600))
	f.Fuzz(func(t *testing.T, s string) {
		out := truncate(s)
		if len(out) > maxMessage+len("…") {
			t.Errorf("%d bytes", len(out))
		}
		if strings.ToValidUTF8(s, "") == s && strings.ToValidUTF8(out, "") != out {
			t.Error("cut inside a rune")
		}
	})
}

// TestQuarantineKeepsWhatIsAbsent is invariant 1: a record that could not be
// mapped exists at the vendor, though the stage does not have it.
func TestQuarantineKeepsWhatIsAbsent(t *testing.T) {
	info := connector.StreamInfo{Name: "users", DeletesByAbsence: true}
	for quarantined, want := range map[int]bool{0: false, 1: true} {
		o, err := outcomeOf(handover.Spec{}, info, connector.ReadResult{Complete: true, Quarantined: quarantined}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if o.KeepAbsent != want {
			t.Errorf("%d quarantined: absences kept %v, want %v", quarantined, o.KeepAbsent, want)
		}
	}
}

func TestWhatBecomesOfAFile(t *testing.T) {
	transient := &handover.Problem{Reason: ReasonSyncFailed, Transient: true}
	for name, c := range map[string]struct {
		problem *handover.Problem
		refused bool
		want    string
	}{
		"read":                  {nil, false, store.UploadAccepted},
		"held by the guard":     {&handover.Problem{Reason: ReasonGuardHeld}, false, store.UploadAccepted},
		"refused when read":     {transient, true, store.UploadRefused},
		"refused by the test":   {&handover.Problem{Reason: ReasonFailed}, false, store.UploadRefused},
		"the store was away":    {transient, false, store.UploadNew},
		"a shutdown in between": {transient, false, store.UploadNew},
	} {
		if got := uploadState(c.problem, c.refused); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestQuarantinedUseCoversNothing is invariant 2: where an event of use could
// not be mapped, nobody's silence in that time proves disuse, and the time is
// read again.
func TestQuarantinedUseCoversNothing(t *testing.T) {
	end := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	info := connector.StreamInfo{Name: "events", ActivityReported: true}
	read := connector.ReadResult{Complete: true, Window: &connector.Window{Start: end.Add(-time.Hour), End: end}, State: connector.StreamState{WindowEnd: end}}
	before := json.RawMessage(`{"windowEnd":"2026-03-02T08:00:00Z"}`)
	o, err := outcomeOf(handover.Spec{}, info, read, before)
	if err != nil || o.Window == nil || !o.Window.Until.Equal(end) || string(o.State) == string(before) {
		t.Fatalf("everything mapped: %+v, %v", o, err)
	}
	read.Quarantined = 1
	o, err = outcomeOf(handover.Spec{}, info, read, before)
	if err != nil || o.Window != nil || string(o.State) != string(before) || !o.Complete {
		t.Fatalf("one event quarantined: window %v, state %s, %v", o.Window, o.State, err)
	}
}
