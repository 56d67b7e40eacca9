// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package answer_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/answerlink"
	"github.com/seatkeeper/seatkeeper/internal/gateway/answer"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

var (
	t0   = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	keys = answerlink.Keys{[]byte("the key of links: thirty-two bytes!")}
	ada  = store.Assignee{PersonID: "p-ada", Name: "Ada", Email: "ada@acme.example", TimeZone: "Europe/Berlin"}
	mia  = store.Assignee{PersonID: "p-mia", Name: "Mia <b>", Email: "mia@acme.example"}
)

// office is an engine on a real store that asks by e-mail, and the page.
type office struct {
	t      *testing.T
	store  *store.Store
	clock  *clocktesting.FakeClock
	tenant model.TenantID
	engine *workflow.Engine
	page   *httptest.Server

	mu      sync.Mutex
	sent    []workflow.Call
	removed int
	verdict workflow.Verdict
}

func eachOffice(t *testing.T, fn func(t *testing.T, o *office)) {
	t.Helper()
	storetest.EachDSN(t, func(t *testing.T, dsn string) { fn(t, newOffice(t, dsn)) })
}

func newOffice(t *testing.T, dsn string) *office {
	t.Helper()
	o := &office{t: t, clock: clocktesting.NewFakeClock(t0), verdict: workflow.Verdict{Decision: workflow.Go}}
	o.store = storetest.Open(t, dsn, storetest.WithClock(o.clock))
	var err error
	if o.tenant, err = o.store.EnsureTenant(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	(&answer.Handler{Store: o.store, Keys: keys, Limiter: ratelimit.NewMemory(o.clock), Log: slog.New(slog.DiscardHandler)}).Register(mux)
	o.page = httptest.NewServer(mux)
	t.Cleanup(o.page.Close)
	o.engine, err = workflow.New(workflow.Options{
		Store: o.store, Actions: o, Facts: o, People: o, Channels: []workflow.Channel{workflow.Email{}}, PromptKey: []byte("a key of thirty-two bytes, or more"),
		Clock: o.clock, Alone: true, AnswerLink: func(tenant model.TenantID, prompt string, to store.Assignee) (string, error) {
			token, err := keys.Token(tenant, prompt, answerlink.Addressee{PersonID: to.PersonID, Email: to.Email})
			return o.page.URL + answerlink.Path + token, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) Action(context.Context, model.TenantID, string, string) (workflow.ActionInfo, error) {
	return workflow.ActionInfo{Class: workflow.ClassIdempotent}, nil
}

func (o *office) Precheck(context.Context, model.TenantID, workflow.Call) (workflow.Result, error) {
	return workflow.Result{Class: workflow.ResultAbsent}, nil
}

func (o *office) Verify(context.Context, model.TenantID, workflow.Call) (workflow.Result, error) {
	return workflow.Result{Class: workflow.ResultDone}, nil
}

func (o *office) Execute(_ context.Context, _ model.TenantID, c workflow.Call) (workflow.Result, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c.Integration != workflow.MailIntegration {
		o.removed++
		return workflow.Result{Class: workflow.ResultDone, Sent: true}, nil
	}
	o.sent = append(o.sent, c)
	return workflow.Result{Class: workflow.ResultDone, Sent: true, Output: map[string]any{
		workflow.MailMessageID: fmt.Sprintf("<%s@acme.example>", c.IdemKey), workflow.MailTo: c.Input[workflow.MailTo],
	}}, nil
}

func (o *office) Recheck(context.Context, model.TenantID, workflow.Subject) (workflow.Verdict, error) {
	return o.verdict, nil
}

func (o *office) Holders(_ context.Context, _ model.TenantID, _ workflow.Subject, role workflow.Role) ([]store.Assignee, error) {
	if role == workflow.RoleManager {
		return []store.Assignee{mia}, nil
	}
	return []store.Assignee{ada}, nil
}

func (o *office) SlackUser(context.Context, model.TenantID, workflow.Subject, string, string) (string, bool, error) {
	return "", false, nil
}

func (o *office) ByEmail(context.Context, model.TenantID, string) ([]store.Assignee, bool, error) {
	return nil, false, nil
}

func (o *office) Channels(context.Context, model.TenantID) ([]workflow.ChannelRef, error) {
	return nil, nil
}

func (o *office) settle() {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 30*time.Second)
	defer cancel()
	if err := o.engine.Settle(ctx); err != nil {
		o.t.Fatal(err)
	}
}

var linkPattern = regexp.MustCompile(`https?://\S+` + answerlink.Path + `\S+`)

// ask starts the reclaim of Ada's seat and returns the link in the mail to her.
func (o *office) ask() string {
	o.t.Helper()
	last := time.Date(2026, 7, 27, 7, 30, 0, 0, time.UTC)
	r, err := workflow.ReclaimSpec{
		Policy: "zoom-90d", Generation: 3, Mode: workflow.ModeAsk, IdleSince: "2026-07-27",
		Seat: workflow.ReclaimSeat{
			App: "zoom", AppTitle: "Zoom <i>", Asker: "Acme IT", Why: "seats that were not used for 90 days are given back", Integration: "zoom",
			AccountID: "acc1", Account: "ada@acme.example", PlanKey: "licensed", PlanName: "Licensed", PersonID: "p-ada", PersonName: "Ada",
			Email: "ada@acme.example", TimeZone: "Europe/Berlin", LastUse: &last, Source: "zoom.last_login_time", Observed: t0.AddDate(0, -6, 0),
			YearlyCost: &model.Money{Minor: 18000, Currency: "EUR"}, Effect: "your seat is downgraded to Basic; your account stays",
			GetBack: "ask in #it-help", Contact: "it@acme.example",
		},
		Ask: &workflow.ReclaimAsk{
			Channels: []workflow.ChannelRef{{Kind: workflow.ChannelEmail}}, Timeout: workflow.Hours(72), OnTimeout: "Keep", KeepFor: workflow.Days(90),
			Escalate: &workflow.ReclaimEscalate{To: []workflow.Role{workflow.RoleManager}, Timeout: workflow.Hours(72)},
		},
		Removal: workflow.ReclaimRemoval{Action: "license.remove", With: map[string]any{"userId": "acc1"}},
	}.NewRun()
	if err != nil {
		o.t.Fatal(err)
	}
	if n, err := o.store.CreateRuns(o.t.Context(), o.tenant, []store.NewRun{r}); err != nil || n != 1 {
		o.t.Fatalf("create run: %d, %v", n, err)
	}
	o.settle()
	return o.lastLink("ada@acme.example")
}

// lastLink is the link of the newest mail, which must be to the address.
func (o *office) lastLink(to string) string {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.sent) == 0 {
		o.t.Fatal("no mail was sent")
	}
	c := o.sent[len(o.sent)-1]
	link := linkPattern.FindString(fmt.Sprint(c.Input[workflow.MailText]))
	if c.Input[workflow.MailTo] != to || link == "" {
		o.t.Fatalf("the newest mail is to %v: %v", c.Input[workflow.MailTo], c.Input[workflow.MailText])
	}
	return link
}

func (o *office) do(method, link, body string) (int, string, http.Header) {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), method, link, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "null") // of a browser that sends no referrer
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	wellFormed(o.t, string(text))
	return resp.StatusCode, string(text), resp.Header
}

func (o *office) get(link string) (int, string) {
	code, text, _ := o.do(http.MethodGet, link, "")
	return code, text
}

func (o *office) post(link, choice string) (int, string) {
	code, text, _ := o.do(http.MethodPost, link, url.Values{"choice": {choice}}.Encode())
	return code, text
}

func (o *office) run() store.RunDetail {
	o.t.Helper()
	runs, err := o.store.ListRuns(o.t.Context(), o.tenant, store.RunFilter{Limit: 1})
	if err != nil || len(runs) != 1 {
		o.t.Fatalf("%d runs, %v", len(runs), err)
	}
	d, err := o.store.Run(o.t.Context(), o.tenant, runs[0].ID)
	if err != nil {
		o.t.Fatal(err)
	}
	return d
}
