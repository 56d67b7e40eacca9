// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connectors_test

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

var update = flag.Bool("update", false, "write the golden files anew")

// What each manifest makes of the vendor's answers in testdata, record by
// record. Run with -update to write the golden files, and read the change.
func TestGoldenMapping(t *testing.T) {
	for _, name := range []string{"okta", "slack", "zoom"} {
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(name + "/testdata/responses.json")
			if err != nil {
				t.Fatal(err)
			}
			var responses map[string]json.RawMessage
			if err := json.Unmarshal(raw, &responses); err != nil {
				t.Fatal(err)
			}
			asked := map[string]bool{}
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				key := r.URL.Path
				if status := r.URL.Query().Get("status"); status != "" {
					key += "?status=" + status
				}
				body, ok := responses[key]
				if !ok {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				asked[key] = true
				_, _ = w.Write(body)
			}))
			t.Cleanup(srv.Close)
			m, err := connectors.Builtin(name)
			if err != nil {
				t.Fatal(err)
			}
			o := connector.Options{Manifest: m, Secrets: secrets[name], Clock: leaping{clocktesting.NewFakeClock(now)}, Endpoints: map[string]string{}}
			for _, host := range []string{"acme.okta.com", "slack.com", "api.zoom.us", "zoom.us"} {
				o.Endpoints[host] = srv.URL
			}
			switch name {
			case "okta":
				o.Config = map[string]any{"domain": "acme.okta.com", "usageBackfillDays": 1}
				// One window, of today: the fixture answers every window alike.
				o.State = map[string]connector.StreamState{"ssoEvents": {WindowEnd: now}}
			case "zoom":
				o.Config = map[string]any{"purchasedSeats": true}
			}
			s, err := connector.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			got := map[string][]model.Record{}
			for _, st := range s.Streams() {
				res, err := s.Read(t.Context(), st.Name, func(_ context.Context, _ string, recs []model.Record) error {
					got[st.Name] = append(got[st.Name], recs...)
					return nil
				})
				if err != nil || res.Quarantined > 0 {
					t.Fatalf("%s: %+v, %v", st.Name, res, err)
				}
			}
			for key := range responses {
				if !asked[key] {
					t.Errorf("nothing asked for %s", key)
				}
			}
			text, err := json.MarshalIndent(compact(t, got), "", " ")
			if err != nil {
				t.Fatal(err)
			}
			golden := name + "/testdata/records.golden.json"
			if *update {
				if err := os.WriteFile(golden, append(text, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(text)+"\n"); d != "" {
				t.Errorf("(-golden +got)\n%s", d)
			}
		})
	}
}

// compact drops the empty fields, so that a golden file shows what is there.
func compact(t *testing.T, v any) any {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	var clean func(any) any
	clean = func(v any) any {
		switch x := v.(type) {
		case map[string]any:
			for k, e := range x {
				if e = clean(e); e == nil || e == "" || e == false { // as good as absent
					delete(x, k)
				} else {
					x[k] = e
				}
			}
		case []any:
			for i := range x {
				x[i] = clean(x[i])
			}
		}
		return v
	}
	return clean(out)
}
