// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const schemasJSON = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]`

func TestParseJSON(t *testing.T) {
	tests := []struct{ name, body string }{
		{"95 duplicate names", `{"userName":"a","userName":"b"}`},
		{"95 duplicate names within", `{"name":{"givenName":"a","givenName":"b"}}`},
		{"95 duplicate names by escapes", `{"a":1,"\u0061":2}`},
		{"96 trailing data", `{} {}`},
		{"96 a trailing bracket", `{}]`},
		{"no object", `[]`},
		{"nothing", ``},
		{"a string", `"x"`},
		{"null", `null`},
		{"cut off", `{"a":`},
		{"a comma too many", `{"a":1,}`},
		{"a comma too many in a list", `{"a":[1,]}`},
		{"a comma too few", `{"a":1 "b":2}`},
		{"not UTF-8", "{\"a\":\"\xff\"}"},
		{"too deep", `{"a":` + strings.Repeat("[", MaxJSONDepth) + strings.Repeat("]", MaxJSONDepth) + `}`},
		{"too many names", manyNames(MaxJSONNames + 1)},
		{"very deep", strings.Repeat(`{"a":`, 1<<20)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseJSON([]byte(tt.body))
			want400(t, err, InvalidSyntax)
		})
	}
	t.Run("too many values", func(t *testing.T) {
		values := func(n int) []byte { return []byte(`{"a":[` + strings.Repeat("{},", n-3) + `{}]}`) } // the document and the list are values too
		if _, err := ParseJSON(values(MaxJSONValues)); err != nil {
			t.Error(err)
		}
		if e, ok := AsError(func() error { _, err := ParseJSON(values(MaxJSONValues + 1)); return err }()); !ok || e.Status != 413 {
			t.Errorf("refused with %v", e)
		}
	})
	t.Run("as deep as allowed", func(t *testing.T) {
		if _, err := ParseJSON([]byte(manyNames(MaxJSONNames))); err != nil {
			t.Error(err)
		}
		body := `{"a":` + strings.Repeat("[", MaxJSONDepth-1) + strings.Repeat("]", MaxJSONDepth-1) + `}`
		if _, err := ParseJSON([]byte(body)); err != nil {
			t.Error(err)
		}
	})
}

func manyNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(`"n%d":1`, i)
	}
	return "{" + strings.Join(names, ",") + "}"
}

