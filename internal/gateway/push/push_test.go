// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package push_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/gateway/push"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// roles stands for the cluster: a bearer token is a user's name, and a user may
// push to NAMESPACE/INTEGRATION, or to all of a NAMESPACE.
type roles map[string][]string

func (g roles) Identify(r *http.Request) (string, bool) {
	user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return user, ok && g[user] != nil
}

func (g roles) Check(r *http.Request, want access.Request) (string, access.Decision, string, error) {
	user, ok := g.Identify(r)
	if !ok {
		return "", access.Unauthenticated, "", nil
	}
	for _, may := range g[user] {
		if want.Verb == "create" && want.Resource == "integrations" && want.Subresource == "records" &&
			(may == want.Namespace || may == want.Namespace+"/"+want.Name) {
			return user, access.Allowed, "", nil
		}
	}
	return user, access.Forbidden, "", nil
}

const agentUser = "system:serviceaccount:acme:agent"

type world struct {
	*testing.T
	s      *store.Store
	tenant model.TenantID
	url    string
	api    *push.API
}

// eachWorld runs a test on both databases with a gateway over real HTTP and an
// Integration agent of the connector push, which a worker has looked at.
func eachWorld(t *testing.T, fn func(w *world)) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		s := open()
		w := &world{T: t, s: s}
		w.tenant = w.connect("acme", "agent", nil)
		m, err := connectors.Builtin("push")
		if err != nil {
			t.Fatal(err)
		}
		log := slog.New(slog.DiscardHandler)
		guard := roles{agentUser: {"acme/agent"}, "admin": {"acme", "beta"}, "nobody": {}}
		w.api = &push.API{
			Store: s, Guard: guard, Callers: &access.Callers{Guard: guard, Keys: access.NewKeys(s, clock.RealClock{}, log), Tenants: s},
			Pusher: &syncer.Pusher{Store: s, Streams: m.Streams(), Clock: clock.RealClock{}, Log: log}, Clock: clock.RealClock{}, Log: log, MaxBytes: 1 << 20,
		}
		mux := http.NewServeMux()
		w.api.Register(mux)
		srv := httptest.NewServer(mux)
		t.Cleanup(srv.Close)
		w.url = srv.URL
		fn(w)
	})
}

