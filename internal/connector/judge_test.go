// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A usage header blocks the whole account before the allowance is used up.
func TestUsageHeader(t *testing.T) {
	used := 10
	v := newVendor(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Sforce-Limit-Info", fmt.Sprintf("api-usage=%d/1000", used))
		_, _ = w.Write([]byte(`[]`))
	}})
	text := strings.Replace(chaosManifest, "      key: [path]\n",
		"      key: [path]\n      reservePercent: 20\n      usage: {header: Sforce-Limit-Info, regex: 'api-usage=(?P<used>\\d+)/(?P<limit>\\d+)'}\n", 1)
	s, c := session(t, v, func(o *Options) { o.Manifest = load1(t, text) })
	for range 2 {
		if _, _, err := read(t, s, "linked"); err != nil {
			t.Fatal(err)
		}
	}
	used = 800
	if _, _, err := read(t, s, "linked"); err != nil {
		t.Fatal(err) // it was answered
	}
	sent := v.count("/")
	_, _, err := read(t, s, "events") // another path, the same allowance
	if e := wantClass(t, err, ClassRateLimit); e.RetryAfter != time.Hour || v.count("/") != sent {
		t.Errorf("%v after %d requests", e, v.count("/")-sent)
	}
	c.Step(time.Hour)
	used = 100
	if _, _, err := read(t, s, "linked"); err != nil {
		t.Error(err)
	}
	for _, header := range []string{"", "api-usage=1/0", "api-usage=99999999999999999999/1000", "api-usage=x/y"} {
		u := s.m.http.limits.usage
		if _, _, ok := u.read(&answer{header: http.Header{"Sforce-Limit-Info": {header}}}); ok {
			t.Errorf("%q is taken", header)
		}
	}
}