func TestDecode(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"11 schemas lists the extensions that are present",
			schemasJSON + `,"userName":"a","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"d"}`,
			`{"schemas":["` + CoreUserURN + `","` + EnterpriseUserURN + `"],"userName":"a","` + EnterpriseUserURN + `":{"department":"d"}}`},
		{"11 but no empty extension",
			`"schemas":["` + CoreUserURN + `","` + EnterpriseUserURN + `"],"userName":"a","` + EnterpriseUserURN + `":{"department":null}`,
			`{"schemas":["` + CoreUserURN + `"],"userName":"a"}`},
		{"12 19 what only the server writes is ignored",
			schemasJSON + `,"userName":"a","id":"mine","meta":{"created":"x"},"groups":[{"value":1}]`,
			`{"schemas":["` + CoreUserURN + `"],"userName":"a"}`},
		{"16 names in any case",
			`"SCHEMAS":["` + strings.ToUpper(CoreUserURN) + `"],"USERNAME":"a","Name":{"GIVENNAME":"g"},"` + strings.ToLower(EnterpriseUserURN) + `":{"Department":"d"}`,
			`{"schemas":["` + CoreUserURN + `","` + EnterpriseUserURN + `"],"userName":"a","name":{"givenName":"g"},"` + EnterpriseUserURN + `":{"department":"d"}}`},
		{"17 null and [] are unassigned",
			schemasJSON + `,"userName":"a","title":null,"roles":[],"emails":[null,{}],"name":{"givenName":null},"addresses":null`,
			`{"schemas":["` + CoreUserURN + `"],"userName":"a"}`},
		{"18 unknown attributes and schemas",
			`"schemas":["` + CoreUserURN + `","urn:example:Other"],"userName":"a","favouriteColour":{"deep":[1]},"urn:example:Other":{"x":1},"emails":[{"value":"v","spam":true}]`,
			`{"schemas":["` + CoreUserURN + `"],"userName":"a","emails":[{"value":"v"}]}`},
		{"21 password is discarded",
			schemasJSON + `,"userName":"a","password":"hunter2"`,
			`{"schemas":["` + CoreUserURN + `"],"userName":"a"}`},
		{"24 one primary value",
			schemasJSON + `,"userName":"a","emails":[{"value":"v","primary":true},{"value":"w","primary":false}]`,
			`{"schemas":["` + CoreUserURN + `"],"userName":"a","emails":[{"value":"v","primary":true},{"value":"w","primary":false}]}`},
		{"26 enterprise attributes beside the extension are unknown",
			schemasJSON + `,"userName":"a","department":"d"`,
			`{"schemas":["` + CoreUserURN + `"],"userName":"a"}`},
		{"27 manager.value is an id, displayName is the server's",
			schemasJSON + `,"userName":"a","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"u2","displayName":"x","$ref":"y"}}`,
			`{"schemas":["` + CoreUserURN + `","` + EnterpriseUserURN + `"],"userName":"a","` + EnterpriseUserURN + `":{"manager":{"value":"u2"}}}`},
		{"28 an externalId of digits stays text",
			schemasJSON + `,"userName":"a","externalId":"1"`,
			`{"schemas":["` + CoreUserURN + `"],"externalId":"1","userName":"a"}`},
		{"values are kept as they are sent",
			schemasJSON + `,"userName":"  Ada@EXAMPLE.com ","title":"","displayName":"<\u00e9\u2028>"`,
			`{"schemas":["` + CoreUserURN + `"],"userName":"  Ada@EXAMPLE.com ","displayName":"\u003cé\u2028\u003e","title":""}`},
		{"repetitions of one value",
			schemasJSON + `,"userName":"a","roles":[{"value":"v"},{"value":"v"},{"value":"V"}]`,
			`{"schemas":["` + CoreUserURN + `"],"userName":"a","roles":[{"value":"v"},{"value":"V"}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Decode(User, doc(t, "{"+tt.body+"}"), Strict)
			if err != nil {
				t.Fatal(err)
			}
			if got := jsonOf(t, r); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			again, err := Restore(User, []byte(jsonOf(t, r)))
			if err != nil || jsonOf(t, again) != tt.want {
				t.Errorf("restored: %v (%v)", again, err)
			}
		})
	}
}

func TestDecodeRefused(t *testing.T) {
	tests := []struct {
		name, body string
		kind       ScimType
	}{
		{"11 no schemas", `"userName":"a"`, InvalidValue},
		{"11 schemas without its own", `"schemas":["urn:example:Other"],"userName":"a"`, InvalidValue},
		{"11 schemas is no list", `"schemas":"` + CoreUserURN + `","userName":"a"`, InvalidValue},
		{"11 schemas of numbers", `"schemas":[1],"userName":"a"`, InvalidValue},
		{"16 95 one name in two spellings", schemasJSON + `,"userName":"a","UserName":"b"`, InvalidSyntax},
		{"16 95 one extension in two spellings", schemasJSON + `,"userName":"a","` + EnterpriseUserURN + `":{"division":"x"},"` + strings.ToUpper(EnterpriseUserURN) + `":{"division":"x"}`, InvalidSyntax},
		{"24 two primary values", schemasJSON + `,"userName":"a","emails":[{"value":"v","primary":true},{"value":"w","primary":true}]`, InvalidValue},
		{"25 a number for a string", schemasJSON + `,"userName":1`, InvalidValue},
		{"25 a string for a boolean", schemasJSON + `,"userName":"a","active":"true"`, InvalidValue},
		{"25 a string for an object", schemasJSON + `,"userName":"a","name":"Ada"`, InvalidValue},
		{"25 an object for a list", schemasJSON + `,"userName":"a","emails":{"value":"v"}`, InvalidValue},
		{"25 a list for a string", schemasJSON + `,"userName":"a","title":["x"]`, InvalidValue},
		{"25 strings for objects", schemasJSON + `,"userName":"a","emails":["v"]`, InvalidValue},
		{"25 a list for an extension", schemasJSON + `,"userName":"a","` + EnterpriseUserURN + `":[]`, InvalidValue},
		{"25 a number for a password", schemasJSON + `,"userName":"a","password":1`, InvalidValue},
		{"25 no base64", schemasJSON + `,"userName":"a","x509Certificates":[{"value":"***"}]`, InvalidValue},
		{"30 no userName", schemasJSON, InvalidValue},
		{"30 null for userName", schemasJSON + `,"userName":null`, InvalidValue},
		{"30 an empty userName", schemasJSON + `,"userName":""`, InvalidValue},
		{"two values of one type", schemasJSON + `,"userName":"a","emails":[{"value":"v","type":"work"},{"value":"w","type":"WORK"}]`, InvalidValue},
		{"U+0000", schemasJSON + `,"userName":"a\u0000"`, InvalidValue},
		{"too many values", schemasJSON + `,"userName":"a","roles":[` + manyValues(MaxValues+1) + `]`, InvalidValue},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Decode(User, doc(t, "{"+tt.body+"}"), Strict)
			want400(t, err, tt.kind)
		})
	}
	t.Run("30 a group without displayName", func(t *testing.T) {
		_, err := Decode(Group, doc(t, `{"schemas":["`+CoreGroupURN+`"],"members":[]}`), Strict)
		want400(t, err, InvalidValue)
	})
	t.Run("a member without an id", func(t *testing.T) {
		_, err := Decode(Group, doc(t, `{"schemas":["`+CoreGroupURN+`"],"displayName":"g","members":[{"type":"User"}]}`), Strict)
		want400(t, err, InvalidValue)
	})
	t.Run("21 a password is in no refusal", func(t *testing.T) {
		_, err := Decode(User, doc(t, `{`+schemasJSON+`,"userName":"a","password":{"hunter2":"hunter2"}}`), Strict)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error = %v", err)
		}
	})
}

func manyValues(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"value":"v%d"}`, i)
	}
	return b.String()
}

