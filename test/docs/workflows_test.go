// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/flowtest"
)

// TestWorkflowLibrary carries out every Workflow of the library as its tests
// say; none is without.
func TestWorkflowLibrary(t *testing.T) {
	files, err := filepath.Glob("../../docs/workflows/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tests := 0
	for _, path := range files {
		if !strings.HasSuffix(path, "_test.yaml") {
			if !slices.Contains(files, strings.TrimSuffix(path, ".yaml")+"_test.yaml") {
				t.Errorf("%s has no test beside it", path)
			}
			continue
		}
		results, err := flowtest.RunFile(t.Context(), path, "")
		if err != nil {
			t.Error(err)
		}
		for _, r := range results {
			tests++
			for _, f := range r.Failures {
				t.Errorf("%s:%d: %s\n%s", path, r.Test.Line, r.Test.Name, f)
			}
		}
	}
	if tests == 0 {
		t.Error("the library has no tests")
	}
}
