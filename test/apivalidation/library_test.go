// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package apivalidation

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestLibraryApplies takes every ready Workflow of the documentation, and every
// Application beside them, as it is.
func TestLibraryApplies(t *testing.T) {
	client := newClient(t)
	var paths []string
	for _, pattern := range []string{"*.yaml", filepath.Join("applications", "*.yaml")} {
		found, err := filepath.Glob(filepath.Join(repoPath(t, "docs", "workflows"), pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		paths = append(paths, found...)
	}
	n := 0
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.yaml") {
			continue
		}
		n++
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		obj := parse(t, string(raw))
		obj.SetNamespace(metav1.NamespaceDefault)
		if _, err := apply(t, client, obj, metav1.DryRunAll); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if n == 0 {
		t.Error("there is no Workflow")
	}
}
