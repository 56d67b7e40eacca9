// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// oneStream is a manifest with one stream of groups, whose request, page and
// further keys the test gives.
func oneStream(body string) string {
	return `
apiVersion: seatkeeper.dev/v1alpha1
kind: Connector
metadata: {name: chaos}
spec:
  title: Chaos
  category: app
  verified: "No"
  auth: [{id: t, type: bearer, token: "${secret.token}", secrets: {token: {}}}]
  http:
    baseURL: https://api.chaos.example/v1
    hosts: {files: https://files.chaos.example}
    errors: [{when: "status == 400 && get(resp, 'error') == 'syncStateNotFound'", class: reset}]
  streams:
    groups:
      essential: true
      key: r.id
      emit: [{type: Group, map: {externalId: r.id, name: r.name}}]
` + strings.ReplaceAll("\n"+strings.TrimSpace(body), "\n", "\n      ") + "\n"
}

func groupSession(t testing.TB, v *vendor, body string, change ...func(*Options)) *Session {
	t.Helper()
	s, _ := session(t, v, append([]func(*Options){func(o *Options) {
		o.Manifest, o.Permission = load1(t, oneStream(body)), PermissionRead
	}}, change...)...)
	return s
}

// catalogue answers pages of n groups; position reads where the request wants
// to begin, and answer says how the page is written.
type catalogue struct {
	n, size int
	asked   []string
}

