// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// Every alert asks for metrics that the code has: one that is misspelt would
// never fire.
func TestAlertsAskForMetricsThatExist(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "config", "prometheus", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(raw, &rules); err != nil {
		t.Fatal(err)
	}
	code := sources(t)
	metric := regexp.MustCompile(`seatkeeper_[a-z_]+`)
	n := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			n++
			names := metric.FindAllString(r.Expr, -1)
			if r.Alert == "" || len(names) == 0 || r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.Annotations["runbook"] == "" {
				t.Errorf("%+v is no alert", r)
			}
			slices.Sort(names)
			for _, name := range slices.Compact(names) {
				if !strings.Contains(code, fmt.Sprintf("%q", name)) {
					t.Errorf("%s: nothing has the metric %s", r.Alert, name)
				}
			}
		}
	}
	if n < 5 {
		t.Errorf("%d alerts", n)
	}
}

// sources is all Go code below internal.
func sources(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(filepath.Join("..", "..", "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // a file of this repository
		out.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}
