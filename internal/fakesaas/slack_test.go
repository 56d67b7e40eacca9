// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestSlackAuthAndScopes(t *testing.T) {
	h := start(t, 10, func(o *Options) { o.SlackBotScopes = []string{"users:read", "chat:write"} })
	h.sloppy = true
	for token, code := range map[string]string{"": "not_authed", "Bearer xoxb-wrong": "invalid_auth"} {
		a, err := h.try(Slack, http.MethodGet, "/api/auth.test", nil, token)
		if err != nil {
			t.Fatal(err)
		}
		a.wantSlack(t, code)
	}
	if a := h.get(Slack, "/api/auth.test").wantSlack(t, ""); a.json["team_id"] != h.state.Company.SlackTeamID {
		t.Errorf("%s", a.body)
	}
	if a := h.get(Slack, "/api/team.billableInfo").wantSlack(t, "missing_scope"); a.json["needed"] != "admin" || a.json["provided"] != "users:read,chat:write" {
		t.Errorf("%s", a.body)
	}
	h.get(Slack, "/api/team.info").wantSlack(t, "missing_scope")
	h.admin(http.MethodGet, "/api/team.info", nil).wantSlack(t, "")
	for _, m := range h.get(Slack, "/api/users.list?limit=100").wantSlack(t, "").json["members"].([]any) {
		if _, shown := m.(map[string]any)["profile"].(map[string]any)["email"]; shown {
			t.Fatal("an e-mail address without users:read.email")
		}
	}
}

func TestSlackUsersListHasShortPagesMidList(t *testing.T) {
	h := start(t, 300)
	members, sizes := h.cursorAll(Slack, "/api/users.list?limit=60", "cursor", "members", slackCursor)
	if len(members) != len(h.state.Company.SlackMembers) {
		t.Errorf("%d members of %d", len(members), len(h.state.Company.SlackMembers))
	}
	if !slices.Contains(sizes[:len(sizes)-1], 40) {
		t.Errorf("pages %v have no short one before the end", sizes)
	}
	kinds := map[string]int{}
	for _, m := range members {
		for _, kind := range []string{"deleted", "is_bot", "is_restricted", "is_ultra_restricted", "is_invited_user", "is_admin"} {
			if m[kind] == true {
				kinds[kind]++
			}
		}
	}
	if len(kinds) != 6 {
		t.Errorf("kinds of members %v", kinds)
	}
	h.sloppy = true
	h.get(Slack, "/api/users.list?cursor=nonsense").wantSlack(t, "invalid_cursor")
}

func TestSlackFindsUsers(t *testing.T) {
	h := start(t, 50)
	c := h.state.Company
	m := c.SlackMemberOf(c.Cases[CaseUpperCase])
	a := h.get(Slack, "/api/users.lookupByEmail?email="+url.QueryEscape(c.Cases[CaseUpperCase])).wantSlack(t, "")
	if user := a.json["user"].(map[string]any); user["id"] != m.ID || user["profile"].(map[string]any)["email"] == c.Cases[CaseUpperCase] {
		t.Errorf("%s", a.body)
	}
	h.get(Slack, "/api/users.lookupByEmail?email="+url.QueryEscape(c.Cases[CaseSlackSuspended])).wantSlack(t, "users_not_found")
	h.get(Slack, "/api/users.info?user="+m.ID).wantSlack(t, "")
	h.get(Slack, "/api/users.info?user=U0NOBODY").wantSlack(t, "user_not_found")
	groups := h.get(Slack, "/api/usergroups.list?include_users=true").wantSlack(t, "").json["usergroups"].([]any)
	if len(groups) != len(c.SlackGroups) || groups[0].(map[string]any)["users"] == nil {
		t.Errorf("groups %v", groups)
	}
}

func TestSlackBillableInfoPages(t *testing.T) {
	h := start(t, 50)
	got, cursor, pages := 0, "", 0
	for pages == 0 || cursor != "" {
		a := h.admin(http.MethodGet, "/api/team.billableInfo?limit=20&cursor="+url.QueryEscape(cursor), nil).wantSlack(t, "")
		got += len(a.json["billable_info"].(map[string]any))
		cursor = slackCursor(a.json)
		pages++
	}
	if want := len(h.state.Company.SlackMembers); got != want || pages < 3 {
		t.Errorf("%d of %d members on %d pages", got, want, pages)
	}
	m := h.state.Company.SlackMembers[5]
	one := h.admin(http.MethodGet, "/api/team.billableInfo?user="+m.ID, nil).wantSlack(t, "")
	if len(one.json["billable_info"].(map[string]any)) != 1 {
		t.Errorf("%s", one.body)
	}
}

