// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestClientAddress(t *testing.T) {
	proxies, err := ParseProxies("10.0.0.0/8, 192.0.2.7,2001:db8:1::/48")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		peer   string
		header http.Header
		want   string
	}{
		"no proxy":                           {peer: "198.51.100.9:4711", want: "198.51.100.9"},
		"who is no proxy is not believed":    {peer: "198.51.100.9:4711", header: http.Header{"X-Forwarded-For": {"203.0.113.1"}}, want: "198.51.100.9"},
		"one proxy":                          {peer: "10.1.2.3:80", header: http.Header{"X-Forwarded-For": {"203.0.113.1"}}, want: "203.0.113.1"},
		"two proxies":                        {peer: "10.1.2.3:80", header: http.Header{"X-Forwarded-For": {"203.0.113.1, 192.0.2.7"}}, want: "203.0.113.1"},
		"in two headers":                     {peer: "10.1.2.3:80", header: http.Header{"X-Forwarded-For": {"203.0.113.1", "10.9.9.9"}}, want: "203.0.113.1"},
		"what the caller wrote before":       {peer: "10.1.2.3:80", header: http.Header{"X-Forwarded-For": {"192.0.2.200, 203.0.113.1"}}, want: "203.0.113.1"},
		"a caller that claims to be a proxy": {peer: "10.1.2.3:80", header: http.Header{"X-Forwarded-For": {"10.0.0.1, 203.0.113.1"}}, want: "203.0.113.1"},
		"nonsense before a proxy":            {peer: "10.1.2.3:80", header: http.Header{"X-Forwarded-For": {"unknown, 10.9.9.9"}}, want: "10.9.9.9"},
		"Forwarded is the caller's":          {peer: "10.1.2.3:80", header: http.Header{"Forwarded": {"for=192.0.2.200"}, "X-Forwarded-For": {"203.0.113.1"}}, want: "203.0.113.1"},
		"IPv6 with a port":                   {peer: "[2001:db8:1::5]:80", header: http.Header{"X-Forwarded-For": {"[2001:db8:2::7]:443"}}, want: "2001:db8:2::7"},
		"IPv4 written as IPv6":               {peer: "[::ffff:10.1.2.3]:80", header: http.Header{"X-Forwarded-For": {"203.0.113.1"}}, want: "203.0.113.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tc.peer
			for k, v := range tc.header {
				r.Header[k] = v
			}
			got := ""
			proxies.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = ClientAddress(r).String() })).ServeHTTP(nil, r)
			if got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
	if _, err := ParseProxies("10.0.0.0/8,everybody"); err == nil {
		t.Error("a name was taken for a network")
	}
}
