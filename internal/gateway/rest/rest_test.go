// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/gateway/push"
	"github.com/seatkeeper/seatkeeper/internal/gateway/rest"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// readers stands for the cluster: a bearer token is a user's name, and a user
// may list people in one namespace.
type readers map[string]string

func (g readers) Identify(r *http.Request) (string, bool) {
	user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	_, known := g[user]
	return user, ok && known
}

func (g readers) Check(r *http.Request, want access.Request) (string, access.Decision, string, error) {
	user, ok := g.Identify(r)
	switch {
	case !ok:
		return "", access.Unauthenticated, "", nil
	case want.Verb == "list" && g[user] == want.Namespace, want.Verb == "create" && want.Resource == "workflowruns" && user == client:
		return user, access.Allowed, "", nil
	}
	return user, access.Forbidden, "", nil
}

type world struct {
	*testing.T
	s      *store.Store
	url    string
	router *access.Router
}

func newWorld(t *testing.T, s *store.Store) *world {
	mux := &access.Router{}
	log := slog.New(slog.DiscardHandler)
	guard := readers{client: "acme", "eve": "beta", "ann": "acme"}
	callers := &access.Callers{Guard: guard, Keys: access.NewKeys(s, clock.RealClock{}, log), Tenants: s}
	(&rest.API{Store: s, Callers: callers, Log: log}).Register(mux)
	(&push.API{Store: s, Guard: guard, Callers: callers, Clock: clock.RealClock{}, Log: log}).Register(mux)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return &world{t, s, srv.URL, mux}
}