func (c *catalogue) items(from int) []map[string]any {
	items := []map[string]any{}
	for i := from; i < min(c.n, from+c.size); i++ {
		items = append(items, map[string]any{"id": fmt.Sprint(i), "name": fmt.Sprint("g", i)})
	}
	return items
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func TestEveryKindOfPagingListsAll(t *testing.T) {
	const n = 7
	body := func(r *http.Request) map[string]any {
		m := map[string]any{}
		_ = json.NewDecoder(r.Body).Decode(&m)
		return m
	}
	tests := map[string]struct {
		stream  string
		handler func(c *catalogue) http.HandlerFunc
		asked   []string
	}{
		"cursor in the body": {
			`request: {post: /groups, body: "{'query': {'scope': 'all'}}"}
page: {type: cursor, in: body, param: query.page.cursor, next: "get(resp, 'next')", size: 3, sizeParam: query.page.limit}
records: resp.items`,
			func(c *catalogue) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					q := body(r)["query"].(map[string]any)
					page := q["page"].(map[string]any)
					at, _ := page["cursor"].(float64)
					c.asked = append(c.asked, fmt.Sprint(r.Method, " ", q["scope"], " ", page["cursor"], " ", page["limit"]))
					out := map[string]any{"items": c.items(int(at))}
					if int(at)+c.size < c.n {
						out["next"] = int(at) + c.size
					}
					reply(w, out)
				}
			}, []string{"POST all <nil> 3", "POST all 3 3", "POST all 6 3"},
		},
		"cursor in a form": {
			`request: {post: /groups, form: {scope: all}}
page: {type: cursor, in: body, param: cursor, next: "get(resp, 'next')"}
records: resp.items`,
			func(c *catalogue) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					at, _ := strconv.Atoi(r.FormValue("cursor"))
					c.asked = append(c.asked, r.FormValue("scope")+r.FormValue("cursor"))
					out := map[string]any{"items": c.items(at)}
					if at+c.size < c.n {
						out["next"] = fmt.Sprint(at + c.size)
					}
					reply(w, out)
				}
			}, []string{"all", "all3", "all6"},
		},
		"cursor in a header": {
			`request: {get: /groups}
page: {type: cursor, in: header, param: After-Cursor, next: "get(headers, 'after-cursor')", size: 3, sizeParam: limit}
records: resp`,
			func(c *catalogue) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					at, _ := strconv.Atoi(r.Header.Get("After-Cursor"))
					c.asked = append(c.asked, r.Header.Get("After-Cursor")+"/"+r.URL.RawQuery)
					if at+c.size < c.n {
						w.Header().Set("After-Cursor", fmt.Sprint(at+c.size))
					}
					reply(w, c.items(at))
				}
			}, []string{"/limit=3", "3/limit=3", "6/limit=3"},
		},
		"offset to the empty page": {
			`request: {get: /groups, query: {scope: all}}
page: {type: offset, param: offset, size: 3, sizeParam: limit}
records: resp`,
			func(c *catalogue) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					at, _ := strconv.Atoi(r.URL.Query().Get("offset"))
					c.asked = append(c.asked, r.URL.RawQuery)
					reply(w, c.items(at))
				}
			}, []string{"scope=all&limit=3&offset=0", "scope=all&limit=3&offset=3", "scope=all&limit=3&offset=6", "scope=all&limit=3&offset=7"},
		},
		"offset from one with a total": {
			`request: {get: /groups}
page: {type: offset, param: startIndex, size: 3, start: 1, total: "get(resp, 'totalResults')"}
records: "get(resp, 'totalResults') != null ? list(get(resp, 'Resources')) : resp.Resources"`,
			func(c *catalogue) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					at, _ := strconv.Atoi(r.URL.Query().Get("startIndex"))
					c.asked = append(c.asked, r.URL.RawQuery)
					reply(w, map[string]any{"totalResults": c.n, "Resources": c.items(at - 1)})
				}
			}, []string{"startIndex=1", "startIndex=4", "startIndex=7"},
		},
		"offset of a vendor that serves less than was asked for": {
			`request: {get: /groups}
page: {type: offset, param: offset, size: 100, sizeParam: limit, total: "headers['x-total-count']"}
records: resp`,
			func(c *catalogue) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					at, _ := strconv.Atoi(r.URL.Query().Get("offset"))
					c.asked = append(c.asked, r.URL.RawQuery)
					w.Header().Set("X-Total-Count", fmt.Sprint(c.n))
					reply(w, c.items(at))
				}
			}, []string{"limit=100&offset=0", "limit=100&offset=3", "limit=100&offset=6"},
		},
		"page with its size": {
			`request: {get: /groups}
page: {type: page, param: page, size: 3, sizeParam: per_page, stopOnShortPage: true}
records: resp`,
			func(c *catalogue) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					page, _ := strconv.Atoi(r.URL.Query().Get("page"))
					c.asked = append(c.asked, r.URL.RawQuery)
					reply(w, c.items((page-1)*c.size))
				}
			}, []string{"page=1&per_page=3", "page=2&per_page=3", "page=3&per_page=3"},
		},
		"page in the body": {
			`request: {post: /groups}
page: {type: page, in: body, param: pageNumber, start: 0}
records: resp`,
			func(c *catalogue) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					page := body(r)["pageNumber"].(float64)
					c.asked = append(c.asked, fmt.Sprint(r.Method, " ", page))
					reply(w, c.items(int(page)*c.size))
				}
			}, []string{"POST 0", "POST 1", "POST 2", "POST 3"},
		},
		"next URL": {
			`request: {get: /groups, query: {limit: 3}}
page: {type: next_url, next: "get(resp, 'page.next')"}
records: resp.data`,
			func(c *catalogue) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					at, _ := strconv.Atoi(r.URL.Query().Get("start"))
					c.asked = append(c.asked, r.URL.RawQuery)
					out := map[string]any{"data": c.items(at), "page": map[string]any{"next": nil}}
					switch {
					case at == 0:
						out["page"] = map[string]any{"next": "https://api.chaos.example/v1/groups?start=3"}
					case at+c.size < c.n:
						out["page"] = map[string]any{"next": fmt.Sprintf("/v1/groups?start=%d", at+c.size)}
					}
					reply(w, out)
				}
			}, []string{"limit=3", "start=3", "start=6"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := &catalogue{n: n, size: 3}
			v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": tt.handler(c)})
			s := groupSession(t, v, tt.stream)
			recs, res, err := read(t, s, "groups")
			if err != nil || len(recs) != n || !res.AbsenceProves() {
				t.Fatalf("got %d records, %+v, %v", len(recs), res, err)
			}
			if d := cmp.Diff(tt.asked, c.asked); d != "" {
				t.Errorf("requests (-want +got)\n%s", d)
			}
			// The connect test asks for the first page as the read does.
			c.asked = nil
			if rep := s.Test(t.Context()); rep.Outcome != AllPassed || !slices.Equal(c.asked, tt.asked[:1]) {
				t.Errorf("the test asked %v: %+v", c.asked, rep)
			}
		})
	}
}

