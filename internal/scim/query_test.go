// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSort(t *testing.T) {
	build := func(id, attrs string) *Resource {
		r, err := Restore(User, []byte(`{"id":"`+id+`"`+attrs+`}`))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	users := []*Resource{
		build("3", `,"userName":"bob","externalId":"b","active":true,"meta":{"created":"2026-01-01T01:00:00+02:00"},"emails":[{"value":"z"},{"value":"a","primary":true}]`),
		build("1", `,"userName":"Alice","externalId":"B","active":false,"meta":{"created":"2026-01-01T00:00:00Z"},"emails":[{"value":"m"},{"value":"a"}]`),
		build("4", `,"userName":"carol","externalId":"a"`),
		build("2", `,"userName":"BOB","name":{"familyName":"Zed"},"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"d"}`),
	}
	tests := []struct{ name, by, order, want string }{
		{"56 ascending by default, 58 not case exact, 65 ties by id", "userName", "", "1 2 3 4"},
		{"56 descending, ties by id", "userName", "Descending", "4 2 3 1"},
		{"56 ascending", "USERNAME", "ascending", "1 2 3 4"},
		{"58 case exact", "externalId", "", "1 4 3 2"},
		{"57 missing last ascending", "name.familyName", "ascending", "2 1 3 4"},
		{"57 missing first descending", "name.familyName", "descending", "1 3 4 2"},
		{"booleans", "active", "", "1 3 2 4"},
		{"dates are instants", "meta.created", "", "3 1 2 4"},
		{"a multi-valued one by its primary value, else its first", "emails", "", "3 1 2 4"},
		{"an extension", EnterpriseUserURN + ":department", "descending", "1 3 4 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ParseSort(User, tt.by, tt.order)
			if err != nil {
				t.Fatal(err)
			}
			list := slices.Clone(users)
			slices.SortFunc(list, s.Compare)
			var ids []string
			for _, r := range list {
				ids = append(ids, r.ID())
			}
			if got := strings.Join(ids, " "); got != tt.want {
				t.Errorf("order = %s, want %s", got, tt.want)
			}
		})
	}
	for _, by := range []string{"nothing", "password", "name", "addresses", "schemas", EnterpriseUserURN, strings.Repeat("x", MaxFilterLength+1)} {
		_, err := ParseSort(User, by, "")
		want400(t, err, InvalidValue)
	}
	if _, err := ParseSort(Group, "members", ""); err == nil {
		t.Error("sorted by members")
	}
	_, err := ParseSort(User, "", "sideways")
	want400(t, err, InvalidValue)
	if s, err := ParseSort(User, "", "descending"); s != nil || err != nil {
		t.Errorf("without sortBy: %v, %v", s, err)
	}
}

