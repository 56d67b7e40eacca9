// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func matter(t *testing.T, m Matter) Question {
	m.ID, m.Token, m.About = "prompt-1", "token-1", "Jo Doe (jo@acme.example)"
	q := Question{
		Asker: "Acme", Policy: "zoom-leaver", Why: "started by hand by ops", To: "Mia", Zone: zone(t, "Europe/Berlin"),
		Deadline: time.Date(2026, 11, 24, 17, 0, 0, 0, time.UTC), Matter: &m,
	}
	if m.Kind == Task || m.Kind == Notice {
		q.Deadline = time.Time{}
	}
	return q
}

func TestMattersInWords(t *testing.T) {
	for name, m := range map[string]Matter{
		"matter-approval": {Kind: Approval, Text: "Delete the account of Jo?", Options: []string{Approve, Reject}, Silence: "it counts as Reject"},
		"matter-question": {Kind: Choice, Text: "Which <licence>?", Options: []string{"E3", "Mia's"}, Silence: "the step fails"},
		"matter-task":     {Kind: Task, Text: "Collect the laptop.", Options: []string{Done}, Evidence: EvidenceRequired, Silence: "the workflow waits"},
		"matter-notice":   {Kind: Notice, Subject: "Jo has left", Text: "Zoom was given back.\n\nNothing is to be done."},
	} {
		t.Run(name, func(t *testing.T) {
			q := matter(t, m)
			blocks, err := json.MarshalIndent(SlackBlocks(q), "", " ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, Text(q)+"---\n"+string(blocks)+"\n")
			if strings.Contains(Text(q), "token-1") {
				t.Error("the text holds the token")
			}
		})
	}
}

func TestMatterOfManyWordsFitsSlack(t *testing.T) {
	q := matter(t, Matter{Kind: Notice, Text: strings.Repeat("a&b ", 20_000)})
	blocks := SlackBlocks(q)
	if len(blocks) > 50 {
		t.Errorf("%d blocks", len(blocks))
	}
}

func TestMatterClosing(t *testing.T) {
	got := ClosingText(Closing{Outcome: Settled, Title: "A task for you: zoom-leaver", Detail: "Mia said Done", Contact: "it@acme.example"})
	if want := "A task for you: zoom-leaver\nMia said Done.\nQuestions: it@acme.example\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
