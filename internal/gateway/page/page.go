// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package page is what the gateway's pages for people have in common: a style
// without anything from elsewhere, headers that keep an address which is a
// credential from leaking, and a limit on how often they are asked for.
package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
)

// Style keeps lines short and contrast high; everything else is the browser's.
const Style = `body{font:1.125rem/1.5 sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff;overflow-wrap:break-word}
a{color:#003a70}
label{display:block;font-weight:bold;margin-top:1rem}
input,textarea{box-sizing:border-box;width:100%;font:inherit;padding:.5rem;border:2px solid #555}
input[type=radio]{width:1.5rem;height:1.5rem;margin:0 .75rem 0 0;vertical-align:middle}
button{font:inherit;padding:.75rem 1.5rem;margin-top:1.5rem;min-height:2.75rem;border:2px solid #003a70;background:#003a70;color:#fff}
:focus-visible{outline:3px solid #b35900;outline-offset:2px}
fieldset{margin-top:1.5rem;border:1px solid #555}
legend{font-weight:bold}
.choice{font-weight:normal;margin:0;padding:.5rem 0}
.given{white-space:pre-line}
.wrong{border-left:.5rem solid #a80000;padding-left:1rem}`

// policy lets a page's own style through, and nothing else.
var policy = func() string {
	sum := sha256.Sum256([]byte(Style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
}()

// Limits of requests for pages: of one sender, and of all that nobody signed.
var (
	senderRate = ratelimit.Rate{Count: 30, Per: time.Minute}
	totalRate  = ratelimit.Rate{Count: 20, Per: time.Second}
)

// senders is how many buckets senders share, so that nobody fills the memory.
const senders = 1024

// Limiter meters requests.
type Limiter interface {
	Take(ctx context.Context, key string, rate ratelimit.Rate) (wait time.Duration, err error)
}

// Handler limits a handler of pages and sets the headers of a page that holds a
// credential. It writes no page into any log: its path is one. Those that signed
// knows, without asking anything else, do not share a limit with everybody, so
// that nobody shuts the page for them; nil knows none.
func Handler(limiter Limiter, signed func(*http.Request) bool, serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Type", "text/html; charset=utf-8")
		head.Set("Content-Security-Policy", policy)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("X-Frame-Options", "DENY")
		head.Set("X-Robots-Tag", "noindex, nofollow")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cache-Control", "no-store")
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		wait, err := limiter.Take(r.Context(), senderKey(r), senderRate)
		if err == nil && wait == 0 && (signed == nil || !signed(r)) {
			wait, err = limiter.Take(r.Context(), "all", totalRate)
		}
		if err != nil || wait > 0 {
			head.Set("Retry-After", strconv.Itoa(max(1, int((wait+time.Second-1)/time.Second))))
			Say(w, http.StatusTooManyRequests, "Too many requests", "Wait a minute, then load this page again.")
			return
		}
		serve(w, r)
	}
}

func senderKey(r *http.Request) string {
	return "sender/" + strconv.Itoa(int(access.AddressBucket(access.ClientAddress(r), senders)))
}

// notice is a page that only says something.
type notice struct {
	Style      template.CSS
	Heading    string
	Paragraphs []string
}

var noticePage = template.Must(template.New("notice").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Heading}} – Seatkeeper</title>
<style>{{.Style}}</style>
</head>
<body>
<main>
<h1>{{.Heading}}</h1>
{{range .Paragraphs}}<p>{{.}}</p>
{{end}}</main>
</body>
</html>
`))

// Say writes a page that only says something.
func Say(w http.ResponseWriter, code int, heading string, paragraphs ...string) {
	Render(w, code, noticePage, notice{Style: Style, Heading: heading, Paragraphs: paragraphs})
}

// Render writes a page, or nothing of it.
func Render(w http.ResponseWriter, code int, t *template.Template, data any) {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		w.WriteHeader(http.StatusInternalServerError) // the templates are constant and tested
		return
	}
	w.WriteHeader(code)
	_, _ = w.Write(b.Bytes()) // an error here is a reader that has gone
}
