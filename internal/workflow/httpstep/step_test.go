// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package httpstep

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// quick is a retry without long waits.
var quick = workflow.Retry{MaxAttempts: 5, Base: workflow.Span{Elapsed: time.Second}, Max: workflow.Span{Elapsed: time.Second}}

func (k *kit) post(name, path string, class workflow.Class) workflow.Step {
	return workflow.Step{Name: name, HTTP: &workflow.HTTPStep{Method: http.MethodPost, URL: k.vendor.URL + path, Class: class, Body: map[string]any{"name": name}, Retry: quick}}
}

func (k *kit) get(name, path string) workflow.Step {
	return workflow.Step{Name: name, HTTP: &workflow.HTTPStep{Method: http.MethodGet, URL: k.vendor.URL + path, Class: workflow.ClassRead, Retry: quick}}
}

// lose breaks the connection off, as when an answer is lost.
func lose() { panic(http.ErrAbortHandler) }

// TestExplicitChain gets a token in one step and uses it in the next, with a
// wait in between. Neither the Secret nor the token is anywhere but on the wire.
func TestExplicitChain(t *testing.T) {
	const password, access = "canary-password-4711", "canary-access-0815"
	each(t, func(t *testing.T, k *kit) {
		k.secrets.data["zoho"] = map[string]string{"username": "client", "password": password}
		k.handle("POST /oauth/token", func(w http.ResponseWriter, r *http.Request) {
			user, pass, _ := r.BasicAuth()
			if user != "client" || pass != password || r.FormValue("grant_type") != "client_credentials" {
				answer(w, 401, map[string]any{"error": "invalid_client", "error_description": "not " + pass})
				return
			}
			answer(w, 200, map[string]any{"access_token": access, "expires_in": 3600})
		})
		k.handle("POST /tickets", func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization"); got != "Zoho-oauthtoken "+access {
				answer(w, 401, map[string]any{"message": "no such token " + got})
				return
			}
			answer(w, 201, map[string]any{"id": "t1", "by": r.Header.Get("Authorization")})
		})
		k.handle("GET /tickets/t1", func(w http.ResponseWriter, r *http.Request) {
			answer(w, 500, map[string]any{"message": "oops: " + r.Header.Get("Authorization") + " and " + r.Header.Get("X-Trace")})
		})
		token := workflow.Step{Name: "token", Outputs: map[string]string{"access": "resp.access_token", "life": "resp.expires_in"}, Sensitive: []string{"access"},
			HTTP: &workflow.HTTPStep{Method: "POST", URL: k.vendor.URL + "/oauth/token", Class: workflow.ClassRead, Retry: quick,
				Headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, Body: map[string]any{"grant_type": "client_credentials"},
				Auth: &workflow.HTTPAuth{Type: workflow.AuthBasic, SecretName: "zoho"}}}
		ticket := k.post("ticket", "/tickets", workflow.ClassKeyed)
		ticket.HTTP.Headers = map[string]string{"Authorization": "Zoho-oauthtoken ${steps.token.access}"}
		ticket.Outputs = map[string]string{"id": "resp.id", "code": "status"}
		look := k.get("look", "/tickets/${steps.ticket.id}")
		look.HTTP.Headers = map[string]string{"Authorization": "Zoho-oauthtoken ${steps.token.access}", "X-Trace": "${steps.token.access + '!'}"}
		look.OnError = workflow.OnErrorContinue
		last := workflow.Step{Name: "last", Wait: &workflow.WaitStep{For: workflow.Hours(1)}}
		r := k.run("chain", token, workflow.Step{Name: "pause", Wait: &workflow.WaitStep{For: workflow.Hours(1)}}, ticket, look, last)
		k.want(r, store.RunWaiting, "Waiting", "")
		if !strings.Contains(string(r.Vars), store.SealedMark) {
			t.Errorf("the token is not kept sealed: %s", r.Vars)
		}
		k.clean(r.ID, password, access)
		r = k.pass(time.Hour, r.ID)
		for range 6 {
			r = k.pass(time.Minute, r.ID)
			k.clean(r.ID, password, access)
		}
		k.want(r, store.RunWaiting, "Waiting", "")
		if !strings.Contains(string(r.Vars), "HTTP 500 Internal Server Error: oops: Zoho-oauthtoken [sensitive] and [sensitive]!") {
			t.Errorf("the failure of look is not told, or not masked: %s", r.Vars)
		}
		r = k.pass(time.Hour, r.ID)
		k.want(r, store.RunSucceeded, "", "")
		if strings.Contains(string(r.Vars), store.SealedMark) {
			t.Errorf("a run that succeeded keeps a sealed value: %s", r.Vars)
		}
		k.clean(r.ID, password, access)
		if n := len(k.requests()); n != 2+5 {
			t.Errorf("%d requests", n)
		}
	})
}

