// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// TestItServesAlone has neither a manager nor an API server: identity providers
// and senders of webhooks are served from the store, and what they sent waits.
func TestItServesAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		f := newFixtureAs(t, open(), &rest.Config{Host: "https://127.0.0.1:1"}) // nobody listens there
		ns := f.env.Namespace(t)
		tenant, err := f.store.EnsureTenant(t.Context(), ns)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.store.SetTenantFacts(t.Context(), tenant, store.TenantFacts{SCIM: store.SCIMFacts{Enabled: true}}); err != nil {
			t.Fatal(err)
		}
		token, err := store.NewEndpointToken(tenant)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.store.PutEndpoints(t.Context(), f.ring, tenant, "Workflow", "joiner", "u1", []store.EndpointSpec{{Token: token, Config: []byte(`{}`)}}); err != nil {
			t.Fatal(err)
		}
		bearer := http.Header{"Authorization": {"Bearer " + f.key(ns, "entra", access.KeySCIM, nil)}}
		client := f.httpClient(rest.AnonymousClientConfig(f.env.Config))
		send := func(method, path, body string, header http.Header) (int, string) {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), method, f.server+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header = header.Clone()
			if r.Header == nil {
				r.Header = http.Header{}
			}
			r.Header.Set("Content-Type", "application/json")
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			answer, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, string(answer)
		}
		expect := func(want int, method, path, body string, header http.Header) string {
			t.Helper()
			code, answer := send(method, path, body, header)
			if code != want {
				t.Errorf("%s %s: %d %s, want %d", method, path, code, answer, want)
			}
			return answer
		}
		expect(200, "GET", "/readyz", "", nil)
		expect(201, "POST", "/scim/v2/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@acme.example"}`, bearer)
		if answer := expect(200, "GET", `/scim/v2/Users?filter=userName+eq+%22ADA@acme.example%22`, "", bearer); !strings.Contains(answer, `"totalResults":1`) {
			t.Errorf("found: %s", answer)
		}
		expect(202, "POST", "/hooks/"+token, `{"first_name":"Ada"}`, nil)
		pending, err := f.store.PendingHooks(t.Context(), nil, 10, 1<<20)
		if err != nil || len(pending) != 1 || pending[0].Tenant != tenant {
			t.Errorf("waiting for the manager: %+v, %v; want the one event", pending, err)
		}
		if p, err := f.store.PersonByEmail(t.Context(), tenant, "ada@acme.example"); err != nil || p.Lifecycle != model.Lifecycle("") {
			t.Errorf("%+v, %v", p, err)
		}
		// Whom the API server would have to vouch for gets nothing.
		if code, answer := send("GET", apis(ns, "people"), "", http.Header{"Authorization": {"Bearer of-a-person"}}); code < 400 {
			t.Errorf("served without an API server: %d %s", code, answer)
		}
	})
}
