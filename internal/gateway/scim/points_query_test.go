// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// crowd makes ann, bo and cy, a minute apart.
func (k *kit) crowd() {
	k.Helper()
	k.add("ann", object{"title": "Engineer", "externalId": "E1", "name": object{"familyName": "Lee"}, "active": true,
		"emails": []object{{"value": "ann@work.example", "type": "work"}, {"value": "ann@home.example", "type": "home", "primary": true}}})
	k.clock.Step(time.Minute)
	k.add("bo", object{"title": "engineering manager", "externalId": "e1", "active": false, "emails": []object{{"value": "bo@home.example", "type": "work"}},
		enterprise: object{"department": `50%_"quoted"\path`}})
	k.clock.Step(time.Minute)
	k.add("cy", object{"name": object{"familyName": "lee"}, "displayName": "ann@work.example"})
}

func (k *kit) selectsAll(cases map[string]string) {
	k.Helper()
	for _, filter := range slices.Sorted(func(yield func(string) bool) {
		for f := range cases {
			if !yield(f) {
				return
			}
		}
	}) {
		k.selects(filter, cases[filter])
	}
}

func (k *kit) badFilters(filters ...string) {
	k.Helper()
	for _, f := range filters {
		k.find(f).fails(400, "invalidFilter")
	}
}

