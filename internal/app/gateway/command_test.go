// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/cli"
	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// TestCommands runs `seatkeeper push` and `seatkeeper integrations delegate`
// against a gateway over TLS.
func TestCommands(t *testing.T) {
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	ns := f.env.Namespace(t)
	f.connectPush(ns, "agent")
	f.bind(ns, "operator", []string{"create"}, "integrations/records", "integrations/delegate")
	kubeconfig := f.env.WriteKubeconfig(t, f.env.ClientCert(t, "operator"), ns)
	run := func(args ...string) (code int, out, errOut string) {
		var o, e bytes.Buffer
		args = append(args, "--kubeconfig", kubeconfig, "--server", f.server, "--server-ca", f.ca, "-n", ns)
		code = cli.Execute(t.Context(), "seatkeeper", args, &o, &e)
		return code, o.String(), e.String()
	}
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lines := func(n int) (text string) {
		for i := range n {
			text += `{"type":"Account","externalId":"u` + string(rune('a'+i)) + `","status":"active"}` + "\n"
		}
		return text
	}
	all := file("all.ndjson", lines(20))
	if code, out, errOut := run("push", "agent", all, "--complete"); code != 0 || !strings.Contains(out, "accounts") || !strings.Contains(errOut, "Pushed 20 records") {
		t.Errorf("push: %d\n%s%s", code, out, errOut)
	}
	if code, _, errOut := run("push", "agent", file("wrong.ndjson", lines(1)+"{}\n")); code != 1 || !strings.Contains(errOut, "SK9018") || !strings.Contains(errOut, "line 2, field type") {
		t.Errorf("a wrong line: %d %s", code, errOut)
	}
	if code, out, errOut := run("push", "agent", file("few.ndjson", lines(5)), "--complete"); code != 1 || !strings.Contains(out, "Held") || !strings.Contains(errOut, "SK9009") {
		t.Errorf("5 of 20, which is over half: %d\n%s%s", code, out, errOut)
	}
	if code, _, errOut := run("push", "nothing", all); code != 1 || !strings.Contains(errOut, "SK9004") {
		t.Errorf("no such Integration: %d %s", code, errOut)
	}
	if code, _, errOut := run("push", "agent", filepath.Join(t.TempDir(), "missing")); code == 0 {
		t.Errorf("no such file: %s", errOut)
	}
	f.delegated(ns, run)
}

// delegated makes a link by the command and uses it as an owner does, without
// any identity.
func (f *fixture) delegated(ns string, run func(...string) (int, string, string)) {
	f.t.Helper()
	t := f.t
	tenant, err := f.store.TenantByNamespace(t.Context(), ns)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := json.Marshal(handover.Spec{Namespace: ns, Connector: "zoom", SecretName: "zoom-credential"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.UpsertIntegration(t.Context(), tenant, store.IntegrationSpec{Name: "zoom", UID: "zoom", Connector: "zoom", Spec: spec}); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := run("integrations", "delegate", "zoom", "--expires", "1h")
	link := strings.TrimSpace(out)
	if code != 0 || !strings.HasPrefix(link, f.server+"/delegate/") || !strings.Contains(errOut, "zoom-credential") {
		t.Fatalf("delegate: %d\n%s%s", code, out, errOut)
	}
	owner, err := queryclient.TrustingClient(f.ca)
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, link, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := owner.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		page, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self'") {
			t.Errorf("policy %q: the server's own replaced that of the page", csp)
		}
		return resp.StatusCode, string(page)
	}
	if code, page := send("GET", ""); code != 200 || !strings.Contains(page, "operator asks you") {
		t.Errorf("the page: %d %s", code, page)
	}
	if code, page := send("POST", "auth=serverToServer&secret.accountId=a&secret.clientId=b&secret.clientSecret=c"); code != 200 {
		t.Errorf("the form: %d %s", code, page)
	}
	if code, _ := send("GET", ""); code != http.StatusGone {
		t.Errorf("the link again: %d", code)
	}
	if code, _, errOut := run("integrations", "delegate", "agent"); code != 1 || !strings.Contains(errOut, "names no Secret") {
		t.Errorf("an Integration without a Secret: %d %s", code, errOut)
	}
	if code, _, errOut := run("integrations", "delegate", "zoom", "--url", "http://plain.example"); code != 2 {
		t.Errorf("an address without TLS: %d %s", code, errOut)
	}
}
