// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

func collectItems(d decodeSpec, text string, other map[string]any) (items []any, err error) {
	for v, err := range d.items(strings.NewReader(text), other) {
		if err != nil {
			return items, err
		}
		items = append(items, v)
	}
	return items, nil
}

func TestDecoders(t *testing.T) {
	obj := func(kv ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i].(string)] = kv[i+1]
		}
		return m
	}
	rows, nested := decodeSpec{kind: "json", path: []string{"Report_Entry"}}, decodeSpec{kind: "json", path: []string{"data", "rows"}}
	root, lines := decodeSpec{kind: "json"}, decodeSpec{kind: "ndjson"}
	table, semicolons := decodeSpec{kind: "csv"}, decodeSpec{kind: "csv", delimiter: ';'}
	workers := decodeSpec{kind: "xml", record: "wd:Worker"}
	for name, tt := range map[string]struct {
		d    decodeSpec
		text string
		want []any
		err  string
	}{
		"array at a member":     {rows, `{"a":1,"Report_Entry":[{"id":9007199254740993},{"id":"x\u0000"}],"next":"n"}`, []any{obj("id", int64(9007199254740993)), obj("id", "x\uFFFD")}, ""},
		"array at a path":       {nested, `{"data":{"x":[1],"rows":[1,2]},"more":true}`, []any{int64(1), int64(2)}, ""},
		"array itself":          {root, ` [ {"a":null} ] `, []any{obj("a", nil)}, ""},
		"empty array":           {rows, `{"Report_Entry":[]}`, nil, ""},
		"no such member":        {rows, `{"Report_Entries":[]}`, nil, "no member Report_Entry"},
		"no list":               {rows, `{"Report_Entry":{"id":1}}`, nil, "is none"},
		"null":                  {rows, `{"Report_Entry":null}`, nil, "is none"},
		"twice":                 {rows, `{"Report_Entry":[1],"Report_Entry":[2]}`, []any{int64(1)}, "twice"},
		"broken off in a row":   {rows, `{"Report_Entry":[{"id":1},{"id":`, []any{obj("id", int64(1))}, "before it is complete"},
		"broken off after":      {rows, `{"Report_Entry":[{"id":1}]`, []any{obj("id", int64(1))}, "before it is complete"},
		"two texts":             {rows, `{"Report_Entry":[]}{}`, nil, "more than one"},
		"web page":              {rows, `<html>Sign in</html>`, nil, "no JSON at byte"},
		"empty":                 {rows, ``, nil, "before it is complete"},
		"lines":                 {lines, "\uFEFF{\"id\":1}\r\n\n{\"id\":2}", []any{obj("id", int64(1)), obj("id", int64(2))}, ""},
		"half a line":           {lines, "{\"id\":1}\n{\"id\":", []any{obj("id", int64(1))}, "line 2"},
		"no line":               {lines, "", nil, ""},
		"table":                 {table, "\uFEFFid,na me,\n1,\"a, \"\"b\"\"\n\",z\n2,,\n", []any{obj("id", "1", "na me", "a, \"b\"\n"), obj("id", "2", "na me", "")}, ""},
		"semicolons":            {semicolons, "id;x\n1;a,b\n", []any{obj("id", "1", "x", "a,b")}, ""},
		"shifted row":           {table, "id,x\n1,a,b\n", nil, "line 2: wrong number of fields"},
		"open quote":            {table, "id,x\n1,\"a\n", nil, "extraneous or missing"},
		"column twice":          {table, "id,id\n1,2\n", nil, "same name"},
		"no header":             {table, "", nil, "no header"},
		"header only":           {table, "id,x\n", nil, ""},
		"elements":              {workers, `<?xml version="1.0"?><wd:R xmlns:wd="urn:x"><wd:Worker wd:id="1"><wd:Name>A &amp; B</wd:Name><wd:Mail type="w">a@x</wd:Mail><wd:Role>x</wd:Role><wd:Role/><wd:Off/></wd:Worker><wd:Worker>2</wd:Worker></wd:R>`, []any{obj("@wd:id", "1", "wd:Name", "A & B", "wd:Mail", obj("@type", "w", "#text", "a@x"), "wd:Role", []any{"x", nil}, "wd:Off", nil), obj("#text", "2")}, ""},
		"latin 1":               {decodeSpec{kind: "xml", record: "w"}, "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><r><w>\xe4</w></r>", []any{obj("#text", "ä")}, ""},
		"no elements":           {workers, `<r></r>`, nil, ""},
		"page for people":       {workers, `<html><body>Sign in</body></html>`, nil, "no document of records"},
		"wrong end":             {workers, `<r><wd:Worker><a></b></wd:Worker></r>`, nil, "did not begin"},
		"wrong end outside":     {workers, `<r></q>`, nil, "did not begin"},
		"broken off":            {workers, `<r><wd:Worker>1</wd:Worker>`, []any{obj("#text", "1")}, "before it is complete"},
		"unknown entity":        {workers, `<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><r><wd:Worker>&e;</wd:Worker></r>`, nil, "no XML at line 1"},
		"two roots":             {workers, `<r></r><r></r>`, nil, "no document of records"},
		"nested without end":    {workers, strings.Repeat("<a>", 100), nil, "deeper than"},
		"nested without end in": {workers, "<wd:Worker>" + strings.Repeat("<a>", 100), nil, "levels"},
	} {
		got, err := collectItems(tt.d, tt.text, map[string]any{})
		if d := cmp.Diff(tt.want, got); d != "" || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v\n(-want +got)\n%s", name, err, d)
		}
	}
	other := map[string]any{}
	if _, err := collectItems(rows, `{"next":"n","Report_Entry":[1],"total":7}`, other); err != nil || !cmp.Equal(other, obj("next", "n", "total", int64(7))) {
		t.Errorf("what surrounds the records: %v, %v", other, err)
	}
}

