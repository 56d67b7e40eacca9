// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connectors_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
	"github.com/seatkeeper/seatkeeper/internal/connector/vendorspec"
)

// described names the files of the vendors' own descriptions.
var described = map[string][]string{
	"okta": {"okta-management.trimmed.json"},
	"google-workspace": {
		"google-admin-directory_v1.discovery.json", "google-admin-reports_v1.discovery.json",
		"google-admin-datatransfer_v1.discovery.json", "google-licensing_v1.discovery.json",
	},
	"google-sheets": {"google-sheets_v4.discovery.json"},
	"entra":         {"msgraph-v1.derived.json"},
	"slack":         {"slack-web-2021.requests-only.json"},
	"zoom":          {"zoom-v2-2021.trimmed.json"},
}

// deviation is where a connector does what the vendor's description lacks, and
// why. A segment in braces stands for any one. The connector's README has the
// same list.
type deviation struct{ connector, what, reason string }

var deviations = []deviation{
	{"entra", "GET /users: the answer has no field manager", "a navigation property, which `$expand` puts into the answer; the derived schemas have properties only."},
	{"entra", "GET /groups/{group-id}/members: the answer has no field @odata.type", "an annotation of OData, which comes with every element of a mixed list."},

	{"slack", "GET /api/conversations.history: no such operation", "younger than the description of 2021; it follows Slack's documentation."},
	{"slack", "GET /scim/v2/Users/{id}: no such operation", "the SCIM API is described elsewhere, in prose."},
	{"slack", "DELETE /scim/v2/Users/{id}: no such operation", "the SCIM API is described elsewhere, in prose."},
	{"slack", "POST /scim/v2/Users: no such operation", "the SCIM API is described elsewhere, in prose."},
	{"slack", "POST /chat.postMessage: the description has no body field metadata", "younger than the description of 2021; it follows Slack's documentation."},

	{"zoom", "GET /users/{userId}: the answer has no field company", "younger than the description of 2021."},
	{"zoom", "GET /users/{userId}: the answer has no field status", "younger than the description of 2021."},
	{"zoom", "GET /users: the answer has no field display_name", "younger than the description of 2021."},
	{"zoom", "GET /users: the answer has no field next_page_token", "paging by token is younger than the description of 2021; it follows Zoom's documentation."},
	{"zoom", "GET /users: the description has no query parameter next_page_token", "paging by token is younger than the description of 2021; it follows Zoom's documentation."},
	{"zoom", "GET /users: the answer has no field role_id", "younger than the description of 2021."},
	{"zoom", "GET /users: the answer has no field status", "younger than the description of 2021."},
}

// vendor is one connector's descriptions taken together.
type vendor []*vendorspec.Description

func describe(t *testing.T, name string) vendor {
	t.Helper()
	dir := testdata(t)
	if dir == "" {
		t.Skip("SEATKEEPER_TESTDATA is not set: the vendors' descriptions are no part of the project")
	}
	var all vendor
	for _, file := range described[name] {
		var options []vendorspec.Option
		if name == "slack" {
			options = append(options, vendorspec.AnyMethod())
		}
		d, err := vendorspec.Load(filepath.Join(dir, "vendor-specs", file), options...)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

func (v vendor) find(method, path string) *vendorspec.Operation {
	for _, d := range v {
		if op := d.Find(method, path); op != nil {
			return op
		}
	}
	return nil
}

// check holds a request against whichever description has it.
func (v vendor) check(r *http.Request, body []byte) []vendorspec.Violation {
	for _, d := range v {
		if d.Find(r.Method, r.URL.EscapedPath()) == nil {
			continue
		}
		found := d.Check(r, body)
		if d.Host != "" && d.Host != r.Host {
			found = append(found, vendorspec.Violation(fmt.Sprintf("%s %s: the API is at %s", r.Method, r.URL.Path, d.Host)))
		}
		return found
	}
	return []vendorspec.Violation{vendorspec.Violation(r.Method + " " + r.URL.EscapedPath() + ": no such operation")}
}

// watched collects what the vendor would see and answer.
type watched struct {
	vendor vendor
	found  map[vendorspec.Violation]bool
	scopes map[string][]string // by operation
}

// watch stands between a connector and its fixtures.
func (w *watched) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(rw, "the body cannot be read", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		if !signsIn(r, body) {
			w.look(r, body, answer)
		}
		maps.Copy(rw.Header(), answer.Header())
		rw.WriteHeader(answer.Code)
		_, _ = rw.Write(answer.Body.Bytes())
	})
}

// signsIn reports whether a request is one to a token endpoint, which is
// OAuth's and not the vendor's API.
func signsIn(r *http.Request, body []byte) bool {
	return r.Method == http.MethodPost && (r.URL.Query().Has("grant_type") || bytes.Contains(body, []byte("grant_type=")))
}

