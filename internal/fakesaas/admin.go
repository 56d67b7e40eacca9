// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package fakesaas

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"
)

func isAdminPath(path string) bool { return path == "/_sim" || strings.HasPrefix(path, "/_sim/") }

// adminHandler serves /_sim/, the simulators' own pages. It refuses posts from
// other sites' pages: what runs on this machine is no business of theirs.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/_sim/", http.StatusFound) })
	mux.HandleFunc("GET /_sim/{$}", s.adminPage)
	mux.HandleFunc("GET /_sim/truth", s.adminTruth)
	mux.HandleFunc("POST /_sim/truth", s.adminTruth)
	mux.HandleFunc("GET /_sim/effects", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, orEmpty(s.Effects())) })
	mux.HandleFunc("GET /_sim/violations", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, orEmpty(s.Violations())) })
	mux.HandleFunc("GET /_sim/requests", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Requests()) })
	mux.HandleFunc("GET /_sim/messages", s.adminMessages)
	mux.HandleFunc("POST /_sim/click", s.adminClick)
	mux.HandleFunc("GET /_sim/faults", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Faults()) })
	mux.HandleFunc("POST /_sim/faults", s.adminAddFaults)
	mux.HandleFunc("DELETE /_sim/faults", func(w http.ResponseWriter, _ *http.Request) { s.ClearFaults(); w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("POST /_sim/expire-tokens", func(w http.ResponseWriter, _ *http.Request) { s.ExpireTokens(); w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /_sim/endpoints", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Endpoints()) })
	return http.NewCrossOriginProtection().Handler(mux)
}

func orEmpty[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v)
}

func writeProblem(w http.ResponseWriter, err error) {
	writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
}

// adminTruth answers by the rules of the start, which a posted TruthOptions or
// the query (now, window, zone, neverUsedAfter, protected, includeSeats)
// replaces.
func (s *Server) adminTruth(w http.ResponseWriter, r *http.Request) {
	o := s.opts.Truth
	if r.Method == http.MethodPost {
		o = TruthOptions{}
		if err := decodeStrict(r, &o); err != nil {
			writeProblem(w, err)
			return
		}
	}
	q := r.URL.Query()
	for name, at := range map[string]*time.Duration{"window": &o.Window, "neverUsedAfter": &o.NeverUsedAfter} {
		if text := q.Get(name); text != "" {
			d, err := time.ParseDuration(text)
			if err != nil {
				writeProblem(w, err)
				return
			}
			*at = d
		}
	}
	if text := q.Get("now"); text != "" {
		now, err := time.Parse(time.RFC3339, text)
		if err != nil {
			writeProblem(w, err)
			return
		}
		o.Now = now
	}
	if zone := q.Get("zone"); zone != "" {
		if _, err := time.LoadLocation(zone); err != nil {
			writeProblem(w, err)
			return
		}
		o.Zone = zone
	}
	if who := q.Get("protected"); who != "" {
		o.Protected = strings.Split(who, ",")
	}
	o.IncludeSeats = o.IncludeSeats || q.Get("includeSeats") == "true"
	writeJSON(w, http.StatusOK, s.Truth(o))
}

func decodeStrict(r *http.Request, v any) error {
	dec := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// adminAddFaults takes one fault or a list.
func (s *Server) adminAddFaults(w http.ResponseWriter, r *http.Request) {
	var raw json.RawMessage
	if err := decodeStrict(r, &raw); err != nil {
		writeProblem(w, err)
		return
	}
	var faults []Fault
	if json.Unmarshal(raw, &faults) != nil {
		var one Fault
		if err := json.Unmarshal(raw, &one); err != nil {
			writeProblem(w, err)
			return
		}
		faults = []Fault{one}
	}
	for _, f := range faults {
		if err := f.check(); err != nil {
			writeProblem(w, err)
			return
		}
	}
	ids := []int{}
	for _, f := range faults {
		ids = append(ids, s.AddFault(f))
	}
	writeJSON(w, http.StatusCreated, map[string]any{"ids": ids})
}

// shownMessage is a message as /_sim/messages and the page show it.
type shownMessage struct {
	Message
	For     string   `json:"for,omitempty"` // who it is for, by name
	Email   string   `json:"email,omitempty"`
	Buttons []Button `json:"buttons"`
}

// shown lists messages, the newest first. Only those for one user, if given.
func (s *Server) shown(user string) []shownMessage {
	all := []shownMessage{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range slices.Backward(s.state.Messages) {
		line := shownMessage{Message: *m, Buttons: orEmpty(m.Buttons())}
		if to := (&call{s: s}).slackMember(m.User); to != nil {
			line.For, line.Email = to.RealName, to.Email
		}
		if !m.Deleted && (user == "" || user == m.User || strings.EqualFold(user, line.Email)) {
			all = append(all, line)
		}
	}
	return all
}

func (s *Server) adminMessages(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, s.shown(r.URL.Query().Get("user")))
}

// clickRequest is the JSON form of Click.
type clickRequest struct {
	MessageTS string `json:"messageTs"`
	ActionID  string `json:"actionId"`
	User      string `json:"user"`
	ClickOptions
}

// adminClick takes JSON, and answers JSON, or the page's form.
func (s *Server) adminClick(w http.ResponseWriter, r *http.Request) {
	var req clickRequest
	asForm := !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
	if asForm {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		req.MessageTS, req.ActionID, req.User = r.PostFormValue("messageTs"), r.PostFormValue("actionId"), r.PostFormValue("user")
	} else if err := decodeStrict(r, &req); err != nil {
		writeProblem(w, err)
		return
	}
	result, err := s.Click(r.Context(), req.MessageTS, req.ActionID, req.User, req.ClickOptions)
	switch {
	case err != nil && asForm:
		http.Error(w, "The click did not arrive: "+err.Error(), http.StatusBadGateway)
	case err != nil:
		writeJSON(w, http.StatusBadGateway, map[string]string{"error": err.Error()})
	case asForm:
		note := fmt.Sprintf("Seatkeeper answered %d in %d ms.", result.Status, result.Took.Milliseconds())
		http.SetCookie(w, &http.Cookie{Name: "sim-note", Value: strings.ReplaceAll(note, " ", "_"), Path: "/_sim/", MaxAge: 10, HttpOnly: true, SameSite: http.SameSiteStrictMode})
		http.Redirect(w, r, "/_sim/", http.StatusSeeOther)
	default:
		writeJSON(w, http.StatusOK, result)
	}
}

var simPage = template.Must(template.New("sim").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>The simulated Slack</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}
article{border:1px solid #767676;border-radius:.5rem;padding:.5rem 1rem;margin:1rem 0}pre{white-space:pre-wrap;font:inherit}
form{display:inline}button{font:inherit;padding:.3rem .8rem;margin:.2rem}</style></head>
<body><h1>The simulated Slack of {{.Company}}</h1>
<p>Answer as the employee who was asked: each button sends what the real Slack would send.
Also here: <a href="/_sim/truth">truth</a>, <a href="/_sim/effects">effects</a>, <a href="/_sim/faults">faults</a>,
<a href="/_sim/violations">violations</a>, <a href="/_sim/messages">messages</a>.</p>
{{with .Note}}<p role="status"><strong>{{.}}</strong></p>{{end}}
<h2>Messages</h2>
{{range .Messages}}<article><h3>To {{if .For}}{{.For}} ({{.Email}}){{else}}{{.Channel}}{{end}}</h3>
{{if .Ephemeral}}<p>Visible only to them.</p>{{end}}<pre>{{.Text}}</pre>
{{$m := .}}{{range .Buttons}}<form method="post" action="/_sim/click"><input type="hidden" name="messageTs" value="{{$m.TS}}"><input type="hidden" name="actionId" value="{{.ActionID}}"><input type="hidden" name="user" value="{{$m.User}}"><button>{{.Text}}</button></form>
{{end}}</article>
{{else}}<p>None yet.</p>
{{end}}</body></html>
`))

func (s *Server) adminPage(w http.ResponseWriter, r *http.Request) {
	note := ""
	if cookie, err := r.Cookie("sim-note"); err == nil {
		note = strings.ReplaceAll(cookie.Value, "_", " ")
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
	_ = simPage.Execute(w, map[string]any{"Company": s.state.Company.String(), "Note": note, "Messages": s.shown("")})
}
