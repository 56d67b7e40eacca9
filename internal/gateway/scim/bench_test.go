// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// BenchmarkRequests measures what identity providers ask most, through HTTP, at
// 1,000 and 10,000 users, or the numbers in SEATKEEPER_BENCH_USERS. The keyed
// ones take the same time at any number.
func BenchmarkRequests(b *testing.B) {
	sizes := []int{1_000, 10_000}
	if v := os.Getenv("SEATKEEPER_BENCH_USERS"); v != "" {
		sizes = nil
		for _, s := range strings.Split(v, ",") {
			n, err := strconv.Atoi(s)
			if err != nil {
				b.Fatal(err)
			}
			sizes = append(sizes, n)
		}
	}
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/%d users", name, n), func(b *testing.B) { benchRequests(b, dsn(b), n) })
		}
	}
}

func benchRequests(b *testing.B, dsn string, n int) {
	clock := clocktesting.NewFakeClock(t0)
	k := newKit(b, storetest.Open(b, dsn, storetest.WithClock(clock)), clock)
	k.staff(n)
	g := k.addGroup("all")
	middle := k.find(fmt.Sprintf(`userName eq "u%04d@acme.example"`, n/2)).want(200).list("Resources")[0].(object)["id"].(string)
	k.edit(middle, op("add", "emails", []object{{"type": "work", "value": "middle@acme.example"}}), op("add", "externalId", "middle")).want(200)
	k.do("PATCH", "/Groups/"+g, patch(op("add", "members", []object{{"value": middle}}))).want(204)
	find := func(kind, filter string) func(int) {
		target := "/" + kind + "?filter=" + escape(filter)
		return func(int) {
			if r := k.do("GET", target, nil).want(200); r.text("totalResults") != "1" {
				b.Fatal(r.raw)
			}
		}
	}
	for _, c := range []struct {
		name string
		run  func(int)
	}{
		{"GET by id", func(int) { k.do("GET", "/Users/"+middle, nil).want(200) }},
		{"userName eq", find("Users", fmt.Sprintf(`userName eq "U%04d@acme.example"`, n/2))},
		{"externalId eq", find("Users", `externalId eq "middle"`)},
		{"emails eq", find("Users", `emails[type eq "work"].value eq "middle@acme.example"`)},
		{"groups eq", find("Users", `groups.value eq "`+g+`"`)},
		{"displayName eq of a group", find("Groups", `displayName eq "ALL"`)},
		{"page of 100", func(int) { k.do("GET", "/Users?count=100", nil).want(200) }},
		{"PATCH active", func(i int) { k.edit(middle, op("replace", "active", i%2 == 0)).want(200) }},
		{"POST", func(int) { k.do("POST", "/Users", user(fmt.Sprintf("p%d@acme.example", k.next()))).want(201) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for i := range b.N {
				c.run(i)
			}
		})
	}
}