func (w *watched) look(r *http.Request, body []byte, answer *httptest.ResponseRecorder) {
	for _, v := range w.vendor.check(r, body) {
		w.found[v] = true
	}
	op := w.vendor.find(r.Method, r.URL.EscapedPath())
	if op == nil {
		return
	}
	w.scopes[op.Method+" "+op.Path] = op.Scopes
	if answer.Code >= 300 || op.Response == nil {
		return
	}
	var v any
	if json.Unmarshal(answer.Body.Bytes(), &v) != nil {
		return
	}
	for _, name := range vendorspec.Unknown(op.Response, v) {
		w.found[op.Lacks(name)] = true
	}
}

// play runs a connector's fixtures, as they are or for reading alone.
func play(t *testing.T, name string, v vendor, readOnly bool) *watched {
	t.Helper()
	m, err := connectors.Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fixture.Load(name + "/testdata/fixtures.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if readOnly {
		f.Permission, f.Destructive, f.Actions = connector.PermissionRead, nil, nil
	}
	w := &watched{vendor: v, found: map[vendorspec.Violation]bool{}, scopes: map[string][]string{}}
	if _, err := f.RunThrough(t.Context(), m, w.watch); err != nil {
		t.Fatal(err)
	}
	return w
}

// Every request that a connector sends is one that the vendor describes, the
// answers of its fixtures are such as the vendor gives, and every field that
// its expressions read exists there; where not, the deviation is listed with
// its reason, here and in the connector's README.
func TestVendorDescriptions(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(described)) {
		t.Run(name, func(t *testing.T) {
			v := describe(t, name)
			manifest, err := os.ReadFile(name + "/connector.yaml")
			if err != nil {
				t.Fatal(err)
			}
			w := play(t, name, v, false)
			missing, err := vendorspec.MissingFields(manifest, v.find)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range missing {
				w.found[m] = true
			}
			used := map[int]bool{}
			for _, found := range slices.Sorted(maps.Keys(w.found)) {
				i := slices.IndexFunc(deviations, func(d deviation) bool { return d.connector == name && d.matches(string(found)) })
				if i < 0 {
					t.Errorf("%s", found)
				}
				used[i] = true
			}
			var listed []string
			for i, d := range deviations {
				if d.connector != name {
					continue
				}
				if !used[i] {
					t.Errorf("nothing deviates any more: %s", d.what)
				}
				listed = append(listed, fmt.Sprintf("- `%s`: %s", d.what, d.reason))
			}
			if diff := cmp.Diff(listed, deviationsOf(t, name)); diff != "" {
				t.Errorf("README.md, Deviations from the description (-test +page):\n%s", diff)
			}
		})
	}
}

// "Spec" is said of those connectors alone that are checked here, and nothing
// says "Live" without a recorded run.
func TestVerifiedIsTrue(t *testing.T) {
	for _, name := range connectors.Names() {
		m, err := connectors.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, checked := described[name]; checked != (m.Verified() == "Spec") || m.Verified() == "Live" {
			t.Errorf("%s says verified: %s; checked against a description: %t", name, m.Verified(), checked)
		}
	}
}

var braces = regexp.MustCompile(`\\\{[^}]*\\\}`)

// matches reports whether the deviation is the one found. A field may be
// found deeper, where the fixture's whole answer is looked at.
func (d deviation) matches(found string) bool {
	pattern := braces.ReplaceAllString(regexp.QuoteMeta(d.what), `[^/: ]+`)
	pattern = strings.Replace(pattern, "the answer has no field ", `the answer has no field (?:[^ ]+\.)?`, 1)
	return regexp.MustCompile("^" + pattern + "$").MatchString(found)
}

// deviationsOf reads the list in a connector's README.
func deviationsOf(t *testing.T, name string) []string {
	t.Helper()
	page, err := os.ReadFile(name + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "\n## Deviations from the description\n")
	if !ok {
		t.Fatalf("%s/README.md has no section \"Deviations from the description\"", name)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var out []string
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "- ") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

// The scopes that a manifest asks for are enough for what it sends: those for
// reading for every listing, all of them for the actions.
func TestScopesSuffice(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(described)) {
		t.Run(name, func(t *testing.T) {
			read, act := scopesOf(t, name)
			if len(read) == 0 {
				t.Skip("the manifest asks for no scopes")
			}
			v := describe(t, name)
			for op, scopes := range play(t, name, v, true).scopes {
				if len(scopes) > 0 && !slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(read, s) }) {
					t.Errorf("%s: none of the scopes for reading is enough; one of %v is needed", op, scopes)
				}
			}
			for op, scopes := range play(t, name, v, false).scopes {
				if len(scopes) > 0 && !slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(read, s) || slices.Contains(act, s) }) {
					t.Errorf("%s: no scope is enough; one of %v is needed", op, scopes)
				}
			}
		})
	}
}

func scopesOf(t *testing.T, name string) (read, act []string) {
	t.Helper()
	raw, err := os.ReadFile(name + "/connector.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Spec struct {
			Auth []struct {
				Scopes struct{ Read, Act []string }
			}
		}
	}
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	for _, a := range doc.Spec.Auth {
		if len(a.Scopes.Read) > 0 {
			return a.Scopes.Read, a.Scopes.Act
		}
	}
	return nil, nil
}