func (w *world) get(path, user, namespace string) (int, string) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodGet, w.url+path, nil)
	w.must(err)
	if user != "" {
		r.Header.Set("Authorization", "Bearer "+user)
	}
	if namespace != "" {
		r.Header.Set("Seatkeeper-Namespace", namespace)
	}
	resp, err := http.DefaultClient.Do(r)
	w.must(err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	w.must(err)
	newContract(w.T, w.url).check(r, resp.StatusCode, resp.Header, string(body))
	return resp.StatusCode, strings.TrimSpace(string(body))
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// syncPeople lets an Integration list people with the given custom fields.
func (w *world) syncPeople(tenant model.TenantID, name string, custom ...map[string]any) store.Claim {
	w.Helper()
	ctx := w.Context()
	_, err := w.s.UpsertIntegration(ctx, tenant, store.IntegrationSpec{Name: name, UID: name, Connector: name, RequestedAt: fmt.Sprint(len(custom)), Interval: time.Hour})
	w.must(err)
	c, err := w.s.ClaimIntegration(ctx, tenant, name, "worker", time.Minute)
	w.must(err)
	y, err := w.s.BeginSync(ctx, c)
	w.must(err)
	var records []model.Record
	for i, fields := range custom {
		id := fmt.Sprint(i)
		records = append(records, model.Record{Person: &model.Person{ExternalID: id, Email: id + "@acme.example", Lifecycle: model.LifecycleCurrent, Custom: fields}})
	}
	w.must(y.Stage(ctx, "people", "", records))
	_, err = y.FinishStream(ctx, "people", store.StreamOutcome{Complete: true, Types: []model.DataType{model.DataPeople}, Guard: model.DefaultShrinkGuard})
	w.must(err)
	w.must(y.Close(ctx))
	w.must(w.s.FinishIntegration(ctx, c, store.IntegrationResult{Synced: true}))
	return c
}

const client = "system:serviceaccount:acme:crm"

// TestUserFields is acceptance rows 178 and 179.
func TestUserFields(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		w := newWorld(t, open())
		tenant, err := w.s.EnsureTenant(t.Context(), "acme")
		w.must(err)
		if code, body := w.get("/v1.0/users/fields", client, ""); code != 200 || body != `{"fields":[]}` {
			t.Errorf("of nothing: %d %s", code, body)
		}
		c := w.syncPeople(tenant, "hris", map[string]any{"Shirt size": "S", "badge": 17}, map[string]any{"badge": 18})
		want := func(shirtGone bool) string {
			return fmt.Sprintf(`{"fields":[{"id":1,"idOrg":%[1]d,"sourceIdApp":%[2]d,"name":"Shirt size","type":"text","key":"Shirt size","isDeleted":%[3]t},`+
				`{"id":2,"idOrg":%[1]d,"sourceIdApp":%[2]d,"name":"badge","type":"number","key":"badge","isDeleted":false}]}`, tenant, c.Source, shirtGone)
		}
		if code, body := w.get("/v1.0/users/fields", client, ""); code != 200 || body != want(false) {
			t.Errorf("fields: %d\n%s, want\n%s", code, body, want(false))
		}
		var meta struct {
			PredefinedFields, CustomFields []map[string]any
		}
		ask := func(q string) (predefined, custom int) {
			t.Helper()
			code, body := w.get("/v1.0/users/metadata"+q, "ann", "acme")
			meta.PredefinedFields, meta.CustomFields = nil, nil
			if err := json.Unmarshal([]byte(body), &meta); err != nil || code != 200 || meta.PredefinedFields == nil || meta.CustomFields == nil {
				t.Fatalf("metadata%s: %d %s", q, code, body)
			}
			return len(meta.PredefinedFields), len(meta.CustomFields)
		}
		if p, n := ask(""); p < 10 || n != 2 {
			t.Errorf("metadata: %d, %d", p, n)
		}
		if p, n := ask("?q=SHIRT"); p != 0 || n != 1 || fmt.Sprint(meta.CustomFields[0]) != "map[idField:1 name:Shirt size systemKey:Shirt size type:text]" {
			t.Errorf("by the name of a custom field: %v", meta)
		}
		if p, n := ask("?q=lifecyclestatus"); p != 1 || n != 0 || fmt.Sprint(meta.PredefinedFields[0]) != "map[name:Lifecycle status systemKey:lifecycleStatus type:text]" {
			t.Errorf("by the key of a predefined field: %v", meta)
		}
		w.syncPeople(tenant, "hris", map[string]any{"badge": 17}, map[string]any{"badge": 18})
		if _, body := w.get("/v1.0/users/fields", client, ""); body != want(true) {
			t.Errorf("a field that nobody has any more: %s", body)
		}
		if p, n := ask("?q=shirt"); p != 0 || n != 0 {
			t.Errorf("a field that nobody has any more is described: %v", meta)
		}
	})
}

func TestWhoMayRead(t *testing.T) {
	w := newWorld(t, storetest.Open(t, storetest.SQLite(t)))
	for _, namespace := range []string{"acme", "beta"} {
		_, err := w.s.EnsureTenant(t.Context(), namespace)
		w.must(err)
	}
	for _, tc := range []struct {
		name, path, user, namespace string
		code                        int
	}{
		{"nobody", "/v1.0/users/fields", "", "acme", 401},
		{"a wrong token", "/v1.0/users/fields", "mallory", "acme", 401},
		{"no namespace", "/v1.0/users/fields", "ann", "", 400},
		{"another tenant", "/v1.0/users/fields", "eve", "acme", 403},
		{"another tenant's metadata", "/v1.0/users/metadata", "eve", "acme", 403},
		{"a ServiceAccount elsewhere", "/v1.0/users/fields", client, "beta", 403},
		{"an unknown parameter", "/v1.0/users/metadata?query=x", "ann", "acme", 400},
	} {
		code, body := w.get(tc.path, tc.user, tc.namespace)
		var e struct {
			StatusCode     int
			Error, Message string
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil || code != tc.code || e.StatusCode != tc.code || e.Error != http.StatusText(tc.code) || e.Message == "" {
			t.Errorf("%s: %d %s, want %d", tc.name, code, body, tc.code)
		}
	}
}