// connect is what controller and worker do for a new Integration.
func (w *world) connect(namespace, name string, change func(*handover.Spec)) model.TenantID {
	w.Helper()
	ctx := w.Context()
	tenant, err := w.s.EnsureTenant(ctx, namespace)
	w.must(err)
	spec := handover.Spec{Namespace: namespace, Connector: "push", ShrinkMinItems: 1, ShrinkMaxPercent: 10, Interval: time.Hour, Config: map[string]any{"currency": "EUR", "pricePeriod": "Month"}}
	if change != nil {
		change(&spec)
	}
	raw, err := json.Marshal(spec)
	w.must(err)
	_, err = w.s.UpsertIntegration(ctx, tenant, store.IntegrationSpec{Name: name, UID: "uid-" + name, Generation: 1, Connector: spec.Connector, Spec: raw, Interval: time.Hour})
	w.must(err)
	claims, err := w.s.ClaimDueIntegrations(ctx, "worker-1", 100, time.Minute)
	w.must(err)
	for _, c := range claims {
		due := time.Now().Add(time.Hour)
		w.must(w.s.FinishIntegration(ctx, c, store.IntegrationResult{Status: json.RawMessage(`{"account":{"id":"push/` + name + `"}}`), NextDue: &due, RemoteID: "push/" + name}))
	}
	return tenant
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

type answer struct {
	code   int
	header http.Header
	body   string
	result push.Result
	status metav1.Status
}

const recordsPath = "/apis/v1/namespaces/acme/integrations/agent/records"

func (w *world) request(method, path, user string, body io.Reader, header map[string]string) *http.Request {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, w.url+path, body)
	w.must(err)
	r.Header.Set("Content-Type", "application/x-ndjson")
	if user != "" {
		r.Header.Set("Authorization", "Bearer "+user)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	return r
}

func (w *world) do(r *http.Request) answer {
	w.Helper()
	resp, err := http.DefaultClient.Do(r)
	w.must(err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	w.must(err)
	a := answer{code: resp.StatusCode, header: resp.Header, body: string(body)}
	if a.code == http.StatusOK {
		w.must(json.Unmarshal(body, &a.result))
	} else {
		_ = json.Unmarshal(body, &a.status) // the REST API's errors are none
	}
	return a
}

func (w *world) push(body string, header ...string) answer {
	w.Helper()
	h := map[string]string{}
	for i := 0; i < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return w.do(w.request("POST", recordsPath, agentUser, strings.NewReader(body), h))
}

func lines(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		_, _ = fmt.Fprintf(&b, `{"type":"Account","externalId":"u%03d","status":"active","lastActivityAt":null}`+"\n", i)
	}
	return b.String()
}

const complete = `{"complete":true}` + "\n"

func (w *world) accounts() int {
	w.Helper()
	rows, _, err := w.s.ListAccounts(w.Context(), w.tenant, store.AccountQuery{Page: store.Page{Limit: 1000}})
	w.must(err)
	return len(rows)
}

// dump is what must not change where nothing may.
func (w *world) dump() string {
	w.Helper()
	counts, err := w.s.Counts(w.Context(), w.tenant, "agent")
	w.must(err)
	maps.DeleteFunc(counts, func(_ model.DataType, n int64) bool { return n == 0 })
	st, err := w.s.IntegrationState(w.Context(), w.tenant, "agent")
	w.must(err)
	streams, err := w.s.StreamStates(w.Context(), w.tenant, "agent")
	w.must(err)
	return fmt.Sprint(counts, st.DataVersion, string(st.Status), st.LastSyncedAt, len(streams), st.Owner)
}

func (w *world) status() handover.Status {
	w.Helper()
	st, err := w.s.IntegrationState(w.Context(), w.tenant, "agent")
	w.must(err)
	var out handover.Status
	w.must(json.Unmarshal(st.Status, &out))
	return out
}

func TestPush(t *testing.T) {
	eachWorld(t, func(w *world) {
		a := w.push(lines(0, 30) + `{"type":"Plan","key":"pro","name":"Pro"}` + "\n" + complete)
		if a.code != 200 || a.result.State != push.Applied || a.result.Records != 31 || len(a.result.DataTypes) != 2 {
			t.Fatalf("first push: %d %s", a.code, a.body)
		}
		if d := a.result.DataTypes[0]; d.Name != model.DataAccounts || d.Received != 30 || d.Added != 30 || d.Known != 30 || !d.Complete {
			t.Errorf("accounts: %+v", d)
		}
		// A part adds and changes, and takes nothing away.
		a = w.push(lines(29, 31))
		if d := a.result.DataTypes[0]; d.Added != 1 || d.Removed != 0 || d.Known != 31 || d.Complete {
			t.Errorf("a part: %+v", d)
		}
		// What is complete takes away what is missing, of its own types only.
		a = w.do(w.request("POST", recordsPath+"?complete=true", agentUser, strings.NewReader(lines(0, 30)), nil))
		if d := a.result.DataTypes[0]; d.Removed != 1 || d.Known != 30 || len(a.result.DataTypes) != 1 {
			t.Errorf("complete: %+v", a.result)
		}
		if n := w.accounts(); n != 30 {
			t.Errorf("%d accounts are listed", n)
		}
		st := w.status()
		if !st.Synced || len(st.DataTypes) != 2 || st.DataTypes[0].State != handover.Fresh || st.DataTypes[0].Records != 30 || st.Problem != nil || st.Digest == "" {
			t.Errorf("status: %+v", st)
		}
		audit, err := w.s.Audit(w.Context(), w.tenant, store.AuditQuery{Action: "records.push"})
		w.must(err)
		if len(audit) != 3 || audit[0].Actor != agentUser || audit[0].ObjectName != "agent" || !strings.HasPrefix(audit[0].RequestDigest, "sha256:") {
			t.Errorf("audit: %+v", audit)
		}
		before := w.dump()
		if a := w.push(lines(0, 30)); a.result.DataTypes[0].Changed != 0 {
			t.Errorf("the same again: %+v", a.result)
		}
		if after := w.status(); after.Digest != st.Digest {
			t.Errorf("the same again changed what is stored:\n%s\n%s", before, w.dump())
		}
	})
}

// Usage has a named source, and says which time it covers.
func TestPushUsage(t *testing.T) {
	eachWorld(t, func(w *world) {
		day := time.Now().UTC().Add(-24 * time.Hour).Truncate(time.Second)
		use := fmt.Sprintf(`{"type":"UsageEvent","accountExternalId":"u000","at":%q,"kind":"visit","source":"browser-extension"}`+"\n", day.Format(time.RFC3339))
		a := w.push(lines(0, 2) + use + fmt.Sprintf(`{"complete":false,"count":3,"covers":{"from":%q,"until":%q}}`, day.Add(-time.Hour).Format(time.RFC3339), day.Add(time.Hour).Format(time.RFC3339)))
		if a.code != 200 || a.result.Records != 3 {
			t.Fatalf("%d %s", a.code, a.body)
		}
		streams, err := w.s.StreamStates(w.Context(), w.tenant, "agent")
		w.must(err)
		if u := streams["usage"]; !u.ActivityReported || u.CoversFrom == nil || !u.CoversFrom.Equal(day.Add(-time.Hour)) {
			t.Errorf("the time covered: %+v", u)
		}
		if a := w.push(use); a.code != 200 {
			t.Fatalf("%d %s", a.code, a.body)
		}
		streams, err = w.s.StreamStates(w.Context(), w.tenant, "agent")
		w.must(err)
		if u := streams["usage"]; !u.ActivityReported || !u.CoversUntil.Equal(day.Add(time.Hour)) {
			t.Errorf("an event that covers nothing changed the time covered: %+v", u)
		}
	})
}

func TestWrongLinesChangeNothing(t *testing.T) {
	eachWorld(t, func(w *world) {
		if a := w.push(lines(0, 5) + complete); a.code != 200 {
			t.Fatal(a.body)
		}
		before := w.dump()
		var tooMany strings.Builder
		for range 30 {
			tooMany.WriteString("{}\n")
		}
		for name, tc := range map[string]struct {
			body, header, want string
			code, faults       int
		}{
			"a field":      {body: lines(5, 7) + `{"type":"Account","externalId":"x","status":"secret"}` + "\n" + lines(7, 9) + "nonsense\n", code: 422, faults: 2, want: "line 3, field status: "},
			"many":         {body: tooMany.String(), code: 422, faults: 10, want: "line 10, field type: missing"},
			"lost records": {body: lines(5, 7) + `{"complete":true,"count":3}`, code: 422, faults: 1, want: "field count: 2 records"},
			"too large":    {body: lines(0, 1) + strings.Repeat(" \n", 1<<20), code: 413, want: "more than 1048576 bytes"},
			"a web form":   {body: lines(5, 7), header: "text/plain", code: 415, want: "want application/x-ndjson"},
			"compressed":   {body: lines(5, 7), header: "gzip", code: 415, want: "Content-Encoding"},
		} {
			t.Run(name, func(t *testing.T) {
				r := w.request("POST", recordsPath, agentUser, strings.NewReader(tc.body), nil)
				switch tc.header {
				case "gzip":
					r.Header.Set("Content-Encoding", "gzip")
				case "text/plain":
					r.Header.Set("Content-Type", "text/plain")
				}
				a := w.do(r)
				if a.code != tc.code || !strings.Contains(a.status.Message, tc.want) || strings.Contains(a.body, "secret") {
					t.Errorf("%d %s", a.code, a.body)
				}
				if tc.faults > 0 && (a.status.Details == nil || len(a.status.Details.Causes) != tc.faults) {
					t.Errorf("faults: %+v", a.status.Details)
				}
				if after := w.dump(); after != before {
					t.Errorf("something changed:\n%s\n%s", before, after)
				}
			})
		}
		if a := w.do(w.request("POST", recordsPath+"?completed=true", agentUser, strings.NewReader(lines(0, 1)), nil)); a.code != 400 {
			t.Errorf("a misspelt parameter: %d", a.code)
		}
	})
}

// A sender that dies half-way changes nothing, and leaves nothing locked.
func TestSenderDies(t *testing.T) {
	eachWorld(t, func(w *world) {
		if a := w.push(lines(0, 5) + complete); a.code != 200 {
			t.Fatal(a.body)
		}
		before := w.dump()
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
		w.must(err)
		chunk := lines(0, 4000)[:100_000]
		_, err = fmt.Fprintf(conn, "POST %s?complete=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n",
			recordsPath, agentUser, len(chunk), chunk)
		w.must(err)
		w.claimed(true)
		w.must(conn.Close())
		w.claimed(false)
		if after := w.dump(); after != before {
			t.Errorf("something changed:\n%s\n%s", before, after)
		}
		if a := w.push(lines(0, 6) + complete); a.code != 200 || a.result.DataTypes[0].Known != 6 {
			t.Errorf("the next push: %d %s", a.code, a.body)
		}
	})
}

// A sender that hangs up once it has said everything is heard.
func TestSenderHangsUp(t *testing.T) {
	eachWorld(t, func(w *world) {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
		w.must(err)
		body := lines(0, 2000) + complete
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", recordsPath, agentUser, len(body), body)
		w.must(err)
		w.must(conn.Close())
		for deadline := time.Now().Add(10 * time.Second); ; {
			counts, err := w.s.Counts(t.Context(), w.tenant, "agent")
			w.must(err)
			if counts[model.DataAccounts] == 2000 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d of 2000 accounts", counts[model.DataAccounts])
			}
		}
		w.claimed(false)
		if st := w.status(); len(st.DataTypes) != 1 || st.DataTypes[0].Records != 2000 {
			t.Errorf("status: %+v", st)
		}
	})
}