// TestClientCredentials has a step sign in by itself.
func TestClientCredentials(t *testing.T) {
	const secret, access = "canary-client-secret", "canary-fetched-token"
	each(t, func(t *testing.T, k *kit) {
		k.secrets.data["desk"] = map[string]string{"clientId": "id", "clientSecret": secret}
		fetched, current := 0, ""
		k.handle("POST /token", func(w http.ResponseWriter, r *http.Request) {
			if id, s, ok := r.BasicAuth(); !ok || id != "id" || s != secret {
				answer(w, 401, map[string]any{"error": "invalid_client"})
				return
			}
			fetched++
			current = fmt.Sprintf("%s-%d", access, fetched)
			answer(w, 200, map[string]any{"access_token": current, "token_type": "bearer", "expires_in": 600})
		})
		k.handle("POST /do", func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization"); got != "Bearer "+current {
				answer(w, 401, map[string]any{"message": "expired: " + got})
				return
			}
			answer(w, 200, map[string]any{"echo": r.Header.Get("Authorization")})
		})
		do := func(name string) workflow.Step {
			s := k.post(name, "/do", workflow.ClassUnsafe)
			s.HTTP.Auth = &workflow.HTTPAuth{Type: workflow.AuthClientCredentials, SecretName: "desk", TokenURL: k.vendor.URL + "/token", Scopes: []string{"x"}}
			s.Outputs = map[string]string{"echo": "resp.echo"}
			return s
		}
		pause := workflow.Step{Name: "pause", Wait: &workflow.WaitStep{For: workflow.Span{Elapsed: time.Minute}}}
		r := k.run("cc", do("one"), do("two"), pause, do("three"))
		k.want(r, store.RunWaiting, "Waiting", "")
		if fetched != 1 {
			t.Errorf("two steps fetched %d tokens", fetched)
		}
		current = "revoked"
		r = k.pass(time.Minute, r.ID)
		k.want(r, store.RunSucceeded, "", "")
		if fetched != 2 {
			t.Errorf("after a 401 there are %d tokens", fetched)
		}
		k.clean(r.ID, secret, access)
		// A Secret that is gone fails the step once its retries are over, with
		// words that say so.
		delete(k.secrets.data, "desk")
		k.clock.Step(time.Minute)
		r = k.run("gone", do("one"))
		for range 5 {
			r = k.pass(time.Minute, r.ID)
		}
		k.want(r, store.RunFailed, "NotSent", `Secret "desk"`)
	})
}

