// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// checkOptions are the flags of `seatkeeper connector test`.
type checkOptions struct {
	fixtures string
	update   bool
	native   bool
	show     bool // --show was given
	live     liveOptions
}

func newConnectorTestCommand(e *env) *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "test FILE|FOLDER",
		Short: "Play a manifest against its fixtures, or read-only against the live vendor",
		Long: `Play a manifest against its fixtures: the connect test, every stream, and every
action that the fixtures list, with precheck and verification; --show N prints
the first records of each stream. It fails if a record differs from the golden
file beside the fixtures, if a request has no answer, and if an answer was never
asked for.

With a credential (--secret-file, --secret-env) it asks the live vendor instead.
It only reads: permission is Read whatever the credential could do. It prints
the outcome per data type and the first mapped records of each stream, with
personal data masked unless --show-values.

Exit codes of a live test: 0 all passed (outcome A), 4 passed in part (B), 1
failed or undecided (C).`,
		Example: `  seatkeeper connector test connectors/acme
  seatkeeper connector test connectors/acme --config domain=acme.example --secret-file token=/run/secrets/acme
  seatkeeper connector test connectors/acme --config domain=acme.example --secret-env token=ACME_TOKEN --stream users`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := manifestPath(args[0])
			if err != nil {
				return err
			}
			m, err := loadManifest(path, o.native)
			if err != nil {
				return err
			}
			if err := o.live.check(m); err != nil {
				return usageError{err}
			}
			o.show = cmd.Flags().Changed("show")
			if o.live.asked() {
				if o.fixtures != "" || o.update {
					return usageError{errors.New("--fixtures and --update are for tests without a credential")}
				}
				return runLive(cmd.Context(), e, m, o.live)
			}
			if flag := o.live.unasked(); flag != "" {
				return usageError{fmt.Errorf("--%s is for the live vendor: give a credential with --secret-file or --secret-env as well", flag)}
			}
			return runFixtures(cmd.Context(), e, path, m, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.fixtures, "fixtures", "", "file of fixtures (default: "+fixturesFile+" beside the manifest)")
	f.BoolVar(&o.update, "update", false, "write the golden file anew; read what changed")
	f.BoolVar(&o.native, "native", false, "take the key native, as the connectors that ship with Seatkeeper may")
	o.live.flags(f)
	return cmd
}

func runFixtures(ctx context.Context, e *env, path string, m *connector.Manifest, o checkOptions) error {
	file := o.fixtures
	if file == "" {
		file = filepath.Join(filepath.Dir(path), filepath.FromSlash(fixturesFile))
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("name the fixtures with --fixtures, or give a credential with --secret-file: %w", err)
		}
	}
	f, err := fixture.Load(file)
	if err != nil {
		return manifestError(err)
	}
	res, err := f.Run(ctx, m)
	if err != nil {
		return manifestError(err)
	}
	problems := res.Problems()
	if len(problems) == 0 {
		golden, err := compareGolden(filepath.Join(filepath.Dir(file), filepath.Base(goldenFile)), res, o.update)
		if err != nil {
			return err
		}
		problems = golden
	}
	if len(problems) > 0 {
		return listed(errDisagree, problems)
	}
	if err := printRun(e, m, res); err != nil {
		return err
	}
	if !o.show {
		return nil
	}
	o.live.showValues = true // nobody is in a fixture
	for _, st := range res.Streams {
		if len(o.live.streams) > 0 && !slices.Contains(o.live.streams, st.Name) {
			continue
		}
		if err := o.live.printRecords(e, st.Name, st.Records[:min(len(st.Records), o.live.show)], st.Read, nil); err != nil {
			return err
		}
	}
	return nil
}

// compareGolden compares what was read with the golden file, or writes it.
func compareGolden(path string, res *fixture.Result, update bool) ([]string, error) {
	got, err := fixture.Golden(res.Records())
	if err != nil {
		return nil, err
	}
	if update {
		if err := os.WriteFile(path, got, 0o644); err != nil { //nolint:gosec // made from fixtures, for the repository
			return nil, err
		}
		return nil, nil
	}
	want, err := os.ReadFile(path) //nolint:gosec // beside the fixtures that the user names
	if errors.Is(err, fs.ErrNotExist) {
		return []string{path + ": is not there; write it with --update, and read it"}, nil
	}
	if err != nil {
		return nil, err
	}
	if line, was, is := firstDifference(string(want), string(got)); line > 0 {
		return []string{fmt.Sprintf("%s:%d: the golden file has %q, the manifest makes %q; write it anew with --update, and read what changed", path, line, was, is)}, nil
	}
	return nil, nil
}

func firstDifference(want, got string) (line int, was, is string) {
	if want == got {
		return 0, "", ""
	}
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		was, is = "", ""
		if i < len(a) {
			was = a[i]
		}
		if i < len(b) {
			is = b[i]
		}
		if was != is {
			return i + 1, strings.TrimSpace(was), strings.TrimSpace(is)
		}
	}
	return 0, "", ""
}

// printRun says what passed.
func printRun(e *env, m *connector.Manifest, res *fixture.Result) error {
	items := []item{{"name": "connect test", "result": outcomeText[res.Test.Outcome], "of": res.Test.Account.Name}}
	for _, st := range res.Streams {
		items = append(items, item{"name": st.Name, "result": counted(len(st.Records), "record"), "of": dataTypesOf(st.Records)})
	}
	for _, a := range res.Actions {
		items = append(items, item{"name": a.Name, "result": string(a.Got), "of": "action"})
	}
	for _, d := range res.Webhooks {
		result := counted(len(d.Events), "event")
		switch {
		case d.Answer != "":
			result = "answered"
		case d.Refused != "":
			result = "refused: " + string(d.Refused)
		}
		items = append(items, item{"name": d.Webhook, "result": result, "of": "webhook"})
	}
	err := printTable(e.out, items, []column{{Header: "TESTED", Path: "name", Whole: true}, {Header: "RESULT", Path: "result"}, {Header: "OF", Path: "of"}}, tableWidth)
	if err != nil {
		return err
	}
	tried := map[string]bool{}
	for _, a := range res.Actions {
		tried[a.Name] = true
	}
	missing := slices.DeleteFunc(m.Capabilities().Actions, func(a string) bool { return tried[a] })
	if len(missing) > 0 {
		e.say("Not tested, since the fixtures do not list them: %s.", strings.Join(missing, ", "))
	}
	return nil
}

func dataTypesOf(records []model.Record) string {
	var out []string
	for i := range records {
		if t := string(records[i].Type()); !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
