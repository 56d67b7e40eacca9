// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ClickOptions bends a click. The zero value is an honest one.
type ClickOptions struct {
	Forge  bool          `json:"forge,omitempty"`  // sign with another secret
	Late   time.Duration `json:"late,omitempty"`   // sign with a time stamp this old
	Replay bool          `json:"replay,omitempty"` // send the bytes of the last click again; the other arguments are ignored
	Times  int           `json:"times,omitempty"`  // click so often, at once; each click has its own time
	URL    string        `json:"url,omitempty"`    // instead of Options.SlackInteractivityURL
	Team   string        `json:"team,omitempty"`   // click in another workspace, whose signing secret is the app's too
	Text   string        `json:"text,omitempty"`   // what was written into the message's inputs before
}

// ClickResult is how the product answered. With several clicks it is the
// slowest answer, and Statuses has all.
type ClickResult struct {
	Status   int           `json:"status"`
	Statuses []int         `json:"statuses"`
	Body     string        `json:"body,omitempty"`
	Took     time.Duration `json:"took"`
}

// signedClick is what goes over the wire.
type signedClick struct {
	url       string
	body      []byte
	timestamp string
	signature string
}

// SignSlack signs a body as Slack does (version v0), for requests that Click
// does not build.
func SignSlack(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "v0:%s:%s", timestamp, body)
	return "v0=" + hex.EncodeToString(mac.Sum(nil))
}

// Click presses a button as an employee: it posts a block_actions payload to
// the interactivity URL as Slack does. byUser is a member's id or e-mail
// address; empty is the person whom the message is for. actionID may also be
// the button's label.
func (s *Server) Click(ctx context.Context, messageTS, actionID, byUser string, opts ClickOptions) (*ClickResult, error) {
	var clicks []*signedClick
	if opts.Replay {
		s.mu.Lock()
		last := s.lastClick
		s.mu.Unlock()
		if last == nil {
			return nil, errors.New("nothing was clicked yet that could be replayed")
		}
		clicks = append(clicks, last)
	} else {
		for i := range max(opts.Times, 1) {
			click, err := s.sign(messageTS, actionID, byUser, opts, i)
			if err != nil {
				return nil, err
			}
			clicks = append(clicks, click)
		}
	}
	results := make([]ClickResult, len(clicks))
	failures := make([]error, len(clicks))
	var sending sync.WaitGroup
	for i, click := range clicks {
		sending.Go(func() { results[i], failures[i] = s.send(ctx, click) })
	}
	sending.Wait()
	var all ClickResult
	for _, r := range results {
		statuses := append(all.Statuses, r.Status)
		if r.Took >= all.Took {
			all = r
		}
		all.Statuses = statuses
	}
	return &all, errors.Join(failures...)
}

func (s *Server) sign(messageTS, actionID, byUser string, opts ClickOptions, nth int) (*signedClick, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	target := cmp.Or(opts.URL, s.opts.SlackInteractivityURL)
	if target == "" {
		return nil, errors.New("no interactivity URL is configured")
	}
	payload, err := s.blockActions(messageTS, actionID, byUser, nth)
	if err != nil {
		return nil, err
	}
	if opts.Text != "" {
		if payload["state"], err = s.written(messageTS, opts.Text); err != nil {
			return nil, err
		}
	}
	if opts.Team != "" {
		payload["team"] = map[string]any{"id": opts.Team, "domain": "elsewhere"}
	}
	encoded, err := json.Marshal(payload)
	if err != nil {
		return nil, err
	}
	secret := SimSlackSigningSecret
	if opts.Forge {
		secret = "not-the-signing-secret"
	}
	click := &signedClick{
		url: target, body: []byte(url.Values{"payload": {string(encoded)}}.Encode()),
		timestamp: strconv.FormatInt(s.clock.Now().Add(-opts.Late).Unix(), 10),
	}
	click.signature = SignSlack(secret, click.timestamp, click.body)
	s.lastClick = click
	return click, nil
}