func TestEmptyPageInMidListOfOffsets(t *testing.T) {
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Total-Count", "5")
		_, _ = io.WriteString(w, map[string]string{
			"0": `[{"id":"a","name":"A"},{"id":"b","name":"B"}]`, "2": `[]`, "4": `[{"id":"c","name":"C"}]`,
		}[r.URL.Query().Get("sysparm_offset")])
	}})
	s := groupSession(t, v, `request: {get: /groups}
page: {type: offset, param: sysparm_offset, size: 2, sizeParam: sysparm_limit, total: "get(headers, 'x-total-count')"}
records: resp`)
	if recs, res, err := read(t, s, "groups"); err != nil || len(recs) != 3 || res.Requests != 3 {
		t.Fatalf("got %d, %+v, %v", len(recs), res, err)
	}
}

// A vendor that ignores where it is asked to go on would be read for ever.
func TestEveryKindOfPagingNoticesALoop(t *testing.T) {
	unique := 0
	for name, stream := range map[string]string{
		"cursor in the body":   "request: {post: /groups}\npage: {type: cursor, in: body, param: c, next: \"'same'\"}",
		"cursor in a header":   "request: {get: /groups}\npage: {type: cursor, in: header, param: C, next: \"'same'\"}",
		"next URL":             "request: {get: /groups}\npage: {type: next_url, next: \"'https://api.chaos.example/v1/groups?x=1'\"}",
		"next URL is itself":   "request: {get: /groups}\npage: {type: next_url, next: \"'/v1/groups'\"}",
		"delta":                "request: {get: /groups}\npage: {type: delta, next: \"'/v1/groups?t=1'\", delta: \"''\"}",
		"offset, same page":    "request: {get: /same}\npage: {type: offset, param: o, size: 1}",
		"offset, false total":  "request: {get: /groups}\npage: {type: offset, param: o, size: 1, total: \"1000000\", maxPages: 30}",
		"page, false last":     "request: {get: /groups}\npage: {type: page, param: p, last: \"1000000\", maxPages: 30}",
		"alternating cursor":   "request: {get: /groups}\npage: {type: cursor, param: c, next: \"get(resp, 'even') == true ? 'a' : 'b'\"}",
		"page, the same again": "request: {post: /same}\npage: {type: page, in: body, param: p}",
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t, map[string]http.HandlerFunc{
				"/v1/groups": func(w http.ResponseWriter, r *http.Request) {
					unique++
					reply(w, map[string]any{"items": []any{map[string]any{"id": fmt.Sprint(unique), "name": "x"}}, "even": unique%2 == 0})
				},
				"/v1/same": say(`{"items":[{"id":"1","name":"x"}]}`),
			})
			s := groupSession(t, v, stream+"\nrecords: resp.items")
			_, res, err := read(t, s, "groups")
			wantClass(t, err, ClassPaginationStuck)
			if res.Complete || res.AbsenceProves() || res.Requests > 30 {
				t.Errorf("%+v", res)
			}
		})
	}
}

// The address of the next page is the vendor's to say, and only on hosts that
// the manifest declares; the credential goes nowhere else.
func TestNextURLStaysOnDeclaredHosts(t *testing.T) {
	var elsewhere []string
	for _, tt := range []struct {
		next    string
		refused bool
	}{
		{"https://evil.example/next", true}, {"http://api.chaos.example/v1/groups?p=2", true}, {"https://api.chaos.example@evil.example/", true},
		{"//evil.example/next", true}, {"https://127.0.0.1/x", true}, {"file:///etc/passwd", true},
		{"https://files.chaos.example/more", false}, {"?p=2", false}, {"groups?p=2", false},
	} {
		v := newVendor(t, map[string]http.HandlerFunc{
			"/v1/groups": func(w http.ResponseWriter, r *http.Request) {
				if r.URL.RawQuery != "" {
					reply(w, map[string]any{"items": []any{map[string]any{"id": "2", "name": "y"}}})
					return
				}
				reply(w, map[string]any{"items": []any{map[string]any{"id": "1", "name": "x"}}, "next": tt.next})
			},
			"/files/more": func(w http.ResponseWriter, r *http.Request) {
				elsewhere = append(elsewhere, r.Header.Get("Authorization"))
				reply(w, map[string]any{"items": []any{map[string]any{"id": "2", "name": "y"}}})
			},
		})
		s := groupSession(t, v, "request: {get: /groups}\npage: {type: next_url, next: \"get(resp, 'next')\"}\nrecords: resp.items", func(o *Options) {
			o.Endpoints = maps.Clone(o.Endpoints)
			o.Endpoints["files.chaos.example"] = v.URL + "/files"
		})
		recs, res, err := read(t, s, "groups")
		if tt.refused {
			if e := wantClass(t, err, ClassHostRefused); res.Complete {
				t.Errorf("%s: %v %+v", tt.next, e, res)
			}
			continue
		}
		if err != nil || len(recs) != 2 {
			t.Errorf("%s: %d, %v", tt.next, len(recs), err)
		}
	}
	if len(elsewhere) != 1 {
		t.Errorf("the declared host was asked %d times", len(elsewhere))
	}
}