// claimed waits until somebody, or nobody, syncs the Integration.
func (w *world) claimed(want bool) {
	w.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		st, err := w.s.IntegrationState(w.Context(), w.tenant, "agent")
		w.must(err)
		if (st.Owner != "") == want {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("owner %q", st.Owner)
		}
	}
}

func TestOneAtATime(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.connect("acme", "other", nil)
		body, feed := io.Pipe()
		first := make(chan answer, 1)
		go func() { first <- w.do(w.request("POST", recordsPath, agentUser, body, nil)) }()
		_, err := io.WriteString(feed, lines(0, 1))
		w.must(err)
		w.claimed(true)
		a := w.push(lines(1, 2))
		if a.code != http.StatusConflict || a.header.Get("Retry-After") == "" || !strings.Contains(a.status.Message, "nothing was changed") {
			t.Errorf("a second push: %d %s, Retry-After %q", a.code, a.body, a.header.Get("Retry-After"))
		}
		if a := w.do(w.request("POST", "/apis/v1/namespaces/acme/integrations/other/records", "admin", strings.NewReader(lines(0, 1)), nil)); a.code != 200 {
			t.Errorf("another account meanwhile: %d %s", a.code, a.body)
		}
		w.must(feed.Close())
		if a := <-first; a.code != 200 || a.result.Records != 1 {
			t.Errorf("the first push: %d %s", a.code, a.body)
		}
		if a := w.push(lines(1, 2)); a.code != 200 {
			t.Errorf("afterwards: %d %s", a.code, a.body)
		}
	})
}