var filterPoints = []point{
	{39, "every operator", func(k *kit) {
		k.crowd()
		k.selectsAll(map[string]string{
			`userName eq "bo@acme.example"`: "bo", `userName ne "bo@acme.example"`: "ann cy", `title co "GIN"`: "ann bo", `title sw "eng"`: "ann bo",
			`title ew "er"`: "ann bo", `userName gt "bo@acme.example"`: "cy", `userName ge "bo@acme.example"`: "bo cy",
			`userName lt "bo@acme.example"`: "ann", `userName le "bo@acme.example"`: "ann bo", `title pr`: "ann bo",
		})
	}},
	{40, "operators and names in any case", func(k *kit) {
		k.crowd()
		k.selectsAll(map[string]string{`USERNAME EQ "bo@acme.example"`: "bo", `Title Pr AND NOT (Active Eq TRUE)`: "bo", `emails[TYPE eq "home"] oR username SW "cy"`: "ann cy"})
	}},
	{41, "not binds before and, and before or", func(k *kit) {
		k.crowd()
		k.selectsAll(map[string]string{
			`userName sw "cy" or title pr and active eq true`: "ann cy", `title pr and active eq true or userName sw "cy"`: "ann cy",
			`not (title pr) and userName pr or userName sw "bo"`: "bo cy",
		})
	}},
	{42, "parentheses, and not with them", func(k *kit) {
		k.crowd()
		k.selectsAll(map[string]string{`(userName sw "cy" or title pr) and active eq true`: "ann cy", `not (userName sw "cy" or title sw "Eng")`: "", `not (not (title pr))`: "ann bo"})
		k.badFilters(`not title pr`, `(title pr`, `title pr)`)
	}},
	{43, "a value path binds one element", func(k *kit) {
		k.crowd()
		k.selectsAll(map[string]string{
			`emails[type eq "work" and value co "@home"]`: "bo", `emails.type eq "work" and emails.value co "@home"`: "ann bo",
			`emails[type eq "work"].value eq "ann@work.example"`: "ann", `emails[not (type eq "work")]`: "ann",
		})
	}},
	{44, "emails.value, and emails meaning it", func(k *kit) {
		k.crowd()
		k.selectsAll(map[string]string{`emails.value eq "ANN@work.example"`: "ann", `emails co "@home"`: "ann bo", `emails.value ne "bo@home.example"`: "ann cy", `emails pr`: "ann bo"})
	}},
	{45, "names behind a URN", func(k *kit) {
		k.crowd()
		k.selectsAll(map[string]string{coreUser + `:userName sw "bo"`: "bo", enterprise + `:department pr`: "bo", strings.ToUpper(enterprise) + `:DEPARTMENT sw "50"`: "bo"})
	}},
	{46, "strings as caseExact says", func(k *kit) {
		k.crowd()
		id := k.find(`userName sw "ann"`).list("Resources")[0].(object)["id"].(string)
		k.selectsAll(map[string]string{
			`userName eq "ANN@ACME.example"`: "ann", `externalId eq "E1"`: "ann", `externalId eq "e1"`: "bo", `externalId co "E"`: "ann",
			`id eq "` + id + `"`: "ann", `id eq "` + strings.ToUpper(id) + `"`: "", `name.familyName eq "LEE"`: "ann cy",
		})
	}},
	{47, "booleans stand unquoted, and have no order", func(k *kit) {
		k.crowd()
		k.selectsAll(map[string]string{`active eq true`: "ann cy", `active ne true`: "bo", `emails.primary eq true`: "ann"})
		k.strict()
		k.badFilters(`active gt false`, `active co true`, `active eq "true"`, `active eq 1`)
	}},
	{48, "times compare as instants, whatever their offset", func(k *kit) {
		k.crowd()
		k.selectsAll(map[string]string{
			`meta.created eq "2026-03-02T10:01:00+01:00"`: "bo", `meta.created gt "2026-03-02T09:00:00Z"`: "bo cy", `meta.created ge "2026-03-02T04:01:00-05:00"`: "bo cy",
			`meta.lastModified lt "2026-03-02T09:00:00.0001Z"`: "ann", `meta.created le "2026-03-02T09:01:00Z"`: "ann bo", `meta.created eq "2026-03-02T09:00:00.0005Z"`: "",
		})
		k.badFilters(`meta.created gt "yesterday"`, `meta.created co "2026"`)
	}},
	{49, "eq null is not pr", func(k *kit) {
		k.crowd()
		k.selectsAll(map[string]string{`title eq null`: "cy", `title ne null`: "ann bo", `emails eq null`: "cy"})
	}},
	{50, "ne holds for what is absent", func(k *kit) {
		k.crowd()
		k.selectsAll(map[string]string{`title ne "Engineer"`: "bo cy", `emails.type ne "home"`: "bo cy"})
	}},
	{51, "JSON escapes in values", func(k *kit) {
		k.crowd()
		k.selectsAll(map[string]string{
			enterprise + `:department eq "50%_\"quoted\"\\path"`: "bo", `userName eq "\u0062o@acme.example"`: "bo",
			enterprise + `:department co "%"`: "bo", `title co "%"`: "", `title co "_"`: "", enterprise + `:department co "_\""`: "bo",
		})
	}},
	{52, "an unknown attribute or bad syntax is 400 invalidFilter", func(k *kit) {
		k.badFilters(`shoeSize eq 1`, `userName`, `userName eq`, `userName is "x"`, `userName eq "x`, `eq "x"`, `emails[type eq "work"`, ` `, `userName eq "x" and`)
		k.strict()
		k.badFilters(`externalId eq jyoung`)
	}},
	{53, "too deep or too long is 400, and the server lives", func(k *kit) {
		deep := strings.Repeat("(", 2000) + `title pr` + strings.Repeat(")", 2000)
		many := strings.TrimSuffix(strings.Repeat(`title pr or `, 100), " or ")
		k.badFilters(deep, many)
		for _, f := range []string{strings.Repeat("(", 900_000), strings.Repeat("not (", 180_000)} {
			k.do("POST", "/Users/.search", object{"schemas": []string{searchURN}, "filter": f}).fails(400, "invalidFilter")
		}
		k.do("GET", "/Users", nil).want(200)
	}},
	{54, "password is no filter", func(k *kit) { k.badFilters(`password eq "x"`, `password pr`, `PASSWORD co "x"`) }},
	{55, "SQL and the evaluator agree", func(k *kit) {
		k.crowd()
		var all []*scim.Resource
		rows, _, err := k.store.ListSCIM(k.Context(), k.tenant, scim.User, store.SCIMQuery{Limit: 100})
		k.must(err)
		for _, r := range rows {
			u := &scim.Resource{Type: scim.User, Attributes: r.Attributes}
			u.Attributes["id"] = r.ID
			u.SetMeta(scim.Meta{Created: r.CreatedAt, LastModified: r.ModifiedAt})
			all = append(all, u)
		}
		random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same cases every time
		for range 150 {
			filter := randomFilter(random, 3)
			e, err := scim.ParseFilter(scim.User, filter, scim.Strict)
			k.must(err)
			var want []string
			for _, u := range all {
				if scim.Match(e, u) {
					name, _, _ := strings.Cut(u.Text("userName"), "@")
					want = append(want, name)
				}
			}
			k.selects(filter, strings.Join(want, " "))
		}
	}},
}