func TestProjection(t *testing.T) {
	const schema = `{"schemas":["` + CoreUserURN + `"`
	tests := []struct{ name, attributes, excluded, want string }{
		{"68 attributes", "userName,active", "", schema + `],"id":"u1","userName":"Ada@example.com","active":true}`},
		{"69 a sub-attribute", "name.familyName", "", schema + `],"id":"u1","name":{"familyName":"Lovelace"}}`},
		{"69 a sub-attribute of many", "emails.type", "", schema + `],"id":"u1","emails":[{"type":"work"},{"type":"home"}]}`},
		{"69 a core URN", CoreUserURN + ":userName", "", schema + `],"id":"u1","userName":"Ada@example.com"}`},
		{"69 an extension URN", EnterpriseUserURN + ":manager.value", "", schema + `,"` + EnterpriseUserURN + `"],"id":"u1","` + EnterpriseUserURN + `":{"manager":{"value":"u2"}}}`},
		{"69 a whole extension", EnterpriseUserURN, "", schema + `,"` + EnterpriseUserURN + `"],"id":"u1","` + EnterpriseUserURN + `":{"employeeNumber":"701","department":"Engines","manager":{"value":"u2"}}}`},
		{"69 the whole and a part of it", "name,name.givenName", "", schema + `],"id":"u1","name":{"familyName":"Lovelace","givenName":"Ada"}}`},
		{"69 a value path", `emails[type eq "home"]`, "", schema + `],"id":"u1","emails":[{"value":"ada@home.example","type":"home"}]}`},
		{"69 a value path with a sub-attribute", `emails[primary eq "True"].value,emails.type`, "", schema + `],"id":"u1","emails":[{"value":"ada@example.com","type":"work"},{"type":"home"}]}`},
		{"69 a value path with a comma", `emails[value eq "a,]b" or type eq "work"].type , active`, "", schema + `],"id":"u1","active":true,"emails":[{"type":"work"}]}`},
		{"69 a value path that selects nothing", `emails[type eq "other"],active`, "", schema + `],"id":"u1","active":true}`},
		{"69 a malformed value path", `emails[type eq ,active`, "", schema + `],"id":"u1"}`},
		{"an unknown name", "nothing", "", schema + `],"id":"u1"}`},
		{"21 password cannot be asked for", "password", "", schema + `],"id":"u1"}`},
		{"22 always survives", "", "id,schemas,externalId,userName,name,displayName,title,active,userType,emails,phoneNumbers,addresses,roles,groups,meta," + EnterpriseUserURN, schema + `],"id":"u1"}`},
		{"69 a part is left out", "", "name.familyName,emails.primary,externalId,userName,displayName,title,active,userType,phoneNumbers,addresses,roles,groups,META," + EnterpriseUserURN + ":employeeNumber,manager", schema + `,"` + EnterpriseUserURN + `"],"id":"u1","name":{"givenName":"Ada"},"emails":[{"value":"ada@example.com","type":"work"},{"value":"ada@home.example","type":"home"}],"` + EnterpriseUserURN + `":{"department":"Engines"}}`},
	}
	r := user(t)
	before := jsonOf(t, r)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ParseProjection(User, SplitNames(tt.attributes), SplitNames(tt.excluded))
			if err != nil {
				t.Fatal(err)
			}
			if got := jsonOf(t, p.Apply(r)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if jsonOf(t, r) != before {
				t.Error("the resource itself was changed")
			}
		})
	}
	t.Run("69 values that a path leaves out", func(t *testing.T) {
		p, err := ParseProjection(User, nil, []string{`emails[type eq "work"]`, `emails[type eq "home"].type`})
		if err != nil {
			t.Fatal(err)
		}
		if got := jsonOf(t, p.Apply(r).Get("emails")); got != `[{"value":"ada@home.example"}]` {
			t.Error(got)
		}
	})
	t.Run("too many names", func(t *testing.T) {
		_, err := ParseProjection(User, make([]string, MaxNames+1), nil)
		want400(t, err, InvalidValue)
	})
	t.Run("70 both together", func(t *testing.T) {
		_, err := ParseProjection(User, []string{"userName"}, []string{"active"})
		want400(t, err, InvalidValue)
	})
	t.Run("71 members need not be read", func(t *testing.T) {
		for _, tt := range []struct {
			attributes, excluded string
			want                 bool
		}{{"", "members", false}, {"", "members.display", true}, {"displayName", "", false}, {"members.value", "", true}, {"", "", true}, {" , ", "", true}} {
			p, err := ParseProjection(Group, SplitNames(tt.attributes), SplitNames(tt.excluded))
			if err != nil || p.Includes("members") != tt.want {
				t.Errorf("%+v: Includes = %v (%v)", tt, !tt.want, err)
			}
		}
	})
	t.Run("what is returned on request only", func(t *testing.T) {
		rt := &ResourceType{Name: "Device", Schema: &Schema{ID: "urn:example:Device", Attributes: []*Attribute{
			text("big", "", func(a *Attribute) { a.Returned = ReturnedRequest }), text("name", ""),
		}}}
		r := &Resource{Type: rt, Attributes: Object{"big": "b", "name": "n"}}
		for attributes, want := range map[string]string{"": `"name":"n"`, "big": `"big":"b"`} {
			p, err := ParseProjection(rt, SplitNames(attributes), nil)
			if got := jsonOf(t, p.Apply(r)); err != nil || got != `{"schemas":["urn:example:Device"],`+want+`}` {
				t.Errorf("attributes=%s: %s (%v)", attributes, got, err)
			}
		}
	})
}