func FuzzSlackBlocks(f *testing.F) {
	f.Add(`[{"type":"actions","elements":[{"type":"button","action_id":"a","text":{"type":"plain_text","text":"Go"}}]}]`)
	f.Add(`[{"type":"section","accessory":{"type":"button"}}]`)
	f.Add(`{"type":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) || checkBlocks(json.RawMessage(text)) != nil {
			return
		}
		for _, b := range (&Message{Blocks: json.RawMessage(text)}).Buttons() {
			if b.ActionID == "" || b.Text == "" {
				t.Errorf("%s was accepted with button %+v", text, b)
			}
		}
	})
}

func TestSlackAdminActions(t *testing.T) {
	h := start(t, 50)
	m := h.state.Company.SlackMemberOf(h.state.Company.Cases[CaseExactlyWindow])
	for range 2 {
		h.admin(http.MethodPost, "/api/admin.users.session.reset", url.Values{"user_id": {m.ID}}).wantSlack(t, "")
		h.admin(http.MethodDelete, "/scim/v2/Users/"+m.ID, nil).want(t, http.StatusOK)
	}
	if a := h.admin(http.MethodGet, "/scim/v2/Users/"+m.ID, nil).want(t, http.StatusOK); a.json["active"] != false {
		t.Errorf("%s", a.body)
	}
	for _, action := range []string{"user.signOut", "user.deactivate"} {
		if h.EffectCount(Slack, action, m.ID) != 1 || h.NoopCount(Slack, action, m.ID) != 1 {
			t.Errorf("%s: %+v", action, h.Effects())
		}
	}
}

// question posts a message with three buttons to a member, and gives its ts.
func (h *harness) question(user, key string) (channel, ts string) {
	h.t.Helper()
	opened := h.do(Slack, http.MethodPost, "/api/conversations.open", url.Values{"users": {user}}).wantSlack(h.t, "")
	channel = opened.json["channel"].(map[string]any)["id"].(string)
	button := func(id, text string) map[string]any {
		return map[string]any{"type": "button", "action_id": id, "value": key + ":" + id, "text": map[string]any{"type": "plain_text", "text": text}}
	}
	sent := h.do(Slack, http.MethodPost, "/api/chat.postMessage", map[string]any{
		"channel": channel, "text": "Do you still need Zoom? It costs money & nobody used it.",
		"blocks": []any{
			map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": "Do you still need *Zoom*?"}},
			map[string]any{"type": "actions", "block_id": key, "elements": []any{button("reclaim", "Reclaim"), button("keep", "Keep"), button("escalate", "Escalate")}},
		},
		"metadata": map[string]any{"event_type": "seatkeeper_question", "event_payload": map[string]any{"key": key}},
	}).wantSlack(h.t, "")
	return channel, sent.json["ts"].(string)
}

func TestSlackConversation(t *testing.T) {
	h := start(t, 50)
	m := h.state.Company.SlackMemberOf(h.state.Company.Cases[CaseExactlyWindow])
	channel, ts := h.question(m.ID, "prompt-1")
	again, second := h.question(m.ID, "prompt-2")
	if again != channel || second == ts {
		t.Errorf("channels %s %s, messages %s %s", channel, again, ts, second)
	}
	if h.EffectCount(Slack, "message.send", "prompt-1") != 1 || h.EffectCount(Slack, "message.send", m.ID) != 2 || h.NoopCount(Slack, "conversation.open", m.ID) != 1 {
		t.Errorf("effects %+v", h.Effects())
	}
	history := h.get(Slack, "/api/conversations.history?limit=1&include_all_metadata=true&channel="+channel).wantSlack(t, "")
	first := history.json["messages"].([]any)[0].(map[string]any)
	if first["ts"] != second || history.json["has_more"] != true || first["metadata"].(map[string]any)["event_payload"].(map[string]any)["key"] != "prompt-2" {
		t.Errorf("history %s", history.body)
	}
	plain := h.get(Slack, "/api/conversations.history?channel="+channel+"&latest="+second).wantSlack(t, "")
	list := plain.json["messages"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["ts"] != ts || list[0].(map[string]any)["metadata"] != nil {
		t.Errorf("history %s", plain.body)
	}
	update := url.Values{"channel": {channel}, "ts": {ts}, "text": {"Reclaimed."}, "blocks": {`[{"type":"section","text":{"type":"mrkdwn","text":"Reclaimed."}}]`}}
	h.do(Slack, http.MethodPost, "/api/chat.update", update).wantSlack(t, "")
	h.do(Slack, http.MethodPost, "/api/chat.update", update).wantSlack(t, "")
	if h.EffectCount(Slack, "message.update", ts) != 1 || h.NoopCount(Slack, "message.update", ts) != 1 {
		t.Errorf("effects %+v", h.Effects())
	}
	if got := h.Messages()[0]; got.Text != "Reclaimed." || len(got.Buttons()) != 0 || got.Updates != 1 {
		t.Errorf("message %+v", got)
	}
	h.do(Slack, http.MethodPost, "/api/chat.postEphemeral", map[string]any{"channel": channel, "user": m.ID, "text": "Only they can answer."}).wantSlack(t, "")
	if got := h.Messages()[2]; !got.Ephemeral {
		t.Errorf("message %+v", got)
	}
	gone := h.state.Company.SlackMemberOf(h.state.Company.Cases[CaseSlackSuspended])
	h.do(Slack, http.MethodPost, "/api/conversations.open", url.Values{"users": {gone.ID}}).wantSlack(t, "user_disabled")
	h.do(Slack, http.MethodPost, "/api/chat.postMessage", map[string]any{"channel": "D0NOBODY", "text": "x"}).wantSlack(t, "channel_not_found")
	h.do(Slack, http.MethodPost, "/api/chat.update", map[string]any{"channel": channel, "ts": "1.000001", "text": "x"}).wantSlack(t, "message_not_found")
}

func TestSlackRefusesBadBlocks(t *testing.T) {
	h := start(t, 10)
	h.sloppy = true
	m := h.state.Company.SlackMembers[3]
	button := `{"type":"button","action_id":"a","text":{"type":"plain_text","text":"Go"}}`
	for name, blocks := range map[string]string{
		"unknown type":   `[{"type":"sectoin"}]`,
		"odd case":       `[{"type":"actions","elements":[` + strings.Replace(button, "action_id", "Action_ID", 1) + `]}]`,
		"empty section":  `[{"type":"section"}]`,
		"same action":    `[{"type":"actions","elements":[` + button + `,` + button + `]}]`,
		"same block":     `[{"type":"divider","block_id":"x"},{"type":"divider","block_id":"x"}]`,
		"long label":     `[{"type":"actions","elements":[` + strings.Replace(button, "Go", strings.Repeat("o", 76), 1) + `]}]`,
		"markdown label": `[{"type":"actions","elements":[` + strings.Replace(button, "plain_text", "mrkdwn", 1) + `]}]`,
		"long value":     `[{"type":"actions","elements":[` + strings.Replace(button, `"text":{`, `"value":"`+strings.Repeat("v", 2001)+`","text":{`, 1) + `]}]`,
	} {
		body := map[string]any{"channel": m.ID, "text": "x", "blocks": json.RawMessage(blocks)}
		if a := h.do(Slack, http.MethodPost, "/api/chat.postMessage", body); a.json["error"] != "invalid_blocks" {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	a := h.do(Slack, http.MethodPost, "/api/chat.postMessage", map[string]any{"channel": m.ID, "text": "x", "metadata": map[string]any{"event_type": "x"}})
	if a.json["error"] != "invalid_metadata_format" || len(h.Messages()) != 0 {
		t.Errorf("%s", a.body)
	}
}

// receiver is a product that checks signatures as Slack's documentation says.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	payloads []map[string]any
	bodies   []string
	now      func() time.Time
}

func newReceiver(t *testing.T, now func() time.Time) *receiver {
	r := &receiver{now: now}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		stamp := req.Header.Get("X-Slack-Request-Timestamp")
		seconds, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || r.now().Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute ||
			req.Header.Get("X-Slack-Signature") != SignSlack(SimSlackSigningSecret, stamp, body) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			t.Error(err)
		}
		var payload map[string]any
		if err := json.Unmarshal([]byte(form.Get("payload")), &payload); err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.payloads, r.bodies = append(r.payloads, payload), append(r.bodies, string(body))
	}))
	t.Cleanup(r.Close)
	return r
}

// TestSlackSignatureVector is the example of Slack's own documentation,
// https://docs.slack.dev/authentication/verifying-requests-from-slack.
func TestSlackSignatureVector(t *testing.T) {
	body := "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar" +
		"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands" +
		"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	got := SignSlack("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", []byte(body))
	if want := "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func TestClick(t *testing.T) {
	h := start(t, 50)
	r := newReceiver(t, h.clock.Now)
	h.SetInteractivityURL(r.URL)
	c := h.state.Company
	m := c.SlackMemberOf(c.Cases[CaseExactlyWindow])
	channel, ts := h.question(m.ID, "prompt-1")

	click := func(action, by string, opts ClickOptions) *ClickResult {
		t.Helper()
		result, err := h.Click(t.Context(), ts, action, by, opts)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	if got := click("reclaim", "", ClickOptions{}); got.Status != http.StatusOK {
		t.Fatalf("honest click: %+v", got)
	}
	p := r.payloads[0]
	action := p["actions"].([]any)[0].(map[string]any)
	container, user := p["container"].(map[string]any), p["user"].(map[string]any)
	if p["type"] != "block_actions" || user["id"] != m.ID || container["message_ts"] != ts || container["channel_id"] != channel ||
		action["action_id"] != "reclaim" || action["block_id"] != "prompt-1" || action["value"] != "prompt-1:reclaim" || action["type"] != "button" ||
		p["message"].(map[string]any)["metadata"] == nil || !strings.HasPrefix(p["response_url"].(string), "https://hooks.slack.com/actions/") ||
		p["team"].(map[string]any)["id"] != c.SlackTeamID {
		t.Errorf("payload %v", p)
	}
	if got := click("", "", ClickOptions{Replay: true}); got.Status != http.StatusOK || r.bodies[1] != r.bodies[0] {
		t.Errorf("a replay must be the same bytes: %+v", got)
	}
	if got := click("Keep", "", ClickOptions{Times: 2}); !slices.Equal(got.Statuses, []int{200, 200}) || r.bodies[2] == r.bodies[3] {
		t.Errorf("double click: %+v", got)
	}
	if got := click("reclaim", "", ClickOptions{Forge: true}); got.Status != http.StatusUnauthorized {
		t.Errorf("forged: %+v", got)
	}
	if got := click("reclaim", "", ClickOptions{Late: 6 * time.Minute}); got.Status != http.StatusUnauthorized {
		t.Errorf("late: %+v", got)
	}
	h.clock.Step(time.Second)
	if got := click("escalate", c.Cases[CaseCEO], ClickOptions{}); got.Status != http.StatusOK {
		t.Errorf("another person: %+v", got)
	}
	if by := r.payloads[len(r.payloads)-1]["user"].(map[string]any)["id"]; by != c.SlackMemberOf(c.Cases[CaseCEO]).ID {
		t.Errorf("clicked by %v", by)
	}
	h.clock.Step(6 * time.Minute)
	if got := click("", "", ClickOptions{Replay: true}); got.Status != http.StatusUnauthorized {
		t.Errorf("a replay six minutes later: %+v", got)
	}

	response := p["response_url"].(string)
	local := h.URL(Slack) + strings.TrimPrefix(response, "https://hooks.slack.com")
	a, err := h.try(Slack, http.MethodPost, local, map[string]any{"replace_original": true, "text": "Done."}, "")
	if err != nil {
		t.Fatal(err)
	}
	a.want(t, http.StatusOK)
	if got := h.Messages()[0]; got.Text != "Done." || len(got.Buttons()) != 0 {
		t.Errorf("message %+v", got)
	}
	if _, err := h.Click(t.Context(), ts, "reclaim", "", ClickOptions{}); err == nil {
		t.Error("a button that is gone was clicked")
	}
	for name, bad := range map[string][3]string{"message": {"1.1", "keep", ""}, "user": {ts, "keep", "U0NOBODY"}} {
		if _, err := h.Click(context.Background(), bad[0], bad[1], bad[2], ClickOptions{}); err == nil {
			t.Errorf("unknown %s was accepted", name)
		}
	}
}
