// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connectors_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
)

// Every action that the fixtures carry out, with a vendor that misbehaves at
// the request with the effect: the outcome is never taken for done, it says
// what happened, and the request is not made a second time.
func TestChaosOfActions(t *testing.T) {
	for _, name := range connectors.Names() {
		m, err := connectors.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		if m.Native() {
			continue
		}
		f, err := fixture.Load(name + "/testdata/fixtures.yaml")
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range f.Actions {
			write := effectOf(t, m, f, i)
			if a.Result != connector.ResultDone || write == "" {
				continue // what is there already, or was refused, writes nothing
			}
			for fault, tt := range faults {
				t.Run(name+"/"+a.Name+"/"+fault, func(t *testing.T) {
					res, asked, err := carryOut(t, m, f, i, func(r *http.Request, w http.ResponseWriter) bool {
						return lineOf(r) == write && tt.strike(w)
					})
					if !slices.Contains(tt.want, res.Class) || err == nil || connector.ClassOf(err) == "" {
						t.Errorf("ended as %s (%v), want one of %v", res.Class, err, tt.want)
					}
					if res.Class == connector.ResultUnknown && !res.Sent {
						t.Error("unknown, and yet not sent")
					}
					// With its Idempotency-Key net/http makes a request again whose
					// connection broke: to the vendor it is the same one.
					keyed := slices.ContainsFunc(m.Actions(), func(info connector.ActionInfo) bool {
						return info.Name == a.Name && info.Class == connector.ActionKeyed
					})
					if n := asked[write]; n != 1 && !keyed {
						t.Errorf("the request with the effect was made %d times", n)
					}
				})
			}
		}
	}
}

// faults are what may happen to the request with the effect.
var faults = map[string]struct {
	strike func(http.ResponseWriter) bool
	want   []connector.ResultClass
}{
	"500": {answers(http.StatusInternalServerError, nil), []connector.ResultClass{connector.ResultUnknown, connector.ResultRateLimited}},
	"dropped connection": {func(w http.ResponseWriter) bool {
		panic(http.ErrAbortHandler)
	}, []connector.ResultClass{connector.ResultUnknown}},
	"403": {answers(http.StatusForbidden, nil), []connector.ResultClass{connector.ResultDenied, connector.ResultRateLimited}},
	"429": {answers(http.StatusTooManyRequests, http.Header{"Retry-After": {"3600"}}), []connector.ResultClass{connector.ResultRateLimited}},
}

func answers(status int, header http.Header) func(http.ResponseWriter) bool {
	return func(w http.ResponseWriter) bool {
		send(w, status, header, []byte(`{"message":"chaos"}`))
		return true
	}
}

// lineOf names a request without its body, in which a password may be drawn by
// lot.
func lineOf(r *http.Request) string {
	return r.Method + " " + r.Host + r.URL.EscapedPath() + "?" + r.URL.Query().Encode()
}

// carryOut prechecks and executes one action of the fixtures, and counts the
// requests.
func carryOut(t *testing.T, m *connector.Manifest, f *fixture.Fixture, i int, strike func(*http.Request, http.ResponseWriter) bool) (connector.ActionResult, map[string]int, error) {
	t.Helper()
	var mu sync.Mutex
	asked := map[string]int{}
	srv, err := f.Serve(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked[lineOf(r)]++
			mu.Unlock()
			if !strike(r, w) {
				next.ServeHTTP(w, r)
			}
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = srv.Close() }()
	s, err := srv.Open(m)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	call := connector.ActionCall{Name: f.Actions[i].Name, Input: f.Actions[i].Input, IdempotencyKey: "chaos-key"}
	if pre, err := s.Precheck(t.Context(), call); err != nil || pre.Class != connector.ResultAbsent {
		return pre, nil, err
	}
	res, err := s.Execute(t.Context(), call)
	return res, asked, err
}

// effectOf finds the request with the effect: the last one that writes, while
// the vendor behaves. It is empty where the action stands on what an earlier
// one of the fixtures did.
func effectOf(t *testing.T, m *connector.Manifest, f *fixture.Fixture, i int) string {
	t.Helper()
	last := ""
	res, _, err := carryOut(t, m, f, i, func(r *http.Request, _ http.ResponseWriter) bool {
		if r.Method != http.MethodGet {
			last = lineOf(r)
		}
		return false
	})
	if err != nil || res.Class != connector.ResultDone && res.Class != connector.ResultAccepted {
		return ""
	}
	return last
}
