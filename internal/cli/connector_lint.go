// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
)

func newConnectorLintCommand(e *env) *cobra.Command {
	native := false
	cmd := &cobra.Command{
		Use:   "lint FILE|FOLDER...",
		Short: "Check manifests: keys, expressions and their types, and what every connector must declare",
		Long: `Check manifests: keys, the types of expressions, which user states are listed,
whether last activity is known, paging that ends, the class of every write, the
closed list of actions. Every fault is listed with file, line and path.

Of a file with several documents it checks those of kind Connector, of a folder
every connector.yaml below, with its README.md (which must name every action and
every key of the Secret) and its fixtures.`,
		Example: "  seatkeeper connector lint connectors/acme\n  seatkeeper connector lint my-connector.yaml",
		Args:    usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			return runLint(e, args, native)
		},
	}
	cmd.Flags().BoolVar(&native, "native", false, "take the key native, as the connectors that ship with Seatkeeper may")
	return cmd
}

func runLint(e *env, args []string, native bool) error {
	var (
		problems []string
		items    []item
	)
	for _, arg := range args {
		manifests, folder, err := manifestsBelow(arg)
		if err != nil {
			return err
		}
		for _, path := range manifests {
			loaded, faults, err := lintOne(path, folder, native)
			if err != nil {
				return err
			}
			problems = append(problems, faults...)
			for _, m := range loaded {
				items = append(items, item{"file": path, "name": m.Name(), "streams": float64(len(m.Streams())), "actions": float64(len(m.Actions()))})
			}
		}
	}
	if len(problems) > 0 {
		return listed(errManifest, problems)
	}
	return printTable(e.out, items, []column{
		{Header: "FILE", Path: "file", Whole: true}, {Header: "CONNECTOR", Path: "name"}, {Header: "STREAMS", Path: "streams"}, {Header: "ACTIONS", Path: "actions"},
	}, tableWidth)
}

// manifestsBelow lists the manifests that an argument means; folder says that
// they are in folders of their own.
func manifestsBelow(arg string) (paths []string, folder bool, err error) {
	info, err := os.Stat(arg)
	if err != nil {
		return nil, false, err
	}
	if !info.IsDir() {
		return []string{arg}, false, nil
	}
	err = filepath.WalkDir(arg, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() == manifestFile {
			paths = append(paths, path)
		}
		return err
	})
	if err == nil && len(paths) == 0 {
		_, err = manifestPath(arg)
	}
	return paths, true, err
}

// lintOne checks the manifests of one file.
func lintOne(path string, folder, native bool) (all []*connector.Manifest, faults []string, err error) {
	data, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, nil, err
	}
	load := connector.Load
	if native {
		load = connector.LoadBuiltin
	}
	for _, doc := range connectorsIn(data) {
		m, err := load(path, doc)
		if err != nil {
			faults = append(faults, linesOf(err)...)
			continue
		}
		all = append(all, m)
		if folder {
			faults = append(faults, lintFolder(filepath.Dir(path), m)...)
		}
	}
	return all, faults, nil
}

var (
	documentEnd  = regexp.MustCompile(`(?m)^---[ \t]*(#.*)?$`)
	connectorDoc = regexp.MustCompile(`(?m)^kind:[ \t]*"?Connector"?[ \t]*(#.*)?$`)
)

// connectorsIn returns the Connectors among the documents of a file, each
// behind as many line breaks as lines come before it, so that problems name the
// right one. A file of one document is taken for a Connector.
func connectorsIn(data []byte) [][]byte {
	var docs, found [][]byte
	start := 0
	for _, at := range append(documentEnd.FindAllIndex(data, -1), []int{len(data), len(data)}) {
		if doc := data[start:at[0]]; len(bytes.TrimSpace(doc)) > 0 {
			docs = append(docs, slices.Concat(bytes.Repeat([]byte{'\n'}, bytes.Count(data[:start], []byte{'\n'})), doc))
		}
		start = at[1]
	}
	for _, doc := range docs {
		if connectorDoc.Match(doc) {
			found = append(found, doc)
		}
	}
	if len(docs) <= 1 || len(found) == 0 {
		return [][]byte{data}
	}
	return found
}

func linesOf(err error) []string {
	var ps connector.Problems
	if !errors.As(err, &ps) {
		return []string{err.Error()}
	}
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return lines
}

// lintFolder checks what belongs beside a manifest.
func lintFolder(dir string, m *connector.Manifest) []string {
	var out []string
	if base, err := filepath.Abs(dir); err == nil && filepath.Base(base) != m.Name() {
		out = append(out, filepath.Join(dir, manifestFile)+": metadata.name: got "+m.Name()+", want the folder's name "+filepath.Base(base))
	}
	readme := filepath.Join(dir, readmeFile)
	text, err := os.ReadFile(readme) //nolint:gosec // below the folder that the user names
	if err != nil {
		out = append(out, readme+": "+err.Error()+"; it says which rights to grant, where to click and what each outcome means")
	} else {
		out = append(out, unmentioned(readme, string(text), m)...)
	}
	if m.Native() {
		return out
	}
	if _, err := fixture.Load(filepath.Join(dir, filepath.FromSlash(fixturesFile))); err != nil {
		out = append(out, linesOf(err)...)
	}
	return out
}

// unmentioned lists what the page about a connector leaves out.
func unmentioned(readme, text string, m *connector.Manifest) []string {
	var out []string
	need := func(what, name string) {
		if !strings.Contains(text, "`"+name+"`") {
			out = append(out, readme+": does not mention the "+what+" `"+name+"`")
		}
	}
	for _, a := range m.Capabilities().Actions {
		need("action", a)
	}
	for _, set := range m.SecretSets() {
		for _, keys := range [][]string{set.Required, set.Optional} {
			for _, key := range keys {
				need("key of the Secret", key)
			}
		}
	}
	for _, f := range m.ConfigFields() {
		if f.Required && !strings.Contains(text, f.Name) {
			out = append(out, readme+": does not mention the config field "+f.Name)
		}
	}
	return out
}
