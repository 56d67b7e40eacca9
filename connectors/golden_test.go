// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connectors_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
)

var update = flag.Bool("update", false, "write the golden files anew")

// What each manifest makes of its fixtures, record by record, and how each
// action that they list ends. Run with -update to write the golden files, and
// read the change.
func TestGolden(t *testing.T) {
	for _, name := range connectors.Names() {
		m, err := connectors.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		if m.Native() {
			continue // read in Go, with tests of its own
		}
		t.Run(name, func(t *testing.T) {
			f, err := fixture.Load(name + "/testdata/fixtures.yaml")
			if errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("connectors/%s has no testdata/fixtures.yaml: a connector without fixtures proves nothing", name)
			} else if err != nil {
				t.Fatal(err)
			}
			res, err := f.Run(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range res.Problems() {
				t.Error(p)
			}
			for _, name := range m.Capabilities().Actions {
				if !slices.ContainsFunc(res.Actions, func(a fixture.ActionResult) bool { return a.Name == name }) {
					t.Errorf("the fixtures carry out no %s", name)
				}
			}
			for _, name := range m.Webhooks() {
				if !slices.ContainsFunc(res.Webhooks, func(d fixture.DeliveryResult) bool { return d.Webhook == name && len(d.Events) > 0 }) {
					t.Errorf("the fixtures deliver nothing to webhook %s", name)
				}
			}
			got, err := fixture.Golden(res.Records())
			if err != nil {
				t.Fatal(err)
			}
			golden := name + "/testdata/records.golden.json"
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Errorf("(-golden +got)\n%s", d)
			}
		})
	}
}
