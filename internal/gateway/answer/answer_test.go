// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package answer_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/answerlink"
	"github.com/seatkeeper/seatkeeper/internal/gateway/answer"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
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

// Loading the page decides nothing; the form decides once, and whoever comes
// after it is told what happened instead.
func TestAnswerOnce(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		link := o.ask()
		for range 3 { // a program that looks into mail
			code, text := o.get(link)
			if code != http.StatusOK {
				t.Fatalf("%d %s", code, text)
			}
			for _, fact := range []string{"Acme IT asks", "not used for 90 days", "Zoom &lt;i&gt;", "Last use: 2026-07-27 09:30 &#43;02:00", "zoom.last_login_time",
				"EUR 180.00", "downgraded to Basic", "Answer by 2026-11-05 11:00 &#43;01:00", "you keep the seat", "ask in #it-help", "it@acme.example"} {
				if !strings.Contains(text, fact) {
					t.Errorf("the page does not say %q:\n%s", fact, text)
				}
			}
		}
		if code, _, _ := o.do(http.MethodHead, link, ""); code != http.StatusOK {
			t.Errorf("HEAD: %d", code)
		}
		o.settle()
		if r := o.run(); r.Reason != "WaitingForAnswer" || r.Prompts[0].State != store.PromptOpen {
			t.Fatalf("loading the page decided: %+v", r.Run)
		}
		if code, text := o.post(link, "Destroy"); code != http.StatusUnprocessableEntity || !strings.Contains(text, "Choose one") {
			t.Errorf("no choice of the question: %d", code)
		}
		if code, text := o.post(link, "Keep"); code != http.StatusOK || !strings.Contains(text, "Recorded: Keep.") {
			t.Fatalf("%d %s", code, text)
		}
		if code, text := o.post(link, "Reclaim"); code != http.StatusGone || !strings.Contains(text, "Your answer is recorded: Keep.") || !strings.Contains(text, "changed nothing") {
			t.Errorf("the second answer: %d %s", code, text)
		}
		o.settle()
		if r := o.run(); r.State != store.RunSucceeded || r.Outcome != "kept" || r.Prompts[0].AnsweredBy != "person:p-ada" || o.removed != 0 {
			t.Errorf("%+v, %d removed", r.Run, o.removed)
		}
		if code, text := o.get(link); code != http.StatusGone || !strings.Contains(text, "Your answer is recorded: Keep.") || strings.Contains(text, "<form") {
			t.Errorf("the used link: %d %s", code, text)
		}
		audits, err := o.store.Audit(t.Context(), o.tenant, store.AuditQuery{Action: "prompt.answer"})
		if err != nil || len(audits) != 1 || audits[0].Actor != "person:p-ada" || audits[0].Detail["via"] != "e-mail link" {
			t.Errorf("%+v, %v", audits, err)
		}
		last := o.sent[len(o.sent)-1]
		if len(o.sent) != 2 || last.Input[workflow.MailInReplyTo] == "" || !strings.Contains(fmt.Sprint(last.Input[workflow.MailText]), "Kept: Zoom") {
			t.Errorf("what happened does not follow the question: %d mails, %v", len(o.sent), last.Input)
		}
	})
}

// Each of those who are asked has a link of their own, and one that was asked
// before cannot decide any more.
func TestLinksAreOfTheirAddressee(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		hers := o.ask()
		if code, _ := o.post(hers, "Escalate"); code != http.StatusOK {
			t.Fatal(code)
		}
		o.settle()
		managers := o.lastLink("mia@acme.example")
		if code, text := o.get(managers); code != http.StatusOK || !strings.Contains(text, "Does Ada still need") || !strings.Contains(text, "Mia &lt;b&gt;") || strings.Contains(text, "value=\"Escalate\"") {
			t.Errorf("%d %s", code, text)
		}
		if code, text := o.post(hers, "Keep"); code != http.StatusGone {
			t.Errorf("Ada decides twice: %d %s", code, text)
		}
		var second string
		for _, p := range o.run().Prompts {
			if p.State == store.PromptOpen {
				second = p.ID
			}
		}
		stolen, err := keys.Token(o.tenant, second, answerlink.Addressee{PersonID: ada.PersonID, Email: ada.Email})
		if err != nil {
			t.Fatal(err)
		}
		if code, text := o.post(o.page.URL+answerlink.Path+stolen, "Keep"); code != http.StatusGone || !strings.Contains(text, "no longer yours") || !strings.Contains(text, "It was asked of Mia") {
			t.Errorf("a link to who is not asked: %d %s", code, text)
		}
		if audits, err := o.store.Audit(t.Context(), o.tenant, store.AuditQuery{Action: "prompt.refuse"}); err != nil || len(audits) != 1 || audits[0].Detail["via"] != "e-mail link" {
			t.Errorf("%+v, %v", audits, err)
		}
		if code, _ := o.post(managers, "Reclaim"); code != http.StatusOK {
			t.Errorf("Mia: %d", code)
		}
		o.settle()
		if r := o.run(); r.Outcome != "reclaimed" || o.removed != 1 {
			t.Errorf("%+v", r.Run)
		}
	})
}

