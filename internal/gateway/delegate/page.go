// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package delegate

import (
	"html/template"
	"net/http"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/gateway/page"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// form is the page with the form.
type form struct {
	Style       template.CSS
	Connector   string
	DocsURL     string
	Integration string
	CreatedBy   string
	Expires     string
	ExpiresISO  string
	Ways        []way
	Faults      []fault
}

// way is one way to sign in: a form of its own, so that nobody has to choose
// before filling in.
type way struct {
	Auth, Title string
	Fields      []input
}

type input struct {
	connector.SecretField
	ID, Wrong string
}

func fieldID(auth, name string) string { return auth + "-" + name }

func formOf(d store.Delegation, m *connector.Manifest, faults []fault) form {
	f := form{Style: page.Style, Connector: m.Title(), DocsURL: m.DocsURL(), Integration: d.Integration, CreatedBy: d.CreatedBy, Faults: faults,
		Expires: d.ExpiresAt.UTC().Format("2 January 2006, 15:04 UTC"), ExpiresISO: d.ExpiresAt.UTC().Format("2006-01-02T15:04:05Z")}
	for _, set := range m.SecretSets() {
		w := way{Auth: set.Auth, Title: set.Title}
		for _, field := range m.SecretFields(set.Auth) {
			in := input{SecretField: field, ID: fieldID(set.Auth, field.Name)}
			for _, wrong := range faults {
				if wrong.ID == in.ID {
					in.Wrong = wrong.Message
				}
			}
			w.Fields = append(w.Fields, in)
		}
		f.Ways = append(f.Ways, w)
	}
	return f
}

var pages = template.Must(template.New("form").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{if .Faults}}Error: {{end}}Credential for {{.Connector}} – Seatkeeper</title>
<style>{{.Style}}</style>
</head>
<body>
<main id="main">
<h1>Credential for {{.Connector}}</h1>
{{with .Faults}}<div class="wrong" role="alert">
<h2>Nothing was taken yet</h2>
<p>For safety the fields are empty again.</p>
<ul>{{range .}}<li><a href="#{{.ID}}">{{.Title}}: {{.Message}}</a></li>{{end}}</ul>
</div>{{end}}
<p>{{.CreatedBy}} asks you to supply the credential with which Seatkeeper connects to {{.Connector}} (Integration {{.Integration}}).
It is encrypted, stored as a Kubernetes Secret and never shown again, to nobody.</p>
<p>This link works once, until <time datetime="{{.ExpiresISO}}">{{.Expires}}</time>. If you did not expect it, close this page: nothing happens.</p>
{{with .DocsURL}}<p><a href="{{.}}" target="_blank" rel="noopener noreferrer">Where to find the credential of {{$.Connector}} (opens in a new tab)</a></p>
{{end}}{{range .Ways}}<form method="post" autocomplete="off">
<fieldset>
<legend>{{.Title}}</legend>
<input type="hidden" name="auth" value="{{.Auth}}">
{{range .Fields}}<label for="{{.ID}}">{{.Title}}{{if .Optional}} (optional){{end}}</label>
{{if .Wrong}}<p class="wrong" id="{{.ID}}-wrong">{{.Wrong}}</p>
{{end}}{{if .PEM}}<textarea id="{{.ID}}" name="secret.{{.Name}}" rows="8" spellcheck="false" autocomplete="off"{{if not .Optional}} required{{end}}{{if .Wrong}} aria-invalid="true" aria-describedby="{{.ID}}-wrong"{{end}}></textarea>
{{else}}<input id="{{.ID}}" name="secret.{{.Name}}" type="password" spellcheck="false" autocomplete="off"{{if not .Optional}} required{{end}}{{if .Wrong}} aria-invalid="true" aria-describedby="{{.ID}}-wrong"{{end}}>
{{end}}{{end}}<button type="submit">Supply the credential</button>
</fieldset>
</form>
{{end}}</main>
</body>
</html>
`))

func writePage(w http.ResponseWriter, code int, f form) { page.Render(w, code, pages, f) }
