// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seatkeeper/seatkeeper/internal/connector"
)

// Names of the files in a connector's folder.
const (
	manifestFile = "connector.yaml"
	fixturesFile = "testdata/fixtures.yaml"
	goldenFile   = "testdata/records.golden.json"
	readmeFile   = "README.md"
)

var (
	// errManifest marks manifests or fixtures with problems.
	errManifest = errors.New("not as a connector must be")
	// errDisagree marks a manifest that makes something else of its fixtures.
	errDisagree = errors.New("the manifest and its fixtures disagree")
	// errOutcomeB and errOutcomeC are connect tests that did not pass in full.
	errOutcomeB = errors.New("the connect test passed in part")
	errOutcomeC = errors.New("the connect test failed")
)

func newConnectorCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "connector", GroupID: "build",
		Short: "Write a connector: check its manifest, play it, start a new one",
		Long: `Write a connector: check its manifest, play it against fixtures or the live
vendor, start a new one. None of it needs a cluster. What a manifest may say is
in connectors/README.md.`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConnectorLintCommand(e), newConnectorTestCommand(e), newConnectorNewCommand(e))
	return cmd
}

// manifestPath finds the manifest that an argument means: a file, or a folder
// with a connector.yaml.
func manifestPath(arg string) (string, error) {
	info, err := os.Stat(arg)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return arg, nil
	}
	path := filepath.Join(arg, manifestFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s has no %s: %w", arg, manifestFile, errManifest)
	} else if err != nil {
		return "", err
	}
	return path, nil
}

// loadManifest reads one manifest. native is what only connectors that ship
// with the program may say.
func loadManifest(path string, native bool) (*connector.Manifest, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	load := connector.Load
	if native {
		load = connector.LoadBuiltin
	}
	m, err := load(path, data)
	if err != nil {
		return nil, manifestError(err)
	}
	return m, nil
}

// manifestError marks an error about a manifest as one, whatever it is.
func manifestError(err error) error {
	var problems connector.Problems
	if errors.As(err, &problems) {
		return problemsError(problems)
	}
	if as[*fs.PathError](err) {
		return err
	}
	return fmt.Errorf("%w: %w", errManifest, err)
}

// problemsError lists problems one a line below a heading.
func problemsError(problems connector.Problems) error {
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.String()
	}
	return listed(errManifest, lines)
}

// listed is an error with several lines.
func listed(kind error, lines []string) error {
	noun := "problems"
	if len(lines) == 1 {
		noun = "problem"
	}
	return fmt.Errorf("%w, %d %s:\n%s", kind, len(lines), noun, strings.Join(lines, "\n"))
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
