// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

const testSecret = "8f742231b10e8888abcd99yyyzzz85a5"

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// world is a directory with one workspace, and a record of what was answered.
type world struct {
	answers []Answer
	reply   string
	replies []string
	fail    error
}

func (*world) TenantByNamespace(_ context.Context, ns string) (model.TenantID, error) {
	if ns != "acme" {
		return 0, store.ErrNotFound
	}
	return 7, nil
}

func (*world) SigningSecret(_ context.Context, tenant model.TenantID, integration string) ([]byte, error) {
	if tenant != 7 || integration != "slack" {
		return nil, store.ErrNotFound
	}
	return []byte(testSecret), nil
}

func (w *world) AnswerFromSlack(_ context.Context, tenant model.TenantID, a Answer) (string, error) {
	if w.fail != nil {
		return "", w.fail
	}
	if tenant != 7 {
		return "", fmt.Errorf("tenant %d", tenant)
	}
	w.answers = append(w.answers, a)
	return w.reply, nil
}

func (w *world) Reply(_ context.Context, responseURL, text string) error {
	w.replies = append(w.replies, responseURL+" "+text)
	return nil
}

func newHandler(t *testing.T, w *world) (*Handler, *store.Store, http.Handler) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + t.TempDir(), Clock: clocktesting.NewFakePassiveClock(now)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := &Handler{Inbox: s, Directory: w, Answers: w, Replier: w, Clock: clocktesting.NewFakePassiveClock(now), Log: slog.New(slog.DiscardHandler)}
	mux := &access.Router{Refusals: access.NewRefusals(s, clocktesting.NewFakeClock(now), h.Log)}
	h.Register(mux)
	return h, s, mux
}

func clickBody(user, token, choice string) string {
	return url.Values{"payload": {fmt.Sprintf(`{"type":"block_actions","team":{"id":"T1"},"user":{"id":%q},
		"response_url":"https://hooks.slack.com/actions/T1/1/x","actions":[{"action_id":%q,"value":%q}]}`, user, choice, token)}}.Encode()
}

func signed(path, body string, at time.Time, key string) *http.Request {
	stamp := fmt.Sprint(at.Unix())
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte("v0:" + stamp + ":" + body))
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("X-Slack-Request-Timestamp", stamp)
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	return r
}

func post(h http.Handler, r *http.Request) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

const path = "/slack/interactions/acme/slack"

func TestSignedClickIsAnswered(t *testing.T) {
	w := &world{reply: "Only Ada can answer this."}
	h, s, mux := newHandler(t, w)
	if code := post(mux, signed(path, clickBody("U1", "tok", "Reclaim"), now, testSecret)); code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	h.Drain()
	want := Answer{Integration: "slack", TeamID: "T1", UserID: "U1", Token: "tok", Choice: "Reclaim"}
	if len(w.answers) != 1 || w.answers[0] != want {
		t.Errorf("answers %+v, want %+v", w.answers, want)
	}
	if len(w.replies) != 1 || !strings.Contains(w.replies[0], "Only Ada") {
		t.Errorf("replies %q", w.replies)
	}
	if left, err := s.PendingEvents(t.Context(), 0, 10); err != nil || len(left) != 0 {
		t.Errorf("unhandled events %v, %v", left, err)
	}
}

func TestForgedAndReplayedRequestsChangeNothing(t *testing.T) {
	body := clickBody("U1", "tok", "Reclaim")
	tampered := signed(path, body, now, testSecret)
	tampered.Body = http.NoBody
	unsigned := signed(path, body, now, testSecret)
	unsigned.Header.Del("X-Slack-Signature")
	for name, r := range map[string]*http.Request{
		"wrong secret":      signed(path, body, now, "not the secret"),
		"empty secret":      signed("/slack/interactions/acme/unknown", body, now, ""),
		"six minutes old":   signed(path, body, now.Add(-6*time.Minute), testSecret),
		"six minutes ahead": signed(path, body, now.Add(6*time.Minute), testSecret),
		"body changed":      tampered,
		"unsigned":          unsigned,
		"other workspace":   signed("/slack/interactions/acme/slack-2", body, now, testSecret),
		"other namespace":   signed("/slack/interactions/globex/slack", body, now, testSecret),
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{}
			_, s, mux := newHandler(t, w)
			if code := post(mux, r); code != http.StatusUnauthorized {
				t.Errorf("status %d, want 401", code)
			}
			left, err := s.PendingEvents(t.Context(), 0, 10)
			if err != nil || len(left) != 0 || len(w.answers) != 0 {
				t.Errorf("stored %v, answered %v, error %v", left, w.answers, err)
			}
		})
	}
}

