// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// Whatever a caller writes, behind one trusted proxy their address is the one
// that the proxy appends, and without a proxy that of the connection.
func FuzzClientAddress(f *testing.F) {
	for _, s := range []string{"", "203.0.113.1", "10.0.0.1, 10.0.0.2", "unknown", "[2001:db8::1]:443", "fe80::1%eth0", ",,,", strings.Repeat("10.0.0.1,", 1000)} {
		f.Add(s)
	}
	proxies, err := ParseProxies("10.0.0.0/8")
	if err != nil {
		f.Fatal(err)
	}
	address := func(peer, header string) netip.Addr {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = peer + ":1"
		r.Header["X-Forwarded-For"] = []string{header}
		return proxies.client(r)
	}
	f.Fuzz(func(t *testing.T, written string) {
		if got := address("10.0.0.1", written+", 198.51.100.7"); got.String() != "198.51.100.7" {
			t.Errorf("%q behind a proxy: %s", written, got)
		}
		if got := address("198.51.100.7", written); got.String() != "198.51.100.7" {
			t.Errorf("%q without a proxy: %s", written, got)
		}
		if got := address("10.0.0.1", written); !got.IsValid() {
			t.Errorf("%q: no address", written)
		}
	})
}
