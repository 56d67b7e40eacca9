// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPathUses(t *testing.T) {
	for source, want := range map[string]string{
		"body.name":                                                      "name",
		`body["first name"].x == 1`:                                      "first name.x",
		"hello ${body.a.b} and ${body.c + 'x'}":                          "a.b c",
		"body.items[0].sku + body.items[int(body.n)].id":                 "items.[].sku n items.[].id",
		"body.items.exists(i, i.sku == 'x' && i.tags.all(t, t.k != ''))": "items items.[].sku items.[].tags items.[].tags.[].k",
		"body.items.map(i, i.price).size() > 0":                          "items items.[].price",
		"has(body.x) ? body.x.y : body.z":                                "x? x.y? z",
		`"x" in body ? body.x : ""`:                                      "x?",
		"body":                                                           "",
		"size(body.list) > 2 && input.body.other":                        "list",
		"other.body.x":                                                   "",
		"this is the body.of a letter":                                   "",
		"{'k': body.v}":                                                  "v",
		"[1, 2].map(body, body.v)":                                       "",
		"body.name.lowerAscii()":                                         "name",
		"body.":                                                          "",
	} {
		var got []string
		for _, u := range PathUses(source, "body") {
			s := strings.Join(u.Path, ".")
			if u.Guarded {
				s += "?"
			}
			got = append(got, s)
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s", source, diff)
		}
	}
	if got := PathUses("event.data.body.x == event.data.at && event.kind == 'y'", "event", "data", "body"); len(got) != 1 || got[0].Path[0] != "x" {
		t.Errorf("%v", got)
	}
}
