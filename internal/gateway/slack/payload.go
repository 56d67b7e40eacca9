// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package slack

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/seatkeeper/seatkeeper/internal/notify"
)

// click is what a block_actions payload says that matters here
// (https://docs.slack.dev/reference/interaction-payloads/block_actions-payload).
type click struct {
	TeamID      string
	UserID      string
	Token       string // the button's value: the prompt's token and the choice
	Choice      string // the button's action_id
	Text        string // of the input above the buttons
	ResponseURL string
}

// errNotAnswer reports a payload that is valid but answers nothing of ours.
var errNotAnswer = errors.New("not an answer to a question of ours")

// parseClick reads the form body of an interactivity request.
func parseClick(body []byte) (click, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return click{}, fmt.Errorf("form body: %w", err)
	}
	var p struct {
		Type string `json:"type"`
		Team struct {
			ID string `json:"id"`
		} `json:"team"`
		User struct {
			ID string `json:"id"`
		} `json:"user"`
		ResponseURL string `json:"response_url"`
		Actions     []struct {
			ActionID string `json:"action_id"`
			BlockID  string `json:"block_id"`
			Value    string `json:"value"`
		} `json:"actions"`
		State struct {
			Values map[string]map[string]struct {
				Value string `json:"value"`
			} `json:"values"`
		} `json:"state"`
	}
	if err := json.Unmarshal([]byte(form.Get("payload")), &p); err != nil {
		return click{}, fmt.Errorf("form field payload: %w", err)
	}
	if p.Type != "block_actions" || len(p.Actions) == 0 || p.Actions[0].Value == "" {
		return click{}, errNotAnswer
	}
	if p.User.ID == "" {
		return click{}, errors.New("payload has no user.id")
	}
	a := p.Actions[0]
	text := p.State.Values[notify.TextBlock(a.BlockID)][notify.TextAction].Value
	return click{TeamID: p.Team.ID, UserID: p.User.ID, Token: a.Value, Choice: a.ActionID, Text: text, ResponseURL: p.ResponseURL}, nil
}
