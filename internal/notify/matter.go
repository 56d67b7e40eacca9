// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"fmt"
	"slices"
	"strings"
)

// MatterKind is what a Matter wants of its reader.
type MatterKind string

// Kinds of matters.
const (
	Approval MatterKind = "approval" // a yes or a no
	Choice   MatterKind = "question" // one of some options
	Task     MatterKind = "task"     // something to do, and to say when it is done
	Notice   MatterKind = "notice"   // nothing
)

// Answers to an approval and to a task.
const (
	Approve = "Approve"
	Reject  = "Reject"
	Done    = "Done"
)

// EvidenceRequired is the evidence of a task that is not done without.
const EvidenceRequired = "Required"

// Matter is what a question is about that is not about seats, in the words of
// who wrote the Workflow.
type Matter struct {
	Kind MatterKind
	// ID is the prompt's, or names a notice among all messages.
	ID    string
	Token string `json:"-"` // what an answer carries; a notice has none
	// Subject is the line above it; empty: its kind and the Workflow say it.
	Subject string
	Text    string
	// About says whom it is about: "Jo Doe (jo@acme.example)"; may be empty.
	About   string
	Options []string
	// Evidence of a Task is Optional or Required.
	Evidence string
	// Silence says what happens without an answer, as a clause.
	Silence string
}

// Prompt is something in a question that takes an answer.
type Prompt struct {
	ID      string
	Token   string
	About   string // one line
	Options []string
	// Text says what a text with the answer is: "reason" or "evidence"; empty: it
	// takes none.
	Text         string
	TextRequired bool
}

// Prompts lists what the question takes answers to; a notice has none.
func (q Question) Prompts() []Prompt {
	if m := q.Matter; m != nil {
		if m.Kind == Notice {
			return nil
		}
		p := Prompt{ID: m.ID, Token: m.Token, About: q.Title(), Options: m.Options}
		switch m.Kind {
		case Task:
			p.Text, p.TextRequired = "evidence", m.Evidence == EvidenceRequired
		case Approval:
			p.Text = "reason"
		case Choice, Notice:
		}
		return []Prompt{p}
	}
	out := make([]Prompt, len(q.Seats))
	for i, s := range q.Seats {
		out[i] = Prompt{ID: s.PromptID, Token: s.Token, About: q.facts(s)[0], Options: s.Options}
	}
	return out
}

func (q Question) matterTitle() string {
	m := q.Matter
	switch {
	case m.Subject != "":
		return m.Subject
	case m.Kind == Approval:
		return "Your approval is asked for: " + q.Policy
	case m.Kind == Choice:
		return "A question for you: " + q.Policy
	case m.Kind == Task:
		return "A task for you: " + q.Policy
	}
	return q.Policy
}

// matterIntro says who asks, why, and about whom.
func (q Question) matterIntro() []string {
	wants := map[MatterKind]string{
		Approval: "asks for your approval", Choice: "asks you a question", Task: "has a task for you", Notice: "tells you about " + q.Policy,
	}[q.Matter.Kind]
	lines := []string{fmt.Sprintf("Hello %s, %s %s. Why: %s (workflow %s).", q.To, q.Asker, wants, q.Why, q.Policy)}
	if q.Matter.About != "" {
		lines = append(lines, "About: "+q.Matter.About)
	}
	return lines
}

// matterTerms are the lines about answering.
func (q Question) matterTerms() []string {
	m := q.Matter
	var lines []string
	switch {
	case m.Kind == Notice:
	case q.Deadline.IsZero():
		lines = append(lines, "There is no deadline. Until it is done: "+m.Silence+".")
	default:
		lines = append(lines, fmt.Sprintf("Answer by %s. Without an answer by then: %s.", Instant(q.Deadline, q.Zone), m.Silence))
	}
	switch m.Kind {
	case Approval:
		lines = append(lines, "Your choices: Approve lets it go on; Reject does not.",
			command("approvals", m.ID, Approve))
	case Choice:
		lines = append(lines, "Your choices: "+strings.Join(m.Options, "; ")+".", command("reviews", m.ID, m.Options[0]))
	case Task:
		say := "When it is done, say Done."
		if m.Evidence == EvidenceRequired {
			say = "When it is done, say Done, with a text or a link that shows it."
		}
		lines = append(lines, say, command("tasks", m.ID, Done))
	case Notice:
	}
	if q.Contact != "" {
		lines = append(lines, "Questions: "+q.Contact)
	}
	return lines
}

func command(list, id, choice string) string {
	return fmt.Sprintf("On the command line: seatkeeper %s decide %s --choice '%s'", list, id, strings.ReplaceAll(choice, "'", `'\''`))
}

// matterText is the matter as plain text.
func matterText(q Question) string {
	parts := []string{q.Title(), strings.Join(q.matterIntro(), "\n"), strings.TrimSpace(q.Matter.Text), strings.Join(q.matterTerms(), "\n")}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "\n\n") + "\n"
}

// maxSections bounds a text in Slack: more than any Workflow's text needs.
const maxSections = 8

func matterBlocks(q Question) []any {
	m := q.Matter
	blocks := []any{header(q.Title()), section(escape(strings.Join(q.matterIntro(), "\n")))}
	text := []rune(strings.TrimSpace(m.Text))
	for n := 0; len(text) > 0 && n < maxSections; n++ {
		end := min(len(text), slackSectionMax)
		for len([]rune(escape(string(text[:end])))) > slackSectionMax {
			end = end * 4 / 5
		}
		blocks = append(blocks, section(escape(string(text[:end]))))
		text = text[end:]
	}
	for _, p := range q.Prompts() {
		if p.Text != "" {
			blocks = append(blocks, input(p))
		}
		buttons := make([]any, len(p.Options))
		for i, o := range p.Options {
			buttons[i] = map[string]any{
				"type": "button", "action_id": o, "value": p.Token, "text": plain(o, slackLabelMax), "accessibility_label": clip(o+": "+q.Policy, slackLabelMax),
			}
		}
		blocks = append(blocks, map[string]any{"type": "actions", "block_id": p.ID, "elements": buttons})
	}
	if terms := q.matterTerms(); len(terms) > 0 {
		blocks = append(blocks, section(escape(strings.Join(terms, "\n"))))
	}
	return blocks
}

// TextAction is the action_id of the text that comes with an answer.
const TextAction = "text"

// TextBlock is the block_id of the text above the buttons of a block.
func TextBlock(blockID string) string { return blockID + "." + TextAction }

// input is a field whose value comes with the button that is pressed:
// https://docs.slack.dev/reference/block-kit/blocks/input-block
func input(p Prompt) any {
	label := strings.ToUpper(p.Text[:1]) + p.Text[1:]
	if p.TextRequired {
		label += " (required)"
	}
	return map[string]any{
		"type": "input", "block_id": TextBlock(p.ID), "optional": true, "label": plain(label, slackLabelMax),
		"element": map[string]any{"type": "plain_text_input", "action_id": TextAction, "multiline": true, "max_length": MaxAnswerText},
	}
}

// MaxAnswerText bounds a reason or evidence, in characters.
const MaxAnswerText = 2000