func TestDecodeMembers(t *testing.T) {
	r, err := Decode(Group, doc(t, `{"schemas":["`+CoreGroupURN+`"],"displayName":"g","members":[
		{"value":"a","display":"x","$ref":null},{"value":"b","type":"Group"},{"value":"a"}]}`), Strict)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(r.TakeMembers()); got != "[{a } {b Group}]" {
		t.Errorf("members = %s", got)
	}
	if got := jsonOf(t, r); got != `{"schemas":["`+CoreGroupURN+`"],"displayName":"g"}` {
		t.Errorf("the rest is %s", got)
	}
}

func TestReplace(t *testing.T) {
	stored := user(t)
	sent, err := Decode(User, doc(t, `{`+schemasJSON+`,"id":"u2","userName":"Ada@example.com","active":false,
		"name":{"givenName":"Ada","familyName":"King"},"emails":[{"value":"ada@example.com","type":"work","primary":true}]}`), Strict)
	if err != nil {
		t.Fatal(err)
	}
	r, changed, err := Replace(stored, sent)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("36 the id stays", func(t *testing.T) {
		if r.ID() != "u1" || r.Text("meta.created") != "2026-01-31T18:42:00Z" || r.Get("groups") == nil {
			t.Errorf("got %s", jsonOf(t, r))
		}
	})
	t.Run("34 what is omitted is cleared", func(t *testing.T) {
		for _, name := range []string{"displayName", "externalId", EnterpriseUserURN, "addresses"} {
			if v := r.Get(name); v != nil {
				t.Errorf("%s = %v", name, v)
			}
		}
	})
	t.Run("the names of what changed", func(t *testing.T) {
		want := "[externalId name.familyName displayName title userType active emails phoneNumbers addresses roles " +
			EnterpriseUserURN + ":employeeNumber " + EnterpriseUserURN + ":department " + EnterpriseUserURN + ":manager.value]"
		if got := fmt.Sprint(changed); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("14 the same again changes nothing", func(t *testing.T) {
		same, changed, err := Replace(r, sent)
		if err != nil || len(changed) != 0 || jsonOf(t, same) != jsonOf(t, r) {
			t.Errorf("changed = %v (%v)", changed, err)
		}
	})
	t.Run("20 an immutable attribute", func(t *testing.T) {
		rt := &ResourceType{Name: "Device", Schema: &Schema{ID: "urn:example:Device", Attributes: []*Attribute{
			text("serial", "", immutable), text("name", ""),
		}}}
		old := &Resource{Type: rt, Attributes: Object{"serial": "1"}}
		_, _, err := Replace(old, &Resource{Type: rt, Attributes: Object{"serial": "2"}})
		want400(t, err, Mutability)
		if _, _, err := Replace(old, &Resource{Type: rt, Attributes: Object{"serial": "1", "name": "n"}}); err != nil {
			t.Error(err)
		}
	})
}

func TestRestore(t *testing.T) {
	r := user(t)
	var want, got any
	if err := json.Unmarshal([]byte(userJSON), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(jsonOf(t, r)), &got); err != nil {
		t.Fatal(err)
	}
	if jsonOf(t, got) != jsonOf(t, want) {
		t.Errorf("got  %s\nwant %s", jsonOf(t, got), jsonOf(t, want))
	}
	if jsonOf(t, r.Clone()) != jsonOf(t, r) || len(Diff(r, r.Clone())) != 0 {
		t.Error("a clone differs")
	}
	if _, err := Restore(User, []byte(`{`)); err == nil {
		t.Error("what is no JSON was restored")
	}
}

func TestSet(t *testing.T) {
	r := user(t)
	for _, step := range []struct {
		name  string
		value any
	}{
		{"id", "u9"}, {"name.givenName", nil}, {"name.familyName", nil},
		{EnterpriseUserURN + ":manager.displayName", "Bob"}, {"groups", nil}, {"active", false},
	} {
		if err := r.Set(step.name, step.value); err != nil {
			t.Fatal(err)
		}
	}
	if active, ok := r.Bool("active"); r.ID() != "u9" || r.Get("name") != nil || active || !ok ||
		r.Text("manager.displayName") != "Bob" || r.Text("manager.value") != "u2" || r.Get("groups") != nil {
		t.Errorf("got %s", jsonOf(t, r))
	}
	for _, name := range []string{"nothing", "emails.value", EnterpriseUserURN} {
		if err := r.Set(name, "x"); err == nil {
			t.Errorf("%s was set", name)
		}
	}
	if _, ok := r.Bool("nickName"); ok || r.Get("nickName") != nil || r.Get("nothing") != nil {
		t.Error("an absent attribute has a value")
	}
}
