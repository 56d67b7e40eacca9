// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Each change breaks the manifest in one place; the problem names it.
func TestProblems(t *testing.T) {
	tests := map[string]struct {
		old, new   string
		path, want string
	}{
		"unknown key":         {"page: {type: cursor,", "page: {typ: cursor,", "spec.streams.users.page.typ", "did you mean type?"},
		"missing key":         {"page: {type: cursor,", "page: {", "spec.streams.users.page.type", "got nothing, want link, cursor, page, offset, next_url, delta or none"},
		"bad enum":            {"page: {type: cursor,", "page: {type: curser,", "spec.streams.users.page.type", `got "curser", want one of link, cursor, page, offset, next_url, delta, none (did you mean cursor?)`},
		"CEL syntax":          {"key: r.id\n", "key: r.id ==\n", "spec.streams.users.key", "column 8: Syntax error"},
		"CEL variable":        {"records: resp.users", "records: answer.users", "spec.streams.users.records", "undeclared reference to 'answer'"},
		"CEL type":            {"{when: size(records) > 0,", "{when: size(records),", "spec.streams.users.test.expect[0].when", "yields int, want bool"},
		"secret in a map":     {"rawStatus: r.state", "rawStatus: secret.token", "spec.streams.users.emit[0].map.rawStatus", "undeclared reference to 'secret'"},
		"unknown field":       {"personKey: ", "personkey: ", "spec.streams.users.emit[0].map.personkey", "did you mean personKey?"},
		"required field":      {"map: {externalId: r.id, name: r.name}", "map: {externalId: r.id}", "spec.streams.linked.emit[0].map.name", "the field is required"},
		"no covers":           {"      covers: [all]\n", "", "spec.streams.users.covers", "hide some by default"},
		"activity undeclared": {"      covers: [all]\n      lastActivity: Reported\n", "      covers: [all]\n", "spec.streams.users.lastActivity", "unknown use would read as no use"},
		"activity unmapped":   {", lastActivityAt: \"ts(get(r, 'seen'))\"", "", "spec.streams.users.lastActivity", "if and only if lastActivityAt is mapped"},
		"unknown action":      {"license.remove:", "license.removal:", "spec.actions.license.removal", "did you mean license.remove?"},
		"no class":            {"      class: idempotent\n      destructive: true\n", "      destructive: true\n", "spec.actions.user.delete.class", "read, idempotent, keyed, verifiable or unsafe"},
		"not destructive":     {"      destructive: true\n", "", "spec.actions.user.delete.destructive", "destructive everywhere"},
		"verifiable":          {"      class: keyed", "      class: verifiable", "spec.actions.ticket.create.verify", "a verification"},
		"check that writes":   {`precheck: {get: "/users/`, `precheck: {delete: "/users/`, "spec.actions.license.remove.precheck", "a check changes nothing"},
		"plain http":          {"baseURL: https://", "baseURL: http://", "spec.http.baseURL", "begins with https://"},
		"scheme from config":  {"baseURL: https://api", "baseURL: ${config.size}://api", "spec.http.baseURL", "begins with https://"},
		"unit undeclared":     {"reset: {header: X-Reset, format: epoch_s}", "reset: {header: X-Reset}", "spec.http.rateLimit.reset.format", "never guessed"},
		"parent unknown":      {"forEach: {stream: linked,", "forEach: {stream: groups,", "spec.streams.members.forEach.stream", "the name of a stream"},
		"short page":          {"param: page,", "param: page, stopOnShortPage: true,", "spec.streams.pages.page.stopOnShortPage", "vendors shorten pages in mid-list"},
		"nothing essential":   {"      essential: true\n", "", "spec.streams", "no essential stream"},
		"native":              {"  category: app", "  category: app\n  native: csv", "spec.native", "only built-in connectors"},
		"script for a page":   {"  category: app", "  category: app\n  docsURL: javascript:alert(1)", "spec.docsURL", "starts with https://"},
		"duplicate key":       {"  title: Chaos", "  title: Chaos\n  title: Again", "spec.title", "the same key twice"},
		"not a duration":      {"lag: 5m", "lag: 5 minutes", "spec.streams.events.sync.lag", "a duration such as 90s or 24h"},
		"bad default":         {"default: 2, minimum: 1", "default: 0, minimum: 1", "spec.config.size.default", "got 0, want at least 1"},
		"relative path":       {"get: /users,", "get: users,", "spec.streams.users.request.get", "begins with /"},
		"two methods":         {"request: {get: /linked}", "request: {get: /linked, post: /linked}", "spec.streams.linked.request.post", "exactly one of"},
		"wrong kind":          {"kind: Connector", "kind: Connectors", "kind", "did you mean Connector?"},
		"map for CEL":         {"records: resp.users", "records: {a: b}", "spec.streams.users.records", "a CEL expression as a string"},
	}
	for name, tt := range tests {
		broken := strings.Replace(chaosManifest, tt.old, tt.new, 1)
		if broken == chaosManifest {
			t.Errorf("%s: the change changes nothing", name)
			continue
		}
		_, err := Load("chaos.yaml", []byte(broken))
		var ps Problems
		if !errors.As(err, &ps) {
			t.Errorf("%s: got %v, want problems", name, err)
			continue
		}
		found := false
		for _, p := range ps {
			found = found || (p.Path == tt.path && strings.Contains(p.String(), tt.want) && p.Line > 0 && p.File == "chaos.yaml")
		}
		if !found {
			t.Errorf("%s: want %s: …%s…, got\n%v", name, tt.path, tt.want, err)
		}
	}
}