// written is the state of a message in whose inputs somebody wrote a text.
func (s *Server) written(messageTS, text string) (map[string]any, error) {
	m := s.message(messageTS)
	blocks, err := decodeBlocks(m.Blocks)
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	for _, b := range blocks {
		if b.Type == "input" {
			values[b.BlockID] = map[string]any{b.Element.ActionID: map[string]any{"type": b.Element.Type, "value": text}}
		}
	}
	return map[string]any{"values": values}, nil
}

// SetInteractivityURL changes where clicks go; a product that is started after
// the simulators has its address only then.
func (s *Server) SetInteractivityURL(target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.SlackInteractivityURL = target
}

// blockActions is the payload that Slack sends when a button is pressed,
// https://docs.slack.dev/reference/interaction-payloads/block_actions-payload.
func (s *Server) blockActions(messageTS, actionID, byUser string, nth int) (map[string]any, error) {
	m := s.message(messageTS)
	if m == nil || m.Deleted {
		return nil, fmt.Errorf("no message %s", messageTS)
	}
	c := &call{s: s, now: s.clock.Now().UTC(), token: SimSlackBotToken}
	var user *SlackMember
	for _, member := range s.state.Company.SlackMembers {
		if wanted := cmp.Or(byUser, m.User); member.ID == wanted || (member.Email != "" && strings.EqualFold(member.Email, wanted)) {
			user = member
		}
	}
	if user == nil {
		return nil, fmt.Errorf("no Slack member %q", cmp.Or(byUser, m.User))
	}
	var button *Button
	for _, b := range m.Buttons() {
		if b.ActionID == actionID || strings.EqualFold(b.Text, actionID) {
			button = &b
			break
		}
	}
	if button == nil {
		return nil, fmt.Errorf("message %s has no button %q", messageTS, actionID)
	}
	team := map[string]any{"id": c.slackTeam(), "domain": s.state.Company.Config.label()}
	at := fmt.Sprintf("%d.%06d", c.now.Unix(), c.now.Nanosecond()/1000+nth)
	action := map[string]any{
		"action_id": button.ActionID, "block_id": button.BlockID, "type": "button", "value": button.Value, "action_ts": at,
		"text": map[string]any{"type": "plain_text", "text": button.Text, "emoji": true},
	}
	if button.Style != "" {
		action["style"] = button.Style
	}
	return map[string]any{
		"type": "block_actions", "api_app_id": slackAppID, "token": "sim-slack-verification-token",
		"user":         map[string]any{"id": user.ID, "username": user.Name, "name": user.Name, "team_id": c.slackTeam()},
		"container":    map[string]any{"type": "message", "message_ts": m.TS, "channel_id": m.Channel, "is_ephemeral": m.Ephemeral},
		"trigger_id":   fmt.Sprintf("%d.%d.sim", c.now.UnixNano(), nth),
		"team":         team,
		"enterprise":   nil,
		"channel":      map[string]any{"id": m.Channel, "name": "directmessage"},
		"message":      c.messageJSON(m, true),
		"state":        map[string]any{"values": map[string]any{}},
		"response_url": fmt.Sprintf("https://hooks.slack.com/actions/%s/%s/%s.%d", c.slackTeam(), m.TS, user.ID, nth),
		"actions":      []any{action},

		"is_enterprise_install": false,
	}, nil
}

func (s *Server) send(ctx context.Context, click *signedClick) (ClickResult, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, click.url, bytes.NewReader(click.body))
	if err != nil {
		return ClickResult{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
	req.Header.Set("X-Slack-Request-Timestamp", click.timestamp)
	req.Header.Set("X-Slack-Signature", click.signature)
	began := time.Now() // the answer's real duration, whatever clock is injected
	resp, err := s.client.Do(req)
	if err != nil {
		return ClickResult{Took: time.Since(began)}, fmt.Errorf("posting the click: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return ClickResult{Status: resp.StatusCode, Body: string(body), Took: time.Since(began)}, err
}
