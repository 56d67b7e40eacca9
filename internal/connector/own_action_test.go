// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// own returns the sample of a Connector resource with an action of its own.
func own(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile("../../config/samples/connector-http.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// An action that no list foresees: steps that use what the one before was
// answered, and an output for whoever runs it (acceptance rows 51 to 53, 55).
func TestActionOfOnesOwn(t *testing.T) {
	var m struct{ Spec map[string]any }
	if err := yaml.Unmarshal(own(t), &m); err != nil {
		t.Fatal(err)
	}
	spec, err := encodeJSON(m.Spec)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := LoadSpec("crm-notes", spec)
	if err != nil {
		t.Fatal(err)
	}
	var note, key string
	v := newVendor(t, map[string]http.HandlerFunc{
		"POST /oauth/token": say(`{"access_token":"t1","expires_in":3600}`),
		"GET /v2/customers": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer t1" || r.URL.Query().Get("email") != "ada@acme.example" {
				t.Errorf("got %s with %q", r.URL, r.Header.Get("Authorization"))
			}
			_, _ = w.Write([]byte(`{"customers":[{"id":7}]}`))
		},
		"POST /v2/customers/7/notes": func(w http.ResponseWriter, r *http.Request) {
			raw, _ := io.ReadAll(r.Body)
			note, key = string(raw), r.Header.Get("Idempotency-Key")
			_, _ = w.Write([]byte(`{"id":99}`))
		},
	})
	s, err := Open(Options{Manifest: manifest, Permission: PermissionReadAndAct, Secrets: map[string]string{"clientId": "c", "clientSecret": "s"},
		Endpoints: map[string]string{"api.crm.acme.example": v.URL, "login.crm.acme.example": v.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	res, err := s.Execute(t.Context(), ActionCall{Name: "http.addNote", IdempotencyKey: "k1",
		Input: map[string]any{"email": "ada@acme.example", "text": "Left on Friday"}})
	if err != nil || res.Class != ResultDone {
		t.Fatalf("%+v, %v", res, err)
	}
	if note != `{"text":"Left on Friday"}` || key != "k1" {
		t.Errorf("sent %s with key %q", note, key)
	}
	if d := cmp.Diff(map[string]any{"note": "99"}, res.Output); d != "" {
		t.Errorf("output (-want +got):\n%s", d)
	}
}

// An action may talk GraphQL: a query finds what a mutation changes, and errors
// in a good answer are no success.
func TestGraphQLActionOfOnesOwn(t *testing.T) {
	raw := string(own(t))
	from, to := strings.Index(raw, "      steps:\n"), strings.Index(raw, "      output:\n")
	raw = raw[:from] + `      steps:
      - post: /graphql
        graphql:
          query: "query Find($email: String!) { items(email: $email) { id } }"
          variables: {email: input.email}
        save:
          item: string(resp.data.items[0].id)
      - post: /graphql
        graphql:
          query: "mutation Note($id: ID!, $text: String!) { addNote(id: $id, text: $text) { id } }"
          variables: {id: vars.item, text: input.text}
        save:
          note: string(resp.data.addNote.id)
` + raw[to:]
	var m struct{ Spec map[string]any }
	if err := yaml.Unmarshal([]byte(raw), &m); err != nil {
		t.Fatal(err)
	}
	spec, err := encodeJSON(m.Spec)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := LoadSpec("crm-notes", spec)
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	noted := `{"data":{"addNote":{"id":99}}}`
	v := newVendor(t, map[string]http.HandlerFunc{
		"POST /oauth/token": say(`{"access_token":"t1","expires_in":3600}`),
		"POST /v2/graphql": func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			asked = append(asked, string(body))
			if strings.Contains(string(body), "mutation") {
				_, _ = w.Write([]byte(noted))
				return
			}
			_, _ = w.Write([]byte(`{"data":{"items":[{"id":7}]}}`))
		},
	})
	s, err := Open(Options{Manifest: manifest, Permission: PermissionReadAndAct, Secrets: map[string]string{"clientId": "c", "clientSecret": "s"},
		Endpoints: map[string]string{"api.crm.acme.example": v.URL, "login.crm.acme.example": v.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	call := ActionCall{Name: "http.addNote", IdempotencyKey: "k1", Input: map[string]any{"email": "ada@acme.example", "text": `a "quoted" word`}}
	res, err := s.Execute(t.Context(), call)
	if err != nil || res.Class != ResultDone || res.Output["note"] != "99" {
		t.Fatalf("%+v, %v", res, err)
	}
	if len(asked) != 2 || !strings.Contains(asked[0], `"variables":{"email":"ada@acme.example"}`) || !strings.Contains(asked[1], `"variables":{"id":"7","text":"a \"quoted\" word"}`) {
		t.Errorf("asked %q", asked)
	}
	noted = `{"data":{"addNote":null},"errors":[{"message":"the item is locked"}]}`
	if res, err = s.Execute(t.Context(), call); ClassOf(err) != ClassInvalid || res.Class != ResultFailed || !strings.Contains(res.Message, "the item is locked") {
		t.Errorf("with errors: %+v, %v", res, err)
	}
}

func TestActionOfOnesOwnSaysWhatItDoes(t *testing.T) {
	raw := string(own(t))
	for name, tt := range map[string]struct{ from, to, want string }{
		"no effect":      {"      effect: neutral\n", "", "effect"},
		"no destructive": {"      destructive: false\n", "", "destructive"},
		"wrong effect":   {"effect: neutral", "effect: none", "grants"},
		"a name":         {"http.addNote", "http.Add-note", "http.closeTicket"},
		"no prefix":      {"http.addNote", "crm.addNote", "begins with http."},
		"of the list":    {"http.addNote", "ticket.comment", "the list says what ticket.comment does"},
	} {
		_, err := Load("crm.yaml", []byte(strings.Replace(raw, tt.from, tt.to, 1)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := LoadBuiltin("crm.yaml", []byte(raw)); err == nil || !strings.Contains(err.Error(), "ACTIONS.md") {
		t.Errorf("built in: %v", err)
	}
}
