// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"fmt"
	"html/template"
	"slices"
	"strings"
)

// Mail is a message as people read it: the same in plain text and in HTML.
type Mail struct {
	Subject string
	Text    string
	HTML    string
}

// subjectMax keeps a subject readable in a list of messages.
const subjectMax = 150

// letter is what both parts of a mail are made of.
type letter struct {
	Subject string
	Intro   []string
	Items   []linked
	Terms   []string
	Footer  []string
}

// linked is one thing that is asked, and where to answer.
type linked struct {
	Item
	Link, Label string
}

// Item is one thing that a question is about.
type Item struct {
	PromptID string
	Name     string // may be empty
	Lines    []string
}

// Parts is the question in pieces, for a page or a mail: who asks and why, what
// about, and the terms. With a prompt's id it has that prompt's items only.
func (q Question) Parts(promptID string) (intro []string, items []Item, terms []string) {
	if q.Matter != nil {
		intro, terms = append(q.matterIntro(), paragraphs(q.Matter.Text)...), q.matterTerms()
		for _, p := range q.Prompts() {
			items = append(items, Item{PromptID: p.ID})
		}
		return intro, items, terms
	}
	for _, s := range q.Seats {
		if promptID == "" || s.PromptID == promptID {
			lines := q.facts(s)
			items = append(items, Item{PromptID: s.PromptID, Name: lines[0], Lines: lines[1:]})
		}
	}
	return []string{q.greeting()}, items, q.terms()
}

// QuestionMail is the question as a mail. Its links lead to a page where the
// reader answers; neither opening the mail nor the page decides anything.
func QuestionMail(q Question) Mail {
	l := letter{Subject: q.Title()}
	var items []Item
	l.Intro, items, l.Terms = q.Parts("")
	for _, i := range items {
		label := "Answer"
		if i.Name != "" {
			label = "Answer about " + i.Name
		}
		l.Items = append(l.Items, linked{Item: i, Link: q.Links[i.PromptID], Label: label})
	}
	if len(q.Links) > 0 {
		l.Footer = append(l.Footer, "The link is for you alone: do not forward it. It takes one answer and ends with the question. Opening it decides nothing; only the button on its page does.")
	}
	l.Footer = append(l.Footer, sentBy(q.Asker))
	return l.mail()
}

// ClosingMail says what came of a question.
func ClosingMail(c Closing) Mail {
	lines := c.lines()
	l := letter{Subject: "Decided: " + c.App, Intro: lines[:1], Terms: lines[1:], Footer: []string{sentBy("")}}
	switch c.Outcome {
	case Skipped:
		l.Subject = "No longer asked: " + c.App
	case Settled:
		l.Subject = "Settled: " + c.Title
	case Reclaimed, Kept, Failed:
	}
	return l.mail()
}

// PlainMail is a mail of the given text; blank lines part its paragraphs.
func PlainMail(subject, text string) Mail {
	return letter{Subject: subject, Intro: paragraphs(text), Footer: []string{sentBy("")}}.mail()
}

func paragraphs(text string) []string {
	var out []string
	for p := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

func sentBy(asker string) string {
	if asker == "" {
		return "Sent by Seatkeeper. Nobody reads answers to this address."
	}
	return fmt.Sprintf("Sent by Seatkeeper for %s. Nobody reads answers to this address.", asker)
}

func (l letter) mail() Mail {
	l.Subject = clip(oneLine(l.Subject), subjectMax)
	var b bytes.Buffer
	if err := letterHTML.Execute(&b, l); err != nil { // the template is constant and tested
		return Mail{Subject: l.Subject, Text: l.text()}
	}
	return Mail{Subject: l.Subject, Text: l.text(), HTML: b.String()}
}

func (l letter) text() string {
	parts := slices.Clone(l.Intro)
	for _, i := range l.Items {
		var lines []string
		if i.Name != "" {
			lines = append(lines, i.Name)
		}
		lines = append(lines, i.Lines...)
		if i.Link != "" {
			lines = append(lines, i.Label+":", i.Link)
		}
		parts = append(parts, strings.Join(lines, "\n  "))
	}
	if len(l.Terms) > 0 {
		parts = append(parts, strings.Join(l.Terms, "\n"))
	}
	parts = append(parts, "-- \n"+strings.Join(l.Footer, "\n"))
	return strings.Join(parts, "\n\n") + "\n"
}

// oneLine keeps what a vendor or a person named from ending a header.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u0085' || r == '\u2028' || r == '\u2029' }), " ")
}

// The styles are inline, because many mail programs drop any other. Colours
// have a contrast of 7:1 or more, and every link is underlined.
var letterHTML = template.Must(template.New("letter").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Subject}}</title>
</head>
<body style="margin:0;padding:16px;background:#ffffff;color:#1a1a1a;font-family:sans-serif;font-size:16px;line-height:1.5">
<div style="max-width:600px">
<h1 style="font-size:22px;line-height:1.3">{{.Subject}}</h1>
{{range .Intro}}<p style="white-space:pre-line">{{.}}</p>
{{end}}{{range .Items}}{{with .Name}}<h2 style="font-size:18px">{{.}}</h2>
{{end}}{{with .Lines}}<ul>{{range .}}
<li>{{.}}</li>{{end}}
</ul>
{{end}}{{if .Link}}<p><a href="{{.Link}}" style="color:#003a70;font-weight:bold;text-decoration:underline">{{.Label}}</a></p>
{{end}}{{end}}{{range .Terms}}<p>{{.}}</p>
{{end}}<hr>
{{range .Footer}}<p style="font-size:14px">{{.}}</p>
{{end}}</div>
</body>
</html>
`))
