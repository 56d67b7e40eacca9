// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"encoding/json"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	authv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// TestPushOverTLS pushes as the cluster's own identities, over HTTP/2.
func TestPushOverTLS(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		f := newFixture(t, open())
		a, b := f.env.Namespace(t), f.env.Namespace(t)
		for _, ns := range []string{a, b} {
			f.connectPush(ns, "agent")
			f.connectPush(ns, "other")
		}
		if _, err := f.admin.CoreV1().ServiceAccounts(a).Create(t.Context(), serviceAccount("sender"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		sender := "system:serviceaccount:" + a + ":sender"
		f.bindNamed(a, sender, []string{"agent"}, []string{"create"}, "integrations/records")
		token, err := f.admin.CoreV1().ServiceAccounts(a).CreateToken(t.Context(), "sender", &authv1.TokenRequest{}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		cfg := rest.AnonymousClientConfig(f.env.Config)
		cfg.BearerToken = token.Status.Token
		client := f.client(cfg)
		push := func(c *queryclient.Client, ns, name string, records io.Reader) (int32, int64) {
			var out struct {
				Records int64 `json:"records"`
			}
			err := c.Push(t.Context(), apis(ns, "integrations/"+name+"/records"), url.Values{"complete": {"true"}}, "", records, &out)
			return status(err), out.Records
		}
		line := `{"type":"Account","externalId":"u1","status":"active"}` + "\n"
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(250 * time.Millisecond) { // a new role is seen in a moment
			if code, n := push(client, a, "agent", strings.NewReader(line)); code == 200 && n == 1 {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("push: %d, %d records", code, n)
			}
		}
		if code, n := push(client, a, "agent", strings.NewReader(strings.Repeat(line, 20_000))); code != 200 || n != 20_000 {
			t.Errorf("a large push: %d, %d records", code, n)
		}
		for name, got := range map[string]int32{
			"another Integration": first(push(client, a, "other", strings.NewReader(line))),
			"another tenant":      first(push(client, b, "agent", strings.NewReader(line))),
			"a stranger":          first(push(f.client(f.env.ClientCert(t, "stranger")), a, "agent", strings.NewReader(line))),
		} {
			if got != 403 {
				t.Errorf("%s: %d, want 403", name, got)
			}
		}
		if code, _ := push(f.client(rest.AnonymousClientConfig(f.env.Config)), a, "agent", strings.NewReader(line)); code != 401 {
			t.Errorf("nobody: %d, want 401", code)
		}
	})
}

func first(code int32, _ int64) int32 { return code }

// connectPush is what controller and worker do for an Integration.
func (f *fixture) connectPush(namespace, name string) {
	f.t.Helper()
	ctx := f.t.Context()
	tenant, err := f.store.EnsureTenant(ctx, namespace)
	if err != nil {
		f.t.Fatal(err)
	}
	spec, err := json.Marshal(handover.Spec{Namespace: namespace, Connector: "push", ShrinkMinItems: 20, ShrinkMaxPercent: 10, Interval: time.Hour})
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.store.UpsertIntegration(ctx, tenant, store.IntegrationSpec{Name: name, UID: name, Connector: "push", Spec: spec, Interval: time.Hour}); err != nil {
		f.t.Fatal(err)
	}
	claims, err := f.store.ClaimDueIntegrations(ctx, "worker", 100, time.Minute)
	if err != nil {
		f.t.Fatal(err)
	}
	due := time.Now().Add(time.Hour)
	for _, c := range claims {
		if err := f.store.FinishIntegration(ctx, c, store.IntegrationResult{Status: json.RawMessage(`{"account":{"id":"push/` + name + `"}}`), NextDue: &due}); err != nil {
			f.t.Fatal(err)
		}
	}
}

// TestSpendIsListed lists what sources report of money, under a right of its own.
func TestSpendIsListed(t *testing.T) {
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	ns := f.env.Namespace(t)
	f.connectPush(ns, "ramp")
	f.bind(ns, "finance", []string{"create", "list"}, "integrations/records", "transactions")
	f.bind(ns, "hr", []string{"list"}, "people", "accounts", "contracts")
	finance := f.client(f.env.ClientCert(t, "finance"))
	records := `{"type":"Transaction","externalId":"t1","date":"2026-11-20","amountMinor":1999,"currency":"EUR","vendorName":"Zoom","kind":"card"}
{"type":"Transaction","externalId":"t2","date":"2026-11-21","amountMinor":500,"currency":"JPY","vendorName":"Notion","kind":"card"}
{"type":"Contract","externalId":"c1","name":"Zoom 2026","appHint":"zoom.us","end":"2026-12-31","valueMinor":54000,"currency":"EUR"}
`
	if err := finance.Push(t.Context(), apis(ns, "integrations/ramp/records"), nil, "", strings.NewReader(records), nil); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"transactions?until=2026-11-20": `"amount":{"minor":1999,"currency":"EUR"}`, "transactions?search=notion": `"vendorName":"Notion"`,
		"contracts?integration=ramp": `"value":{"minor":54000,"currency":"EUR"}`,
	} {
		var out struct{ Items []json.RawMessage }
		path, query, _ := strings.Cut(path, "?")
		if err := finance.Get(t.Context(), apis(ns, path), parseQuery(t, query), &out); err != nil || len(out.Items) != 1 || !strings.Contains(string(out.Items[0]), want) {
			t.Errorf("%s?%s: %s, %v; want %s", path, query, out.Items, err, want)
		}
	}
	hr := f.client(f.env.ClientCert(t, "hr"))
	f.expect(hr, 403, apis(ns, "transactions"))
	f.expect(hr, 403, apis(ns, "contracts")) // the kind is not what sources report
	var out map[string]any
	if err := finance.Get(t.Context(), apis(ns, "transactions"), parseQuery(t, "from=yesterday"), &out); status(err) != 400 {
		t.Errorf("from=yesterday: %v", err)
	}
}
