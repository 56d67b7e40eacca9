// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Message is a message in the simulated Slack.
type Message struct {
	TS        string          `json:"ts"`
	Channel   string          `json:"channel"`
	User      string          `json:"user,omitempty"` // whom a direct or ephemeral message is for
	Author    string          `json:"author"`
	Text      string          `json:"text"`
	Blocks    json.RawMessage `json:"blocks,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	ThreadTS  string          `json:"threadTs,omitempty"`
	Ephemeral bool            `json:"ephemeral,omitempty"`
	Updates   int             `json:"updates,omitempty"`
	Deleted   bool            `json:"deleted,omitempty"`
}

// Button is something to click in a message.
type Button struct {
	ActionID string `json:"actionId"`
	BlockID  string `json:"blockId"`
	Text     string `json:"text"`
	Value    string `json:"value"`
	Style    string `json:"style,omitempty"`
}

// Buttons lists the buttons of the message as it stands.
func (m *Message) Buttons() []Button {
	var blocks []map[string]any
	if json.Unmarshal(m.Blocks, &blocks) != nil {
		return nil
	}
	var found []Button
	text := func(v any) string { s, _ := v.(string); return s }
	for _, b := range blocks {
		elements, _ := b["elements"].([]any)
		for _, e := range append(slices.Clone(elements), b["accessory"]) {
			element, _ := e.(map[string]any)
			if element["type"] != "button" {
				continue
			}
			label, _ := element["text"].(map[string]any)
			found = append(found, Button{
				ActionID: text(element["action_id"]), BlockID: text(b["block_id"]), Text: text(label["text"]),
				Value: text(element["value"]), Style: text(element["style"]),
			})
		}
	}
	return found
}

// Messages lists the messages in the order in which they were posted.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Message, 0, len(s.state.Messages))
	for _, m := range s.state.Messages {
		all = append(all, *m)
	}
	return all
}

// message finds a message; s.mu is held.
func (s *Server) message(ts string) *Message {
	for _, m := range s.state.Messages {
		if m.TS == ts {
			return m
		}
	}
	return nil
}

// nextTS is a message's time stamp, which is also its key in the channel.
func (c *call) nextTS() string {
	c.s.state.Sequence++
	return fmt.Sprintf("%d.%06d", c.now.Unix(), c.s.state.Sequence)
}

func slackConversationsOpen(c *call) {
	users := strings.Split(c.arg("users"), ",")
	if channel := c.arg("channel"); channel != "" {
		c.reply(http.StatusOK, map[string]any{"ok": true, "channel": map[string]any{"id": channel}})
		return
	}
	if len(users) != 1 || users[0] == "" {
		c.slackError("users_list_not_supplied")
		return
	}
	channel, opened, problem := c.openChannel(users[0])
	if problem != "" {
		c.slackError(problem)
		return
	}
	c.effect("conversation.open", users[0], "", changedIf(opened), map[string]any{"channel": channel})
	c.reply(http.StatusOK, map[string]any{"ok": true, "no_op": !opened, "already_open": !opened, "channel": map[string]any{"id": channel}})
}

// openChannel gives the direct-message channel of a user, the same each time.
func (c *call) openChannel(user string) (channel string, opened bool, problem string) {
	m := c.slackMember(user)
	switch {
	case m == nil:
		return "", false, "user_not_found"
	case m.Deleted:
		return "", false, "user_disabled"
	case m.Bot || m.ID == slackbotID:
		return "", false, "cannot_dm_bot"
	}
	if known, open := c.s.state.Channels[user]; open {
		return known, false, ""
	}
	channel = "D" + strings.TrimPrefix(user, "U")
	c.s.state.Channels[user] = channel
	return channel, true, ""
}

// recipient resolves the channel argument: a channel, a direct-message
// channel, or a user's id.
func (c *call) recipient(channel string) (id, user, problem string) {
	for u, d := range c.s.state.Channels {
		if d == channel {
			return d, u, ""
		}
	}
	switch {
	case strings.HasPrefix(channel, "U"):
		id, _, problem = c.openChannel(channel)
		return id, channel, problem
	case strings.HasPrefix(channel, "#"), strings.HasPrefix(channel, "C"):
		return channel, "", ""
	}
	return "", "", "channel_not_found"
}

// jsonArg is an argument that is JSON, whether sent as JSON or as text in a
// form.
func (c *call) jsonArg(name string) (json.RawMessage, error) {
	v, in := c.fields[name]
	if !in {
		v = c.query.Get(name)
	}
	if text, isText := v.(string); isText {
		if text == "" {
			return nil, nil
		}
		if !json.Valid([]byte(text)) {
			return nil, fmt.Errorf("%s is not JSON", name)
		}
		return json.RawMessage(text), nil
	}
	return json.Marshal(v)
}

// content reads text, blocks and metadata; a problem is Slack's error code.
func (c *call) content(m *Message) (problem string) {
	blocks, err := c.jsonArg("blocks")
	if err == nil {
		err = checkBlocks(blocks)
	}
	if err != nil {
		c.s.violations = append(c.s.violations, Violation{At: c.now, Vendor: Slack, Method: c.r.Method, Path: c.r.URL.Path, What: "blocks: " + err.Error()})
		return "invalid_blocks"
	}
	metadata, err := c.jsonArg("metadata")
	if err != nil || checkMetadata(metadata) != nil {
		c.s.violations = append(c.s.violations, Violation{At: c.now, Vendor: Slack, Method: c.r.Method, Path: c.r.URL.Path, What: "metadata wants event_type and event_payload"})
		return "invalid_metadata_format"
	}
	text := c.arg("text")
	if text == "" && blocks == nil {
		return "no_text"
	}
	if len(text) > 40000 {
		return "msg_too_long"
	}
	m.Text, m.Blocks = text, blocks
	if metadata != nil {
		m.Metadata = metadata
	}
	return ""
}

func slackPost(c *call) {
	m := &Message{Author: seatkeeperBotID, ThreadTS: c.arg("thread_ts")}
	var problem string
	if m.Channel, m.User, problem = c.recipient(c.arg("channel")); problem == "" {
		problem = c.content(m)
	}
	if problem != "" {
		c.slackError(problem)
		return
	}
	m.TS = c.nextTS()
	c.s.state.Messages = append(c.s.state.Messages, m)
	c.messageEffect("message.send", m, Changed)
	c.reply(http.StatusOK, map[string]any{"ok": true, "channel": m.Channel, "ts": m.TS, "message": c.messageJSON(m, true)})
}

func slackPostEphemeral(c *call) {
	m := &Message{Author: seatkeeperBotID, User: c.arg("user"), Ephemeral: true}
	var problem string
	if m.Channel, _, problem = c.recipient(c.arg("channel")); problem == "" {
		problem = c.content(m)
	}
	if problem == "" && c.slackMember(m.User) == nil {
		problem = "user_not_in_channel"
	}
	if problem != "" {
		c.slackError(problem)
		return
	}
	m.TS = c.nextTS()
	c.s.state.Messages = append(c.s.state.Messages, m)
	c.messageEffect("message.sendEphemeral", m, Changed)
	c.reply(http.StatusOK, map[string]any{"ok": true, "message_ts": m.TS})
}

func slackUpdate(c *call) {
	m := c.s.message(c.arg("ts"))
	switch {
	case m == nil || m.Channel != c.arg("channel") || m.Ephemeral || m.Deleted:
		c.slackError("message_not_found")
		return
	case m.Author != seatkeeperBotID:
		c.slackError("cant_update_message")
		return
	}
	was := *m
	if problem := c.content(m); problem != "" {
		*m = was
		c.slackError(problem)
		return
	}
	changed := was.Text != m.Text || string(was.Blocks) != string(m.Blocks) || string(was.Metadata) != string(m.Metadata)
	if changed {
		m.Updates++
	}
	c.messageEffect("message.update", m, changedIf(changed))
	c.reply(http.StatusOK, map[string]any{"ok": true, "channel": m.Channel, "ts": m.TS, "text": m.Text, "message": c.messageJSON(m, true)})
}

// messageEffect records a message with the strings of its metadata as keys,
// which is how the caller can recognise it.
func (c *call) messageEffect(action string, m *Message, outcome Outcome) {
	var metadata struct {
		Payload map[string]any `json:"event_payload"`
	}
	_ = json.Unmarshal(m.Metadata, &metadata)
	keys := []string{m.TS, m.Channel}
	for _, v := range metadata.Payload {
		if text, isText := v.(string); isText && text != "" {
			keys = append(keys, text)
		}
	}
	slices.Sort(keys[2:])
	email := ""
	if to := c.slackMember(m.User); to != nil {
		email = to.Email
	}
	c.effect(action, m.User, email, outcome, map[string]any{"channel": m.Channel, "ts": m.TS}, keys...)
}

func (c *call) messageJSON(m *Message, withMetadata bool) map[string]any {
	out := map[string]any{
		"type": "message", "user": m.Author, "bot_id": "B0SEATKEEPR", "app_id": slackAppID, "text": m.Text, "ts": m.TS, "team": c.slackTeam(),
	}
	if m.Blocks != nil {
		out["blocks"] = m.Blocks
	}
	if m.Metadata != nil && withMetadata {
		out["metadata"] = m.Metadata
	}
	if m.ThreadTS != "" {
		out["thread_ts"] = m.ThreadTS
	}
	if m.Updates > 0 {
		out["edited"] = map[string]any{"user": m.Author, "ts": m.TS}
	}
	return out
}

// slackHistory lists a channel, newest first. Metadata must be asked for.
func slackHistory(c *call) {
	channel := c.arg("channel")
	if _, _, problem := c.recipient(channel); problem != "" || strings.HasPrefix(channel, "U") {
		c.slackError("channel_not_found")
		return
	}
	inclusive, _ := strconv.ParseBool(c.arg("inclusive"))
	withMetadata, _ := strconv.ParseBool(c.arg("include_all_metadata"))
	inside := func(ts, oldest, latest string) bool {
		t, _ := strconv.ParseFloat(ts, 64)
		from, errFrom := strconv.ParseFloat(oldest, 64)
		to, errTo := strconv.ParseFloat(latest, 64)
		if inclusive && (ts == oldest || ts == latest) {
			return true
		}
		return (errFrom != nil || t > from) && (errTo != nil || t < to)
	}
	found := filtered(c.s.state.Messages, func(m *Message) bool {
		return m.Channel == channel && !m.Ephemeral && !m.Deleted && (m.ThreadTS == "" || m.ThreadTS == m.TS) &&
			inside(m.TS, c.arg("oldest"), c.arg("latest"))
	})
	slices.Reverse(found)
	page, next, ok := paginate(c, found, c.intArg("limit", 100, 999))
	if !ok {
		return
	}
	messages := make([]any, 0, len(page))
	for _, m := range page {
		messages = append(messages, c.messageJSON(m, withMetadata))
	}
	c.reply(http.StatusOK, map[string]any{
		"ok": true, "messages": messages, "has_more": next != "", "response_metadata": map[string]any{"next_cursor": next},
	})
}

// slackRespond is a click's response_url.
func slackRespond(c *call) {
	m := c.s.message(c.path["ts"])
	if m == nil {
		c.slackError("used_url")
		return
	}
	flag := func(name string) bool { v, _ := c.fields[name].(bool); return v }
	switch {
	case flag("delete_original"):
		m.Deleted = true
		c.messageEffect("message.delete", m, Changed)
	case flag("replace_original"):
		if problem := c.content(m); problem != "" {
			c.slackError(problem)
			return
		}
		m.Updates++
		c.messageEffect("message.update", m, Changed)
	default:
		// An ephemeral answer is for whoever pressed the button.
		reader, _, _ := strings.Cut(c.path["nonce"], ".")
		if c.slackMember(reader) == nil {
			reader = m.User
		}
		reply := &Message{Channel: m.Channel, User: reader, Author: seatkeeperBotID, Ephemeral: c.arg("response_type") != "in_channel"}
		if problem := c.content(reply); problem != "" {
			c.slackError(problem)
			return
		}
		reply.TS = c.nextTS()
		c.s.state.Messages = append(c.s.state.Messages, reply)
		c.messageEffect("message.sendEphemeral", reply, Changed)
	}
	c.reply(http.StatusOK, map[string]any{"ok": true})
}
