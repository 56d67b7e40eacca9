// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func question(t *testing.T) Question {
	last := time.Date(2026, 7, 27, 7, 30, 0, 0, time.UTC)
	return Question{
		Asker: "Acme IT", Policy: "zoom-90d", Why: "seats that were not used for 90 days are given back", To: "Ada", Zone: zone(t, "Europe/Berlin"),
		Seats: []Seat{{
			PromptID: "prompt-1", Token: "token-1", Options: []string{Reclaim, Keep, Escalate}, App: "Zoom", Plan: "Licensed", Account: "ada@acme.example",
			LastUse: &last, Source: "zoom.last_login_time", YearlyCost: &model.Money{Minor: 18000, Currency: "EUR"},
			Effect: "your seat is downgraded to Basic; your account stays", GetBack: "ask for it in the catalog or in #it-help",
		}},
		Deadline: time.Date(2026, 11, 24, 17, 0, 0, 0, time.UTC), Silence: Keep, KeepFor: "90 days", NextUp: "your manager", Contact: "it@acme.example",
	}
}

func several(t *testing.T) Question {
	q := question(t)
	second := q.Seats[0]
	second.PromptID, second.Token, second.App, second.Plan, second.Account = "prompt-2", "token-2", "Slack", "Business+", ""
	second.LastUse, second.Source, second.Observed = nil, "slack.access_logs", time.Date(2026, 5, 1, 23, 30, 0, 0, time.UTC)
	second.YearlyCost = &model.Money{Minor: 1500, Currency: "JPY"}
	second.Effect, second.GetBack = "your Slack account ends", "ask IT, which invites you again"
	q.Seats, q.Silence = append(q.Seats, second), Reclaim
	return q
}

func escalation(t *testing.T) Question {
	q := question(t)
	q.To, q.Holder, q.Zone = "Mia", "Ada", zone(t, "Asia/Tokyo")
	q.Seats[0].Options = []string{Reclaim, Keep}
	return q
}

// Decision 32: a question says who asks and why, which app, the last use with
// source and date, what ends, by when, what silence means, how to get it back
// and whom to ask, in plain text too.
func TestQuestions(t *testing.T) {
	reminder := question(t)
	reminder.Reminder = 1
	for name, q := range map[string]Question{"question": question(t), "several": several(t), "escalation": escalation(t), "reminder": reminder} {
		t.Run(name, func(t *testing.T) {
			text := Text(q)
			golden(t, name+".txt", text)
			blocks, err := json.MarshalIndent(SlackBlocks(q), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".slack.json", string(blocks)+"\n")
			if strings.Contains(text, "token-1") {
				t.Error("the plain text holds a token")
			}
			for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
				if line = strings.TrimSpace(line); line != "" && line != q.Title() && !strings.Contains(unescape(blockText(t, SlackBlocks(q))), line) {
					t.Errorf("the blocks do not say %q", line)
				}
			}
		})
	}
}

func blockText(t *testing.T, blocks []any) string {
	t.Helper()
	var b strings.Builder
	for _, block := range blocks {
		if text, ok := block.(map[string]any)["text"].(map[string]any); ok {
			fmt.Fprintln(&b, text["text"])
		}
	}
	return b.String()
}

func unescape(s string) string {
	return strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">", "*", "").Replace(s)
}

func TestClosings(t *testing.T) {
	base := Closing{App: "Zoom", Plan: "Licensed", Decided: "you chose Reclaim", At: time.Date(2026, 11, 22, 9, 5, 0, 0, time.UTC), Zone: zone(t, "Europe/Berlin"),
		Effect: "your seat is downgraded to Basic; your account stays", GetBack: "ask in #it-help", Contact: "it@acme.example"}
	with := func(change func(*Closing)) Closing { c := base; change(&c); return c }
	var b strings.Builder
	for _, c := range []Closing{
		with(func(c *Closing) { c.Outcome = Reclaimed }),
		with(func(c *Closing) { c.Outcome, c.Holder, c.Decided = Reclaimed, "Ada", "Mia chose Reclaim" }),
		with(func(c *Closing) { c.Outcome, c.Until, c.Decided = Kept, "2027-02-20", "you chose Keep" }),
		with(func(c *Closing) {
			c.Outcome, c.Decided = Kept, "nobody answered in time, so the declared default applied: Keep"
		}),
		with(func(c *Closing) {
			c.Outcome, c.Decided, c.Detail = Skipped, "", "Zoom was used on 2026-11-21, so the seat stays"
		}),
		with(func(c *Closing) { c.Outcome, c.Detail = Failed, "the token lacks user:write" }),
	} {
		b.WriteString(ClosingText(c) + "\n")
		for _, block := range SlackClosing(c) {
			if block.(map[string]any)["type"] == "actions" {
				t.Error("a closing has buttons")
			}
		}
	}
	golden(t, "closings.txt", b.String())
}

// Names come from vendors and people; they must not become mentions or links.
func TestSlackEscapes(t *testing.T) {
	q := question(t)
	q.To, q.Seats[0].Account = "<!channel>", "<https://evil.example|click> & co"
	raw, err := json.Marshal(SlackBlocks(q))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{`\u003c!channel`, `\u003chttps`} {
		if strings.Contains(string(raw), bad) {
			t.Errorf("blocks hold %s unescaped", bad)
		}
	}
}

func TestSlackLimits(t *testing.T) {
	q := question(t)
	q.Seats[0].App = strings.Repeat("Ü", 5000)
	for range MaxSeats + 10 {
		q.Seats = append(q.Seats, q.Seats[0])
	}
	blocks := SlackBlocks(q)
	if len(blocks) > 50 {
		t.Errorf("%d blocks, Slack takes 50", len(blocks))
	}
	for _, b := range blocks {
		m := b.(map[string]any)
		limit := map[string]int{"header": slackHeaderMax, "section": slackSectionMax}[fmt.Sprint(m["type"])]
		if text, ok := m["text"].(map[string]any); ok && len([]rune(text["text"].(string))) > limit {
			t.Errorf("%s of %d characters, Slack takes %d", m["type"], len([]rune(text["text"].(string))), limit)
		}
	}
}
