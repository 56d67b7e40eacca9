// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connectors_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/connector/csvfile"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

func csvSession(t *testing.T, o connector.Options) *connector.Session {
	t.Helper()
	m, err := connectors.Builtin("csv")
	if err != nil {
		t.Fatal(err)
	}
	o.Manifest, o.Clock = m, leaping{clocktesting.NewFakeClock(now)}
	s, err := connector.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func upload(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

func TestUploadedFile(t *testing.T) {
	s := csvSession(t, connector.Options{Upload: upload("email,name,plan,last login\na@x.example,A,Pro,2026-10-01\nb@x.example,B,Free,Never logged in\n")})
	if rep := s.Test(t.Context()); rep.Outcome != connector.AllPassed || len(rep.DataTypes) != 2 {
		t.Fatalf("%+v", rep)
	}
	c := readAll(t, s)
	if c.counts[model.DataAccounts] != 2 || c.counts[model.DataAssignments] != 2 {
		t.Errorf("%v", c.counts)
	}
	b := c.records[2].Account
	if !b.ActivityReported || b.LastActivityAt != nil {
		t.Errorf("never: %+v", b)
	}
	if notes := strings.Join(c.results["file"].Notes, "\n"); !strings.Contains(notes, `column "last login" → account.lastActivityAt (date YYYY-MM-DD)`) {
		t.Errorf("notes:\n%s", notes)
	}
}

// A refused file hands nothing to the sink: it changes no row.
func TestRefusedFileChangesNothing(t *testing.T) {
	var text strings.Builder
	text.WriteString("email,name\n")
	for i := range 2000 {
		text.WriteString("user" + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + strings.Repeat("y", i/50) + "@x.example,N\n")
	}
	text.WriteString(",the last row has no key\n")
	s := csvSession(t, connector.Options{Upload: upload(text.String())})
	res, err := s.Read(t.Context(), "file", func(context.Context, string, []model.Record) error {
		t.Error("records of a refused file arrive")
		return nil
	})
	var refused *csvfile.RefusedError
	if connector.ClassOf(err) != connector.ClassRefusedFile || !errors.As(err, &refused) || refused.Row != 2002 || refused.Column != "email" || res.Complete {
		t.Errorf("%+v, %v", res, err)
	}
	rep := s.Test(t.Context())
	if rep.Outcome != connector.Failed || rep.Err.Class != connector.ClassRefusedFile || !strings.Contains(rep.Err.Message, "row 2002") {
		t.Errorf("%+v", rep)
	}
}

func TestFileFromURL(t *testing.T) {
	tries := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch user, password, ok := r.BasicAuth(); {
		case r.URL.Path == "/away":
			http.Redirect(w, r, "https://elsewhere.example/x.csv", http.StatusFound)
		case !ok || user != "u" || password != "p":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			if tries++; tries == 1 {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			_, _ = io.WriteString(w, "email;name\na@x.example;A\n")
		}
	}))
	t.Cleanup(srv.Close)
	o := connector.Options{
		Config: map[string]any{"url": "https://files.acme.example/m.csv"}, Secrets: map[string]string{"username": "u", "password": "p"},
		Endpoints: map[string]string{"files.acme.example": srv.URL},
	}
	s := csvSession(t, o)
	if c := readAll(t, s); c.counts[model.DataAccounts] != 1 || !s.EndpointOverridden() {
		t.Errorf("%v", c.counts)
	}
	if rep := s.Test(t.Context()); rep.Account.ID != "files.acme.example/m.csv" {
		t.Errorf("%+v", rep)
	}
	sink := func(context.Context, string, []model.Record) error { return nil }
	for name, tt := range map[string]struct {
		change func(*connector.Options)
		class  connector.ErrorClass
	}{
		"wrong password":  {func(o *connector.Options) { o.Secrets = map[string]string{"username": "u", "password": "x"} }, connector.ClassAuth},
		"redirected away": {func(o *connector.Options) { o.Config = map[string]any{"url": "https://files.acme.example/away"} }, connector.ClassHostRefused},
		"loopback": {func(o *connector.Options) {
			o.Config = map[string]any{"url": strings.Replace(srv.URL, "http:", "https:", 1)}
		}, connector.ClassHostRefused},
		"no file": {func(o *connector.Options) { o.Config = nil }, connector.ClassConfig},
	} {
		c := o
		tt.change(&c)
		if _, err := csvSession(t, c).Read(t.Context(), "file", sink); connector.ClassOf(err) != tt.class {
			t.Errorf("%s: %v, want %s", name, err, tt.class)
		}
	}
}