// TestLostAnswers resolves a request whose answer was lost by its class: one
// effect per key, and an unsafe one waits for a person.
func TestLostAnswers(t *testing.T) {
	each(t, func(t *testing.T, k *kit) {
		var mu sync.Mutex
		effects := map[string]int{} // by path and key
		lost := map[string]bool{}
		k.handle("POST /{class}", func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			key := r.PathValue("class") + " " + r.Header.Get("X-Key")
			if r.Header.Get("X-Key") == "" || effects[key] == 0 { // a key is honoured
				effects[key]++
			}
			if !lost[r.PathValue("class")] {
				lost[r.PathValue("class")] = true
				lose()
			}
			answer(w, 200, map[string]any{"id": "7"})
		})
		k.handle("GET /look/{class}", func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			answer(w, 200, map[string]any{"found": effects[r.PathValue("class")+" "], "id": "7"})
		})
		keyed := k.post("keyed", "/keyed", workflow.ClassKeyed)
		keyed.HTTP.KeyHeader = "X-Key"
		verifiable := k.post("verifiable", "/verifiable", workflow.ClassVerifiable)
		verifiable.HTTP.Verify = &workflow.HTTPVerify{URL: k.vendor.URL + "/look/verifiable", Expect: "resp.found > 0"}
		verifiable.Outputs = map[string]string{"id": "resp.id"}
		r := k.run("lost", k.post("idempotent", "/idempotent", workflow.ClassIdempotent), keyed, verifiable, k.post("unsafe", "/unsafe", workflow.ClassUnsafe), k.post("after", "/after", workflow.ClassIdempotent))
		for range 8 {
			r = k.pass(10*time.Second, r.ID)
		}
		k.want(r, store.RunAttention, "OutcomeUnknown", "http.post in https://"+k.host()+" may or may not have happened")
		n := 0
		for key, count := range effects {
			if strings.HasPrefix(key, "keyed ") {
				n += count
			}
		}
		if n != 1 || effects["verifiable "] != 1 || effects["unsafe "] != 1 || effects["idempotent "] != 2 {
			t.Errorf("effects %v", effects)
		}
		if _, err := k.store.ResolveAttention(k.Context(), k.tenant, r.ID, store.ResolveSkip, store.Decider{Actor: "ops", Kind: "user"}); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			r = k.pass(10*time.Second, r.ID)
		}
		k.want(r, store.RunSucceeded, "", "")
		records, err := k.store.Audit(k.Context(), k.tenant, store.AuditQuery{Action: "http.post", Limit: 100})
		if err != nil || len(records) != 5 {
			t.Errorf("%d audit records, %v", len(records), err)
		}
		for _, a := range records {
			if a.ObjectKind != "Host" || a.ObjectName != "https://"+k.host() || a.RequestDigest == "" {
				t.Errorf("audit record %+v", a)
			}
		}
	})
}