// randomFilter makes a filter over attributes that the crowd has.
func randomFilter(r *rand.Rand, depth int) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	if depth > 0 && r.IntN(2) == 0 {
		a, b := randomFilter(r, depth-1), randomFilter(r, depth-1)
		return pick("("+a+" and "+b+")", "("+a+" or "+b+")", "not ("+a+")")
	}
	texts := []string{`"ann"`, `"engineer"`, `"lee"`, `"@"`, `""`, `"work"`, `"%"`, `"E1"`, `"ann@work.example"`}
	return pick(
		pick("userName", "title", "name.familyName", "externalId", "displayName", "emails.value", "emails.type", enterprise+":department")+" "+
			pick("eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le")+" "+pick(texts...),
		pick("title", "emails", "name", "emails.primary", enterprise+":manager", "meta")+" pr",
		"active "+pick("eq", "ne")+" "+pick("true", "false"),
		"emails["+pick("type", "value")+" "+pick("eq", "co", "ne")+" "+pick(texts...)+" "+pick("and", "or")+" "+pick("primary eq true", "not (type pr)", `value ew "example"`)+"]",
		"meta.created "+pick("eq", "gt", "le")+` "2026-03-02T09:0`+pick("0", "1", "2")+`:00Z"`,
		pick("title", "emails.type")+" "+pick("eq", "ne")+" null",
		`schemas eq "`+pick(coreUser, enterprise)+`"`,
	)
}

func (k *kit) page(query string) reply {
	k.Helper()
	return k.do("GET", "/Users?"+query, nil)
}

