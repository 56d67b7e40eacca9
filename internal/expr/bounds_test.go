// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// twice repeats a macro that doubles what it is given.
func twice(from, macro string, times int) string {
	return from + strings.Repeat(macro, times)
}

// as many terms as fit into one expression.
func repeated(term, sep, open, end string) string {
	n := (MaxSource - len(open) - len(end)) / (len(term) + len(sep))
	return open + strings.Repeat(term+sep, n-1) + term + end
}

// greedy are expressions that would take all memory, or all time, out of little.
var greedy = map[string]string{
	"text to itself":               twice(`[input.text]`, `.map(x, x + x)`, 40),
	"text of any type to itself":   twice(`[get(input, 'text')]`, `.map(x, x + x)`, 40),
	"bytes to themselves":          twice(`[bytes(string(input.text))]`, `.map(x, x + x)`, 40),
	"list to itself":               twice(`[[1, 2, 3]]`, `.map(x, x + x)`, 40),
	"empty list to itself":         twice(`[input.none]`, `.map(x, x + x)`, 60),
	"list of itself":               twice(`[1]`, `.map(x, [x, x])`, 60),
	"list of itself, compared":     twice(`[1]`, `.map(x, [x, x])`, 40) + " == " + twice(`[1]`, `.map(x, [x, x])`, 40),
	"list of itself, in it":        `7 in ` + twice(`[1]`, `.map(x, [x, x])`, 40),
	"list of itself, as text":      `'%s'.format([` + twice(`[1]`, `.map(x, [x, x])`, 40) + `])`,
	"map of itself":                twice(`[1]`, `.map(x, {'a': x, 'b': x})`, 60),
	"map of itself, compared":      twice(`[1]`, `.map(x, {'a': x, 'b': x})`, 40) + ` != []`,
	"wide list of itself":          twice(`[input.text]`, `.map(x, [`+strings.Repeat("x, ", 100)+`x])`, 4),
	"nothing replaced":             twice(`[string(input.text)]`, `.map(x, x.replace('', x))`, 3),
	"nothing replaced some times":  `string(input.text).replace('', string(input.text), 60000)`,
	"joined by itself":             `string(input.text).split('').join(string(input.text))`,
	"joined list":                  twice(`[string(input.text)]`, `.map(x, [x, x, x, x, x, x, x, x].join())`, 10),
	"formatted":                    twice(`[string(input.text)]`, `.map(x, '%s%s%s%s%s%s%s%s'.format([x, x, x, x, x, x, x, x]))`, 10),
	"many decimals":                `'%.999999999f'.format([1.5])`,
	"quoted":                       twice(`[string(input.text)]`, `.map(x, strings.quote(x) + strings.quote(x))`, 30),
	"split and split":              `string(input.text).split('').map(x, string(input.text).split(''))`,
	"text for each of a list":      `input.list.map(x, input.text + string(x))`,
	"list for each of a list":      `input.list.map(x, input.list.map(y, input.list))`,
	"sum of one text":              repeated(`input.text`, ` + `, ``, ``),
	"list of one text":             repeated(`input.text`, `, `, `[`, `]`),
	"list of sums":                 repeated(`input.text + input.text`, `, `, `[`, `]`),
	"words of one text":            repeated(`input.text`, `, `, `words([`, `])`),
	"lower case of one text":       repeated(`lower(input.text)`, `, `, `[`, `]`),
	"a map without a key":          repeated(`omit(input, ['a'])`, `, `, `[`, `]`),
	"a text searched":              `input.list.exists(x, string(input.text).indexOf(string(input.other)) > 0)`,
	"a text searched backwards":    `input.list.exists(x, string(input.text).lastIndexOf(string(input.other)) > 0)`,
	"a list searched":              `input.list.filter(x, -1 in input.list)`,
	"a list cleaned":               `input.list.filter(x, words(input.list.map(y, '')) == 'x')`,
	"lists compared":               `input.list.filter(x, input.list == input.list)`,
	"a pattern":                    `'aaaa'.matches(string(input.pattern))`,
	"a pattern written out":        `'aaaa'.matches('` + strings.Repeat("(a{1000})", 1500) + `')`,
	"an error that is passed over": `input.list.exists(x, ` + twice(`[input.text]`, `.map(x, x + x)`, 40) + `.size() > 1 || true)`,
}

func greedyVars() map[string]any {
	list := make([]any, 3000)
	for i := range list {
		list[i] = int64(i)
	}
	return map[string]any{
		VarInput: map[string]any{
			"text": strings.Repeat("a", 64<<10), "other": strings.Repeat("a", 32<<10) + "b", "list": list, "none": []any{},
			"pattern": strings.Repeat("(a{1000})", 5000),
		},
		VarSteps: map[string]any{}, VarVars: map[string]any{}, VarEvent: map[string]any{}, VarOrg: map[string]any{}, VarNow: time.Now(),
	}
}

