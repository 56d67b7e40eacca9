// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// A test that spent the only refresh token there is would end the connection
// that it is to prepare.
func TestLiveTestSpendsNoRotatingToken(t *testing.T) {
	t.Chdir(t.TempDir())
	if code, _, _ := execute(t, "connector", "new", "acme"); code != 0 {
		t.Fatal("new failed")
	}
	raw, err := os.ReadFile("connectors/acme/connector.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	from, to := strings.Index(text, "  auth:\n"), strings.Index(text, "  http:\n")
	if from < 0 || to < from {
		t.Fatal("the template has another shape")
	}
	text = text[:from] + `  auth:
    - id: app
      type: oauth2
      grant: refresh_token
      clientAuth: post
      tokenURL: https://${config.domain}/token
      secrets: {clientId: {}, clientSecret: {optional: true}, refreshToken: {rotates: true}}
` + text[to:]
	if err := os.WriteFile("connectors/acme/connector.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"id", "refresh"} {
		if err := os.WriteFile(name, []byte("s3cret-value\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer srv.Close()
	code, out, errOut := execute(t, "connector", "test", "connectors/acme", "--config", "domain=acme.acme.example",
		"--secret-file", "clientId=id", "--secret-file", "refreshToken=refresh", "--endpoint", "acme.acme.example="+srv.URL)
	if code == 0 || asked != 0 || !strings.Contains(errOut, "replaces this refresh token") || strings.Contains(out+errOut, "s3cret") {
		t.Errorf("%d after %d requests:\n%s%s", code, asked, out, errOut)
	}
}
