// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"fmt"
	"strings"
	"testing"
)

func TestFilter(t *testing.T) {
	const ent = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:"
	const core = "urn:ietf:params:scim:schemas:core:2.0:User:"
	tests := []struct {
		name   string
		filter string
		want   bool
	}{
		{"39 eq", `displayName eq "Ada Lovelace"`, true},
		{"39 eq of another", `displayName eq "Ada"`, false},
		{"39 ne", `displayName ne "Ada"`, true},
		{"39 ne of the same", `displayName ne "Ada Lovelace"`, false},
		{"39 co", `displayName co "a Lov"`, true},
		{"39 co of nothing is in everything", `displayName co ""`, true},
		{"39 sw", `displayName sw "Ada"`, true},
		{"39 sw not in the middle", `displayName sw "Love"`, false},
		{"39 ew", `displayName ew "lace"`, true},
		{"39 gt", `displayName gt "Ada"`, true},
		{"39 gt is strict", `displayName gt "Ada Lovelace"`, false},
		{"39 ge", `displayName ge "Ada Lovelace"`, true},
		{"39 lt", `displayName lt "Bob"`, true},
		{"39 lt is strict", `displayName lt "Ada Lovelace"`, false},
		{"39 le", `displayName le "Ada Lovelace"`, true},
		{"39 pr", `displayName pr`, true},
		{"39 pr of an absent one", `nickName pr`, false},
		{"39 pr of a complex one", `name pr`, true},
		{"39 pr of a multi-valued one", `emails pr`, true},
		{"39 pr of an empty string", `title pr`, false},
		{"39 eq of an empty string", `title eq ""`, true},
		{"39 nothing is greater than an absent one", `nickName gt "" or nickName le "z"`, false},
		{"40 operators and names in any case", `DISPLAYNAME Eq "Ada Lovelace" AND NOT (Active EQ false)`, true},
		{"41 and binds tighter than or", `active eq true or active eq false and nickName pr`, true},
		{"41 not binds tighter than and", `not (active eq false) and active eq true`, true},
		{"42 parentheses", `(active eq true or active eq false) and nickName pr`, false},
		{"42 not without a space", `not(nickName pr)`, true},
		{"42 parentheses within parentheses", `((not ((nickName pr))))`, true},
		{"43 valuePath binds one element", `emails[type eq "work" and value co "@example.com"]`, true},
		{"43 not two elements", `emails[type eq "home" and value co "@example.com"]`, false},
		{"43 without brackets two elements may do", `emails.type eq "home" and emails.value co "@example.com"`, true},
		{"43 not inside", `emails[not (type eq "work")]`, true},
		{"43 ne inside is of the element", `emails[type ne "work" and value ew "home.example"]`, true},
		{"43 a sub-attribute after it", `emails[type eq "work"].value eq "ada@example.com"`, true},
		{"43 ne after it is of the whole", `emails[type eq "work"].value ne "ada@example.com"`, false},
		{"43 eq null after it", `emails[type eq "work"].display eq null`, true},
		{"43 pr after it", `emails[type eq "work"].value pr`, true},
		{"44 emails.value", `emails.value eq "ada@home.example"`, true},
		{"44 emails means its value", `emails co "home.example"`, true},
		{"44 manager means its value", `manager eq "u2"`, true},
		{"45 core URN", core + `userName eq "ada@example.com"`, true},
		{"45 core URN with a sub-attribute", core + `name.givenName eq "ada"`, true},
		{"45 extension URN", ent + `department eq "engines"`, true},
		{"45 extension URN with a sub-attribute", ent + `manager.value eq "u2"`, true},
		{"45 URN in any case", strings.ToUpper(ent) + `department eq "engines"`, true},
		{"45 extension attribute without a URN", `department sw "Eng"`, true},
		{"46 userName is not case exact", `userName eq "aDA@EXAMPLE.com"`, true},
		{"46 id is", `id eq "U1"`, false},
		{"46 externalId is", `externalId eq "ext-1"`, false},
		{"46 externalId as it was sent", `externalId eq "Ext-1"`, true},
		{"46 letters that fold alike", `userName eq "Ada@example.com" and displayName co "\u017fada" or userType co "ADMIN"`, true},
		{"47 boolean", `active eq true`, true},
		{"47 boolean ne", `active ne true`, false},
		{"47 boolean in an element", `emails[primary eq true].type eq "work"`, true},
		{"48 dates are instants", `meta.lastModified eq "2026-01-31T22:00:00Z"`, true},
		{"48 across offsets", `meta.lastModified gt "2026-01-31T23:30:00+02:00"`, true},
		{"48 le", `meta.created le "2026-01-31T18:42:00.000Z"`, true},
		{"49 eq null is not pr", `nickName eq null`, true},
		{"49 of one that is present", `displayName eq null`, false},
		{"49 ne null is pr", `displayName ne null`, true},
		{"49 of a complex one", `manager eq null`, false},
		{"50 ne of an absent one", `nickName ne "x"`, true},
		{"50 ne of a multi-valued one denies all", `emails.type ne "home"`, false},
		{"50 where none is equal", `emails.type ne "other"`, true},
		{"51 escapes", `displayName eq "\u0041da\u0020Lovelace"`, true},
		{"51 quotes and backslashes", `displayName eq "\"\\"`, false},
		{"schemas", `schemas eq "` + EnterpriseUserURN + `"`, true},
		{"groups", `groups.display eq "engineers"`, true},
		{"what Entra checks references with", `id eq "u1" and manager eq "u2"`, true},
	}
	r := user(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := ParseFilter(User, tt.filter, Strict)
			if err != nil {
				t.Fatal(err)
			}
			if got := Match(e, r); got != tt.want {
				t.Errorf("Match = %v, want %v; read as %s", got, tt.want, e)
			}
			again, err := ParseFilter(User, e.String(), Strict)
			if err != nil || again.String() != e.String() {
				t.Errorf("%s is read as %v (%v)", e, again, err)
			}
		})
	}
}