// No expression takes more memory or time than its limits say, nor gives more.
func TestGreedyExpressions(t *testing.T) {
	const mostMemory, mostTime = 160 << 20, 5 * time.Second
	vars := greedyVars()
	for name, source := range greedy {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			began := time.Now()
			f, err := Workflow{}.Value("", source)
			runtime.ReadMemStats(&before)
			var v any
			if err == nil {
				v, err = f(vars)
			}
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if n, ok := Weigh(v, MaxValue); !ok {
				t.Errorf("it gives %d bytes", n)
			}
			if made := after.TotalAlloc - before.TotalAlloc; made > mostMemory || took > mostTime {
				t.Errorf("it takes %d MiB and %s (%v)", made>>20, took, err)
			} else {
				t.Logf("%d MiB, %s: %v", made>>20, took, shortened(err))
			}
			if err != nil && (strings.Contains(err.Error(), "aaaa") || strings.Contains(err.Error(), "internal error")) {
				t.Errorf("the error quotes a value: %s", shortened(err))
			}
		})
	}
}

func shortened(err error) string {
	s := fmt.Sprint(err)
	return s[:min(len(s), 200)]
}

// Texts of many holes are bounded as a whole.
func TestGreedyTemplate(t *testing.T) {
	f, err := Workflow{}.Template("", repeated("${input.text}", "", "", ""))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := f(greedyVars()); err == nil || !strings.Contains(err.Error(), "1048576") {
		t.Errorf("it gives %d bytes, %v", len(fmt.Sprint(v)), err)
	}
}

// What real Workflows do stays far below every limit.
func TestModestExpressions(t *testing.T) {
	people := make([]any, 2000)
	for i := range people {
		people[i] = map[string]any{"id": fmt.Sprint(i), "email": fmt.Sprintf("person-%d@acme.example", i), "groups": []any{"a", "b", "c"}}
	}
	vars := greedyVars()
	vars[VarInput] = map[string]any{"people": people, "text": strings.Repeat("word ", 10000)}
	for _, source := range []string{
		`input.people.filter(p, p.email.endsWith('9@acme.example')).map(p, {'id': p.id, 'who': p.email + ' (' + p.id + ')'})`,
		`input.people.map(p, p.email).join(', ')`,
		`input.people.exists(p, p.groups == ['a', 'b', 'c'] && 'b' in p.groups)`,
		`string(input.text).replace('word', 'another').split(' ').size()`,
		`string(input.text).indexOf('nowhere') < 0 && input.text + input.text != ''`,
		`input.people + input.people`,
		`[1, 2] + [3] == [1, 2, 3] && ([] + []).size() == 0`,
		`'%s has %d seats, %.2f each'.format(['Zoom', 12, 14.5])`,
		`[3, 1].map(x, x + 1) + ['x'].map(x, 7)`,
		`'abcabc'.matches('^(abc)+$') && 'b' + 'c' in ['bc']`,
	} {
		f, err := Workflow{}.Value("", source)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		if v, err := f(vars); err != nil || v == false {
			t.Errorf("%s: %v, %v", source, v, err)
		}
	}
}

// Additions mean what CEL says that they mean.
func TestAdditions(t *testing.T) {
	env := connector(t)
	for source, want := range map[string]string{
		`1 + 2`: "3", `1.5 + 2.5`: "4", `'a' + 'b'`: "ab", `[1] + [r.s]`: "[1 s]", `b'a' + b'b'`: "ab", `string(duration('1h') + duration('1s'))`: "3601s",
		`string(timestamp('2026-01-01T00:00:00Z') + duration('1h'))`: "2026-01-01T01:00:00Z", `r.n + 1`: "8", `r.s + 'x'`: "sx", `r.l + [3]`: "[1 2 3]",
		`r.l.map(x, x + 1) + r.l`: "[2 3 1 2]",
	} {
		p, err := env.Compile(source, nil)
		if err != nil {
			t.Fatal(source, err)
		}
		v, err := p.Eval(context.Background(), map[string]any{"r": map[string]any{"n": int64(7), "s": "s", "l": []any{int64(1), int64(2)}}})
		if err != nil || fmt.Sprint(v) != want {
			t.Errorf("%s gives %v, %v", source, v, err)
		}
	}
	for _, source := range []string{`r.n + 'x'`, `r.s + 1`, `r.l + 1`, `r.gone + 'x'`, `null + 1`, `r.l + r.s`} {
		if p, err := env.Compile(source, nil); err == nil {
			if v, err := p.Eval(context.Background(), map[string]any{"r": map[string]any{"n": int64(7), "s": "s", "l": []any{}}}); err == nil {
				t.Errorf("%s gives %v", source, v)
			}
		}
	}
}

// FuzzGreedy looks for expressions that pass their limits.
func FuzzGreedy(f *testing.F) {
	for _, source := range greedy {
		if len(source) < 1000 {
			f.Add(source)
		}
	}
	vars := greedyVars()
	f.Fuzz(func(t *testing.T, source string) {
		overdue := time.AfterFunc(10*time.Second, func() { panic("no end of " + source) })
		defer overdue.Stop()
		value, err := Workflow{}.Value("", source)
		if err != nil {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		v, _ := value(vars)
		runtime.ReadMemStats(&after)
		if n, ok := Weigh(v, MaxValue); !ok || time.Since(began) > 10*time.Second || after.TotalAlloc-before.TotalAlloc > 1<<30 {
			t.Errorf("it gives %d bytes after %s, with %d MiB", n, time.Since(began), (after.TotalAlloc-before.TotalAlloc)>>20)
		}
	})
}
