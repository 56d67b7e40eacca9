// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

var testNow = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// leaping is a clock on which every wait is over at once, and has taken its time.
type leaping struct {
	*clocktesting.FakeClock
	mu    sync.Mutex
	slept []time.Duration
}

func newLeaping() *leaping { return &leaping{FakeClock: clocktesting.NewFakeClock(testNow)} }

func (c *leaping) NewTimer(d time.Duration) clock.Timer {
	t := c.FakeClock.NewTimer(d)
	c.mu.Lock()
	c.slept = append(c.slept, d)
	c.mu.Unlock()
	c.Step(d)
	return t
}

func (c *leaping) total() (sum time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.slept {
		sum += d
	}
	return sum
}

// chaosManifest is a small connector with every kind of paging.
const chaosManifest = `
apiVersion: seatkeeper.dev/v1alpha1
kind: Connector
metadata: {name: chaos}
spec:
  title: Chaos
  category: app
  verified: "No"
  config: {size: {type: integer, default: 2, minimum: 1}}
  auth: [{id: t, type: bearer, token: "${secret.token}", secrets: {token: {}}}]
  http:
    baseURL: https://api.chaos.example/v1
    rateLimit:
      key: [path]
      limit: X-Limit
      remaining: X-Remaining
      reset: {header: X-Reset, format: epoch_s}
      retryAfter: Retry-After
    errors:
      - {when: "status == 200 && get(resp, 'error') == 'no_scope'", class: permission, message: resp.hint}
      - {when: "status == 200 && get(resp, 'error') == 'dead'", class: auth}
  account: {get: /me, id: resp.id, name: resp.name}
  streams:
    users:
      essential: true
      covers: [all]
      lastActivity: Reported
      request: {get: /users, query: {limit: "${config.size}"}}
      page: {type: cursor, param: cursor, next: "get(resp, 'next')"}
      records: resp.users
      key: r.id
      deletes: {by: absence}
      test: {query: {limit: 1}, expect: [{when: size(records) > 0, else: nobody is listed, class: C}]}
      emit:
        - type: Account
          map: {externalId: r.id, personKey: "lower(get(r, 'email'))", status: "lookup({'on': 'active', 'off': 'suspended'}, r.state, 'unknown')", rawStatus: r.state, lastActivityAt: "ts(get(r, 'seen'))"}
          custom: omit(r, ['id', 'email', 'state', 'seen'])
    linked:
      request: {get: /linked}
      page: {type: link}
      records: resp
      key: r.id
      emit: [{type: Group, map: {externalId: r.id, name: r.name}}]
    members:
      forEach: {stream: linked, when: p.id != 'skip'}
      request: {get: "/linked/${p.id}/members"}
      records: resp
      key: p.id + r.id
      deletes: {by: absence, scope: partition}
      onError: {not_found: skip_partition}
      emit: [{type: Membership, map: {groupExternalId: p.id, accountExternalId: r.id}}]
    pages:
      optional: true
      request: {get: /pages}
      page: {type: page, param: page, last: "get(resp, 'pages')", maxPages: 20}
      records: resp.items
      key: r.id
      emit: [{type: DiscoveredApp, map: {externalId: r.id, name: r.id, source: "'idp'"}}]
    events:
      optional: true
      lastActivity: Reported
      request: {get: /events, query: {since: "${rfc3339(window.start)}", until: "${rfc3339(window.end)}"}}
      records: resp
      key: r.id
      sync: {mode: window, field: ts(r.at), start: now - duration('72h'), step: 24h, lag: 5m, history: 240h}
      emit: [{type: UsageEvent, map: {accountExternalId: r.who, at: ts(r.at), kind: "'login'", source: "'chaos'"}}]
  actions:
    license.remove:
      class: idempotent
      input: {userId: {type: account, required: true}}
      precheck: {get: "/users/${input.userId}", done: resp.type == 1}
      steps: [{patch: "/users/${input.userId}", body: "{'type': 1, 'note': null}"}]
      verify: {get: "/users/${input.userId}", expect: resp.type == 1}
    user.delete:
      class: idempotent
      destructive: true
      input: {userId: {type: account, required: true}}
      steps: [{delete: "/users/${input.userId}", okWhen: "status in [204, 404]"}]
    ticket.create:
      class: keyed
      input: {text: {type: string, required: true}}
      steps: [{post: /tickets, body: "{'text': input.text}", save: {id: resp.id}}]
      output: {id: vars.id}
`

func load1(t testing.TB, text string) *Manifest {
	t.Helper()
	m, err := Load("chaos.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// vendor is a misbehaving vendor: handlers by path.
type vendor struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
}

func newVendor(t testing.TB, handlers map[string]http.HandlerFunc) *vendor {
	t.Helper()
	v := &vendor{}
	mux := http.NewServeMux()
	for p, h := range handlers {
		mux.HandleFunc(p, h)
	}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		v.requests = append(v.requests, r.Clone(context.WithoutCancel(r.Context())))
		v.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(v.Close)
	return v
}

func (v *vendor) count(path string) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.requests {
		if strings.HasPrefix(r.URL.Path, path) {
			n++
		}
	}
	return n
}

func session(t testing.TB, v *vendor, change ...func(*Options)) (*Session, *leaping) {
	t.Helper()
	c := newLeaping()
	o := Options{Manifest: load1(t, chaosManifest), Secrets: map[string]string{"token": "s3cret"}, Clock: c, Permission: PermissionReadAndAct, MaxWait: 10 * time.Second,
		Endpoints: map[string]string{"api.chaos.example": v.URL}}
	for _, f := range change {
		f(&o)
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, c
}

// read collects what a stream yields.
func read(t testing.TB, s *Session, stream string) ([]model.Record, ReadResult, error) {
	t.Helper()
	var out []model.Record
	res, err := s.Read(t.Context(), stream, func(_ context.Context, _ string, recs []model.Record) error {
		out = append(out, recs...)
		return nil
	})
	return out, res, err
}

func say(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}
