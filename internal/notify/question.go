// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package notify builds what people are told and asked: pure functions from
// facts to plain text and to Slack blocks that say the same. It sends nothing.
//
// A question says who asks and why, which app, the last use with its source
// and date, what ends, by when, what silence means, how to get it back and
// whom to ask. State is said in words, never by colour or emoji alone; times
// are in the reader's zone, as ISO dates with the offset.
package notify

import (
	"fmt"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Choices of a seat question.
const (
	Reclaim  = "Reclaim"
	Keep     = "Keep"
	Escalate = "Escalate"
)

// MaxSeats is how many seats fit one message: Slack takes 50 blocks.
const MaxSeats = 20

// Seat is one seat and the question about it.
type Seat struct {
	PromptID string
	Token    string `json:"-"` // what an answer carries
	Options  []string

	App        string
	Plan       string
	Account    string // as its holder knows it; may be empty
	LastUse    *time.Time
	Source     string    // of LastUse or of its absence: "zoom.last_login_time"; may be empty
	Observed   time.Time // since when absence of use is proven
	YearlyCost *model.Money
	// Effect says what happens on Reclaim, as a clause: "your seat is
	// downgraded to Basic; your account stays".
	Effect string
	// GetBack says how to have the seat again.
	GetBack string
}

// Question asks one person about seats, or puts a Matter to them. As JSON it is
// kept with its prompts, so that a page can ask the same; it then holds nothing
// that could answer.
type Question struct {
	Asker    string // who asks: the organisation's IT
	Policy   string
	Why      string         // a clause: "seats that were not used for 90 days are given back"
	To       string         // the reader's name
	Zone     *time.Location `json:"-"`
	Holder   string         // whose seats they are, when not the reader's
	Seats    []Seat
	Deadline time.Time
	Silence  string // the choice that silence stands for
	KeepFor  string // "90 days"
	NextUp   string // who decides on Escalate: "your manager"
	Contact  string // whom to ask
	Reminder int    // 0: the question itself; else which reminder
	// Matter is set where it is not about seats.
	Matter *Matter
	// Links are the pages where the reader answers, by prompt; only mails have them.
	Links map[string]string `json:"-"`
}

// Key names the message among all that are sent: it is how a message whose
// delivery is in doubt is recognised.
func (q Question) Key() string {
	id := ""
	switch {
	case q.Matter != nil:
		id = q.Matter.ID
	case len(q.Seats) > 0:
		id = q.Seats[0].PromptID
	}
	if id != "" && q.Reminder > 0 {
		return fmt.Sprintf("%s.reminder%d", id, q.Reminder)
	}
	return id
}

// Title is the message's one-line summary, which notifications show.
func (q Question) Title() string {
	app := q.apps()
	var s string
	switch {
	case q.Matter != nil:
		s = q.matterTitle()
	case q.Holder != "":
		s = fmt.Sprintf("Does %s still need %s?", q.Holder, app)
	default:
		s = fmt.Sprintf("Do you still need %s?", app)
	}
	if q.Reminder > 0 {
		s = "Reminder: " + s
	}
	return s
}

func (q Question) apps() string {
	var names []string
	for _, s := range q.Seats {
		if len(names) == 0 || names[len(names)-1] != s.App {
			names = append(names, s.App)
		}
	}
	switch n := len(names); {
	case n <= 2:
		return strings.Join(names, " and ")
	default:
		return fmt.Sprintf("%s and %d other apps", names[0], n-1)
	}
}

func (q Question) greeting() string {
	who := "your paid seat"
	if q.Holder != "" {
		who = "the paid seat of " + q.Holder
	}
	if len(q.Seats) > 1 {
		who = strings.Replace(who, "seat", "seats", 1)
	}
	return fmt.Sprintf("Hello %s, %s asks about %s. Why: %s (policy %s).", q.To, q.Asker, who, q.Why, q.Policy)
}

// facts are the lines about one seat.
func (q Question) facts(s Seat) []string {
	name := s.App
	if s.Plan != "" {
		name += ", " + s.Plan
	}
	if s.Account != "" {
		name += " (" + s.Account + ")"
	}
	lines := []string{name}
	if s.LastUse != nil {
		lines = append(lines, "Last use: "+Instant(*s.LastUse, q.Zone)+reportedBy(s.Source))
	} else {
		lines = append(lines, "Last use: none since "+day(s.Observed, q.Zone)+reportedBy(s.Source))
	}
	if s.YearlyCost != nil {
		lines = append(lines, "Cost: "+s.YearlyCost.String()+" a year")
	}
	lines = append(lines, "If given back: "+toOthers(s.Effect, q.Holder), "To get it back: "+s.GetBack)
	return lines
}

// reportedBy names where a last use, or its absence, is known from.
func reportedBy(source string) string {
	if source == "" {
		return ""
	}
	return ", as " + source + " reports"
}

// toOthers words a clause that speaks to the holder for another reader.
func toOthers(clause, holder string) string {
	if holder == "" {
		return clause
	}
	return thirdPerson.Replace(clause)
}

var thirdPerson = strings.NewReplacer("your ", "their ", "Your ", "Their ", "you ", "they ", "You ", "They ")

// terms are the lines about answering.
func (q Question) terms() []string {
	var silence string
	switch {
	case q.Silence == Reclaim:
		silence = "the seat is given back"
	case q.Holder != "":
		silence = q.Holder + " keeps the seat; nothing changes"
	default:
		silence = "you keep the seat; nothing changes"
	}
	lines := []string{
		fmt.Sprintf("Answer by %s. Without an answer by then: %s.", Instant(q.Deadline, q.Zone), silence),
		"Your choices: " + strings.Join(q.choices(), "; ") + ".",
	}
	if q.Contact != "" {
		lines = append(lines, "Questions: "+q.Contact)
	}
	return lines
}

func (q Question) choices() []string {
	var out []string
	if len(q.Seats) == 0 {
		return nil
	}
	for _, o := range q.Seats[0].Options {
		out = append(out, q.ChoiceLabel(o))
	}
	return out
}

// ChoiceLabel says what a choice means.
func (q Question) ChoiceLabel(option string) string {
	switch {
	case q.Matter != nil:
		return option
	case option == Reclaim:
		return "Reclaim gives the seat back"
	case option == Keep:
		return "Keep leaves it for " + q.KeepFor + " without being asked again"
	case option == Escalate:
		return "Escalate asks " + q.NextUp + " to decide"
	}
	return option
}

// Text is the question as plain text. It holds no token: it is for reading.
func Text(q Question) string {
	if q.Matter != nil {
		return matterText(q)
	}
	var b strings.Builder
	b.WriteString(q.Title() + "\n\n" + q.greeting() + "\n")
	for _, s := range q.Seats {
		b.WriteString("\n")
		for i, line := range q.facts(s) {
			if i > 0 {
				b.WriteString("  ")
			}
			b.WriteString(line + "\n")
		}
	}
	b.WriteString("\n" + strings.Join(q.terms(), "\n") + "\n")
	return b.String()
}

// Instant writes t in zone: 2026-11-24 18:00 +01:00 (Europe/Berlin).
func Instant(t time.Time, zone *time.Location) string {
	if zone == nil || zone == time.UTC {
		return t.UTC().Format("2006-01-02 15:04") + " UTC"
	}
	return t.In(zone).Format("2006-01-02 15:04 -07:00") + " (" + zone.String() + ")"
}

func day(t time.Time, zone *time.Location) string {
	if zone == nil {
		zone = time.UTC
	}
	return t.In(zone).Format("2006-01-02")
}
