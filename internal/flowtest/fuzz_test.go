// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzReadFile reads anything as a file of tests: what it refuses, it refuses
// with the file's name.
func FuzzReadFile(f *testing.F) {
	f.Add("tests:\n- name: a\n  given:\n    answers:\n      agree: [{answer: Approve}, {}]\n")
	f.Add("tests: [{name: a, given: {person: {<<: *x}}}]")
	f.Add("&a [*a]")
	f.Add("tests:\n- given: {answers: {a: []}}\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "x_test.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := ReadFile(path)
		switch {
		case err != nil && !strings.HasPrefix(err.Error(), path+":"):
			t.Fatalf("%q: %v", text, err)
		case err == nil && len(file.Tests) == 0:
			t.Fatalf("%q: no tests, and no error", text)
		}
	})
}

// FuzzReadWorkflow reads anything as a Workflow.
func FuzzReadWorkflow(f *testing.F) {
	f.Add(zoomLeaver)
	f.Add("apiVersion: seatkeeper.dev/v1alpha1\nkind: Workflow\nmetadata: {name: a}\nspec: {trigger: {manual: {}}, steps: [{name: a, wait: {for: 1h}}]}\n")
	f.Add("a: &a [*a]")
	f.Add("{")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "x.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadWorkflow(path, Given{}); err != nil && !strings.HasPrefix(err.Error(), path+":") {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