func TestReplayIsRefused(t *testing.T) {
	w := &world{}
	_, s, mux := newHandler(t, w)
	body := clickBody("U1", "tok", "Reclaim")
	if code := post(mux, signed(path, body, now, testSecret)); code != http.StatusOK {
		t.Fatalf("first: status %d", code)
	}
	if code := post(mux, signed(path, body, now, testSecret)); code != http.StatusUnauthorized {
		t.Errorf("replay: status %d, want 401", code)
	}
	if len(w.answers) != 1 {
		t.Errorf("answered %d times", len(w.answers))
	}
	// What a known workspace refuses is in the audit of its tenant; what is sent to
	// another is in nobody's.
	post(mux, signed("/slack/interactions/acme/slack-2", body, now, testSecret))
	records, err := s.Audit(t.Context(), 7, store.AuditQuery{Action: access.ActionRefuse})
	if err != nil || len(records) != 1 || records[0].ObjectName != "slack" {
		t.Errorf("audit: %+v, %v", records, err)
	}
}

func TestAnswerThatCannotBeDecidedNowIsKept(t *testing.T) {
	w := &world{fail: context.DeadlineExceeded}
	h, s, mux := newHandler(t, w)
	if code := post(mux, signed(path, clickBody("U1", "tok", "Keep"), now, testSecret)); code != http.StatusOK {
		t.Fatalf("status %d: the event is durable and must be acknowledged", code)
	}
	left, err := s.PendingEvents(t.Context(), 0, 10)
	if err != nil || len(left) != 1 || !Handles(left[0]) {
		t.Fatalf("pending %v, %v", left, err)
	}
	w.fail = nil
	if err := h.Process(t.Context(), left[0]); err != nil {
		t.Fatal(err)
	}
	if left, _ := s.PendingEvents(t.Context(), 0, 10); len(left) != 0 || len(w.answers) != 1 {
		t.Errorf("pending %v, answers %v", left, w.answers)
	}
}

func TestStoreAwayIsRetryable(t *testing.T) {
	w := &world{}
	_, s, mux := newHandler(t, w)
	_ = s.Close()
	if code := post(mux, signed(path, clickBody("U1", "tok", "Keep"), now, testSecret)); code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", code)
	}
}

func TestReplierGoesToSlackOnly(t *testing.T) {
	p := NewHTTPReplier(map[string]string{"hooks.slack.com": "http://127.0.0.1:9"})
	for _, bad := range []string{"http://hooks.slack.com/x", "https://evil.example/x", "https://hooks.slack.com.evil.example/", "https://u@hooks.slack.com@evil.example/", "::"} {
		if got, err := p.target(bad); err == nil {
			t.Errorf("%s accepted as %s", bad, got)
		}
	}
	if got, err := p.target("https://hooks.slack.com/actions/T/1"); err != nil || got != "http://127.0.0.1:9/actions/T/1" {
		t.Errorf("override gave %q, %v", got, err)
	}
}

func FuzzParseClick(f *testing.F) {
	f.Add([]byte(clickBody("U1", "tok", "Reclaim")))
	f.Add([]byte("payload=%7B%7D"))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := parseClick(body)
		if err == nil && (c.UserID == "" || c.Token == "") {
			t.Errorf("accepted a click without user or token: %+v", c)
		}
	})
}

func FuzzVerify(f *testing.F) {
	f.Add("v0=00", "1700000000", []byte("x"))
	f.Fuzz(func(t *testing.T, signature, stamp string, body []byte) {
		h := http.Header{"X-Slack-Signature": {signature}, "X-Slack-Request-Timestamp": {stamp}}
		if verify([]byte(testSecret), body, h, now) == nil {
			t.Error("a guessed signature was accepted")
		}
	})
}

// What was written above the pressed button is the answer's text.
func TestTextComesWithTheButton(t *testing.T) {
	w := &world{}
	_, _, mux := newHandler(t, w)
	body := url.Values{"payload": {`{"type":"block_actions","team":{"id":"T1"},"user":{"id":"U1"},"actions":[{"action_id":"Done","block_id":"p1","value":"tok"}],
		"state":{"values":{"p1.text":{"text":{"type":"plain_text_input","value":"https://tickets.acme.example/1"}},"p2.text":{"text":{"value":"another"}}}}}`}}.Encode()
	if code := post(mux, signed(path, body, now, testSecret)); code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	want := Answer{Integration: "slack", TeamID: "T1", UserID: "U1", Token: "tok", Choice: "Done", Text: "https://tickets.acme.example/1"}
	if len(w.answers) != 1 || w.answers[0] != want {
		t.Errorf("answers %+v, want %+v", w.answers, want)
	}
}
