// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// ops wraps operations into a body of a PATCH.
func ops(t testing.TB, list string) map[string]any {
	t.Helper()
	return doc(t, `{"schemas":["`+PatchOpURN+`"],"Operations":[`+list+`]}`)
}

// patched applies operations to r.
func patched(t testing.TB, r *Resource, dialect Dialect, list string) (*PatchResult, error) {
	t.Helper()
	p, err := ParsePatch(r.Type, ops(t, list), dialect)
	if err != nil {
		return nil, err
	}
	return p.Apply(r, nil)
}

func TestPatch(t *testing.T) {
	const ent = EnterpriseUserURN
	tests := []struct {
		name, ops string
		// get is what is looked at afterwards, want its JSON, changed the names.
		get, want, changed string
	}{
		{"73 op in any case", `{"op":"ADD","path":"nickName","value":"Babs"}`, "nickName", `"Babs"`, "[nickName]"},
		{"75 sequential", `{"op":"add","path":"nickName","value":"a"},{"op":"remove","path":"nickName"},{"op":"replace","path":"nickName","value":"b"}`, "nickName", `"b"`, "[nickName]"},
		{"75 the second sees the first", `{"op":"add","path":"emails","value":[{"type":"other","value":"o"}]},{"op":"replace","path":"emails[type eq \"other\"].value","value":"p"}`,
			"emails", `[{"primary":true,"type":"work","value":"ada@example.com"},{"type":"home","value":"ada@home.example"},{"type":"other","value":"p"}]`, "[emails]"},
		{"76 add appends", `{"op":"add","path":"roles","value":[{"value":"editor"}]}`, "roles", `[{"value":"viewer"},{"value":"editor"}]`, "[roles]"},
		{"76 one value without a list", `{"op":"add","path":"roles","value":{"value":"editor"}}`, "roles", `[{"value":"viewer"},{"value":"editor"}]`, "[roles]"},
		{"76 no duplicates", `{"op":"add","path":"roles","value":[{"value":"viewer"},{"value":"editor"},{"value":"editor"}]}`, "roles", `[{"value":"viewer"},{"value":"editor"}]`, "[roles]"},
		{"76 more about the same value", `{"op":"add","path":"roles","value":[{"value":"viewer","display":"Viewer"}]}`, "roles", `[{"display":"Viewer","value":"viewer"}]`, "[roles]"},
		{"76 nor among what replaces", `{"op":"replace","path":"roles","value":[{"value":"a"},{"value":"a"}]}`, "roles", `[{"value":"a"}]`, "[roles]"},
		{"77 add of an existing value", `{"op":"add","path":"roles","value":[{"value":"viewer"}]},{"op":"add","path":"displayName","value":"Ada Lovelace"}`, "roles", `[{"value":"viewer"}]`, "[]"},
		{"77 replace by the same", `{"op":"replace","value":{"active":true,"name":{"givenName":"Ada"}}}`, "active", `true`, "[]"},
		{"77 there and back", `{"op":"replace","path":"active","value":false},{"op":"replace","path":"active","value":true}`, "active", `true`, "[]"},
		{"78 add without a path merges", `{"op":"add","value":{"name":{"middleName":"K"},"roles":[{"value":"editor"}],"favouriteColour":"red"}}`,
			"name", `{"familyName":"Lovelace","givenName":"Ada","middleName":"K"}`, "[name.middleName roles]"},
		{"78 replace without a path", `{"op":"replace","value":{"NAME":{"GivenName":"K"},"emails":[{"value":"x"}],"schemas":[]}}`, "emails", `[{"value":"x"}]`, "[name.givenName emails]"},
		{"78 an extension without a path", `{"op":"add","value":{"` + ent + `":{"division":"D","manager":{"value":"u3"}}}}`,
			ent, `{"department":"Engines","division":"D","employeeNumber":"701","manager":{"value":"u3"}}`, "[" + ent + ":division " + ent + ":manager.value]"},
		{"81 remove by filter", `{"op":"remove","path":"emails[type eq \"home\"]"}`, "emails", `[{"primary":true,"type":"work","value":"ada@example.com"}]`, "[emails]"},
		{"81 the last element leaves it unassigned", `{"op":"remove","path":"roles[value eq \"viewer\"]"}`, "roles", `null`, "[roles]"},
		{"81 nothing selected is no change", `{"op":"remove","path":"roles[value eq \"editor\"]"}`, "roles", `[{"value":"viewer"}]`, "[]"},
		{"81 a sub-attribute of what is selected", `{"op":"remove","path":"emails[type eq \"work\"].primary"}`, "emails", `[{"type":"work","value":"ada@example.com"},{"type":"home","value":"ada@home.example"}]`, "[emails]"},
		{"81 the whole", `{"op":"remove","path":"emails"}`, "emails", `null`, "[emails]"},
		{"81 a sub-attribute", `{"op":"remove","path":"name.givenName"}`, "name", `{"familyName":"Lovelace"}`, "[name.givenName]"},
		{"81 the last sub-attribute", `{"op":"remove","path":"name.givenName"},{"op":"remove","path":"name.familyName"}`, "name", `null`, "[name.familyName name.givenName]"},
		{"81 what is not there", `{"op":"remove","path":"nickName"}`, "nickName", `null`, "[]"},
		{"82 replace of what is not there adds", `{"op":"replace","path":"nickName","value":"Babs"}`, "nickName", `"Babs"`, "[nickName]"},
		{"83 replace valuePath.sub", `{"op":"replace","path":"emails[type eq \"work\"].value","value":"x@y"}`, "emails", `[{"primary":true,"type":"work","value":"x@y"},{"type":"home","value":"ada@home.example"}]`, "[emails]"},
		{"83 on all matches", `{"op":"replace","path":"emails[value co \"ada\"].display","value":"A"}`, "emails", `[{"display":"A","primary":true,"type":"work","value":"ada@example.com"},{"display":"A","type":"home","value":"ada@home.example"}]`, "[emails]"},
		{"83 on all elements", `{"op":"replace","path":"emails.display","value":"A"}`, "emails", `[{"display":"A","primary":true,"type":"work","value":"ada@example.com"},{"display":"A","type":"home","value":"ada@home.example"}]`, "[emails]"},
		{"83 replace of an element is of all of it", `{"op":"replace","path":"emails[type eq \"work\"]","value":{"value":"n","type":"work"}}`, "emails", `[{"type":"work","value":"n"},{"type":"home","value":"ada@home.example"}]`, "[emails]"},
		{"83 add to an element merges", `{"op":"add","path":"emails[type eq \"work\"]","value":{"display":"A"}}`, "emails", `[{"display":"A","primary":true,"type":"work","value":"ada@example.com"},{"type":"home","value":"ada@home.example"}]`, "[emails]"},
		{"85 a core URN", `{"op":"replace","path":"` + CoreUserURN + `:name.givenName","value":"K"}`, "name.givenName", `"K"`, "[name.givenName]"},
		{"85 an extension URN", `{"op":"replace","path":"` + ent + `:employeeNumber","value":"1"}`, ent + ":employeeNumber", `"1"`, "[" + ent + ":employeeNumber]"},
		{"85 with a sub-attribute", `{"op":"replace","path":"` + ent + `:manager.value","value":"u3"}`, ent + ":manager", `{"value":"u3"}`, "[" + ent + ":manager.value]"},
		{"85 a whole extension", `{"op":"replace","path":"` + ent + `","value":{"department":"D"}}`, ent, `{"department":"D","employeeNumber":"701","manager":{"value":"u2"}}`, "[" + ent + ":department]"},
		{"85 the end of a whole extension", `{"op":"remove","path":"` + strings.ToUpper(ent) + `"}`, ent, `null`, "[" + ent + ":employeeNumber " + ent + ":department " + ent + ":manager.value]"},
		{"85 an element by a URN", `{"op":"remove","path":"` + CoreUserURN + `:emails[type eq \"home\"]"}`, "emails", `[{"primary":true,"type":"work","value":"ada@example.com"}]`, "[emails]"},
		{"17 replace by null unassigns", `{"op":"replace","value":{"displayName":null,"emails":[],"name":{"givenName":null}}}`, "name", `{"familyName":"Lovelace"}`, "[name.givenName displayName emails]"},
		{"17 add of null says nothing", `{"op":"add","value":{"displayName":null,"emails":null}}`, "displayName", `"Ada Lovelace"`, "[]"},
		{"24 a new primary value takes it from the other", `{"op":"add","path":"emails","value":[{"value":"n","type":"other","primary":true}]}`,
			"emails", `[{"primary":false,"type":"work","value":"ada@example.com"},{"type":"home","value":"ada@home.example"},{"primary":true,"type":"other","value":"n"}]`, "[emails]"},
		{"24 by a path", `{"op":"replace","path":"emails[type eq \"home\"].primary","value":true}`,
			"emails", `[{"primary":false,"type":"work","value":"ada@example.com"},{"primary":true,"type":"home","value":"ada@home.example"}]`, "[emails]"},
		{"21 password is discarded", `{"op":"replace","path":"password","value":"hunter2"},{"op":"add","value":{"password":"x"}}`, "password", `null`, "[]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := user(t)
			before := jsonOf(t, r)
			res, err := patched(t, r, Strict, tt.ops)
			if err != nil {
				t.Fatal(err)
			}
			if got := jsonOf(t, res.Resource.Get(tt.get)); got != tt.want {
				t.Errorf("%s = %s\nwant %s", tt.get, got, tt.want)
			}
			if got := fmt.Sprint(res.Changed); got != tt.changed {
				t.Errorf("changed %s, want %s", got, tt.changed)
			}
			if jsonOf(t, r) != before {
				t.Error("what is stored was changed")
			}
		})
	}
}