var pagePoints = []point{
	{56, "sortBy and sortOrder, ascending unless said", func(k *kit) {
		for _, n := range []string{"cy", "ann", "bo"} {
			k.add(n)
		}
		for query, want := range map[string]string{"sortBy=userName": "ann bo cy", "sortBy=userName&sortOrder=descending": "cy bo ann", "sortBy=userName&sortOrder=ASCENDING": "ann bo cy"} {
			if got := k.page(query).want(200).names(); got != want {
				k.Errorf("%s: %s", query, got)
			}
		}
		k.page("sortBy=userName&sortOrder=up").fails(400, "invalidValue")
		k.page("sortBy=shoeSize").fails(400, "invalidValue")
	}},
	{57, "missing values come last ascending and first descending", func(k *kit) {
		k.add("ann")
		k.add("bo", object{"title": "x"})
		k.add("cy", object{"title": "a"})
		if a, d := k.page("sortBy=title").names(), k.page("sortBy=title&sortOrder=descending").names(); a != "cy bo ann" || d != "ann bo cy" {
			k.Errorf("%q, %q", a, d)
		}
	}},
	{58, "sorting folds as caseExact says", func(k *kit) {
		k.add("ann", object{"title": "b", "externalId": "b"})
		k.add("bo", object{"title": "A", "externalId": "C"})
		k.add("cy", object{"title": "C", "externalId": "a"})
		if folded, exact := k.page("sortBy=title").names(), k.page("sortBy=externalId").names(); folded != "bo ann cy" || exact != "bo cy ann" {
			k.Errorf("%q, %q", folded, exact)
		}
	}},
	{59, "startIndex below 1 is 1", func(k *kit) {
		k.add("ann")
		for _, start := range []string{"0", "-5"} {
			if r := k.page("startIndex=" + start).want(200); r.text("startIndex") != "1" || r.names() != "ann" {
				k.Error(r.raw)
			}
		}
	}},
	{60, "count below 0 is 0, and 0 gives totals only", func(k *kit) {
		k.add("ann")
		for _, count := range []string{"0", "-1"} {
			if r := k.page("count=" + count).want(200); r.text("totalResults") != "1" || len(r.list("Resources")) != 0 || r.text("itemsPerPage") != "0" {
				k.Error(r.raw)
			}
		}
	}},
	{61, "count over the limit is the limit", func(k *kit) {
		k.staff(205)
		if r := k.page("count=1000").want(200); r.text("itemsPerPage") != "200" || r.text("totalResults") != "205" {
			k.Errorf("%s of %s", r.text("itemsPerPage"), r.text("totalResults"))
		}
		if r := k.page("").want(200); r.text("itemsPerPage") != "100" {
			k.Error(r.text("itemsPerPage"))
		}
	}},
	{62, "totalResults counts all", func(k *kit) {
		k.staff(7)
		if r := k.page("count=2&startIndex=3").want(200); r.text("totalResults") != "7" {
			k.Error(r.raw)
		}
		if r := k.page("count=2&filter=" + url.QueryEscape(`userName sw "u000"`)).want(200); r.text("totalResults") != "7" {
			k.Error(r.raw)
		}
	}},
	{63, "itemsPerPage is the number returned", func(k *kit) {
		k.staff(5)
		for query, want := range map[string]string{"count=2": "2", "count=2&startIndex=5": "1", "": "5"} {
			if r := k.page(query).want(200); r.text("itemsPerPage") != want || fmt.Sprint(len(r.list("Resources"))) != want {
				k.Error(r.raw)
			}
		}
	}},
	{64, "a page past the end is 200 and empty", func(k *kit) {
		k.staff(3)
		if r := k.page("startIndex=50").want(200); r.text("totalResults") != "3" || r.list("Resources") == nil || len(r.list("Resources")) != 0 {
			k.Error(r.raw)
		}
	}},
	{65, "the order is stable across pages", func(k *kit) {
		k.staff(23)
		for _, sort := range []string{"", "&sortBy=userType", "&sortBy=userType&sortOrder=descending"} {
			seen := map[string]bool{}
			for start := 1; start <= 23; start += 5 {
				for _, e := range k.page(fmt.Sprintf("count=5&startIndex=%d%s", start, sort)).want(200).list("Resources") {
					seen[at(e, "id").(string)] = true
				}
			}
			if len(seen) != 23 {
				k.Errorf("sort %q: pages show %d of 23", sort, len(seen))
			}
		}
	}},
	{66, "what is no integer is 400 invalidValue", func(k *kit) {
		for _, query := range []string{"count=ten", "startIndex=1.5", "count=1e2", "startIndex=99999999999999999999"} {
			k.page(query).fails(400, "invalidValue")
		}
	}},
	{67, "no cursor is advertised, and none is served", func(k *kit) {
		if r := k.do("GET", "/ServiceProviderConfig", nil).want(200); r.at("pagination") != nil || strings.Contains(r.raw, "cursor") {
			k.Error(r.raw)
		}
		k.staff(3)
		if r := k.page("cursor&count=2").want(200); r.at("nextCursor") != nil {
			k.Error(r.raw)
		}
	}},
}

