// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scimtest makes resources, filters, orders and changes for tests that
// compare two readings of SCIM, such as a store's SQL with scim.Match. What it
// makes is valid, collides often, and holds what is awkward in a database.
package scimtest

import (
	"encoding/json"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/scim"
)

// Source makes choices: from the bytes that it is given, so that a fuzzer can
// steer it, and when those end from what follows from them.
type Source struct {
	// Times are the instants that dates are compared with, beside those near them.
	Times []time.Time
	// IDs are the ids that ids are compared with.
	IDs []string
	// Avoid names sub-attributes that filters and orders leave out, such as
	// members.display: what a store need not know.
	Avoid []string

	data  []byte
	state uint64
}

// New is a Source that the same data always lets choose the same.
func New(data []byte) *Source {
	h := fnv.New64a()
	_, _ = h.Write(data) // never fails
	return &Source{
		Times: []time.Time{time.Date(2026, 1, 31, 18, 42, 0, 0, time.UTC)},
		IDs:   []string{"u1", "U1", "g1"},
		Avoid: []string{"meta.location", "meta.version", "groups.$ref", "members.$ref", "members.display"},
		data:  data, state: h.Sum64(),
	}
}

// Seed is a Source for a test that runs over numbers.
func Seed(n uint64) *Source {
	return New([]byte(strconv.FormatUint(n*0x9e3779b97f4a7c15, 36)))
}

// Intn is a number from 0 to below n.
func (s *Source) Intn(n int) int {
	if len(s.data) > 0 {
		b := s.data[0]
		s.data = s.data[1:]
		return int(b) % n
	}
	// splitmix64
	s.state += 0x9e3779b97f4a7c15
	z := s.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return int((z >> 33) % uint64(n)) //nolint:gosec // below n
}

// Chance is true once in n times.
func (s *Source) Chance(n int) bool { return s.Intn(n) == 0 }

func pick[T any](s *Source, list []T) T { return list[s.Intn(len(list))] }