func TestPatchRefused(t *testing.T) {
	tests := []struct {
		name, ops string
		kind      ScimType
	}{
		{"72 no operation", ``, InvalidSyntax},
		{"72 an operation that is no object", `1`, InvalidSyntax},
		{"73 unknown op", `{"op":"move","path":"title","value":"x"}`, InvalidSyntax},
		{"73 no op", `{"path":"title","value":"x"}`, InvalidSyntax},
		{"73 op is no string", `{"op":1,"path":"title","value":"x"}`, InvalidSyntax},
		{"95 op in two spellings", `{"op":"add","OP":"remove","path":"title","value":"x"}`, InvalidSyntax},
		{"74 atomic", `{"op":"add","path":"nickName","value":"x"},{"op":"add","path":"title","value":1}`, InvalidValue},
		{"79 remove without a path", `{"op":"remove"}`, NoTarget},
		{"79 remove without a path but a value", `{"op":"remove","value":{"title":"x"}}`, NoTarget},
		{"80 remove of a required one", `{"op":"remove","path":"userName"}`, Mutability},
		{"80 remove of a read-only one", `{"op":"remove","path":"id"}`, Mutability},
		{"80 remove of meta", `{"op":"remove","path":"meta.created"}`, Mutability},
		{"19 replace of a read-only one", `{"op":"replace","path":"groups","value":[]}`, Mutability},
		{"19 of a read-only sub-attribute", `{"op":"replace","path":"manager.displayName","value":"x"}`, Mutability},
		{"19 without a path", `{"op":"replace","value":{"id":"u1"}}`, Mutability},
		{"30 a required one by null", `{"op":"replace","path":"userName","value":null}`, InvalidValue},
		{"30 a required one by nothing", `{"op":"replace","value":{"userName":""}}`, InvalidValue},
		{"82 replace with an unmatched valuePath", `{"op":"replace","path":"emails[type eq \"other\"].value","value":"x"}`, NoTarget},
		{"82 add with one", `{"op":"add","path":"emails[type eq \"other\"]","value":{"value":"x"}}`, NoTarget},
		{"82 a sub-attribute of no element", `{"op":"replace","path":"ims.value","value":"x"}`, NoTarget},
		{"84 unknown attribute", `{"op":"replace","path":"favouriteColour","value":"x"}`, InvalidPath},
		{"84 unknown sub-attribute", `{"op":"replace","path":"name.nickname","value":"x"}`, InvalidPath},
		{"84 unknown URN", `{"op":"replace","path":"urn:example:User:title","value":"x"}`, InvalidPath},
		{"84 the core URN alone", `{"op":"replace","path":"` + CoreUserURN + `","value":{}}`, InvalidPath},
		{"84 an empty path", `{"op":"replace","path":"","value":{"title":"x"}}`, InvalidPath},
		{"84 path is no string", `{"op":"replace","path":1,"value":"x"}`, InvalidPath},
		{"84 brackets that do not close", `{"op":"remove","path":"emails[type eq \"x\""}`, InvalidPath},
		{"84 nothing in brackets", `{"op":"remove","path":"emails[]"}`, InvalidPath},
		{"84 something after it", `{"op":"remove","path":"emails[type eq \"x\"]value"}`, InvalidPath},
		{"84 brackets on a single value", `{"op":"remove","path":"name[givenName eq \"x\"]"}`, InvalidPath},
		{"84 space", `{"op":"remove","path":" emails"}`, InvalidPath},
		{"84 too long", `{"op":"remove","path":"` + strings.Repeat("x", MaxFilterLength+1) + `"}`, InvalidPath},
		{"84 a comparison that the type has not", `{"op":"remove","path":"emails[primary gt true]"}`, InvalidFilter},
		{"no value", `{"op":"add","path":"title"}`, InvalidValue},
		{"no object without a path", `{"op":"add","value":"x"}`, InvalidValue},
		{"25 wrong type", `{"op":"add","path":"active","value":"True"}`, InvalidValue},
		{"25 wrong type in an element", `{"op":"replace","path":"emails[type eq \"work\"].primary","value":"True"}`, InvalidValue},
		{"25 a list for an object", `{"op":"add","path":"manager","value":[{"value":"u3"}]}`, InvalidValue},
		{"25 a string for an element", `{"op":"replace","path":"emails[type eq \"work\"]","value":"x"}`, InvalidValue},
		{"25 a string for an extension", `{"op":"replace","path":"` + EnterpriseUserURN + `","value":"x"}`, InvalidValue},
		{"25 a wrong password", `{"op":"replace","path":"password","value":1}`, InvalidValue},
		{"16 one name in two spellings", `{"op":"add","value":{"title":"x","Title":"y"}}`, InvalidSyntax},
		{"24 two primary values", `{"op":"replace","path":"emails","value":[{"value":"a","primary":true},{"value":"b","primary":true}]}`, InvalidValue},
		{"24 two primary values by a path", `{"op":"replace","path":"emails.primary","value":true}`, InvalidValue},
		{"two values of one type", `{"op":"add","path":"emails","value":[{"value":"n","type":"work"}]}`, InvalidValue},
		{"remove does not list values", `{"op":"remove","path":"emails","value":[{"value":"x"}]}`, InvalidValue},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := user(t)
			before := jsonOf(t, r)
			_, err := patched(t, r, Strict, tt.ops)
			want400(t, err, tt.kind)
			if jsonOf(t, r) != before {
				t.Error("what is stored was changed")
			}
		})
	}
	t.Run("72 without the schema", func(t *testing.T) {
		_, err := ParsePatch(User, doc(t, `{"Operations":[{"op":"remove","path":"title"}]}`), Strict)
		want400(t, err, InvalidValue)
	})
	t.Run("72 without Operations", func(t *testing.T) {
		for _, body := range []string{``, `,"Operations":null`, `,"Operations":{}`, `,"Operations":[],"operations":[]`} {
			_, err := ParsePatch(User, doc(t, `{"schemas":["`+PatchOpURN+`"]`+body+`}`), Strict)
			want400(t, err, InvalidSyntax)
		}
	})
	t.Run("a refusal names the operation", func(t *testing.T) {
		_, err := patched(t, user(t), Strict, `{"op":"add","path":"nickName","value":"x"},{"op":"remove","path":"userName"}`)
		if !strings.Contains(fmt.Sprint(err), "Operations[1]") {
			t.Error(err)
		}
	})
	t.Run("limits", func(t *testing.T) {
		many := strings.Repeat(`{"op":"remove","path":"title"},`, MaxOperations)
		if _, err := patched(t, user(t), Strict, strings.TrimSuffix(many, ",")); err != nil {
			t.Error(err)
		}
		_, err := patched(t, user(t), Strict, many+`{"op":"remove","path":"title"}`)
		wantError(t, err, http.StatusRequestEntityTooLarge, "")
		_, err = patched(t, user(t), Strict, `{"op":"add","path":"roles","value":[`+manyValues(MaxValues)+`]}`)
		want400(t, err, InvalidValue)
		wide := `{"op":"remove","path":"emails[` + strings.Repeat("value pr and ", MaxFilterTerms-1) + `value pr]"}`
		_, err = patched(t, user(t), Strict, strings.Repeat(wide+",", MaxPatchTerms/MaxFilterTerms)+wide)
		want400(t, err, InvalidFilter)
		_, err = patched(t, user(t), Strict, `{"op":"add","path":"title","value":"`+strings.Repeat("x", MaxResourceSize)+`"}`)
		wantError(t, err, http.StatusRequestEntityTooLarge, "")
	})
}