func TestProblemsAreAllListed(t *testing.T) {
	broken := strings.NewReplacer("key: r.id\n", "key: nope\n", "category: app", "category: tool", "class: keyed", "class: odd").Replace(chaosManifest)
	_, err := Load("x.yaml", []byte(broken))
	var ps Problems
	if !errors.As(err, &ps) || len(ps) < 5 {
		t.Fatalf("got %v", err)
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != len(ps) {
		t.Errorf("%d lines for %d problems", lines, len(ps))
	}
}

func TestAliasesAreBounded(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'i'; c++ {
		p := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+p+",", 9), ",") + "]\n"
	}
	start := time.Now()
	_, err := Load("bomb.yaml", []byte(strings.Replace(chaosManifest, "  config: {", "  domains: [a]\n  config: {", 1)+"\nx: "+"1\n"+bomb))
	if err == nil || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

func TestLoadSpec(t *testing.T) {
	var doc struct {
		Spec any `yaml:"spec"`
	}
	if err := yaml.Unmarshal([]byte(chaosManifest), &doc); err != nil {
		t.Fatal(err)
	}
	spec, err := json.Marshal(doc.Spec)
	if err != nil {
		t.Fatal(err)
	}
	m, err := LoadSpec("chaos", spec)
	if err != nil {
		t.Fatal(err)
	}
	fromFile := load1(t, chaosManifest)
	if d := cmp.Diff(sortedCaps(fromFile.Capabilities()), sortedCaps(m.Capabilities())); d != "" || m.Name() != "chaos" || m.Title() != "Chaos" {
		t.Errorf("%s %s", m.Name(), d)
	}
	want := Capabilities{
		DataTypes:    []model.DataType{"accounts", "apps", "groups", "memberships", "usage"},
		CustomFields: []model.DataType{"accounts"}, Actions: []string{"license.remove", "ticket.create", "user.delete"}, UsageBackfill: 240 * time.Hour,
	}
	got := m.Capabilities()
	if d := cmp.Diff(sortedCaps(want), sortedCaps(got)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if own := load1(t, strings.Replace(chaosManifest, "  category: app", "  category: app\n  docsURL: https://wiki.acme.example/chaos", 1)); own.DocsURL() != "https://wiki.acme.example/chaos" || m.DocsURL() != "" {
		t.Errorf("pages %q and %q", own.DocsURL(), m.DocsURL())
	}
	for _, bad := range []string{"", "[]", "{", "null", `{"title":1,"streams":[]}`, `"x"`} {
		if _, err := LoadSpec("x", []byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func sortedCaps(c Capabilities) Capabilities {
	m := map[string]bool{}
	for _, a := range c.Actions {
		m[a] = true
	}
	c.Actions = sortedKeys(m)
	return c
}

func TestConfigProblems(t *testing.T) {
	m := load1(t, strings.Replace(chaosManifest, "config: {size:", "config: {host: {type: hostname, required: true, example: a.example}, mode: {type: string, enum: [fast, slow]}, size:", 1))
	for name, tt := range map[string]struct {
		config map[string]any
		want   string
	}{
		"missing":  {map[string]any{}, "spec.config.host: got nothing, want a hostname (for example a.example)"},
		"scheme":   {map[string]any{"host": "https://a.example"}, `spec.config.host: got "https://a.example", want a host name without scheme, port or path (for example a.example)`},
		"address":  {map[string]any{"host": "127.0.0.1"}, "want a host name"},
		"userinfo": {map[string]any{"host": "x@evil.example"}, "want a host name"},
		"type":     {map[string]any{"host": "a.example", "size": "2"}, `spec.config.size: got "2", want an integer`},
		"minimum":  {map[string]any{"host": "a.example", "size": 0.0}, "spec.config.size: got 0, want at least 1"},
		"enum":     {map[string]any{"host": "a.example", "mode": "fats"}, `spec.config.mode: got "fats", want one of fast, slow (did you mean fast?)`},
		"unknown":  {map[string]any{"host": "a.example", "sise": 1}, "spec.config.sise: got an unknown field, want one of host, mode, size (did you mean size?)"},
	} {
		_, err := Open(Options{Manifest: m, Config: tt.config})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
	s, err := Open(Options{Manifest: m, Config: map[string]any{"host": "A.Example", "size": float64(3)}})
	if err != nil || s.config["host"] != "a.example" || s.config["size"] != int64(3) || s.config["mode"] != nil {
		t.Errorf("%v %v", s, err)
	}
}

func TestLinkHeader(t *testing.T) {
	for in, want := range map[string]string{
		`<https://a/b>; rel="next"`: "https://a/b", `<https://a/b>; rel=next`: "https://a/b", `<x>; rel="self", <y>; rel="next"`: "y",
		`<x?a=1,2>; title="a, \"b\" <c>"; rel="last next"`: "x?a=1,2", `<x>; REL=NEXT; q=1`: "x", `<x>; rel="nexts"`: "", `<x>`: "", ``: "",
		`<x>; rel="self"; rel="next"`: "", `no link`: "", `<unclosed; rel=next`: "",
	} {
		if got := parseLink([]string{in}, "next"); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	// Small seeds: a whole manifest compiles a hundred programs for each try.
	f.Add([]byte("apiVersion: seatkeeper.dev/v1alpha1\nkind: Connector\nmetadata: {name: x}\nspec:\n  title: X\n  category: app\n  verified: \"No\"\n" +
		"  auth: [{id: a, type: bearer, token: \"${secret.t}\", secrets: {t: {}}}]\n  http: {baseURL: https://x.example}\n" +
		"  streams: {s: {essential: true, request: {get: \"/${config.a}\"}, records: resp, key: r.id, emit: [{type: Group, map: {externalId: r.id, name: r.n}}]}}\n"))
	f.Add([]byte("spec: {streams: {a: {page: {type: page, param: p, max: 3}, forEach: {items: \"[1]\", as: q}}}, actions: {user.delete: {steps: [{delete: /x}]}}}"))
	f.Add([]byte("spec: {config: {a: {type: integer, default: 1, minimum: 2}, b: {type: hostname}}, http: {rateLimit: {key: [method], buckets: [{match: \"true\", rate: 1/s}]}}}"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Load("f.yaml", data)
		if err == nil && (m == nil || m.Name() == "") {
			t.Fatal("a manifest without a name is taken")
		}
		var ps Problems
		if err != nil && (!errors.As(err, &ps) || len(ps) == 0 || ps.Error() == "") {
			t.Fatalf("an error without problems: %v", err)
		}
	})
}

func FuzzLinkHeader(f *testing.F) {
	f.Add(`<https://a/b>; rel="next", <c>; rel=prev`)
	f.Add(`<x>; title="\",<y>"; rel=next`)
	f.Fuzz(func(t *testing.T, h string) {
		if got := parseLink([]string{h}, "next"); got != "" && !strings.Contains(h, got) {
			t.Fatalf("%q yields %q", h, got)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"120", "0.5", "-1", "1e99", "Sat, 21 Nov 2026 10:00:00 GMT", "Saturday, 21-Nov-26 10:00:00 GMT", "NaN", "99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, parse := range []func() (time.Duration, bool){
			func() (time.Duration, bool) { return parseRetryAfter(s, testNow) },
			func() (time.Duration, bool) { return parseReset(s, "epoch_s", testNow) },
			func() (time.Duration, bool) { return parseReset(s, "epoch_ms", testNow) },
			func() (time.Duration, bool) { return parseReset(s, "seconds", testNow) },
			func() (time.Duration, bool) { return parseReset(s, "http_date", testNow) },
		} {
			if d, ok := parse(); ok && (d < 0 || d > maxPause) {
				t.Fatalf("%q asks for %s", s, d)
			}
		}
	})
}
