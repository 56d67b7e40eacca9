// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package answer

import (
	"html/template"

	"github.com/seatkeeper/seatkeeper/internal/gateway/page"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Names of the form's fields.
const (
	fieldChoice = "choice"
	fieldText   = "text"
)

// form is the page that asks.
type form struct {
	Style    template.CSS
	Title    string
	Intro    []string
	Items    []notify.Item
	Terms    []string
	Choices  []choice
	Text     string // what a text with the answer is; empty: none is taken
	Required bool
	Max      int
	Given    string
	Wrong    string
}

type choice struct {
	Value, Label, ID string
	Checked          bool
}

func formOf(q notify.Question, p notify.Prompt, stored store.Prompt, g given) form {
	f := form{Style: page.Style, Title: q.Title(), Text: p.Text, Required: p.TextRequired, Max: notify.MaxAnswerText, Given: g.text, Wrong: g.wrong}
	f.Intro, f.Items, f.Terms = q.Parts(p.ID)
	for i, o := range stored.Options {
		f.Choices = append(f.Choices, choice{Value: o, Label: q.ChoiceLabel(o), ID: "choice" + string(rune('a'+i)), Checked: o == g.choice})
	}
	return f
}

// questionPage has one heading of each level in order, a group of radio buttons
// with a legend, and a place for what is wrong that screen readers announce.
var questionPage = template.Must(template.New("question").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{if .Wrong}}Error: {{end}}{{.Title}} – Seatkeeper</title>
<style>{{.Style}}</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
{{with .Wrong}}<div class="wrong" role="alert">
<h2>Nothing was recorded yet</h2>
<p id="wrong">{{.}}</p>
</div>
{{end}}{{range .Intro}}<p class="given">{{.}}</p>
{{end}}{{range .Items}}{{with .Name}}<h2>{{.}}</h2>
{{end}}{{with .Lines}}<ul>{{range .}}
<li>{{.}}</li>{{end}}
</ul>
{{end}}{{end}}{{range .Terms}}<p>{{.}}</p>
{{end}}<form method="post" autocomplete="off">
<fieldset{{if .Wrong}} aria-describedby="wrong"{{end}}>
<legend>Your answer</legend>
{{range .Choices}}<label class="choice" for="{{.ID}}"><input type="radio" id="{{.ID}}" name="choice" value="{{.Value}}" required{{if .Checked}} checked{{end}}>{{.Label}}</label>
{{end}}{{with .Text}}<label for="text">Your {{.}} {{if $.Required}}(required){{else}}(optional){{end}}</label>
<textarea id="text" name="text" rows="4" maxlength="{{$.Max}}"{{if $.Required}} required{{end}}{{if $.Wrong}} aria-describedby="wrong"{{end}}>{{$.Given}}</textarea>
{{end}}</fieldset>
<button type="submit">Send the answer</button>
</form>
<p>Loading this page decides nothing; sending the answer does, once.</p>
</main>
</body>
</html>
`))
