// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import "strings"

// Slack's limits: https://docs.slack.dev/reference/block-kit/blocks
const (
	slackHeaderMax  = 150
	slackSectionMax = 3000
	slackLabelMax   = 75
)

// SlackBlocks is the question as Block Kit. Each seat's buttons have the
// prompt's id as block_id, the choice as action_id and the token as value.
func SlackBlocks(q Question) []any {
	if q.Matter != nil {
		return matterBlocks(q)
	}
	blocks := []any{header(q.Title()), section(escape(q.greeting()))}
	for _, s := range q.Seats[:min(len(q.Seats), MaxSeats)] {
		lines := q.facts(s)
		lines[0] = "*" + escape(lines[0]) + "*"
		for i := range lines[1:] {
			lines[i+1] = escape(lines[i+1])
		}
		blocks = append(blocks, section(strings.Join(lines, "\n")))
		buttons := make([]any, len(s.Options))
		for i, o := range s.Options {
			buttons[i] = map[string]any{
				"type": "button", "action_id": o, "value": s.Token, "text": plain(o, slackLabelMax),
				"accessibility_label": clip(o+": "+s.App, slackLabelMax),
			}
		}
		blocks = append(blocks, map[string]any{"type": "actions", "block_id": s.PromptID, "elements": buttons})
	}
	return append(blocks, section(escape(strings.Join(q.terms(), "\n"))))
}

// SlackClosing is the closing as Block Kit.
func SlackClosing(c Closing) []any {
	return []any{section(escape(strings.Join(c.lines(), "\n")))}
}

func header(s string) any { return map[string]any{"type": "header", "text": plain(s, slackHeaderMax)} }

func section(mrkdwn string) any {
	return map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": clip(mrkdwn, slackSectionMax), "verbatim": true}}
}

func plain(s string, limit int) map[string]any {
	return map[string]any{"type": "plain_text", "text": clip(s, limit), "emoji": false}
}

// escape keeps names from vendors and people from becoming mentions or links:
// https://docs.slack.dev/messaging/formatting-message-text
func escape(s string) string { return escaper.Replace(s) }

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func clip(s string, limit int) string {
	r := []rune(s)
	if len(r) <= limit {
		return s
	}
	return string(r[:limit-1]) + "…"
}