// A listing that lost too much is held, and released as any sync's is.
func TestShrinkIsHeld(t *testing.T) {
	eachWorld(t, func(w *world) {
		if a := w.push(lines(0, 30) + `{"type":"Plan","key":"pro","name":"Pro"}` + "\n" + complete); a.code != 200 {
			t.Fatal(a.body)
		}
		shrunk := lines(0, 20) + `{"type":"Plan","key":"pro","name":"Professional"}` + "\n" + complete
		a := w.push(shrunk)
		if a.code != 200 || a.result.State != push.Held {
			t.Fatalf("%d %s", a.code, a.body)
		}
		d := a.result.DataTypes[0]
		if d.Held == nil || d.Held.Count != 10 || d.Held.Total != 30 || d.Removed != 0 || w.accounts() != 30 {
			t.Fatalf("accounts: %+v", d)
		}
		if p := a.result.DataTypes[1]; p.Changed != 1 || p.Held != nil {
			t.Errorf("plans, which lost nothing: %+v", p)
		}
		if st := w.status(); st.Problem == nil || st.Problem.Reason != syncer.ReasonGuardHeld || len(st.Held) != 1 || st.Held[0].Digest != d.Held.Digest {
			t.Errorf("status: %+v", st)
		}
		if a := w.push(`{"complete":["Account"]}`); a.result.State != push.Held || w.accounts() != 30 {
			t.Errorf("an empty listing: %s", a.body)
		}
		a = w.push(shrunk)
		_, err := w.s.ReleaseHold(t.Context(), w.tenant, store.HoldSubject{Kind: store.HoldShrink, SubjectKind: "Integration", SubjectName: "agent/accounts"},
			a.result.DataTypes[0].Held.Digest, model.Actor{Name: "ada", Kind: model.ActorUser}, "")
		w.must(err)
		if a := w.push(shrunk); a.result.State != push.Applied || w.accounts() != 20 {
			t.Errorf("released: %s", a.body)
		}
		if st := w.status(); st.Problem != nil || len(st.Held) != 0 {
			t.Errorf("status after the release: %+v", st)
		}
	})
}