// An answer after the time, after renewed use, or after a stop is told what
// happened instead.
func TestTooLate(t *testing.T) {
	eachOffice(t, func(t *testing.T, o *office) {
		link := o.ask()
		o.clock.Step(73 * time.Hour) // and nobody has looked yet
		if code, text := o.post(link, "Reclaim"); code != http.StatusGone || !strings.Contains(text, "declared default applies") {
			t.Errorf("%d %s", code, text)
		}
		o.settle()
		if code, text := o.get(link); code != http.StatusGone || !strings.Contains(text, "the declared default applied: Keep") {
			t.Errorf("%d %s", code, text)
		}
		if o.removed != 0 {
			t.Error("removed")
		}
	})
	eachOffice(t, func(t *testing.T, o *office) {
		link := o.ask()
		o.verdict = workflow.Verdict{Decision: workflow.Drop, Reason: "RenewedUse", Message: "Zoom was used again on 2026-11-03"}
		o.clock.Step(73 * time.Hour)
		o.settle()
		if code, text := o.post(link, "Reclaim"); code != http.StatusGone || !strings.Contains(text, "Zoom was used again on 2026-11-03") {
			t.Errorf("%d %s", code, text)
		}
	})
}

// Forged, foreign and cut links are all unknown, and look the same.
func TestUnknownLinks(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t))
	link := o.ask()
	token := link[strings.LastIndex(link, "/")+1:]
	id := o.run().Prompts[0].ID
	other, err := o.store.EnsureTenant(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := keys.Token(other, id, answerlink.Addressee{PersonID: ada.PersonID, Email: ada.Email})
	if err != nil {
		t.Fatal(err)
	}
	gone, err := keys.Token(o.tenant, "00000000-0000-4000-8000-000000000000", answerlink.Addressee{PersonID: ada.PersonID, Email: ada.Email})
	if err != nil {
		t.Fatal(err)
	}
	forged, err := answerlink.Keys{[]byte("another key of thirty-two bytes, yes")}.Token(o.tenant, id, answerlink.Addressee{PersonID: ada.PersonID, Email: ada.Email})
	if err != nil {
		t.Fatal(err)
	}
	_, want := o.get(o.page.URL + answerlink.Path + "x")
	for name, s := range map[string]string{"another tenant's": foreign, "gone": gone, "forged": forged, "cut": token[:40], "longer": token + "A"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			code, text, _ := o.do(method, o.page.URL+answerlink.Path+s, "choice=Keep")
			if code != http.StatusNotFound || text != want {
				t.Errorf("%s by %s: %d %s", name, method, code, text)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t))
	link := o.ask()
	for _, l := range []string{link, o.page.URL + answerlink.Path + "x"} {
		_, text, head := o.do(http.MethodGet, l, "")
		csp := head.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "script") || strings.Contains(csp, "unsafe") || strings.Contains(text, "<script") {
			t.Errorf("policy %q", csp)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
			"X-Content-Type-Options": "nosniff", "X-Robots-Tag": "noindex, nofollow", "Set-Cookie": ""} {
			if got := head.Get(name); got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, link, strings.NewReader(`{"choice":"Keep"}`))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("JSON: %v, %v", resp.StatusCode, err)
	}
	if code, _, _ := o.do(http.MethodPost, link, "choice=Keep&text="+strings.Repeat("x", 1<<17)); code != http.StatusRequestEntityTooLarge {
		t.Errorf("a large form: %d", code)
	}
	limited := false
	for range 60 {
		code, _, head := o.do(http.MethodGet, link, "")
		limited = limited || code == http.StatusTooManyRequests && head.Get("Retry-After") != ""
	}
	if !limited {
		t.Error("nobody is ever asked to wait")
	}
}

