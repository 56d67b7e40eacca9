// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connectors_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
)

// fetched are the connectors that a manifest describes in full.
func fetched(t *testing.T, f func(t *testing.T, name string, m *connector.Manifest)) {
	t.Helper()
	for _, name := range connectors.Names() {
		m, err := connectors.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		if !m.Native() {
			t.Run(name, func(t *testing.T) { f(t, name, m) })
		}
	}
}

// No action ships that the fixtures do not carry out.
func TestEveryActionIsPlayed(t *testing.T) {
	fetched(t, func(t *testing.T, name string, m *connector.Manifest) {
		f, err := fixture.Load(name + "/testdata/fixtures.yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range m.Actions() {
			if !slices.ContainsFunc(f.Actions, func(p fixture.Action) bool { return p.Name == a.Name && p.Result == connector.ResultDone }) {
				t.Errorf("%s is not played to its end", a.Name)
			}
		}
	})
}

// A page says against what the manifest was checked, as the manifest does; and
// where that is the vendor's documentation, or nothing, which page belongs to
// which request and field.
func TestPagesSayWhatWasVerified(t *testing.T) {
	fetched(t, func(t *testing.T, name string, m *connector.Manifest) {
		raw, err := os.ReadFile(name + "/README.md")
		if err != nil {
			t.Fatal(err)
		}
		page := string(raw)
		if !strings.Contains(page, "\n**Verified: "+m.Verified()) {
			t.Errorf("README.md does not say **Verified: %s", m.Verified())
		}
		if m.Verified() == "Spec" {
			return // TestVendorDescriptions compares it with the description itself
		}
		_, sources, ok := strings.Cut(page, "\n## Sources\n")
		if !ok {
			t.Fatal("README.md has no section Sources")
		}
		sources, _, _ = strings.Cut(sources, "\n## ")
		cited := 0
		for line := range strings.Lines(sources) {
			switch {
			case !strings.HasPrefix(line, "|"), strings.HasPrefix(line, "|---"), strings.HasPrefix(line, "| Request"), strings.HasPrefix(line, "| Field"):
			case m.Verified() == "Docs" && (strings.Contains(line, "not found") || strings.Contains(line, "not seen")):
				t.Errorf("verified against documentation that nobody has seen: %s", line)
			case strings.Contains(line, "](https://"), strings.Contains(line, "not seen"), strings.Contains(line, "the same"):
				cited++
			default:
				t.Errorf("no page is cited: %s", line)
			}
		}
		if cited == 0 {
			t.Error("no request is cited")
		}
	})
}