func TestUserNameRule(t *testing.T) {
	accepted := []string{"ada@example.com", "Ada.L+x@sub.example.co.uk", "o'neil@example.com", "ada@bücher.example", "a@1a.b2"}
	refused := []string{
		"", " ", "ada", "ada@localhost", "ada@", "@example.com", "ada@example.com ", " ada@example.com",
		"Ada <ada@example.com>", "<ada@example.com>", "ada@example.com (home)", `"a b"@example.com`,
		"ada@[192.0.2.1]", "ada@192.0.2.1", "ada@[IPv6:2001:db8::1]", "ada@example..com", "ada@-a.com", "ada@example.com.",
		"a@b@example.com", "ada@exa mple.com", "ada@example.com,bob@example.com", "ada@exam_ple.com",
		strings.Repeat("a", 250) + "@example.com", "ada@" + strings.Repeat("a", 64) + ".com",
	}
	for _, name := range accepted {
		if err := (UserNameRule{}).Check(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range refused {
		want400(t, (UserNameRule{}).Check(name), InvalidValue)
	}
	t.Run("domains", func(t *testing.T) {
		rule := UserNameRule{Domains: []string{"Example.com"}}
		if err := rule.Check("ada@EXAMPLE.com"); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"ada@evil.example", "ada@sub.example.com", "ada@example.com.evil.example"} {
			want400(t, rule.Check(name), InvalidValue)
		}
	})
	t.Run("any text", func(t *testing.T) {
		if err := (UserNameRule{AnyText: true}).Check("Test_User_ab6490ee"); err != nil {
			t.Error(err)
		}
		want400(t, UserNameRule{AnyText: true}.Check(" "), InvalidValue)
	})
}

func TestETag(t *testing.T) {
	t.Run("94 weak", func(t *testing.T) {
		if got := WeakETag(3); got != `W/"3"` {
			t.Error(got)
		}
		for header, want := range map[string]bool{
			`W/"3"`: true, `"3"`: true, `*`: true, ` W/"2" , W/"3"`: true,
			`W/"4"`: false, ``: false, `3`: false, `W/"33"`: false, `w/"3"`: false,
		} {
			if got := ETagMatches(header, 3); got != want {
				t.Errorf("ETagMatches(%s) = %v", header, got)
			}
		}
	})
}

func TestFold(t *testing.T) {
	same := [][2]string{{"Ada", "aDA"}, {"ſ", "S"}, {"\u212a", "k"}, {"Σς", "σσ"}, {"ÉÀ", "éà"}, {"ǅ", "ǆ"}, {"", ""}}
	for _, p := range same {
		if Fold(p[0]) != Fold(p[1]) || !strings.EqualFold(p[0], p[1]) {
			t.Errorf("%q and %q differ", p[0], p[1])
		}
	}
	for _, p := range [][2]string{{"a", "b"}, {"ß", "ss"}, {"e\u0301", "é"}, {"ı", "i"}} {
		if Fold(p[0]) == Fold(p[1]) {
			t.Errorf("%q and %q are one", p[0], p[1])
		}
	}
	if Fold("Ada@EXAMPLE.com") != "ada@example.com" {
		t.Error(Fold("Ada@EXAMPLE.com"))
	}
}

func TestMeta(t *testing.T) {
	t.Run("13 RFC 3339 in UTC", func(t *testing.T) {
		r := NewResource(User)
		at := time.Date(2026, 1, 31, 20, 42, 0, 5e6, time.FixedZone("", 7200))
		r.SetMeta(Meta{Created: at, LastModified: at, Location: "https://x/Users/1", Version: WeakETag(1)})
		want := `{"resourceType":"User","created":"2026-01-31T18:42:00.005Z","lastModified":"2026-01-31T18:42:00.005Z","location":"https://x/Users/1","version":"W/\"1\""}`
		if got := jsonOf(t, r); got != `{"schemas":["`+CoreUserURN+`"],"meta":`+want+`}` {
			t.Error(got)
		}
	})
}

func TestError(t *testing.T) {
	t.Run("92 status is a string, scimType only where defined", func(t *testing.T) {
		if got := jsonOf(t, badRequest(InvalidValue, "x").Document()); got != `{"schemas":["`+ErrorURN+`"],"status":"400","scimType":"invalidValue","detail":"x"}` {
			t.Error(got)
		}
		if got := jsonOf(t, tooLarge("x").Document()); got != `{"schemas":["`+ErrorURN+`"],"status":"413","detail":"x"}` {
			t.Error(got)
		}
		wrapped := fmt.Errorf("around: %w", badRequest(NoTarget, "x"))
		if e, ok := AsError(wrapped); !ok || e.Type != NoTarget {
			t.Error(wrapped)
		}
	})
}