// TestJudged has what an answer means for each class.
func TestJudged(t *testing.T) {
	type reply struct {
		status int
		body   any
	}
	ok := reply{200, map[string]any{"ok": true, "id": "x1"}}
	keyed := func(s *workflow.HTTPStep) { s.Class = workflow.ClassKeyed }
	class := func(c workflow.Class) func(*workflow.HTTPStep) { return func(s *workflow.HTTPStep) { s.Class = c } }
	for _, tc := range []struct {
		name    string
		change  func(*workflow.HTTPStep)
		replies []reply // the last one stays
		state   store.RunState
		reason  string
		says    string
		sent    int
	}{
		{"good", keyed, []reply{ok}, store.RunSucceeded, "", "", 1},
		{"created", keyed, []reply{{201, map[string]any{"id": "x1"}}}, store.RunSucceeded, "", "", 1},
		{"no such host right", keyed, []reply{{403, map[string]any{"message": "no scope"}}}, store.RunFailed, "Denied", "HTTP 403 Forbidden: no scope", 1},
		{"not found", keyed, []reply{{404, map[string]any{"error": "no such project"}}}, store.RunFailed, "NotFound", "no such project", 1},
		{"bad request", keyed, []reply{{422, map[string]any{"errors": []any{map[string]any{"detail": "name is taken"}}}}}, store.RunFailed, "Failed", "HTTP 422 Unprocessable Entity: name is taken", 1},
		{"conflict of a write", keyed, []reply{{409, map[string]any{"message": "busy"}}}, store.RunFailed, "Conflict", "busy", 1},
		{"conflict of a read", class(workflow.ClassRead), []reply{{409, nil}, ok}, store.RunSucceeded, "", "", 2},
		{"outage, keyed", keyed, []reply{{503, nil}, {502, nil}, ok}, store.RunSucceeded, "", "", 3},
		{"conflict behind a lost answer", keyed, []reply{{504, nil}, {409, map[string]any{"message": "in progress"}}, ok}, store.RunSucceeded, "", "", 3},
		{"outage, idempotent", class(workflow.ClassIdempotent), []reply{{500, nil}, ok}, store.RunSucceeded, "", "", 2},
		{"outage, unsafe", class(workflow.ClassUnsafe), []reply{{500, map[string]any{"message": "boom"}}}, store.RunAttention, "OutcomeUnknown", "boom", 1},
		{"outage that stays", class(workflow.ClassRead), []reply{{500, nil}}, store.RunFailed, "OutcomeUnknown", "tried 5 times", 5},
		{"outage that stays, keyed", keyed, []reply{{500, nil}}, store.RunAttention, "OutcomeUnknown", "may have happened", 5},
		{"limited", class(workflow.ClassUnsafe), []reply{{429, nil}, {429, nil}, ok}, store.RunSucceeded, "", "", 3},
		{"expected", func(s *workflow.HTTPStep) { s.Class, s.Expect = workflow.ClassUnsafe, "resp.ok" }, []reply{ok}, store.RunSucceeded, "", "", 1},
		{"not expected, unsafe", func(s *workflow.HTTPStep) { s.Class, s.Expect = workflow.ClassUnsafe, "resp.ok" }, []reply{{200, map[string]any{"ok": false, "error": "channel_not_found"}}},
			store.RunFailed, "Failed", "expect is not true of the answer", 1},
		{"not expected yet, read", func(s *workflow.HTTPStep) { s.Class, s.Expect = workflow.ClassRead, "resp.ok" }, []reply{{200, map[string]any{"ok": false}}, ok}, store.RunSucceeded, "", "", 2},
		{"expect has no value", func(s *workflow.HTTPStep) { s.Class, s.Expect = workflow.ClassUnsafe, "resp.nothing == 1" }, []reply{ok}, store.RunFailed, "Failed", "no such key: nothing", 1},
		{"expected failure", func(s *workflow.HTTPStep) { s.Class, s.Expect = workflow.ClassUnsafe, "status in [200, 404]" }, []reply{{404, map[string]any{"id": "x1"}}}, store.RunSucceeded, "", "", 1},
		{"deleted before", func(s *workflow.HTTPStep) { s.Method, s.Class = "DELETE", workflow.ClassIdempotent }, []reply{{404, map[string]any{"id": "x1"}}}, store.RunSucceeded, "", "", 1},
		{"graphql", func(s *workflow.HTTPStep) {
			s.Body, s.GraphQL, s.Class = nil, &workflow.GraphQLStep{Query: "mutation { a }", Variables: map[string]any{"n": "${input.n}"}}, workflow.ClassUnsafe
		}, []reply{{200, map[string]any{"data": nil, "errors": []any{map[string]any{"message": "team not found"}}}}}, store.RunFailed, "Failed", "the answer lists errors: team not found", 1},
		{"redirect of a write", keyed, []reply{{302, nil}}, store.RunFailed, "Failed", "a redirect that is not followed", 1},
		{"output is missing", keyed, []reply{{200, map[string]any{}}}, store.RunFailed, "ExpressionFailed", "outputs.id is not in the answer: no such key: id", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := newKit(t, storeOf(t))
			sent := 0
			k.handle("/x", func(w http.ResponseWriter, _ *http.Request) {
				r := tc.replies[min(sent, len(tc.replies)-1)]
				sent++
				if r.status == 302 {
					w.Header().Set("Location", "/y")
				}
				answer(w, r.status, r.body)
			})
			s := k.post("step", "/x", workflow.ClassUnsafe)
			s.Outputs = map[string]string{"id": "resp.id"}
			tc.change(s.HTTP)
			r := k.start(workflow.StartRequest{Key: "k", Input: map[string]any{"n": 3}}, s)
			for range 6 {
				r = k.pass(time.Minute, r.ID)
			}
			k.want(r, tc.state, tc.reason, tc.says)
			if sent != tc.sent {
				t.Errorf("%d requests, want %d", sent, tc.sent)
			}
			keys := map[string]bool{}
			for _, q := range k.requests() {
				if key := q.header.Get("Idempotency-Key"); key != "" {
					keys[key] = true
				}
			}
			if s.HTTP.Class == workflow.ClassKeyed && len(keys) != 1 {
				t.Errorf("%d keys for one effect", len(keys))
			}
		})
	}
}

