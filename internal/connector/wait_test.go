// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const waitActions = `
    data.transfer:
      class: idempotent
      input: {userId: {type: account, required: true}}
      steps: [{post: /transfers, body: "{'from': input.userId}", save: {job: resp.id, size: resp.size}}]
      wait: {get: "/transfers/${vars.job}", every: 45s, timeout: 12h, done: resp.state == 'done', failed: "resp.state == 'failed'"}
      verify: {get: "/users/${input.userId}", expect: resp.empty}
      output: {files: resp.files, size: vars.size}
`

// What Execute saved finds the work again, also after it went through a store.
func TestPoll(t *testing.T) {
	answer, empty, status := "", false, 200
	v := newVendor(t, map[string]http.HandlerFunc{
		"POST /v1/transfers": say(`{"id":9223372036854775807,"size":5}`),
		"GET /v1/transfers/9223372036854775807": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, answer)
		},
		"GET /v1/users/{id}": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"empty":%v}`, empty) },
	})
	s, _ := session(t, v, func(o *Options) { o.Manifest = load1(t, chaosManifest+waitActions) })
	info, ok := s.Action("data.transfer")
	if !ok || info.WaitEvery != 45*time.Second || info.WaitTimeout != 12*time.Hour {
		t.Fatalf("%+v", info)
	}
	call := ActionCall{Name: "data.transfer", Input: map[string]any{"userId": "u"}}
	res, err := s.Execute(t.Context(), call)
	if err != nil || res.Class != ResultAccepted || !res.Sent {
		t.Fatalf("%+v, %v", res, err)
	}
	raw, err := json.Marshal(res.Output)
	if err != nil {
		t.Fatal(err)
	}
	var accepted map[string]any
	if err := json.Unmarshal(raw, &accepted); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		status int
		answer string
		empty  bool
		want   ResultClass
		class  ErrorClass
	}{
		{200, `{"state":"running"}`, false, ResultAccepted, ""},
		{200, `{"state":"done","files":3}`, false, ResultAccepted, ""}, // verify does not see it yet
		{200, `{"state":"done","files":3}`, true, ResultDone, ""},
		{200, `{"state":"failed","message":"the target is full (s3cret)"}`, true, ResultFailed, ""},
		{500, `{}`, true, ResultFailed, ClassTransient},
		{403, `{}`, true, ResultDenied, ClassPermission},
		{200, `{}`, true, ResultFailed, ClassMapping},
	} {
		answer, empty, status = tt.answer, tt.empty, tt.status
		res, err := s.Poll(t.Context(), call, accepted)
		if res.Class != tt.want || ClassOf(err) != tt.class {
			t.Errorf("%s: %+v, %v", tt.answer, res, err)
		}
		switch res.Class {
		case ResultDone:
			if d := cmp.Diff(map[string]any{"files": int64(3), "size": int64(5)}, res.Output); d != "" {
				t.Error(d)
			}
		case ResultFailed:
			if err == nil && !strings.Contains(res.Message, "the target is full ([token])") {
				t.Errorf("%q", res.Message)
			}
		}
	}
	if n := v.count("/v1/transfers"); n <= 1 || v.requests[0].Method != http.MethodPost {
		t.Errorf("%d requests", n)
	}
	if res, err := s.Poll(t.Context(), ActionCall{Name: "license.remove", Input: map[string]any{"userId": "u"}}, nil); ClassOf(err) != ClassConfig {
		t.Errorf("%+v, %v", res, err)
	}
	s, _ = session(t, v, func(o *Options) { o.Manifest, o.Permission = load1(t, chaosManifest+waitActions), PermissionRead })
	if res, err := s.Poll(t.Context(), call, accepted); ClassOf(err) != ClassPermission {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestWaitFaultsAreNamedAtLoad(t *testing.T) {
	for old, tt := range map[string]struct{ text, path, want string }{
		"every: 45s":              {"every: 1s", "wait.every", "at least 5s"},
		"timeout: 12h":            {"timeout: 30s", "wait.timeout", "every"},
		`get: "/transfers`:        {`post: "/transfers`, "wait", "safe"},
		"done: resp.state ==":     {"done: resp.size +", "wait.done", "CEL"},
		"done: resp.state == 'd":  {"dun: resp.state == 'd", "wait.dun", "an unknown key"},
		"${vars.job}\", every:":   {"${secret.token}\", every:", "wait.get", "secret"},
		"failed: \"resp.state ==": {"failed: \"resp.state =", "wait.failed", "CEL"},
	} {
		text := strings.Replace(chaosManifest+waitActions, old, tt.text, 1)
		_, err := Load("f.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), "spec.actions.data.transfer."+tt.path+": ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s:\n%v", tt.text, err)
		}
	}
}
