// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	kyaml "sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/internal/cli"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
)

// TestWritingAConnector does what docs/writing-a-connector.md says, block by
// block: files are written, commands run, and what they print is what the page
// prints. Manifests of resources are applied by TestManifestsAreAccepted too.
func TestWritingAConnector(t *testing.T) {
	var guide page
	for _, p := range pages(t) {
		if p.path == filepath.Join("docs", "writing-a-connector.md") {
			guide = p
		}
	}
	t.Chdir(t.TempDir())
	t.Setenv("ASANA_TOKEN", "test-token")
	var printed string
	ran := map[string]int{}
	for _, b := range guide.blocks {
		ran[b.lang]++
		switch b.lang {
		case "sh":
			printed = ""
			for line := range strings.Lines(b.text) {
				printed += runSeatkeeper(t, b.at, strings.TrimSpace(line))
			}
		case "text":
			if got := strings.TrimSpace(printed); got != strings.TrimSpace(b.text) {
				t.Errorf("%s: the command prints\n%s", b.at, got)
			}
		case "yaml fragment", "markdown":
			writeBlock(t, b)
		case "yaml":
			checkSpecs(t, b)
		default:
			t.Errorf("%s: nothing executes a block of %q", b.at, b.lang)
		}
	}
	for lang, least := range map[string]int{"sh": 6, "text": 6, "yaml fragment": 7, "markdown": 1, "yaml": 1} {
		if ran[lang] < least {
			t.Errorf("%d blocks of %s; the search lost some", ran[lang], lang)
		}
	}
}

var exitCode = regexp.MustCompile(`# ends with exit code (\d)`)

// runSeatkeeper runs one line, and returns all that it prints. A live vendor
// is played by the fixtures.
func runSeatkeeper(t *testing.T, at, line string) string {
	t.Helper()
	words, err := split(line)
	if err != nil || len(words) < 2 || words[0] != "seatkeeper" {
		t.Errorf("%s: %q is no command of seatkeeper: %v", at, line, err)
		return ""
	}
	want := 0
	if m := exitCode.FindStringSubmatch(line); m != nil {
		want, _ = strconv.Atoi(m[1])
	}
	args := words[1:]
	if strings.Contains(line, "--secret-env") {
		f, err := fixture.Load(filepath.Join("connectors", "asana", "testdata", "fixtures.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		srv, err := f.Serve(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = srv.Close() }()
		args = append(args, "--endpoint", "app.asana.com="+srv.Endpoint("app.asana.com"))
	}
	var out bytes.Buffer
	if code := cli.Execute(t.Context(), "seatkeeper", args, &out, &out); code != want {
		t.Errorf("%s: %s: exit code %d, want %d\n%s", at, line, code, want, out.String())
	}
	return out.String()
}

var (
	wholeFile = regexp.MustCompile(`^(?:#|<!--) ([a-z./]+[a-zA-Z./]+)(?: -->)?$`)
	partFile  = regexp.MustCompile(`^# ([a-z./]+), into (.+)$`)
)

// writeBlock writes a file, or a part of one: the first line says which.
func writeBlock(t *testing.T, b block) {
	t.Helper()
	head, text, _ := strings.Cut(b.text, "\n")
	if m := wholeFile.FindStringSubmatch(head); m != nil {
		if err := os.WriteFile(filepath.FromSlash(m[1]), []byte(b.text), 0o600); err != nil {
			t.Fatalf("%s: %v", b.at, err)
		}
		return
	}
	m := partFile.FindStringSubmatch(head)
	if m == nil {
		t.Fatalf("%s: the first line names no file", b.at)
	}
	raw, err := os.ReadFile(m[1])
	if err != nil {
		t.Fatalf("%s: %v", b.at, err)
	}
	var file, part yaml.Node
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatalf("%s: %v", b.at, err)
	}
	if err := yaml.Unmarshal([]byte(text), &part); err != nil {
		t.Fatalf("%s: %v", b.at, err)
	}
	at := file.Content[0]
	if m[2] != "the top" {
		for key := range strings.SplitSeq(m[2], ".") {
			if at = child(at, key); at == nil {
				t.Fatalf("%s: %s has no %s", b.at, m[1], m[2])
			}
		}
	}
	at.Style = 0
	at.Content = append(at.Content, part.Content[0].Content...)
	if raw, err = yaml.Marshal(&file); err != nil {
		t.Fatalf("%s: %v", b.at, err)
	}
	if err := os.WriteFile(m[1], raw, 0o600); err != nil {
		t.Fatalf("%s: %v", b.at, err)
	}
}

func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// checkSpecs compiles the Connectors among resources.
func checkSpecs(t *testing.T, b block) {
	t.Helper()
	for _, doc := range separator.Split(b.text, -1) {
		var obj struct {
			Kind     string                `json:"kind"`
			Metadata struct{ Name string } `json:"metadata"`
			Spec     json.RawMessage       `json:"spec"`
		}
		if err := kyaml.Unmarshal([]byte(doc), &obj); err != nil {
			t.Errorf("%s: %v", b.at, err)
		}
		if obj.Kind != "Connector" {
			continue
		}
		if _, err := connector.LoadSpec(obj.Metadata.Name, obj.Spec); err != nil {
			t.Errorf("%s: %v", b.at, err)
		}
	}
}
