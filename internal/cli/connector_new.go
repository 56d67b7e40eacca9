// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
)

// scaffold is a connector that works against its fixtures at once.
//
//go:embed scaffold
var scaffold embed.FS

var connectorName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

func newConnectorNewCommand(e *env) *cobra.Command {
	dir, category := "connectors", "app"
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Start a connector: manifest, README and fixtures that pass lint and test at once",
		Long: `Start a connector: a folder with manifest, README and fixtures that pass lint
and test at once. Change them towards the vendor, one request at a time.`,
		Example: "  seatkeeper connector new acme --dir connectors",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runNew(cmd.Context(), e, args[0], dir, category)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", dir, "folder in which the connector's folder is made")
	cmd.Flags().StringVar(&category, "category", category, "idp, hris, app or expense")
	return cmd
}

func runNew(ctx context.Context, e *env, name, dir, category string) error {
	if !connectorName.MatchString(name) {
		return usageError{fmt.Errorf("%q: want a name of lower-case letters, digits and dashes", name)}
	}
	switch category {
	case "idp", "hris", "app", "expense":
	default:
		return usageError{fmt.Errorf("--category %q: want idp, hris, app or expense", category)}
	}
	target := filepath.Join(dir, name)
	if _, err := os.Stat(target); err == nil {
		return usageError{fmt.Errorf("%s is there already; nothing was changed", target)}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	title := strings.ToUpper(name[:1]) + strings.ReplaceAll(name[1:], "-", " ")
	files, err := scaffolded(map[string]string{"Name": name, "Title": title, "Category": category})
	if err != nil {
		return err
	}
	for _, path := range []string{manifestFile, readmeFile, fixturesFile} {
		if err := writeNew(filepath.Join(target, filepath.FromSlash(path)), files[path]); err != nil {
			return err
		}
	}
	m, err := loadManifest(filepath.Join(target, manifestFile), false)
	if err != nil {
		return err
	}
	f, err := fixture.Load(filepath.Join(target, filepath.FromSlash(fixturesFile)))
	if err != nil {
		return manifestError(err)
	}
	res, err := f.Run(ctx, m)
	if err != nil {
		return manifestError(err)
	}
	if problems := res.Problems(); len(problems) > 0 {
		return listed(errDisagree, problems)
	}
	if _, err := compareGolden(filepath.Join(target, filepath.FromSlash(goldenFile)), res, true); err != nil {
		return err
	}
	for _, path := range []string{manifestFile, readmeFile, fixturesFile, goldenFile} {
		if _, err := fmt.Fprintln(e.out, filepath.Join(target, filepath.FromSlash(path))); err != nil {
			return err
		}
	}
	e.say("Next: seatkeeper connector lint %s && seatkeeper connector test %s", target, target)
	return nil
}

// scaffolded fills the templates. Their delimiters are [[ ]], since manifests
// are full of braces.
func scaffolded(values map[string]string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, path := range []string{manifestFile, readmeFile, fixturesFile} {
		base := filepath.Base(path) + ".tmpl"
		t, err := template.New(base).Delims("[[", "]]").Option("missingkey=error").ParseFS(scaffold, "scaffold/"+base)
		if err != nil {
			return nil, fmt.Errorf("read the scaffold: %w", err)
		}
		var b bytes.Buffer
		if err := t.Execute(&b, values); err != nil {
			return nil, fmt.Errorf("fill the scaffold: %w", err)
		}
		out[path] = b.Bytes()
	}
	return out, nil
}

func writeNew(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a folder of the repository
		return err
	}
	return os.WriteFile(path, data, 0o644) //nolint:gosec // a file of the repository
}
