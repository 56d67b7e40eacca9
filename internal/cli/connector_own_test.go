// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// TestAConnectorOfANamespaceHasAnEntry like a built-in one.
func TestAConnectorOfANamespaceHasAnEntry(t *testing.T) {
	sample, err := os.ReadFile(filepath.Join("..", "..", "config", "samples", "connector-http.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if sample, err = yaml.YAMLToJSON(sample); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/apis/seatkeeper.dev/v1alpha1/namespaces/acme/connectors/crm-notes" {
			_, _ = w.Write(sample)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound})
	}))
	t.Cleanup(srv.Close)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nclusters: [{name: a, cluster: {server: %q}}]\nusers: [{name: a, user: {}}]\n", srv.URL)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := execute(t, "connectors", "--kubeconfig", kubeconfig, "-n", "acme", "crm-notes")
	var got Entry
	if err := yaml.Unmarshal([]byte(out), &got); code != 0 || err != nil {
		t.Fatalf("%d %v\n%s%s", code, err, out, errOut)
	}
	if got.Name != "crm-notes" || got.Title != "CRM notes" || got.DocsURL != "https://wiki.acme.example/crm-notes" || len(got.Actions) == 0 || len(got.Secrets) == 0 {
		t.Errorf("%+v", got)
	}
	if code, out, _ := execute(t, "connectors", "--kubeconfig", kubeconfig, "-n", "acme", "okta"); code != 0 || !strings.Contains(out, "name: okta\n") {
		t.Errorf("a built-in one with a namespace: %d %s", code, out)
	}
	for line, want := range map[string]string{
		"connectors -n acme nope":                     "SK9004: connector \"nope\" is not built in, and namespace acme has no such Connector",
		"connectors -n acme crm-notes --category idp": "of another category than idp",
		"connectors nope":                             "-n NAMESPACE shows a Connector of that namespace",
	} {
		if code, _, errOut := execute(t, append(strings.Fields(line), "--kubeconfig", kubeconfig)...); code == 0 || !strings.Contains(errOut, want) {
			t.Errorf("%s: %d %s, want %q", line, code, errOut, want)
		}
	}
}