func TestPatchTolerant(t *testing.T) {
	tolerant := Dialect{CreateUnmatched: true, RemoveListed: true, EmptyOperations: true, RepeatedTypes: true, StringBooleans: true}
	tests := []struct{ name, ops, get, want string }{
		{"72 empty Operations", ``, "active", `true`},
		{"82 an unmatched valuePath creates", `{"op":"add","path":"emails[type eq \"other\"].value","value":"x"}`, "emails", `[{"primary":true,"type":"work","value":"ada@example.com"},{"type":"home","value":"ada@home.example"},{"type":"other","value":"x"}]`},
		{"82 and then more of it", `{"op":"add","path":"ims[type eq \"aim\" and primary eq \"True\"].value","value":"x"},{"op":"add","path":"ims[type eq \"aim\"].display","value":"y"}`, "ims", `[{"display":"y","primary":true,"type":"aim","value":"x"}]`},
		{"82 an unmatched element", `{"op":"replace","path":"ims[type eq \"aim\"]","value":{"type":"aim","value":"x"}}`, "ims", `[{"type":"aim","value":"x"}]`},
		{"remove lists values", `{"op":"remove","path":"emails","value":[{"value":"ADA@home.example","$ref":null}]}`, "emails", `[{"primary":true,"type":"work","value":"ada@example.com"}]`},
		{"remove lists none", `{"op":"remove","path":"emails","value":[]}`, "emails", `[{"primary":true,"type":"work","value":"ada@example.com"},{"type":"home","value":"ada@home.example"}]`},
		{"remove lists what says nothing", `{"op":"remove","path":"emails","value":[{},{"spam":1}]}`, "emails", `[{"primary":true,"type":"work","value":"ada@example.com"},{"type":"home","value":"ada@home.example"}]`},
		{"two values of one type", `{"op":"add","path":"emails","value":[{"value":"n","type":"home"}]}`, "emails", `[{"primary":true,"type":"work","value":"ada@example.com"},{"type":"home","value":"ada@home.example"},{"type":"home","value":"n"}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, err := patched(t, user(t), tolerant, tt.ops)
			if err != nil {
				t.Fatal(err)
			}
			if got := jsonOf(t, res.Resource.Get(tt.get)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		name, ops string
		kind      ScimType
	}{
		{"82 a filter that describes no element", `{"op":"add","path":"ims[type ne \"aim\"].value","value":"x"}`, NoTarget},
		{"82 a filter that contradicts itself", `{"op":"add","path":"ims[type eq \"aim\" and type eq \"icq\"].value","value":"x"}`, NoTarget},
		{"82 a filter that describes what is wrong", `{"op":"add","path":"x509Certificates[value eq \"**\"].type","value":"x"}`, InvalidValue},
		{"values for one that has one", `{"op":"remove","path":"title","value":[{"value":"x"}]}`, InvalidValue},
		{"values beside a filter", `{"op":"remove","path":"emails[type eq \"work\"]","value":[{"value":"x"}]}`, InvalidValue},
		{"strings for values", `{"op":"remove","path":"emails","value":["x"]}`, InvalidValue},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := patched(t, user(t), tolerant, tt.ops)
			want400(t, err, tt.kind)
		})
	}
}

func TestPatchMembers(t *testing.T) {
	const g = `{"id":"g1","displayName":"Engineers"}`
	tests := []struct{ name, ops, want string }{
		{"76 add", `{"op":"add","path":"members","value":[{"value":"a","display":"x"},{"value":"b","type":"Group"},{"value":"a"}]}`, `{false [{a } {b Group}] []}`},
		{"add one without a list", `{"op":"add","path":"members","value":{"value":"a"}}`, `{false [{a }] []}`},
		{"add none", `{"op":"add","path":"members","value":[]}`, `nil`},
		{"78 add without a path", `{"op":"add","value":{"members":[{"value":"a"}]}}`, `{false [{a }] []}`},
		{"replace", `{"op":"replace","path":"members","value":[{"value":"a"}]}`, `{true [{a }] []}`},
		{"replace by none", `{"op":"replace","value":{"members":[]}}`, `{true [] []}`},
		{"81 remove by filter", `{"op":"remove","path":"members[value eq \"a\"]"}`, `{false [] [a]}`},
		{"81 remove several", `{"op":"remove","path":"members[value eq \"a\" or value eq \"b\"]"}`, `{false [] [a b]}`},
		{"81 remove all", `{"op":"remove","path":"members"}`, `{true [] []}`},
		{"remove what it lists", `{"op":"remove","path":"members","value":[{"value":"a","$ref":null},{"value":"b"}]}`, `{false [] [a b]}`},
		{"remove what it lists, which is none", `{"op":"remove","path":"members","value":[]}`, `nil`},
		{"75 add and remove", `{"op":"add","path":"members","value":[{"value":"a"}]},{"op":"remove","path":"members[value eq \"a\"]"}`, `{false [] [a]}`},
		{"75 remove and add", `{"op":"remove","path":"members[value eq \"a\"]"},{"op":"add","path":"members","value":[{"value":"a"}]}`, `{false [{a }] []}`},
		{"75 replace and remove", `{"op":"replace","path":"members","value":[{"value":"a"},{"value":"b"}]},{"op":"remove","path":"members[value eq \"a\"]"}`, `{true [{b }] []}`},
		{"75 add and replace", `{"op":"add","path":"members","value":[{"value":"a"}]},{"op":"replace","path":"members","value":[{"value":"b"}]}`, `{true [{b }] []}`},
		{"75 what the filter selects among what was added", `{"op":"replace","path":"members","value":[{"value":"a","type":"User"},{"value":"b","type":"Group"}]},{"op":"remove","path":"members[type eq \"group\"]"}`, `{true [{a User}] []}`},
		{"members are left alone", `{"op":"replace","path":"displayName","value":"x"}`, `nil`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, err := patched(t, group(t, g), Dialect{RemoveListed: true}, tt.ops)
			if err != nil {
				t.Fatal(err)
			}
			got := "nil"
			if res.Members != nil {
				got = fmt.Sprint(*res.Members)
			}
			if got != tt.want {
				t.Errorf("members = %s, want %s", got, tt.want)
			}
			if res.Resource.Get("members") != nil {
				t.Error("members are in the resource")
			}
		})
	}
	for _, tt := range []struct {
		name, ops string
		status    int
		kind      ScimType
	}{
		{"a member without an id", `{"op":"add","path":"members","value":[{"type":"User"}]}`, 400, InvalidValue},
		{"a member that is a string", `{"op":"add","path":"members","value":["a"]}`, 400, InvalidValue},
		{"20 a member cannot be changed", `{"op":"replace","path":"members[value eq \"a\"].value","value":"b"}`, 400, Mutability},
		{"20 nor replaced in its place", `{"op":"replace","path":"members[value eq \"a\"]","value":{"value":"b"}}`, 400, Mutability},
		{"80 nor lose its id", `{"op":"remove","path":"members.value"}`, 400, Mutability},
		{"nor lose what is the server's", `{"op":"remove","path":"members[value eq \"a\"].display"}`, 400, Mutability},
		{"remove what is not named by its id", `{"op":"remove","path":"members","value":[{"type":"User"}]}`, 400, InvalidValue},
		{"a filter that only the store knows", `{"op":"remove","path":"members[display eq \"x\"]"}`, 400, InvalidFilter},
		{"values beside a filter", `{"op":"remove","path":"members[value eq \"a\"]","value":[{"value":"x"}]}`, 400, InvalidValue},
		{"too many", `{"op":"add","path":"members","value":[` + manyValues(MaxMembersPerOperation+1) + `]}`, 413, ""},
		{"too many without a path", `{"op":"replace","value":{"Members":[` + manyValues(MaxMembersReplaced+1) + `]}}`, 413, ""},
		{"too many to replace", `{"op":"replace","path":"members","value":[` + manyValues(MaxMembersReplaced+1) + `]}`, 413, ""},
		{"too many to remove", `{"op":"remove","path":"members","value":[` + manyValues(MaxMembersPerOperation+1) + `]}`, 413, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := patched(t, group(t, g), Dialect{RemoveListed: true}, tt.ops)
			wantError(t, err, tt.status, tt.kind)
		})
	}

	apply := func(t *testing.T, list string, read MemberReader) (*PatchResult, error) {
		p, err := ParsePatch(Group, ops(t, list), Strict)
		if err != nil {
			t.Fatal(err)
		}
		return p.Apply(group(t, g), read)
	}
	t.Run("all members of a large group at once", func(t *testing.T) {
		result, err := apply(t, `{"op":"replace","path":"members","value":[`+manyValues(MaxMembersReplaced)+`]}`, nil)
		if err != nil || !result.Members.ReplaceAll {
			t.Errorf("replacing %d members: %v", MaxMembersReplaced, err)
		}
	})
	t.Run("members are read only for a filter that does not name them", func(t *testing.T) {
		asked := 0
		read := func(filter Expr) ([]Member, error) {
			asked++
			if filter.String() != `type eq "Group"` {
				t.Errorf("asked for %s", filter)
			}
			return []Member{{"s", "Group"}}, nil
		}
		_, err := apply(t, `{"op":"add","path":"members","value":[{"value":"a"}]},{"op":"remove","path":"members[value eq \"b\"]"}`, read)
		if err != nil || asked != 0 {
			t.Errorf("asked %d times (%v)", asked, err)
		}
		res, err := apply(t, `{"op":"add","path":"members","value":[{"value":"a","type":"Group"}]},{"op":"remove","path":"members[type eq \"Group\"]"}`, read)
		if err != nil || asked != 1 || fmt.Sprint(*res.Members) != `{false [] [a s]}` {
			t.Errorf("asked %d times: %v (%v)", asked, res.Members, err)
		}
	})
	t.Run("what goes wrong in reading comes back", func(t *testing.T) {
		gone := errors.New("gone")
		_, err := apply(t, `{"op":"remove","path":"members[type eq \"Group\"]"}`, func(Expr) ([]Member, error) { return nil, gone })
		if !errors.Is(err, gone) {
			t.Error(err)
		}
	})
	t.Run("the delta of a list", func(t *testing.T) {
		have := []Member{{Value: "a"}, {Value: "b"}}
		for want, d := range map[string]*MemberDelta{
			"[{a } {b }]":      nil,
			"[{b } {c Group}]": {Add: []Member{{Value: "b"}, {"c", "Group"}}, Remove: []string{"a"}},
			"[{c }]":           {ReplaceAll: true, Add: []Member{{Value: "c"}}},
		} {
			if got := fmt.Sprint(d.Apply(have)); got != want {
				t.Errorf("%+v: %s, want %s", d, got, want)
			}
		}
	})
}

// TestPatchImmutable is about what no attribute of a served schema is outside of
// members.
func TestPatchImmutable(t *testing.T) {
	rt := &ResourceType{Name: "Device", Schema: &Schema{ID: "urn:example:Device", Attributes: []*Attribute{
		text("serial", "", immutable), text("place", "", complexOf(text("site", "", immutable), text("room", ""))),
		text("tags", "", required, many(text("value", ""))),
	}}}
	r := &Resource{Type: rt, Attributes: Object{"serial": "1", "place": Object{"room": "a"}, "tags": []any{Object{"value": "t"}}}}
	for ops, ok := range map[string]bool{
		`{"op":"replace","path":"serial","value":"1"}`:                                                 true,
		`{"op":"replace","path":"serial","value":"2"}`:                                                 false,
		`{"op":"remove","path":"serial"}`:                                                              false,
		`{"op":"add","path":"place.site","value":"x"}`:                                                 true,
		`{"op":"add","path":"place.site","value":"x"},{"op":"add","path":"place.site","value":"y"}`:    false,
		`{"op":"add","value":{"place":{"site":"x"}}},{"op":"replace","path":"place.site","value":"y"}`: false,
		`{"op":"add","path":"place","value":{"site":"x"}},{"op":"add","value":{"place":{"site":"y"}}}`: false,
		`{"op":"remove","path":"tags"}`:                                                                false,
		`{"op":"remove","path":"tags[value eq \"t\"]"}`:                                                false,
		`{"op":"remove","path":"tags[value eq \"u\"]"}`:                                                true,
	} {
		_, err := patched(t, r, Strict, ops)
		if !ok {
			want400(t, err, Mutability)
		} else if err != nil {
			t.Errorf("%s: %v", ops, err)
		}
	}
}

func TestPath(t *testing.T) {
	for path, want := range map[string]string{
		"EMAILS": "emails", "emails.Value": "emails.value", `emails[type eq "work"]`: `emails[type eq "work"]`,
		`emails[ type EQ "work"  and not (primary eq true) ].VALUE`: `emails[type eq "work" and not (primary eq true)].value`,
		CoreUserURN + ":name.givenName":                             "name.givenName",
		strings.ToUpper(EnterpriseUserURN):                          EnterpriseUserURN,
		"manager.value":                                             EnterpriseUserURN + ":manager.value",
	} {
		p, err := ParsePath(User, path, Strict)
		if err != nil || p.String() != want {
			t.Errorf("%s is read as %v (%v), want %s", path, p, err, want)
		}
	}
}
