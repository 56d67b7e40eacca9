// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"k8s.io/client-go/rest"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// TestEveryRESTRouteIsDescribed compares the routes under /v1.0 that the gateway
// has, whoever serves them, with the description that it serves.
func TestEveryRESTRouteIsDescribed(t *testing.T) {
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	client := f.httpClient(rest.AnonymousClientConfig(f.env.Config))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.server+"/v1.0/openapi.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	doc, err := openapi3.NewLoader().LoadFromIoReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			described[method+" /v1.0"+path] = true
		}
	}
	walked := 0
	for _, route := range f.routes {
		if route.Class != access.REST || route.Method == "" { // the last answers for what is not there
			continue
		}
		walked++
		if !described[route.Pattern] {
			t.Errorf("%s is not described", route.Pattern)
		}
		delete(described, route.Pattern)
	}
	if walked < 10 {
		t.Errorf("only %d routes", walked)
	}
	for route := range described {
		t.Errorf("%s is described and not there", strings.TrimSpace(route))
	}
}