func TestIdempotencyKey(t *testing.T) {
	eachWorld(t, func(w *world) {
		first := w.push(lines(0, 3)+complete, "Idempotency-Key", "once")
		if first.code != 200 || first.header.Get("Idempotency-Replayed") != "" {
			t.Fatal(first.body)
		}
		before := w.dump()
		again := w.push(lines(0, 3)+complete, "Idempotency-Key", "once")
		if again.code != 200 || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("again: %d %s", again.code, again.body)
		}
		if a := w.push(lines(0, 2)+complete, "Idempotency-Key", "once"); a.code != 422 || w.accounts() != 3 {
			t.Errorf("the same key for other records: %d %s", a.code, a.body)
		}
		if after := w.dump(); after != before {
			t.Errorf("a replay changed something:\n%s\n%s", before, after)
		}
		if a := w.push("nonsense", "Idempotency-Key", "wrong"); a.code != 422 {
			t.Error(a.body)
		}
		if a := w.push(lines(0, 4), "Idempotency-Key", "wrong"); a.code != 200 || a.result.Records != 4 {
			t.Errorf("a refused push may be mended under its key: %d %s", a.code, a.body)
		}
	})
}

// slowAnswers is a store that keeps an answer when it is told to.
type slowAnswers struct {
	*store.Store
	asked chan struct{}
	keep  chan struct{}
}

func (s slowAnswers) PutPushAnswer(ctx context.Context, t model.TenantID, a store.PushAnswer) error {
	s.asked <- struct{}{}
	<-s.keep
	return s.Store.PutPushAnswer(ctx, t, a)
}

// TestSameKeyBeforeItsAnswerIsKept repeats a push that was applied and not
// answered yet: it must not be applied again.
func TestSameKeyBeforeItsAnswerIsKept(t *testing.T) {
	eachWorld(t, func(w *world) {
		slow := slowAnswers{Store: w.s, asked: make(chan struct{}, 1), keep: make(chan struct{})}
		w.api.Store = slow
		key := []string{"Idempotency-Key", "k1"}
		first := make(chan answer, 1)
		go func() { first <- w.push(lines(0, 3), key...) }()
		<-slow.asked
		if w.accounts() != 3 {
			t.Fatalf("%d accounts are there before the answer is kept", w.accounts())
		}
		if a := w.push(lines(0, 3), key...); a.code != http.StatusConflict || a.header.Get("Retry-After") == "" {
			t.Errorf("at that moment: %d %s", a.code, a.body)
		}
		close(slow.keep)
		one := <-first
		if one.code != 200 {
			t.Errorf("the first: %d %s", one.code, one.body)
		}
		two := w.push(lines(0, 3), key...)
		if two.code != 200 || two.body != one.body || two.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("after it: %d %v\n%s, want\n%s", two.code, two.header, two.body, one.body)
		}
		rows, err := w.s.Audit(w.Context(), w.tenant, store.AuditQuery{Action: "records.push"})
		if err != nil || len(rows) != 1 {
			t.Errorf("%d pushes were applied, %v", len(rows), err)
		}
	})
}

// TestManyWithOneKey sends the same push at once: one is applied, and nobody is
// told anything else than its answer, or to wait.
func TestManyWithOneKey(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.api.Pushes = access.NewTurns(20, 40)
		answers := make(chan answer, 20)
		for range 20 {
			go func() { answers <- w.push(lines(0, 3), "Idempotency-Key", "k1") }()
		}
		good := map[string]int{}
		for range 20 {
			switch a := <-answers; a.code {
			case 200:
				good[a.body]++
			case http.StatusConflict:
			default:
				t.Errorf("%d %s", a.code, a.body)
			}
		}
		rows, err := w.s.Audit(w.Context(), w.tenant, store.AuditQuery{Action: "records.push"})
		if err != nil || len(rows) != 1 || len(good) != 1 {
			t.Errorf("%d pushes were applied, with %d answers, %v", len(rows), len(good), err)
		}
	})
}

