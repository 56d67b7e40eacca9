// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPagesAreAsGenerated(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	t.Setenv("SEATKEEPER_SERVER", "https://somewhere.example")
	dir := t.TempDir()
	if err := run(dir); err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadDir(dir)
	if err != nil || len(made) != 4 {
		t.Fatalf("made %d pages, %v; want 4", len(made), err)
	}
	for _, f := range made {
		want, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("docs", f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("docs/%s differs; run make generate (-generated +committed):\n%s", f.Name(), diff)
		}
	}
}

func TestCellsStayInTheirTable(t *testing.T) {
	if got, want := cell("a | b\n<c>"), `a \| b &lt;c&gt;`; got != want {
		t.Errorf("cell = %q; want %q", got, want)
	}
}
