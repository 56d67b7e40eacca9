// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package answer_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/answerlink"
	"github.com/seatkeeper/seatkeeper/internal/gateway/answer"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

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

func marshal(q notify.Question) ([]byte, error) {
	return json.Marshal(map[string]any{"question": q, "personID": "p-ada", "personName": "Ada"})
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