func TestWhoMayPush(t *testing.T) {
	eachWorld(t, func(w *world) {
		beta := w.connect("beta", "agent", nil)
		w.connect("acme", "okta", func(s *handover.Spec) { s.Connector = "okta" })
		w.connect("acme", "seats", func(s *handover.Spec) { s.DataTypes = []model.DataType{model.DataPlans} })
		path := func(ns, name string) string {
			return "/apis/v1/namespaces/" + ns + "/integrations/" + name + "/records"
		}
		for name, tc := range map[string]struct {
			path, user, want string
			code             int
		}{
			"nobody":           {path("acme", "agent"), "", "unauthorised", 401},
			"an unknown token": {path("acme", "agent"), "stolen", "unauthorised", 401},
			"no role":          {path("acme", "agent"), "nobody", "may not create integrations/records", 403},
			"another one":      {path("acme", "okta"), agentUser, "may not", 403},
			"another tenant":   {path("beta", "agent"), agentUser, "may not", 403},
			"not there":        {path("acme", "nothing"), "admin", `no Integration "nothing"`, 404},
			"no namespace":     {path("gamma", "agent"), agentUser, "may not", 403},
			"reads itself":     {path("acme", "okta"), "admin", `has the connector "okta"`, 409},
			"another type":     {path("acme", "seats"), "admin", "leaves out accounts", 422},
		} {
			t.Run(name, func(t *testing.T) {
				a := w.do(w.request("POST", tc.path, tc.user, strings.NewReader(lines(0, 1)), nil))
				if a.code != tc.code || !strings.Contains(a.status.Message, tc.want) {
					t.Errorf("%d %s", a.code, a.body)
				}
			})
		}
		if a := w.do(w.request("POST", path("acme", "seats"), "admin", strings.NewReader(`{"complete":["Account"]}`), nil)); a.code != 200 || len(a.result.DataTypes) != 0 {
			t.Errorf("nothing of a type that is left out: %d %s", a.code, a.body)
		}
		if a := w.push(lines(0, 3)); a.code != 200 {
			t.Error(a.body)
		}
		if rows, _, err := w.s.ListAccounts(t.Context(), beta, store.AccountQuery{}); err != nil || len(rows) != 0 {
			t.Errorf("tenant beta has %d accounts, %v", len(rows), err)
		}
		_, err := w.s.UpsertIntegration(t.Context(), w.tenant, store.IntegrationSpec{Name: "agent", UID: "uid-agent", Connector: "push", Suspended: true})
		w.must(err)
		if a := w.push(lines(0, 1)); a.code != 409 || !strings.Contains(a.status.Message, "suspended") {
			t.Errorf("suspended: %d %s", a.code, a.body)
		}
		w.must(w.s.HideIntegration(t.Context(), w.tenant, "agent", time.Hour))
		if a := w.push(lines(0, 1)); a.code != 404 {
			t.Errorf("disconnected: %d %s", a.code, a.body)
		}
	})
}

// A disconnect in the middle wins.
func TestDisconnectWins(t *testing.T) {
	eachWorld(t, func(w *world) {
		body, feed := io.Pipe()
		got := make(chan answer, 1)
		go func() { got <- w.do(w.request("POST", recordsPath, agentUser, body, nil)) }()
		_, err := io.WriteString(feed, lines(0, 1))
		w.must(err)
		w.claimed(true)
		w.must(w.s.HideIntegration(context.WithoutCancel(t.Context()), w.tenant, "agent", time.Hour))
		_, _ = io.WriteString(feed, lines(1, 2))
		_ = feed.Close()
		if a := <-got; a.code != 409 || w.accounts() != 0 {
			t.Errorf("%d %s", a.code, a.body)
		}
	})
}

const custom = `{"users":[
 {"id":1,"email":"Ada@Acme.example","firstName":"Ada","lastName":"Lovelace","status":"active","externalStatus":"ok","roles":["admin","member"],"lastUsedDate":"2026-11-20"},
 {"email":"bob@acme.example","status":"active","lastUsedDate":null},
 {"email":"cy@acme.example","status":"deleted"}],
"licenses":[{"name":"Pro","unassignedAmount":3,"pricePerUser":1500,"users":[{"email":"ada@acme.example","licenseStatus":"active"},{"email":"bob@acme.example","licenseStatus":"inactive"},{"email":"cy@acme.example","licenseStatus":"deleted"}]}]}`

func (w *world) upload(user, typ, file string) answer {
	w.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	w.must(form.WriteField("type", typ))
	part, err := form.CreateFormFile("file", "f.json")
	w.must(err)
	_, err = io.WriteString(part, file)
	w.must(err)
	w.must(form.Close())
	return w.do(w.request("POST", "/v1.0/files/upload", user, &b, map[string]string{"Content-Type": form.FormDataContentType(), access.NamespaceHeader: "acme"}))
}