// storeOf is where a test runs whose matter is not the store.
func storeOf(t *testing.T) string { return "sqlite:" + t.TempDir() }

// TestVerifiable repeats a request only once its effect is proved absent, and
// takes no failure of the look for absence.
func TestVerifiable(t *testing.T) {
	k := newKit(t, storeOf(t))
	posts, looks := 0, 0
	k.handle("POST /x", func(w http.ResponseWriter, _ *http.Request) {
		if posts++; posts == 1 {
			lose()
		}
		answer(w, 201, map[string]any{"id": "b"})
	})
	k.handle("GET /x", func(w http.ResponseWriter, _ *http.Request) {
		if looks++; looks < 3 {
			answer(w, 500, map[string]any{"total": 0})
			return
		}
		answer(w, 200, map[string]any{"total": 0})
	})
	s := k.post("step", "/x", workflow.ClassVerifiable)
	s.HTTP.Verify = &workflow.HTTPVerify{URL: k.vendor.URL + "/x?q=1", Expect: "resp.total > 0", Within: workflow.Span{Elapsed: 30 * time.Second}}
	r := k.run("v", s)
	for range 3 {
		r = k.pass(5*time.Second, r.ID)
	}
	if posts != 1 || looks < 3 {
		t.Fatalf("%d posts and %d looks within the time that the vendor may take", posts, looks)
	}
	for range 4 {
		r = k.pass(30*time.Second, r.ID)
	}
	k.want(r, store.RunSucceeded, "", "")
	if posts != 2 {
		t.Errorf("%d posts", posts)
	}
}

// TestRetryAfter obeys what the vendor asks for.
func TestRetryAfter(t *testing.T) {
	for status, reason := range map[int]string{429: "RateLimited", 503: "Retrying"} {
		k := newKit(t, storeOf(t))
		sent := 0
		k.handle("POST /x", func(w http.ResponseWriter, _ *http.Request) {
			if sent++; sent == 1 {
				w.Header().Set("Retry-After", "600")
				w.WriteHeader(status)
			}
		})
		r := k.run("r", k.post("step", "/x", workflow.ClassKeyed))
		k.want(r, store.RunWaiting, reason, "")
		if r = k.pass(9*time.Minute, r.ID); sent != 1 {
			t.Errorf("%d: it was sent again too early", status)
		}
		r = k.pass(2*time.Minute, r.ID)
		k.want(r, store.RunSucceeded, "", "")
	}
}

