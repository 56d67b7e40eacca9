// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// cluster knows the tokens that begin with "good", and counts what it is asked.
type cluster struct{ asked []string }

func (c *cluster) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	c.asked = append(c.asked, strings.Join(r.Header.Values("Authorization"), ","))
	if !strings.HasPrefix(Bearer(r), "good") {
		return nil, false, errors.New("no")
	}
	return &authenticator.Response{User: &user.DefaultInfo{Name: "ada"}}, true, nil
}

func newGuard() (*Guard, *cluster, *clocktesting.FakePassiveClock) {
	c, clock := &cluster{}, clocktesting.NewFakePassiveClock(time.Now())
	return &Guard{authn: c, authz: authorizerfactory.NewAlwaysAllowAuthorizer(), Failures: NewFailures(clock)}, c, clock
}

// The API server never gets a key of ours: it may write tokens into its log.
func TestKeysAreNotPassedOn(t *testing.T) {
	g, c, _ := newGuard()
	for _, value := range [][]string{{"Bearer " + store.TokenPrefix + "x"}, {"bearer  " + store.TokenPrefix + "x"}, {"Bearer good", "Bearer " + store.TokenPrefix + "x"},
		{"Bearer " + store.TokenPrefix + "x", "Bearer good"}, {"Basic " + store.TokenPrefix}, {store.TokenPrefix}} {
		r := from(here, "")
		r.Header["Authorization"] = value
		var e *Refusal
		if _, err := Authorise(g, r, Request{Verb: "list", Resource: "people"}); !errors.As(err, &e) || e.Code != http.StatusForbidden {
			t.Errorf("%q: %v, want 403", value, err)
		}
		if _, d, _, err := g.Check(r, Request{}); d != Unauthenticated || err != nil {
			t.Errorf("%q: %v, %v", value, d, err)
		}
		if _, ok := g.Identify(r); ok {
			t.Errorf("%q is somebody", value)
		}
	}
	if len(c.asked) > 0 {
		t.Errorf("the API server was asked about %q", c.asked)
	}
}

// An address that fails too often does not make the gateway ask the API server
// for ever; who has worked goes on.
func TestGuardBudget(t *testing.T) {
	g, c, clock := newGuard()
	check := func(r *http.Request) int {
		_, err := Authorise(g, r, Request{Verb: "list", Resource: "people"})
		var e *Refusal
		if errors.As(err, &e) {
			return e.Code
		}
		if err != nil {
			t.Error(err)
		}
		return 200
	}
	if got := check(from(here, "good-1")); got != 200 {
		t.Fatalf("%d", got)
	}
	codes := map[int]int{}
	for range 60 {
		codes[check(from(here, "bad"))]++
	}
	asked := len(c.asked)
	if codes[401] != 50 || codes[429] != 10 || asked != 51 {
		t.Errorf("answers %v after %d questions, want 50 of 401, 10 of 429 and 51 questions", codes, asked)
	}
	if got := check(from(here, "good-2")); got != 429 {
		t.Errorf("a token that has not worked: %d", got)
	}
	if _, ok := g.Identify(from(here, "good-2")); ok {
		t.Error("a token that has not worked is somebody")
	}
	if got := check(from(here, "good-1")); got != 200 {
		t.Errorf("a token that has worked: %d", got)
	}
	none := from(here, "")
	none.Header.Del("Authorization")
	if got := check(none); got != 429 { // looked at, because a certificate would do
		t.Errorf("no token: %d", got)
	}
	if got := check(from("198.51.100.7", "good-2")); got != 200 {
		t.Errorf("another address: %d", got)
	}
	clock.SetTime(clock.Now().Add(time.Second))
	if got := check(from(here, "good-3")); got != 200 {
		t.Errorf("after a second: %d", got)
	}
}
