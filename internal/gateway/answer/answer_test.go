// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package answer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
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

// Links that nobody made, from however many addresses, do not shut the page for
// those that were.
func TestForgedLinksDoNotShutThePage(t *testing.T) {
	o := newOffice(t, storetest.SQLite(t))
	link := o.ask()
	from := func(i int, l string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l, nil)
		if err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		req.RemoteAddr = fmt.Sprintf("10.1.%d.%d:1", i/250, i%250)
		o.page.Config.Handler.ServeHTTP(rec, req)
		return rec.Code
	}
	shut := false
	for i := range 200 {
		shut = shut || from(i, o.page.URL+answerlink.Path+"junk") == http.StatusTooManyRequests
	}
	if !shut {
		t.Error("forged links are not limited")
	}
	if code := from(900, link); code != http.StatusOK {
		t.Errorf("a link that was sent: %d", code)
	}
}