// TestDryRun shows every request and sends none.
func TestDryRun(t *testing.T) {
	k := newKit(t, storeOf(t))
	token := k.get("token", "/token")
	token.HTTP.Auth = &workflow.HTTPAuth{Type: workflow.AuthBearer, SecretName: "desk"}
	token.Outputs, token.Sensitive = map[string]string{"access": "resp.a", "id": "resp.id"}, []string{"access"}
	use := k.post("use", "/do/${input.id}", workflow.ClassUnsafe)
	use.HTTP.Headers = map[string]string{"X-Token": "${steps.token.access}"}
	use.HTTP.Query = map[string]string{"q": "${input.q}"}
	cannot := k.post("cannot", "/do/${steps.token.id}", workflow.ClassUnsafe)
	r := k.start(workflow.StartRequest{Key: "dry", DryRun: true, Input: map[string]any{"id": "a/b", "q": "c d"}}, token, use, cannot)
	k.want(r, store.RunSucceeded, "", "")
	if n := len(k.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	steps, err := workflow.Progress(r)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{}
	for _, s := range steps {
		got[s.Name] = s.Request
	}
	want := map[string]any{
		"token": map[string]any{"method": "GET", "url": k.vendor.URL + "/token", "headers": map[string]any{"Authorization": "[Bearer, from Secret desk]"}},
		"use": map[string]any{"method": "POST", "url": k.vendor.URL + "/do/a%2Fb", "headers": map[string]any{"X-Token": "[sensitive]"},
			"query": map[string]any{"q": "c d"}, "body": map[string]any{"name": "use"}},
		"cannot": map[string]any(nil),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if last := steps[len(steps)-1]; last.Result != "dryRun" || !strings.Contains(last.Message, "no such key: id") {
		t.Errorf("%+v", last)
	}
}

// TestComputedHosts lets an address go only where the step says.
func TestComputedHosts(t *testing.T) {
	k := newKit(t, storeOf(t))
	k.handle("/", func(http.ResponseWriter, *http.Request) {})
	step := func(url string) workflow.Step {
		s := k.get("step", "/")
		s.HTTP.URL, s.HTTP.AllowHosts = url, []string{k.host(), "other.example"}
		return s
	}
	for i, tc := range []struct {
		url, input string
		state      store.RunState
		says       string
	}{
		{"${input.v}", k.vendor.URL + "/fine", store.RunSucceeded, ""},
		{"${input.v}", "https://evil.example/", store.RunFailed, "evil.example is not a host that the step names"},
		{"${input.v}", "http://" + k.host(), store.RunFailed, "is no https address"},
		{"${input.v}", "https://" + k.host() + "@evil.example/", store.RunFailed, "not a host that the step names"},
		{"https://${input.v}/x", k.host(), store.RunFailed, "no part of a host name"}, // a port is none
		{"https://${input.v}.example/x", "evil.example/", store.RunFailed, "no part of a host name"},
		{k.vendor.URL + "/a/${input.v}/c", "../../admin", store.RunSucceeded, ""},
		{k.vendor.URL + "/a/${input.v}/c", "..", store.RunFailed, "a relative path"},
		{k.vendor.URL + "/a?b=${input.v}", "1&admin=true", store.RunSucceeded, ""},
	} {
		r := k.start(workflow.StartRequest{Key: fmt.Sprint("h", i), Input: map[string]any{"v": tc.input}}, step(tc.url))
		if r.State != tc.state || !strings.Contains(r.Message, tc.says) {
			t.Errorf("%s with %s: %s, %s", tc.url, tc.input, r.State, r.Message)
		}
	}
	var paths []string
	for _, r := range k.requests() {
		paths = append(paths, r.path)
	}
	if diff := cmp.Diff([]string{"/fine", "/a/..%2F..%2Fadmin/c", "/a?b=1%26admin%3Dtrue"}, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

// TestLanePerHost bounds the calls to one host, whatever the number of runs.
func TestLanePerHost(t *testing.T) {
	k := newKit(t, storeOf(t))
	var mu sync.Mutex
	now, most := 0, 0
	k.handle("/", func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(5 * time.Millisecond) // so that requests overlap
		mu.Lock()
		now--
		mu.Unlock()
	})
	k.engine = k.newEngine(keyOne, func(o *workflow.Options) { o.LaneConcurrency = 3 })
	first := k.run("many", k.post("step", "/x", workflow.ClassKeyed))
	for i := range 30 {
		if _, _, err := workflow.Start(k.Context(), k.store, k.tenant, workflow.StartRequest{Workflow: first.Name, Key: fmt.Sprint(i), By: store.Decider{Actor: "test", Kind: "user"}}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		k.pass(time.Second, first.ID)
	}
	if n := len(k.requests()); n != 31 || most > 3 || most < 2 {
		t.Errorf("%d requests, %d at once", n, most)
	}
}

// TestSealedValues do not open in another run, and follow the newest key.
func TestSealedValues(t *testing.T) {
	const canary = "canary-sealed-1234"
	each(t, func(t *testing.T, k *kit) {
		k.handle("GET /token", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 200, map[string]any{"t": canary, "n": 12345678})
		})
		k.handle("POST /use", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, nil) })
		token := k.get("token", "/token")
		token.Outputs, token.Sensitive = map[string]string{"all": "resp"}, []string{"all"}
		use := k.post("use", "/use", workflow.ClassUnsafe)
		use.HTTP.Body = map[string]any{"whole": "${steps.token}", "part": "${steps.token.all.t}"}
		pause := workflow.Step{Name: "pause", Wait: &workflow.WaitStep{For: workflow.Hours(1)}}
		one, two := k.run("one", token, pause, use), k.run("two", token, pause, use)
		k.clean(one.ID, canary, "12345678")
		// The value of the first run is put into the second.
		var from, to map[string]any
		for raw, into := range map[*store.RunDetail]*map[string]any{&one: &from, &two: &to} {
			if err := json.Unmarshal(raw.Vars, into); err != nil {
				t.Fatal(err)
			}
		}
		to["steps"].(map[string]any)["token"] = from["steps"].(map[string]any)["token"]
		k.setVars(two.ID, to)
		// The key is rotated: what the first run keeps is sealed with the new one.
		both, err := store.ParseKeyring(keyTwo + keyOne)
		if err != nil {
			t.Fatal(err)
		}
		// One value in the first run; the moved one does not open and stays.
		if n, err := k.store.Reseal(k.Context(), both); err != nil || n != 1 {
			t.Fatalf("resealed %d, %v", n, err)
		}
		k.engine = k.newEngine(keyTwo, func(*workflow.Options) {})
		k.pass(time.Hour, one.ID)
		k.want(k.detail(one.ID), store.RunSucceeded, "", "")
		k.want(k.detail(two.ID), store.RunFailed, "BadInput", "sealed value")
		k.clean(two.ID, canary)
		sent := k.requests()
		last := sent[len(sent)-1]
		if last.path != "/use" || !strings.Contains(last.body, `"part":"`+canary+`"`) || !strings.Contains(last.body, `"all":{`) || strings.Contains(last.body, store.SealedMark) {
			t.Errorf("%s got %s", last.path, last.body)
		}
	})
}

