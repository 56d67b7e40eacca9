// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// BenchmarkMapping maps a page of 200 Okta users to people and accounts with
// the built-in manifest: the work of one core between two requests.
func BenchmarkMapping(b *testing.B) {
	data, err := os.ReadFile("../../connectors/okta/connector.yaml")
	if err != nil {
		b.Fatal(err)
	}
	m, err := Load("okta", data)
	if err != nil {
		b.Fatal(err)
	}
	s, err := Open(Options{Manifest: m, Config: map[string]any{"domain": "acme.okta.com"}, Secrets: map[string]string{"token": "x"}})
	if err != nil {
		b.Fatal(err)
	}
	const n = 200
	var users []string
	for i := range n {
		users = append(users, fmt.Sprintf(`{"id":"00u%d","status":"ACTIVE","created":"2024-01-02T03:04:05.000Z","lastLogin":"2026-11-01T10:00:00.000Z",
			"profile":{"login":"user%d@acme.example","email":"User%d@acme.example","firstName":"Ada","lastName":"Lovelace","department":"Engineering","title":"Engineer",
			"employeeNumber":"%d","secondEmail":null,"shirtSize":"M","city":"Berlin"},"credentials":{"provider":{"type":"OKTA","name":"OKTA"}},"_links":{"self":{"href":"https://acme.okta.com/api/v1/users/00u%d"}}}`, i, i, i, i, i))
	}
	page := []byte("[" + strings.Join(users, ",") + "]")
	mapper := s.newMapper(m.stream("users"), s.vars())
	var out []model.Record
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		body, err := decodeJSON(page)
		if err != nil {
			b.Fatal(err)
		}
		out = out[:0]
		for _, r := range body.([]any) {
			var failures []mapFailure
			if out, failures = mapper.record(b.Context(), r, out); len(failures) > 0 {
				b.Fatal(failures[0].field, failures[0].err)
			}
		}
		if len(out) != 2*n {
			b.Fatal(len(out))
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "users/s")
}

// BenchmarkRead reads through HTTP: 20 pages of 200 records.
func BenchmarkRead(b *testing.B) {
	v := newVendor(b, map[string]http.HandlerFunc{"/v1/users": func(w http.ResponseWriter, r *http.Request) {
		page := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("cursor"), &page)
		var out strings.Builder
		for i := range 200 {
			fmt.Fprintf(&out, `,{"id":"%d","email":"u%d@x.example","state":"on","seen":"2026-11-01T00:00:00Z","team":"blue"}`, page*200+i, i)
		}
		next := fmt.Sprint(page + 1)
		if page == 19 {
			next = ""
		}
		fmt.Fprintf(w, `{"users":[%s],"next":%q}`, out.String()[1:], next)
	}})
	s, _ := session(b, v)
	total := 0
	for b.Loop() {
		res, err := s.Read(b.Context(), "users", func(context.Context, string, []model.Record) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
		total += res.Records
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "records/s")
}