// broken is a store that does not answer.
type broken struct{}

func (broken) AskedPrompt(context.Context, model.TenantID, string) (store.PromptView, error) {
	return store.PromptView{}, errors.New("the database is away")
}

func (broken) AnswerPrompt(context.Context, model.TenantID, store.AnswerRequest) (store.AnswerOutcome, error) {
	return store.AnswerOutcome{}, errors.New("the database is away")
}

func TestStoreIsAway(t *testing.T) {
	var log strings.Builder
	mux := http.NewServeMux()
	(&answer.Handler{Store: broken{}, Keys: keys, Limiter: ratelimit.NewMemory(clocktesting.NewFakeClock(t0)), Log: slog.New(slog.NewTextHandler(&log, nil))}).Register(mux)
	token, err := keys.Token(1, "00000000-0000-4000-8000-000000000000", answerlink.Addressee{PersonID: "p", Email: "p@acme.example"})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, answerlink.Path+token, nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "database") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if strings.Contains(log.String(), token) || !strings.Contains(log.String(), "away") {
		t.Errorf("log: %s", &log)
	}
}

// asked is a store with one question, for the looks of its page.
type asked struct {
	view    store.PromptView
	outcome store.AnswerOutcome
}

func (a asked) AskedPrompt(context.Context, model.TenantID, string) (store.PromptView, error) {
	return a.view, nil
}

func (a asked) AnswerPrompt(context.Context, model.TenantID, store.AnswerRequest) (store.AnswerOutcome, error) {
	return a.outcome, nil
}

const promptID = "2f1c5e4e-8f0a-5b7e-9d51-0c1f6a2b3c4d"

func viewOf(q notify.Question, options ...string) store.PromptView {
	raw, err := marshal(q)
	if err != nil {
		panic(err)
	}
	return store.PromptView{Open: true, Prompt: store.Prompt{
		ID: promptID, State: store.PromptOpen, Assignees: []store.Assignee{ada}, Options: options, Subject: raw,
		CreatedAt: t0, ExpiresAt: t0.Add(72 * time.Hour), Purpose: "x",
	}}
}