// TestLostKey leaves a request to a person whose effect may be there, and which
// cannot be built again for want of the key that sealed a part of it.
func TestLostKey(t *testing.T) {
	k := newKit(t, storeOf(t))
	k.handle("GET /token", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, map[string]any{"t": "canary-lost-key"}) })
	effects := 0
	k.handle("POST /use", func(http.ResponseWriter, *http.Request) { effects++; lose() })
	token := k.get("token", "/token")
	token.Outputs, token.Sensitive = map[string]string{"t": "resp.t"}, []string{"t"}
	use := k.post("use", "/use", workflow.ClassKeyed)
	use.HTTP.Headers = map[string]string{"X-Token": "${steps.token.t}"}
	r := k.run("lost", token, use)
	k.want(r, store.RunWaiting, "Retrying", "")
	k.engine = k.newEngine(keyTwo, func(*workflow.Options) {})
	r = k.pass(time.Minute, r.ID)
	k.want(r, store.RunAttention, "OutcomeUnknown", `needs key "one", which the key file does not have`)
	if effects != 1 {
		t.Errorf("%d effects", effects)
	}
	if _, err := k.store.ResolveAttention(k.Context(), k.tenant, r.ID, store.ResolveSkip, store.Decider{Actor: "ops", Kind: "user"}); err != nil {
		t.Fatal(err)
	}
	r = k.pass(time.Minute, r.ID)
	k.want(r, store.RunSucceeded, "", "")
	k.clean(r.ID, "canary-lost-key")
}
