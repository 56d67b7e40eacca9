// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package apivalidation

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

var update = flag.Bool("update", false, "write the schema snapshots anew; review what the diff removes")

// snapshot describes every field of a schema in one line each: path, type,
// whether it is required, enum values, default and list keys. Bounds and rules
// are left out, because they may be loosened.
func snapshot(schema *apiextensionsv1.JSONSchemaProps) []string {
	required := map[string]bool{}
	var lines []string
	walkSchema("", schema, func(path string, s *apiextensionsv1.JSONSchemaProps) {
		for _, name := range s.Required {
			required[path+"."+name] = true
		}
		if !strings.HasPrefix(path, ".spec") && !strings.HasPrefix(path, ".status") {
			return
		}
		line := path + " " + s.Type
		if s.Type == "" {
			line = path + " any"
		}
		if required[path] {
			line += " required"
		}
		if s.Default != nil {
			line += " default=" + string(s.Default.Raw)
		}
		if s.XListType != nil {
			line += " " + *s.XListType + fmt.Sprint(s.XListMapKeys)
		}
		lines = append(lines, line)
		for _, value := range s.Enum {
			lines = append(lines, path+" allows "+string(value.Raw))
		}
	})
	slices.Sort(lines)
	return lines
}

// TestSchemasOnlyGrow compares the schemas with their snapshots. Within a
// version fields and enum values are added and nothing is removed, retyped or
// made required, since a manifest in somebody's git must go on working.
func TestSchemasOnlyGrow(t *testing.T) {
	for kind, crd := range crds(t) {
		path := filepath.Join("testdata", "schema", strings.ToLower(kind)+".txt")
		now := snapshot(crd.schema())
		if *update {
			if err := os.WriteFile(path, []byte(strings.Join(now, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v; create it with: go test ./test/apivalidation -run TestSchemasOnlyGrow -update", err)
		}
		before := strings.Split(strings.TrimSpace(string(raw)), "\n")
		for _, line := range before {
			if !slices.Contains(now, line) {
				t.Errorf("%s: removed or changed: %s", kind, line)
			}
		}
		known := map[string]bool{}
		for _, line := range before {
			known[strings.Fields(line)[0]] = true
		}
		for _, line := range now {
			fields := strings.Fields(line)
			added := !slices.Contains(before, line)
			parent := fields[0][:strings.LastIndexAny(fields[0], ".[{")]
			if added && slices.Contains(fields[2:], "required") && known[parent] {
				t.Errorf("%s: a new field of an old object may not be required: %s", kind, line)
			} else if added {
				t.Errorf("%s: new, which is fine; add it to the snapshot with -update: %s", kind, line)
			}
		}
	}
}

// TestSnapshotSeesChanges proves that what would break a manifest shows.
func TestSnapshotSeesChanges(t *testing.T) {
	raw := `{"type":"object","properties":{"spec":{"type":"object","required":["a"],"properties":{
		"a":{"type":"string","enum":["x","y"]},"b":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],
		"items":{"type":"object","properties":{"name":{"type":"string"}}}},"c":{"x-kubernetes-preserve-unknown-fields":true}}}}}`
	schema := &apiextensionsv1.JSONSchemaProps{}
	if err := json.Unmarshal([]byte(raw), schema); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`.spec object`, `.spec.a allows "x"`, `.spec.a allows "y"`, `.spec.a string required`,
		`.spec.b array map[name]`, `.spec.b[] object`, `.spec.b[].name string`, `.spec.c any`,
	}
	if got := snapshot(schema); !slices.Equal(got, want) {
		t.Errorf("snapshot = %q; want %q", got, want)
	}
}