// staff makes n users straight in the store.
func (k *kit) staff(n int) {
	k.Helper()
	for i := range n {
		_, err := k.store.WriteSCIMUser(k.Context(), k.tenant, store.SCIMCaller{}, store.SCIMUserKey{UserName: fmt.Sprintf("u%04d@acme.example", i)},
			func(*store.SCIMTx, *store.SCIMResource) (scim.Object, error) {
				return scim.Object{"userName": fmt.Sprintf("u%04d@acme.example", i), "active": true, "userType": "Employee"}, nil
			})
		k.must(err)
	}
}

var projectionPoints = []point{
	{68, "attributes count on every request that returns a resource", func(k *kit) {
		id := k.add("ann", object{"title": "x"})
		only := func(r reply, from any) {
			k.Helper()
			if at(from, "id") == nil || at(from, "userName") == nil || at(from, "title") != nil || at(from, "meta") != nil {
				k.Errorf("answered %s", r.raw)
			}
		}
		const q = "?attributes=userName"
		r := k.do("GET", "/Users/"+id+q, nil).want(200)
		only(r, r.body)
		r = k.do("GET", "/Users"+q, nil).want(200)
		only(r, r.list("Resources")[0])
		r = k.do("POST", "/Users"+q, user("bo@acme.example", object{"title": "x"})).want(201)
		only(r, r.body)
		r = k.do("PUT", "/Users/"+id+q, user("ann@acme.example", object{"title": "x"})).want(200)
		only(r, r.body)
		r = k.do("PATCH", "/Users/"+id+q, patch(op("replace", "title", "z"))).want(200)
		only(r, r.body)
		r = k.do("POST", "/Users/.search", object{"schemas": []string{searchURN}, "attributes": []string{"userName"}}).want(200)
		only(r, r.list("Resources")[0])
	}},
	{69, "sub-attributes and URNs", func(k *kit) {
		id := k.add("ann", object{"name": object{"givenName": "A", "familyName": "B"}, enterprise: object{"department": "d", "division": "v"}})
		r := k.do("GET", "/Users/"+id+"?attributes=name.givenName,"+enterprise+":department", nil).want(200)
		if r.text("name", "givenName") != "A" || r.at("name", "familyName") != nil || r.text(enterprise, "department") != "d" || r.at(enterprise, "division") != nil {
			k.Error(r.raw)
		}
		r = k.do("GET", "/Users/"+id+"?excludedAttributes=name.familyName,"+coreUser+":userName", nil).want(200)
		if r.text("name", "givenName") != "A" || r.at("name", "familyName") != nil || r.at("userName") != nil {
			k.Error(r.raw)
		}
	}},
	{70, "both lists together are 400", func(k *kit) {
		k.do("GET", "/Users?attributes=userName&excludedAttributes=title", nil).fails(400, "invalidValue")
	}},
	{71, "excludedAttributes=members does not read them", func(k *kit) {
		id := k.add("ann")
		g := k.addGroup("ops", id)
		counting := &countingStore{Store: k.api.Store}
		k.api.Store = counting
		r := k.do("GET", "/Groups/"+g+"?excludedAttributes=members", nil).want(200)
		k.do("GET", "/Groups?excludedAttributes=members&filter="+url.QueryEscape(`displayName eq "OPS"`), nil).want(200)
		if counting.members != 0 || r.at("members") != nil {
			k.Errorf("members were read %d times", counting.members)
		}
		k.do("GET", "/Groups/"+g, nil).want(200)
		if counting.members != 1 {
			k.Errorf("the count does not count: %d", counting.members)
		}
	}},
}

// TestHugeFilter sends what has ended other servers: 12 MB of parentheses.
func TestHugeFilter(t *testing.T) {
	eachKit(t, func(k *kit) {
		n := 6 << 20
		filter := strings.Repeat("(", n) + `userName pr` + strings.Repeat(")", n)
		for _, path := range []string{"/.search", "/Users/.search", "/Groups/.search"} {
			k.do("POST", path, `{"schemas":["`+searchURN+`"],"filter":"`+filter+`"}`).fails(400, "invalidFilter")
		}
		k.do("GET", "/Users", nil).want(200)
	})
}
