// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

const mediaManifest = `
apiVersion: seatkeeper.dev/v1alpha1
kind: Connector
metadata: {name: media}
spec:
  title: Media types
  category: app
  verified: "No"
  auth: [{id: t, type: bearer, token: "${secret.token}", secrets: {token: {}}}]
  http: {baseURL: "https://api.example.com", timeout: 30m}
  actions:
    user.suspend:
      class: idempotent
      steps: [{patch: /scim, headers: {Content-Type: application/scim+json}, body: "{'a': 1}"}]
    user.unsuspend:
      class: idempotent
      steps: [{patch: /json, headers: {Content-Type: text/html}, body: "{'a': 1}"}]
`

// A body is sent as the kind of JSON that the manifest names, and as nothing
// that is no JSON; and a vendor may take as long to begin its answer as the
// manifest lets the whole of it take.
func TestMediaTypeAndTimeout(t *testing.T) {
	got := map[string]string{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got[r.URL.Path] = r.Header.Get("Content-Type")
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(srv.Close)
	m, err := Load("media.yaml", []byte(mediaManifest))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Manifest: m, Secrets: map[string]string{"token": "t"}, Permission: PermissionReadAndAct,
		Endpoints: map[string]string{"api.example.com": srv.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for path, action := range map[string]string{"/scim": "user.suspend", "/json": "user.unsuspend"} {
		if res, err := s.Execute(t.Context(), ActionCall{Name: action}); err != nil || res.Class != ResultDone {
			t.Fatalf("%s: %+v, %v", path, res, err)
		}
	}
	if got["/scim"] != "application/scim+json" || got["/json"] != "application/json; charset=utf-8" {
		t.Errorf("sent as %v", got)
	}
	if s.transport.ResponseHeaderTimeout != 30*time.Minute || s.client.Timeout != 30*time.Minute {
		t.Errorf("an answer may begin within %s", s.transport.ResponseHeaderTimeout)
	}
}