func (w *world) syncCustom(user string, file, account int64, header map[string]string) answer {
	w.Helper()
	h := map[string]string{"Content-Type": "application/json"}
	maps.Copy(h, header)
	return w.do(w.request("PUT", "/v1.0/services/sync/custom", user, strings.NewReader(fmt.Sprintf(`{"idFile":%d,"idAppAccount":%d}`, file, account)), h))
}

// A client of the reference product sends a file and then names it.
func TestCustomSync(t *testing.T) {
	eachWorld(t, func(w *world) {
		st, err := w.s.IntegrationState(t.Context(), w.tenant, "agent")
		w.must(err)
		if a := w.upload("admin", "customIntegrationData", custom); a.code != 200 || a.body != "{\"id\":1}\n" {
			t.Fatalf("upload: %d %s", a.code, a.body)
		}
		// The ServiceAccount's token says the namespace.
		a := w.syncCustom(agentUser, 1, st.Source, nil)
		if a.code != 200 || a.result.State != push.Applied || a.result.Records != 6 {
			t.Fatalf("sync: %d %s", a.code, a.body)
		}
		rows, _, err := w.s.ListAccounts(t.Context(), w.tenant, store.AccountQuery{})
		w.must(err)
		if len(rows) != 3 || rows[0].ExternalID != "1" || rows[0].PersonKey != "ada@acme.example" || rows[0].Role != "admin, member" || rows[0].LastActivityAt == nil ||
			!rows[1].ActivityReported || rows[1].LastActivityAt != nil || rows[2].ActivityReported || rows[2].Status != model.AccountDeleted {
			t.Errorf("accounts: %+v", rows)
		}
		plans, err := w.s.AppRollup(t.Context(), w.tenant, []string{"agent"})
		w.must(err)
		p := plans.Plans[0]
		if plans.Seats != 2 || *p.Purchased != 4 || *p.Used != 1 || *p.UnitCostMinor != 1500 || p.Currency != "EUR" || p.Period != model.PeriodMonth {
			t.Errorf("plan: %+v, seats %d", p, plans.Seats)
		}
		for name, tc := range map[string]struct {
			got  answer
			code int
			want string
		}{
			"nobody":          {w.syncCustom("", 1, st.Source, nil), 401, "unauthorised"},
			"no namespace":    {w.syncCustom("admin", 1, st.Source, nil), 400, "Seatkeeper-Namespace"},
			"no role":         {w.syncCustom("nobody", 1, st.Source, map[string]string{access.NamespaceHeader: "acme"}), 403, "may not"},
			"hidden from all": {w.syncCustom("nobody", 1, 99, map[string]string{access.NamespaceHeader: "acme"}), 403, "may not"},
			"no account":      {w.syncCustom("admin", 1, 99, map[string]string{access.NamespaceHeader: "acme"}), 404, "idAppAccount 99"},
			"no file":         {w.syncCustom(agentUser, 99, st.Source, nil), 404, "file 99"},
			"another site":    {w.syncCustom(agentUser, 1, st.Source, map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}), 403, "web page"},
			"another type":    {w.upload("admin", "contract", custom), 400, "customIntegrationData"},
			"a large file":    {w.upload("admin", "customIntegrationData", strings.Repeat("x", store.MaxAPIFile+1)), 413, "3 MiB"},
			"may not upload":  {w.upload(agentUser, "customIntegrationData", custom), 403, "may not"},
			"unknown path":    {w.do(w.request("GET", "/v1.0/users", "admin", nil, nil)), 404, "no such endpoint"},
			"unknown caller":  {w.do(w.request("GET", "/v1.0/users", "", nil, nil)), 401, "unauthorised"},
		} {
			var said struct {
				StatusCode     int
				Error, Message string
			}
			w.must(json.Unmarshal([]byte(tc.got.body), &said))
			if tc.got.code != tc.code || said.StatusCode != tc.code || said.Error != http.StatusText(tc.code) || !strings.Contains(said.Message, tc.want) {
				t.Errorf("%s: %d %s", name, tc.got.code, tc.got.body)
			}
		}
		for fault, want := range map[string]string{
			`{"users":[{"email":"secret","status":"active"}]}`:                                         "users[0].email: ",
			`{"users":[{"email":"a@b.example","status":"secret"}]}`:                                    "users[0].status: want active or deleted",
			`{"users":[{"email":"a@b.example","status":"active","lastUsedDate":"secret"}]}`:            "users[0].lastUsedDate: ",
			`{"licenses":[{"users":[]}]}`:                                                              "licenses[0].name: required",
			`{"licenses":[{"name":"Pro","users":[{"email":"a@b.example","licenseStatus":"secret"}]}]}`: "licenses[0].users[0].licenseStatus: ",
			`{"licenses":[{"name":"Pro","pricePerUser":-1}]}`:                                          "licenses[0].pricePerUser: ",
			`secret`: "no JSON object",
		} {
			up := w.upload("admin", "customIntegrationData", fault)
			var id struct{ ID int64 }
			w.must(json.Unmarshal([]byte(up.body), &id))
			if a := w.syncCustom(agentUser, id.ID, st.Source, nil); a.code != 400 || !strings.Contains(a.body, want) || strings.Contains(a.body, "secret") || w.accounts() != 3 {
				t.Errorf("%s: %d %s", fault, a.code, a.body)
			}
		}
	})
}