func TestFilterRefused(t *testing.T) {
	tests := []struct{ name, filter string }{
		{"47 gt on a boolean", `active gt true`},
		{"47 co on a boolean", `active co true`},
		{"47 a string for a boolean", `active eq "true"`},
		{"47 a boolean for a string", `userName eq true`},
		{"47 a number for a string", `userName eq 1`},
		{"48 co on a date", `meta.created co "2026"`},
		{"48 no date", `meta.created gt "yesterday"`},
		{"49 gt null", `userName gt null`},
		{"52 unknown attribute", `favouriteColour eq "red"`},
		{"52 unknown sub-attribute", `name.nickname eq "x"`},
		{"52 unknown URN", `urn:example:User:userName eq "x"`},
		{"52 unknown operator", `userName like "x"`},
		{"52 nothing", ``},
		{"52 only space", `  `},
		{"52 no value", `userName eq`},
		{"52 unquoted value", `userName eq ada`},
		{"52 single quotes", `userName eq 'ada'`},
		{"52 a string that does not end", `userName eq "ada`},
		{"52 something after it", `userName pr active`},
		{"52 a closing parenthesis too many", `userName pr)`},
		{"52 a closing parenthesis too few", `(userName pr`},
		{"52 an empty group", `()`},
		{"52 not without parentheses", `not userName pr`},
		{"52 and without a right side", `userName pr and`},
		{"52 brackets within brackets", `emails[type eq "x" and emails[type eq "y"]]`},
		{"52 brackets on a single value", `name[givenName eq "x"]`},
		{"52 brackets that do not close", `emails[type eq "x"`},
		{"52 another attribute in brackets", `emails[userName eq "x"]`},
		{"52 a complex one without a value", `name eq "x"`},
		{"52 an address", `addresses eq "x"`},
		{"52 a whole extension", EnterpriseUserURN + ` pr`},
		{"52 U+0000", `userName eq "\u0000"`},
		{"52 a raw control character", "userName eq \"a\nb\""},
		{"52 not UTF-8", "userName eq \"\xff\""},
		{"52 true in capitals", `active eq TRUE`},
		{"53 too long", `userName eq "` + strings.Repeat("x", MaxFilterLength) + `"`},
		{"53 too deep", strings.Repeat("(", MaxFilterDepth+1) + "userName pr" + strings.Repeat(")", MaxFilterDepth+1)},
		{"53 too deep with not", strings.Repeat("not(", MaxFilterDepth+1) + "userName pr" + strings.Repeat(")", MaxFilterDepth+1)},
		{"53 only opened", strings.Repeat("(", MaxFilterLength)},
		{"53 too many terms", strings.Repeat("id pr or ", MaxFilterTerms) + "id pr"},
		{"54 password", `password eq "x"`},
		{"54 password pr", `password pr`},
		{"54 password with a URN", CoreUserURN + `:Password sw "x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseFilter(User, tt.filter, Strict)
			want400(t, err, InvalidFilter)
		})
	}
}

func TestFilterLimits(t *testing.T) {
	t.Run("53 what is within the limits is read", func(t *testing.T) {
		deep := strings.Repeat("(", MaxFilterDepth) + "userName pr" + strings.Repeat(")", MaxFilterDepth)
		wide := strings.Repeat("id pr or ", MaxFilterTerms-1) + "id pr"
		for _, filter := range []string{deep, wide} {
			if _, err := ParseFilter(User, filter, Strict); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("53 12 MB of parentheses", func(t *testing.T) {
		_, err := ParseFilter(User, strings.Repeat("(", 12<<20), Strict)
		want400(t, err, InvalidFilter)
	})
	t.Run("99 a refusal does not repeat the text", func(t *testing.T) {
		_, err := ParseFilter(User, `userName eq "ada@example.com" oops`, Strict)
		if strings.Contains(fmt.Sprint(err), "ada") {
			t.Errorf("error = %v", err)
		}
	})
}

func TestFilterBare(t *testing.T) {
	lenient := Dialect{BareLiterals: true, StringBooleans: true}
	tests := []struct{ filter, want string }{
		{`externalId eq jyoung`, `externalId eq "jyoung"`},
		{`userName sw O`, `userName sw "O"`},
		{`(userName eq ada@example.com)`, `userName eq "ada@example.com"`},
		{`emails[type eq work].value eq a@b.c`, `emails[type eq "work" and value eq "a@b.c"]`},
		{`externalId eq 701`, `externalId eq "701"`},
		{`externalId eq true`, `externalId eq "true"`},
		{`active eq "False"`, `active eq false`},
		{`active eq True`, `active eq true`},
		{`active eq true`, `active eq true`},
		{`externalId eq null`, `externalId eq null`},
		{`externalId eq "null"`, `externalId eq "null"`},
	}
	for _, tt := range tests {
		e, err := ParseFilter(User, tt.filter, lenient)
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		if e.String() != tt.want {
			t.Errorf("%s is read as %s, want %s", tt.filter, e, tt.want)
		}
	}
}

func TestFilterTree(t *testing.T) {
	tests := []struct{ filter, want string }{
		{`a`, ``},
		{`id pr and (userName pr and active eq true)`, `id pr and userName pr and active eq true`},
		{`id pr or (userName pr or active eq true)`, `id pr or userName pr or active eq true`},
		{`id pr and (userName pr or active eq true)`, `id pr and (userName pr or active eq true)`},
		{`emails eq "x"`, `emails.value eq "x"`},
		{`manager pr`, EnterpriseUserURN + `:manager pr`},
		{`emails[type eq "work"].value ne "x"`, `not (emails[type eq "work" and value eq "x"])`},
	}
	for _, tt := range tests {
		e, err := ParseFilter(User, tt.filter, Strict)
		if tt.want == "" {
			want400(t, err, InvalidFilter)
			continue
		}
		if err != nil || e.String() != tt.want {
			t.Errorf("%s is read as %v (%v), want %s", tt.filter, e, err, tt.want)
		}
	}
}

// TestFilterNumbers reads the types that no attribute of the served schemas has.
func TestFilterNumbers(t *testing.T) {
	rt := &ResourceType{Name: "Device", Schema: &Schema{ID: "urn:example:Device", Attributes: []*Attribute{
		text("weight", "", typed(TypeDecimal)),
		text("count", "", typed(TypeInteger)),
		text("key", "", typed(TypeBinary), exact),
	}}}
	r, err := Decode(rt, doc(t, `{"schemas":["urn:example:Device"],"weight":1.50,"count":10,"key":"aGk="}`), Strict)
	if err != nil {
		t.Fatal(err)
	}
	for filter, want := range map[string]bool{
		`weight eq 1.5`: true, `weight gt 15e-1`: false, `weight lt 2`: true, `weight ne 2`: true,
		`count gt 9`: true, `count le 10`: true, `count ge -1`: true, `key eq "aGk="`: true, `key sw "aG"`: true,
	} {
		e, err := ParseFilter(rt, filter, Strict)
		if err != nil || Match(e, r) != want {
			t.Errorf("%s is not %v (%v)", filter, want, err)
		}
	}
	for _, filter := range []string{`weight eq "1.5"`, `weight co 1`, `weight eq 1.`, `weight eq 01`, `weight eq 1e999`, `key gt "a"`} {
		_, err := ParseFilter(rt, filter, Strict)
		want400(t, err, InvalidFilter)
	}
	for _, body := range []string{`"weight":"1"`, `"count":1.5`, `"count":1e2`, `"key":"not base64!"`} {
		_, err := Decode(rt, doc(t, `{"schemas":["urn:example:Device"],`+body+`}`), Strict)
		want400(t, err, InvalidValue)
	}
}