func TestOneRecordIsBounded(t *testing.T) {
	huge := strings.Repeat("x", 3*maxItemBytes)
	for kind, text := range map[decodeKind]string{
		{"json", ""}:   `["` + huge + `"]`,
		{"ndjson", ""}: `"` + huge + `"`,
		{"csv", ""}:    "a\n\"" + huge + "\"\n",
		{"xml", "w"}:   "<r><w>" + huge + "</w></r>",
	} {
		d := decodeSpec{kind: kind.name, record: kind.record}
		if _, err := collectItems(d, text, nil); err == nil || !strings.Contains(err.Error(), "MiB") {
			t.Errorf("%s: %v", kind.name, err)
		}
	}
	other := `{"before":[` + strings.TrimSuffix(strings.Repeat(`"0123456789",`, maxOtherBytes/10), ",") + `],"rows":[]}`
	if _, err := collectItems(decodeSpec{kind: "json", path: []string{"rows"}}, other, map[string]any{}); err == nil || !strings.Contains(err.Error(), "surrounds") {
		t.Errorf("what surrounds the records: %v", err)
	}
}

type decodeKind struct{ name, record string }

const streamedGroups = "request: {get: /groups}\ndecode: {type: json, stream: rows}"

// Records reach the sink while the answer is still on its way, and memory does
// not grow with its length.
func TestStreamedAnswerIsHandedOnWhileItArrives(t *testing.T) {
	const n = 3 * batchItems
	handed := make(chan struct{})
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"rows":[`)
		for i := range n {
			if i > 0 {
				_, _ = io.WriteString(w, ",")
			}
			fmt.Fprintf(w, `{"id":"%d","name":"x"}`, i)
			if i == 2*batchItems {
				w.(http.Flusher).Flush()
				select {
				case <-handed:
				case <-r.Context().Done():
					return
				}
			}
		}
		_, _ = io.WriteString(w, `],"next":"ignored"}`)
	}})
	s := groupSession(t, v, streamedGroups)
	total, first := 0, true
	res, err := s.Read(t.Context(), "groups", func(_ context.Context, _ string, recs []model.Record) error {
		if total += len(recs); first {
			first = false
			close(handed)
		}
		return nil
	})
	if err != nil || total != n || res.Records != n || !res.AbsenceProves() || res.Requests != 1 {
		t.Fatalf("%d records, %+v, %v", total, res, err)
	}
}

func TestStreamedAnswersThatAreNone(t *testing.T) {
	for name, tt := range map[string]struct {
		body, contentType string
		class             ErrorClass
	}{
		"broken off":    {`{"rows":[{"id":"1","name":"x"}`, "", ClassMapping},
		"another shape": {`{"items":[]}`, "", ClassMapping},
		"web page":      {`{"rows":[]}`, "text/html; charset=utf-8", ClassMapping},
		"nothing":       {``, "", ClassMapping},
	} {
		v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, _ *http.Request) {
			if tt.contentType != "" {
				w.Header().Set("Content-Type", tt.contentType)
			}
			_, _ = io.WriteString(w, tt.body)
		}})
		_, res, err := read(t, groupSession(t, v, streamedGroups), "groups")
		if wantClass(t, err, tt.class); res.Complete {
			t.Errorf("%s: %+v", name, res)
		}
	}
}

// A connection that breaks in the middle is tried again from its beginning, and
// nothing counts twice.
func TestStreamedAnswerThatBreaksIsReadAgain(t *testing.T) {
	calls := 0
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, _ *http.Request) {
		calls++
		_, _ = io.WriteString(w, `{"rows":[`)
		for i := range batchItems + 10 {
			fmt.Fprintf(w, `{"id":"%d","name":"x"},`, i)
		}
		w.(http.Flusher).Flush()
		if calls < 3 {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, `{"id":"last"}]}`) // it has no name and is quarantined
	}})
	recs, res, err := read(t, groupSession(t, v, streamedGroups), "groups")
	if err != nil || calls != 3 || res.Records != batchItems+10 || res.Items != batchItems+11 || res.Quarantined != 1 || len(recs) <= res.Records {
		t.Fatalf("%d calls, %d records to the sink, %+v, %v", calls, len(recs), res, err)
	}
}

func TestErrorOfTheSinkIsNoFaultOfTheVendor(t *testing.T) {
	calls := 0
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, _ *http.Request) {
		calls++
		_, _ = io.WriteString(w, `{"rows":[{"id":"1","name":"x"}]}`)
	}})
	s := groupSession(t, v, streamedGroups)
	broken := &Error{Class: ClassTransient, Message: "the store is away"}
	if _, err := s.Read(t.Context(), "groups", func(context.Context, string, []model.Record) error { return broken }); !errors.Is(err, broken) || calls != 1 {
		t.Errorf("got %v after %d requests", err, calls)
	}
}

// What surrounds the streamed records tells where the next page is.
func TestStreamedPages(t *testing.T) {
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, map[string]string{
			"":  `{"next":"b","rows":[{"id":"1","name":"x","on":true},{"id":"2","name":"x","on":false}]}`,
			"b": `{"rows":[{"id":"3","name":"x","on":true}],"next":null}`,
		}[r.URL.Query().Get("c")])
	}})
	s := groupSession(t, v, streamedGroups+"\npage: {type: cursor, param: c, next: \"get(resp, 'next')\"}\nrecords: records.filter(x, x.on)")
	recs, res, err := read(t, s, "groups")
	if err != nil || len(recs) != 2 || res.Requests != 2 {
		t.Fatalf("%d records, %+v, %v", len(recs), res, err)
	}
	if rep := s.Test(t.Context()); rep.Outcome != AllPassed {
		t.Errorf("%+v", rep)
	}
}

// A vendor that stops in the middle of its answer is given up after the
// manifest's timeout, however long the whole may take.
func TestSilenceIsBounded(t *testing.T) {
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"rows":[`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}})
	manifest := strings.Replace(oneStream(streamedGroups), "    baseURL:", "    timeout: 30ms\n    baseURL:", 1)
	s, _ := session(t, v, func(o *Options) { o.Manifest = load1(t, manifest) })
	start := time.Now()
	_, _, err := read(t, s, "groups")
	if wantClass(t, err, ClassTransient); time.Since(start) > 10*time.Second {
		t.Errorf("after %s", time.Since(start))
	}
}

func TestStreamedMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("sends 120 MiB")
	}
	row := `{"id":"%d","name":"` + strings.Repeat("n", 1000) + `"}`
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"rows":[{"id":"first","name":"x"}`)
		for i := range 120_000 {
			fmt.Fprintf(w, ","+row, i)
		}
		_, _ = io.WriteString(w, `]}`)
	}})
	s := groupSession(t, v, streamedGroups)
	idle, peak := heap(), uint64(0)
	res, err := s.Read(t.Context(), "groups", func(context.Context, string, []model.Record) error {
		peak = max(peak, heap())
		return nil
	})
	if err != nil || res.Records != 120_001 {
		t.Fatalf("%+v, %v", res, err)
	}
	if grown := int64(peak) - int64(idle); grown > 24<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func FuzzDecoders(f *testing.F) {
	f.Add(uint8(0), `{"a":1,"r":[{"id":1},{"id":"x"}],"n":null}`)
	f.Add(uint8(1), "{\"id\":1}\n{\"id\":2}\n")
	f.Add(uint8(2), "id,name\n1,\"a\nb\"\n")
	f.Add(uint8(3), `<r xmlns:w="u"><w:W a="1"><b>x</b><b/></w:W></r>`)
	f.Add(uint8(3), `<?xml version="1.0" encoding="UTF-16"?><r><w:W/></r>`)
	specs := []decodeSpec{{kind: "json", path: []string{"r"}}, {kind: "ndjson"}, {kind: "csv"}, {kind: "xml", record: "w:W"}}
	f.Fuzz(func(t *testing.T, kind uint8, text string) {
		d := specs[int(kind)%len(specs)]
		items, err := collectItems(d, text, map[string]any{})
		for _, it := range items {
			raw, bad := encodeJSON(it)
			if bad != nil {
				t.Fatalf("%s: an item that is no data: %v", d.kind, bad)
			}
			if strings.Contains(string(raw), `\u0000`) {
				t.Fatalf("%s: NUL is kept", d.kind)
			}
		}
		again, err2 := collectItems(d, text, map[string]any{})
		if !cmp.Equal(items, again) || (err == nil) != (err2 == nil) {
			t.Fatalf("%s: read twice, it differs: %v, %v", d.kind, err, err2)
		}
	})
}

// A body without length and without chunks ends where the connection does: a
// vendor or proxy that dies at a line's end looks like a whole listing.
func TestTruncatedLinesAreNoWholeListing(t *testing.T) {
	for _, d := range []struct{ kind, body string }{
		{"ndjson", "{\"id\":\"a\",\"name\":\"x\"}\n{\"id\":\"b\",\"name\":\"x\"}\n"},
		{"csv", "id,name\na,x\nb,Jo"}, // cut in the middle of "b,Johanna"
	} {
		t.Run(d.kind, func(t *testing.T) {
			v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, _ *http.Request) {
				c, buf, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" + d.body)
				_ = buf.Flush()
				_ = c.Close() // it had more to say
			}})
			s := groupSession(t, v, "request: {get: /groups}\npage: {type: none}\ndeletes: {by: absence}\ndecode: {type: "+d.kind+"}")
			recs, res, err := read(t, s, "groups")
			if err == nil && res.AbsenceProves() {
				t.Errorf("%d records of a body that nobody ended count as the whole list", len(recs))
			}
		})
	}
}

// What is counted must not be counted twice because a body broke off.
func TestStreamedUsageIsHandedOnOnce(t *testing.T) {
	tries := 0
	var b strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&b, "{\"id\":\"e%d\",\"user\":\"u\",\"at\":\"2026-11-19T10:00:00Z\"}\n", i)
	}
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, _ *http.Request) {
		tries++
		w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
		if tries == 1 {
			_, _ = w.Write([]byte(b.String()[:b.Len()*9/10])) // then the connection breaks
			return
		}
		_, _ = w.Write([]byte(b.String()))
	}})
	m := strings.Replace(oneStream("request: {get: /groups}\npage: {type: none}\ndecode: {type: ndjson}"),
		"emit: [{type: Group, map: {externalId: r.id, name: r.name}}]",
		"emit: [{type: UsageEvent, map: {accountExternalId: r.user, at: ts(r.at), kind: \"'sign_in'\", source: \"'test'\"}}]\n      lastActivity: Reported\n      sync: {mode: full, field: ts(r.at)}", 1)
	s, _ := session(t, v, func(o *Options) { o.Manifest = load1(t, m) })
	n := 0
	res, err := s.Read(t.Context(), "groups", func(_ context.Context, _ string, recs []model.Record) error { n += len(recs); return nil })
	t.Logf("tries %d, result %d, %v", tries, res.Records, err)
	if n > 1500 || err == nil && n < 1500 {
		t.Errorf("1500 events happened, %d reached the stage, which sums them up", n)
	}
}