// texts are values that are alike but for case, that fold to one another, or
// that mean something to a database.
var texts = []string{
	"a", "A", "ada", "Ada", "ADA", "ab", "abc", "b", "B", "z", "work", "Work", "home", "1", "01", "true", "null",
	"", " ", "a ", " a", "%", "_", "a%", "a_a", `\`, `\%`, `'`, `''`, `"`, `a'b`, `a"b`, "$1", "?", ":a", "--", "/*",
	`'; DROP TABLE scim_user; --`, "é", "É", "e\u0301", "ß", "ss", "SS", "ſ", "s", "\u212a", "k", "K", "ı", "i", "İ", "I",
	"σ", "ς", "Σ", "ǆ", "ǅ", "😀", "日本", "\u00a0", "\u2028", "\t", "\n", "\u0001", "\ufffd", "\U0010ffff", "zz😀", "aé日😀",
}

// Text is a string value.
func (s *Source) Text() string { return pick(s, texts) }

// fragment is a part of a string value, or all of it, perhaps in another case.
func (s *Source) fragment() string {
	runes := []rune(s.Text())
	if len(runes) > 1 && s.Chance(2) {
		at := s.Intn(len(runes))
		runes = runes[at : at+1+s.Intn(len(runes)-at)]
	}
	out := string(runes)
	switch s.Intn(4) {
	case 0:
		return strings.ToUpper(out)
	case 1:
		return strings.ToLower(out)
	}
	return out
}

var userNames = []string{"ada", "Bob", "carol", "dave_1", "eve%", "o'neil", "Zoë", "k", "straße"}

// UserName is a userName of which n makes the only one.
func (s *Source) UserName(n int) string {
	return pick(s, userNames) + "." + strconv.Itoa(n) + "@" + pick(s, []string{"example.com", "Example.COM", "test.example"})
}

// User is the body of a request to create a user, as ParseJSON gives it.
func (s *Source) User(n int) map[string]any {
	doc := s.object(scim.User.Schema.Attributes, "")
	doc["schemas"] = []any{scim.CoreUserURN, scim.EnterpriseUserURN}
	doc["userName"] = s.UserName(n)
	if s.Chance(2) {
		doc["externalId"] = s.Text()
	}
	if s.Chance(2) {
		doc[scim.EnterpriseUserURN] = s.object(scim.User.Extensions[0].Attributes, "")
	}
	return doc
}

// Group is the body of a request to create a group with some of IDs as members.
func (s *Source) Group(n int) map[string]any {
	doc := map[string]any{
		"schemas":     []any{scim.CoreGroupURN},
		"displayName": s.Text() + " " + strconv.Itoa(n),
		"members":     s.members(),
	}
	if s.Chance(2) {
		doc["externalId"] = s.Text()
	}
	return doc
}

func (s *Source) members() []any {
	list := []any{}
	for range s.Intn(4) {
		m := map[string]any{"value": pick(s, s.IDs)}
		if s.Chance(2) {
			m["type"] = pick(s, []string{"User", "Group"})
		}
		list = append(list, m)
	}
	return list
}

// object is a value with about half of the attributes that a client can write.
func (s *Source) object(attrs []*scim.Attribute, kind string) map[string]any {
	out := map[string]any{}
	for _, a := range attrs {
		if a.Mutability == scim.ReadOnly || a.Mutability == scim.WriteOnly || !a.Required && !s.Chance(2) {
			continue
		}
		if kind != "" && a.Name == "type" {
			out["type"] = kind
			continue
		}
		out[a.Name] = s.value(a)
	}
	return out
}

// value is one that the attribute takes.
func (s *Source) value(a *scim.Attribute) any {
	if a.External {
		return s.members()
	}
	if !a.MultiValued {
		return s.single(a)
	}
	list := []any{}
	kinds := []string{"work", "Home", "other"}
	primary := s.Intn(len(kinds))
	for i := range s.Intn(len(kinds) + 1) {
		e := s.object(a.SubAttributes, kinds[i])
		if i != primary {
			delete(e, "primary")
		}
		list = append(list, e)
	}
	return list
}

func (s *Source) single(a *scim.Attribute) any {
	switch {
	case s.Chance(20) && !a.Required:
		return nil
	case a.Type == scim.TypeComplex:
		return s.object(a.SubAttributes, "")
	case a.Type == scim.TypeBoolean:
		return s.Chance(2)
	case a.Type == scim.TypeDateTime:
		return s.time()
	case a.Type == scim.TypeBinary:
		return pick(s, []string{"", "aGk=", "YQ==", "YWI"})
	case a.Name == "value" && s.Chance(2):
		return pick(s, s.IDs)
	case a.Required:
		return "x" + s.Text()
	}
	return s.Text()
}

// time is an instant at or near one of Times, in some zone.
func (s *Source) time() string {
	at := pick(s, s.Times)
	at = at.Add(pick(s, []time.Duration{0, 0, 0, time.Millisecond, -time.Millisecond, time.Microsecond, -time.Microsecond, time.Hour, -time.Hour}))
	zone := pick(s, []*time.Location{time.UTC, time.UTC, time.FixedZone("", 2*3600), time.FixedZone("", -(5*3600 + 1800))})
	return at.In(zone).Format(time.RFC3339Nano)
}

// Resource is a user as the store would give it back.
func (s *Source) Resource(n int) *scim.Resource {
	r, err := scim.Decode(scim.User, s.User(n), scim.Dialect{RepeatedTypes: true})
	if err != nil {
		panic("scimtest: made a user that is refused: " + err.Error())
	}
	r.Attributes["id"] = pick(s, s.IDs)
	at := pick(s, s.Times)
	r.SetMeta(scim.Meta{Created: at, LastModified: at.Add(time.Hour), Version: scim.WeakETag(int64(n))})
	return r
}

func quote(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("scimtest: " + err.Error())
	}
	return string(text)
}
