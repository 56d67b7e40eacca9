// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/catalog"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// labelled is a signal and the app that it is of, as a person says.
type labelled struct {
	line int
	model.AppSignal
	want string // empty: none
}

func readLabelled(t *testing.T, file string) (out []labelled) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, line := range strings.Split(string(data), "\n") {
		parts := strings.Split(line, " |")
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		if len(parts) != 4 {
			t.Fatalf("%s:%d: want four fields: %q", file, i+1, line)
		}
		for j, p := range parts {
			parts[j] = strings.TrimSpace(p)
		}
		if seen[line] {
			t.Fatalf("%s:%d: twice: %q", file, i+1, line)
		}
		seen[line] = true
		l := labelled{line: i + 1, AppSignal: model.AppSignal{Kind: model.AppSignalKind(parts[0]), Text: parts[1], URL: parts[2]}, want: parts[3]}
		if l.want == "-" {
			l.want = ""
		} else if _, ok := catalog.Default().App(l.want); !ok {
			t.Logf("%s:%d: the catalogue does not know %q", file, i+1, l.want)
		}
		out = append(out, l)
	}
	return out
}

// score counts how the recogniser does on labelled signals.
type score struct{ positives, negatives, right, wrong int }

func (s score) precision() float64 { return float64(s.right) / float64(max(1, s.right+s.wrong)) }
func (s score) recall() float64    { return float64(s.right) / float64(max(1, s.positives)) }

func scoreOf(t *testing.T, set []labelled, show bool) (s score) {
	t.Helper()
	for _, l := range set {
		got := catalog.Default().Recognise(l.AppSignal)
		if l.want == "" {
			s.negatives++
		} else {
			s.positives++
		}
		switch {
		case got.App != "" && got.App == l.want:
			s.right++
		case got.App != "":
			s.wrong++
		}
		if show && got.App != l.want {
			t.Logf("line %d: %s %q %s is %q, recognised as %q (%s) %v", l.line, l.Kind, l.Text, l.URL, l.want, got.App, got.Rule, got.Among)
		}
	}
	return s
}

// The figures that the project promises, on signals that no rule was written
// for. Lines of the held-out set are not shown, so that nobody adapts to them.
func TestRecogniseHeldOut(t *testing.T) {
	for _, set := range []struct {
		file      string
		show      bool
		positives int
		negatives int
	}{{"tuning.txt", true, 80, 40}, {"heldout.txt", false, 220, 80}} {
		s := scoreOf(t, readLabelled(t, set.file), set.show)
		t.Logf("%s: %d signals of apps, %d of none; precision %.4f, recall %.4f", set.file, s.positives, s.negatives, s.precision(), s.recall())
		if s.positives < set.positives || s.negatives < set.negatives {
			t.Errorf("%s: too few signals to say anything", set.file)
		}
		if s.precision() < 0.98 || s.recall() < 0.80 {
			t.Errorf("%s: want a precision of at least 0.98 and a recall of at least 0.80", set.file)
		}
	}
}

func TestDefault(t *testing.T) {
	c := catalog.Default()
	if n := len(c.Apps()); n < 500 {
		t.Errorf("%d apps, want at least 500", n)
	}
	used, read := map[string]int{}, map[string]string{}
	for _, a := range c.Apps() {
		used[a.Category]++
		if a.Connector == "" {
			continue
		}
		if read[a.Connector] != "" {
			t.Errorf("connector %s reads both %s and %s", a.Connector, read[a.Connector], a.Slug)
		}
		read[a.Connector] = a.Slug
	}
	for _, k := range c.Categories() {
		if used[k.Name] < 3 || k.Definition == "" || k.Title == "" {
			t.Errorf("category %s has %d apps, title %q and definition %q", k.Name, used[k.Name], k.Title, k.Definition)
		}
	}
	for _, name := range connectors.Names() {
		m, err := connectors.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Domains()) > 0 && read[name] == "" && name != "google-sheets" { // writes to a file of Google Workspace
			t.Errorf("no app has the connector %s, which reads %v", name, m.Domains())
		}
	}
}

// Every app is recognised by what the catalogue itself says of it.
func TestRecogniseOwnNames(t *testing.T) {
	c := catalog.Default()
	for _, a := range c.Apps() {
		for _, n := range append([]string{a.Name}, a.Aliases...) {
			if got := c.Recognise(model.AppSignal{Kind: model.SignalSignOn, Text: n}); got.App != a.Slug {
				t.Errorf("the name %q of %s is recognised as %+v", n, a.Slug, got)
			}
		}
		for _, d := range a.Domains {
			if got := c.Recognise(model.AppSignal{Kind: model.SignalDomain, Text: "tenant." + d}); got.App != a.Slug {
				t.Errorf("the domain %s of %s is recognised as %+v", d, a.Slug, got)
			}
		}
		for _, d := range a.Descriptors {
			if got := c.Recognise(model.AppSignal{Kind: model.SignalExpense, Text: strings.ToUpper(d) + " INC"}); got.App != a.Slug {
				t.Errorf("the descriptor %q of %s is recognised as %+v", d, a.Slug, got)
			}
		}
	}
}