func TestPagingProblems(t *testing.T) {
	for stream, want := range map[string]string{
		"request: {get: /g}\npage: {type: cursor, in: body, param: c, next: resp.n}":    "the request is a GET",
		"request: {get: /g}\npage: {type: offset, param: o}":                            "spec.streams.groups.page.size",
		"request: {get: /g}\npage: {type: link, param: o}":                              "only cursor, page, offset has it",
		"request: {get: /g}\npage: {type: page, param: p, sizeParam: per_page}":         "the size that sizeParam sends",
		"request: {get: /g}\npage: {type: delta, next: resp.n}":                         "spec.streams.groups.page.delta",
		"request: {get: /g}\npage: {type: cursor, in: header, param: \"a b\", next: r}": "the name of a header",
		"request: {delete: /g}":                                                   "a listing changes nothing",
		"request: {get: /g}\npage: {type: nexturl}":                               "did you mean next_url?",
		"request: {get: /g}\npage: {type: offsets}":                               "did you mean offset?",
		"request: {get: /g}\npage: {type: cursor, in: cookie, param: c, next: r}": "one of query, body, header",
	} {
		_, err := Load("x.yaml", []byte(oneStream(stream+"\nrecords: resp")))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", stream, err, want)
		}
	}
}

// A vendor that is away for longer than a few repeated requests take is waited
// for in mid-list, and the read goes on at the page that failed.
func TestReadGoesOnAtTheFailedPage(t *testing.T) {
	asked, away := map[string]int{}, 9
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, r *http.Request) {
		o := r.URL.Query().Get("o")
		asked[o]++
		if o == "2" && away > 0 {
			away--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, map[string]string{"0": `[{"id":"a","name":"A"},{"id":"b","name":"B"}]`, "2": `[{"id":"c","name":"C"}]`, "3": "[]"}[o])
	}})
	s := groupSession(t, v, "request: {get: /groups}\npage: {type: offset, param: o, size: 2}\nrecords: resp", func(o *Options) { o.MaxWait = time.Minute })
	recs, res, err := read(t, s, "groups")
	if err != nil || len(recs) != 3 || !res.AbsenceProves() {
		t.Fatalf("%d records, %+v, %v", len(recs), res, err)
	}
	if d := cmp.Diff(map[string]int{"0": 1, "2": 10, "3": 1}, asked); d != "" {
		t.Errorf("requests (-want +got)\n%s", d)
	}
	// The first page has nothing to lose.
	away, asked = 1000, map[string]int{}
	down := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, _ *http.Request) {
		asked["0"]++
		w.WriteHeader(http.StatusServiceUnavailable)
	}})
	_, _, err = read(t, groupSession(t, down, "request: {get: /groups}\nrecords: resp"), "groups")
	if wantClass(t, err, ClassTransient); asked["0"] != maxTransientTries {
		t.Errorf("%d requests", asked["0"])
	}
}

// A cursor that no header can carry is the manifest's or the vendor's fault, not
// a connection that broke.
func TestCursorThatNoHeaderCarries(t *testing.T) {
	for name, cursor := range map[string]string{"line break": "a\r\nX-Evil: 1", "control": "a\x01", "delete": "a\x7f"} {
		requests := 0
		v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, _ *http.Request) {
			requests++
			reply(w, map[string]any{"items": []any{map[string]any{"id": "1", "name": "x"}}, "next": cursor})
		}})
		manifest := "request: {get: /groups}\nrecords: resp.items\npage: {type: cursor, in: header, param: X-After, next: \"get(resp, 'next')\"}"
		s, _ := session(t, v, func(o *Options) { o.Manifest = load1(t, oneStream(manifest)) })
		_, _, err := read(t, s, "groups")
		wantClass(t, err, ClassMapping)
		if !strings.Contains(err.Error(), "X-After") || requests != 1 {
			t.Errorf("%s: %v after %d requests", name, err, requests)
		}
	}
}
