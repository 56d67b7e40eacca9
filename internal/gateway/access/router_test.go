// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"net/http"
	"testing"
)

// A route of which nobody said who may call it keeps the gateway from starting.
func TestEveryRouteHasAClass(t *testing.T) {
	mux := &Router{}
	for pattern, want := range map[string]Class{
		"GET /healthz": Public, "/apis/": Cluster, "POST /apis/v1/namespaces/{ns}/keys/{name}/token": Cluster, "/scim/v2/": SCIM,
		"GET /v1.0/scim/v2/Users": SCIM, "GET /v1.0/users": REST, "GET /v1.0/openapi.json": Public, "POST /hooks/{token}": Link, "POST /slack/x": Signed,
	} {
		mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
		if got := routeOf(pattern).Class; got != want {
			t.Errorf("%s is %q, want %q", pattern, got, want)
		}
	}
	if err := mux.Check(); err != nil {
		t.Error(err)
	}
	mux.HandleFunc("GET /new", func(http.ResponseWriter, *http.Request) {})
	if mux.Check() == nil {
		t.Error("a route without a class may be served")
	}
	if n := len(mux.Routes()); n != 10 {
		t.Errorf("%d routes, want 10", n)
	}
}