func TestRecognise(t *testing.T) {
	for _, c := range []struct {
		name string
		model.AppSignal
		want  string
		rule  string
		among []string
	}{
		{"whole words only", model.AppSignal{Kind: model.SignalExpense, Text: "GRAMMARLYSTIC TUTORS"}, "", "", nil},
		{"a domain before a name", model.AppSignal{Kind: model.SignalSignOn, Text: "Support", URL: "https://acme.zendesk.com"}, "zendesk", "domain acme.zendesk.com", nil},
		{"full-width letters and a ligature", model.AppSignal{Kind: model.SignalSignOn, Text: "Ｓｌａｃｋ"}, "slack", "name slack", nil},
		{"letters that only look the same", model.AppSignal{Kind: model.SignalDomain, Text: "ѕlack.com"}, "", "", nil},
		{"punycode", model.AppSignal{Kind: model.SignalDomain, Text: "xn--lack-9wc.com"}, "", "", nil},
		{"a vendor of several apps", model.AppSignal{Kind: model.SignalExpense, Text: "FRESHWORKS INC"}, "", "name freshworks inc", []string{"freshchat", "freshdesk", "freshsales", "freshservice"}},
		{"a vendor and one of its apps", model.AppSignal{Kind: model.SignalExpense, Text: "FRESHWORKS *ANNUAL FRESHSERVICE"}, "freshservice", "name freshservice", nil},
		{"a name and a domain that disagree", model.AppSignal{Kind: model.SignalSignOn, Text: "Zendesk", URL: "https://acme.freshdesk.com"}, "",
			"domain acme.freshdesk.com and name zendesk", []string{"freshdesk", "zendesk"}},
		{"a word and a domain that disagree", model.AppSignal{Kind: model.SignalSignOn, Text: "Front", URL: "https://acme.freshdesk.com"}, "freshdesk", "domain acme.freshdesk.com", nil},
		{"the hint of a source", model.AppSignal{Kind: model.SignalSignOn, Text: "Acme calls", Hint: "zoomus"}, "zoom", "name zoomus", nil},
		{"the identity provider's own link", model.AppSignal{Kind: model.SignalSignOn, Text: "Figma", URL: "https://acme.okta.com/home/figma/0oa1"}, "figma", "name figma", nil},
		{"a site of a customer", model.AppSignal{Kind: model.SignalDomain, Text: "acme.vercel.app"}, "", "", nil},
		{"two apps", model.AppSignal{Kind: model.SignalOAuth, Text: "Asana and Zendesk"}, "", "", nil},
		{"nothing", model.AppSignal{Kind: model.SignalExpense, Text: " *** "}, "", "", nil},
	} {
		got := catalog.Default().Recognise(c.AppSignal)
		if got.App != c.want || got.Rule != c.rule || !slices.Equal(got.Among, c.among) {
			t.Errorf("%s: %+v is recognised as %+v", c.name, c.AppSignal, got)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	const head = "categories:\n- {name: chat, title: Chat, definition: Talk.}\nhosting: [sites.example]\napps:\n- {slug: one, name: One, vendor: V, category: chat, domains: [one.example], aliases: [First]}\n"
	if _, err := catalog.Load([]byte(head)); err != nil {
		t.Fatal(err)
	}
	for want, line := range map[string]string{
		"slug: two apps have it":              "- {slug: one, name: Two, vendor: V, category: chat}",
		"slug: want":                          "- {slug: Two, name: Two, vendor: V, category: chat}",
		`name "first!" is of "one" as well`:   "- {slug: two, name: Two, vendor: V, category: chat, aliases: [first!]}",
		`domain "one.example" is of "one"`:    "- {slug: two, name: Two, vendor: V, category: chat, domains: [one.example]}",
		`domain "sites.example": want`:        "- {slug: two, name: Two, vendor: V, category: chat, domains: [sites.example]}",
		`category "talk" is none of the list`: "- {slug: two, name: Two, vendor: V, category: talk}",
		"field domain not found":              "- {slug: two, name: Two, vendor: V, category: chat, domain: two.example}",
		"name and vendor must be set":         "- {slug: two, category: chat}",
		`name "!" has no word`:                "- {slug: two, name: '!', vendor: V, category: chat}",
	} {
		if _, err := catalog.Load([]byte(head + line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// FuzzRecognise proves that any text gives an answer that can be trusted: a
// known app or none, never both, and the same twice.
func FuzzRecognise(f *testing.F) {
	for _, file := range []string{"tuning.txt", "heldout.txt"} {
		data, err := os.ReadFile("testdata/" + file)
		if err != nil {
			f.Fatal(err)
		}
		for i, line := range strings.Split(string(data), "\n") {
			if parts := strings.Split(line, " |"); len(parts) == 4 && i%5 == 0 {
				f.Add(parts[0], strings.TrimSpace(parts[1]), strings.TrimSpace(parts[2]))
			}
		}
	}
	f.Add("expense", strings.Repeat("slack ", 1000), "")
	f.Add("signon", "\xff\xfe*\u0301", "http://[::1")
	f.Fuzz(func(t *testing.T, kind, text, url string) {
		c := catalog.Default()
		s := model.AppSignal{Kind: model.AppSignalKind(kind), Text: text, Hint: url, URL: url}
		got := c.Recognise(s)
		if _, ok := c.App(got.App); got.App != "" && (!ok || len(got.Among) > 0 || got.Rule == "") {
			t.Errorf("%+v: %+v", s, got)
		}
		if again := c.Recognise(s); again.App != got.App || again.Rule != got.Rule {
			t.Errorf("%+v: %+v, then %+v", s, got, again)
		}
	})
}

func BenchmarkRecognise(b *testing.B) {
	c := catalog.Default()
	for _, n := range []int{20, 200, 2000} {
		text := strings.Repeat("PAYPAL *ACME STORES 0042 ", n/20)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				c.Recognise(model.AppSignal{Kind: model.SignalExpense, Text: text})
			}
		})
	}
}