// TestPagesOfEveryKind checks the structure of each page that there is, and
// leaves them where SEATKEEPER_A11Y_PAGES says, for `make a11y`.
func TestPagesOfEveryKind(t *testing.T) {
	last := t0.AddDate(0, -4, 0)
	seat := notify.Question{Asker: "Acme IT", Policy: "zoom-90d", Why: "seats that were not used for 90 days are given back", Silence: notify.Keep, KeepFor: "90 days",
		NextUp: "your manager", Contact: "it@acme.example", Seats: []notify.Seat{{PromptID: promptID, Options: []string{notify.Reclaim, notify.Keep, notify.Escalate},
			App: "Zoom", Plan: "Licensed", Account: "ada@acme.example", LastUse: &last, Source: "zoom.last_login_time", Effect: "your seat is downgraded", GetBack: "ask IT"}}}
	matter := func(kind notify.MatterKind, evidence string, options ...string) notify.Question {
		return notify.Question{Asker: "Acme", Policy: "leaver", Why: "Jo has left", Contact: "it@acme.example",
			Matter: &notify.Matter{Kind: kind, ID: promptID, Text: "Take the laptop back.\nIt is at the desk.\n\nThen say so.", About: "Jo Doe", Options: options, Evidence: evidence, Silence: "nothing is done"}}
	}
	closed := viewOf(seat, notify.Keep)
	closed.Open, closed.Prompt.State, closed.Prompt.ClosedReason = false, store.PromptExpired, "nobody answered by then"
	invalid := store.AnswerOutcome{Status: store.AnswerInvalidChoice, Message: "no"}
	needs := store.AnswerOutcome{Status: store.AnswerNeedsText, Message: "This task is done only with evidence."}
	for name, c := range map[string]struct {
		store  asked
		method string
		code   int
	}{
		"seat":           {asked{view: viewOf(seat, notify.Reclaim, notify.Keep, notify.Escalate)}, http.MethodGet, 200},
		"seat-wrong":     {asked{view: viewOf(seat, notify.Reclaim, notify.Keep), outcome: invalid}, http.MethodPost, 422},
		"approval":       {asked{view: viewOf(matter(notify.Approval, "", notify.Approve, notify.Reject), notify.Approve, notify.Reject)}, http.MethodGet, 200},
		"question":       {asked{view: viewOf(matter(notify.Choice, "", "E3", "Mia's <one>"), "E3", "Mia's <one>")}, http.MethodGet, 200},
		"task":           {asked{view: viewOf(matter(notify.Task, notify.EvidenceRequired, notify.Done), notify.Done)}, http.MethodGet, 200},
		"task-wrong":     {asked{view: viewOf(matter(notify.Task, notify.EvidenceRequired, notify.Done), notify.Done), outcome: needs}, http.MethodPost, 422},
		"recorded":       {asked{view: viewOf(seat, notify.Keep), outcome: store.AnswerOutcome{Status: store.AnswerAccepted, Message: "Recorded: Keep."}}, http.MethodPost, 200},
		"closed":         {asked{view: closed}, http.MethodGet, 410},
		"without-a-text": {asked{view: store.PromptView{Open: true, Prompt: store.Prompt{ID: promptID, Assignees: []store.Assignee{ada}, Subject: []byte(`{}`)}}}, http.MethodGet, 409},
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			(&answer.Handler{Store: c.store, Keys: keys, Limiter: ratelimit.NewMemory(clocktesting.NewFakeClock(t0)), Log: slog.New(slog.DiscardHandler)}).Register(mux)
			token, err := keys.Token(1, promptID, answerlink.Addressee{PersonID: ada.PersonID, Email: ada.Email})
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(t.Context(), c.method, answerlink.Path+token, strings.NewReader("choice=Keep&text=%3Cscript%3E"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			text := w.Body.String()
			if w.Code != c.code {
				t.Errorf("%d, want %d: %s", w.Code, c.code, text)
			}
			wellFormed(t, text)
			if strings.Contains(text, "<script") || strings.Contains(text, "<one>") {
				t.Error("what people wrote is not escaped")
			}
			if dir := os.Getenv("SEATKEEPER_A11Y_PAGES"); dir != "" {
				if err := os.WriteFile(filepath.Join(dir, "answer-"+name+".html"), w.Body.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// wellFormed checks what assistive technology relies on: language, title, one
// main and one first heading, no heading level left out, a label for each field,
// a legend for each group, unique ids that references find.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	if text == "" {
		return // HEAD
	}
	decoder := xml.NewDecoder(strings.NewReader(text))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	count, ids, level := map[string]int{}, map[string]bool{}, 0
	var fields, refs, labels, radioNames []string
	attr := func(n xml.StartElement, name string) string {
		for _, a := range n.Attr {
			if a.Name.Local == name {
				return a.Value
			}
		}
		return ""
	}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		n, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		name := n.Name.Local
		count[name]++
		if id := attr(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("id %q twice", id)
			}
			ids[id] = true
		}
		refs = append(refs, strings.Fields(attr(n, "aria-describedby"))...)
		switch name {
		case "html":
			if attr(n, "lang") != "en" {
				t.Error("no language")
			}
		case "h1", "h2", "h3":
			now := int(name[1] - '0')
			if now > level+1 {
				t.Errorf("%s after h%d", name, level)
			}
			level = now
		case "input", "textarea", "select":
			if attr(n, "type") != "hidden" {
				fields = append(fields, attr(n, "id"))
			}
			if attr(n, "type") == "radio" {
				radioNames = append(radioNames, attr(n, "name"))
			}
		case "label":
			labels = append(labels, attr(n, "for"))
		case "script", "iframe", "img", "link", "object":
			t.Errorf("element %s", name)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "style" {
				t.Errorf("attribute %s", a.Name.Local)
			}
		}
	}
	for name, want := range map[string]int{"html": 1, "title": 1, "main": 1, "h1": 1} {
		if count[name] != want {
			t.Errorf("%d %s, want %d", count[name], name, want)
		}
	}
	if count["fieldset"] != count["legend"] || len(radioNames) > 0 && count["fieldset"] == 0 {
		t.Error("a group without a legend")
	}
	for _, ref := range append(refs, labels...) {
		if !ids[ref] {
			t.Errorf("nothing has the id %q", ref)
		}
	}
	for _, id := range fields {
		found := false
		for _, l := range labels {
			found = found || id != "" && l == id
		}
		if !found {
			t.Errorf("field %q has no label", id)
		}
	}
}

func marshal(q notify.Question) ([]byte, error) {
	return json.Marshal(map[string]any{"question": q, "personID": "p-ada", "personName": "Ada"})
}