// A tenant whose pushes do not end keeps nobody else from pushing.
func TestTurnsAreSharedByTenants(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.api.Pushes = access.NewTurns(1, 2)
		w.connect("acme", "other", nil)
		w.connect("beta", "agent", nil)
		path := func(namespace, name string) string {
			return "/apis/v1/namespaces/" + namespace + "/integrations/" + name + "/records"
		}
		body, feed := io.Pipe()
		first := make(chan answer, 1)
		go func() { first <- w.do(w.request("POST", path("acme", "agent"), "admin", body, nil)) }()
		_, err := io.WriteString(feed, lines(0, 1))
		w.must(err)
		w.claimed(true)
		if a := w.do(w.request("POST", path("acme", "other"), "admin", strings.NewReader(lines(0, 1)), nil)); a.code != http.StatusServiceUnavailable {
			t.Errorf("the same tenant: %d %s", a.code, a.body)
		}
		if a := w.do(w.request("POST", path("beta", "agent"), "admin", strings.NewReader(lines(0, 1)), nil)); a.code != 200 {
			t.Errorf("another tenant: %d %s", a.code, a.body)
		}
		w.must(feed.Close())
		if a := <-first; a.code != 200 {
			t.Errorf("the first push: %d %s", a.code, a.body)
		}
	})
}

// Files that are sent are in memory: there are not more of them than turns.
func TestUploadsAreBounded(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.api.Uploads = access.NewTurns(1, 2)
		w.connect("beta", "agent", nil)
		form, feed := io.Pipe()
		out := multipart.NewWriter(feed)
		r := w.request("POST", "/v1.0/files/upload", "admin", form, map[string]string{"Content-Type": out.FormDataContentType(), "Seatkeeper-Namespace": "acme", "Expect": "100-continue"})
		// The gateway says 100 when it reads the body, which it does in its place.
		placed := make(chan struct{})
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got100Continue: func() { close(placed) }}))
		first := make(chan answer, 1)
		go func() { first <- w.do(r) }()
		select {
		case <-placed:
		case a := <-first:
			t.Fatalf("the first upload: %d %s", a.code, a.body)
		}
		w.must(out.WriteField("type", "customIntegrationData"))
		second := w.upload("admin", "customIntegrationData", `{}`)
		if second.code != http.StatusServiceUnavailable || second.header.Get("Retry-After") == "" {
			t.Errorf("a second upload: %d %s", second.code, second.body)
		}
		if a := w.syncCustom("admin", 1, 1, map[string]string{"Seatkeeper-Namespace": "acme"}); a.code != http.StatusServiceUnavailable {
			t.Errorf("a sync beside it: %d %s", a.code, a.body)
		}
		if a := w.syncCustom("admin", 1, 1, map[string]string{"Seatkeeper-Namespace": "beta"}); a.code != http.StatusNotFound {
			t.Errorf("another tenant: %d %s", a.code, a.body)
		}
		file, err := out.CreateFormFile("file", "f.json")
		w.must(err)
		_, err = io.WriteString(file, `{"users":[]}`)
		w.must(err)
		w.must(out.Close())
		w.must(feed.Close())
		if a := <-first; a.code != 200 {
			t.Errorf("the first upload: %d %s", a.code, a.body)
		}
		if a := w.upload("admin", "customIntegrationData", `{}`); a.code != 200 {
			t.Errorf("after it: %d %s", a.code, a.body)
		}
	})
}
