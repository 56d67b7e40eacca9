// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// liveOptions are the flags of a test against the vendor itself.
type liveOptions struct {
	config, secretFiles, secretEnv, endpoints map[string]string
	networks, streams                         []string
	show                                      int
	showValues                                bool
	timeout                                   time.Duration
}

func (o *liveOptions) flags(f *pflag.FlagSet) {
	f.StringToStringVar(&o.config, "config", nil, "NAME=VALUE of the connector's config, for the live vendor; may be repeated")
	f.StringToStringVar(&o.secretFiles, "secret-file", nil, "KEY=FILE: the file has the value of that key of the Secret; may be repeated")
	f.StringToStringVar(&o.secretEnv, "secret-env", nil, "KEY=VARIABLE: the environment variable has the value; may be repeated")
	f.StringSliceVar(&o.streams, "stream", nil, "show only this stream; may be repeated")
	f.IntVar(&o.show, "show", 3, "records to show of each stream; against fixtures none are shown unless it is given")
	f.BoolVar(&o.showValues, "show-values", false, "show names, addresses and ids in full")
	f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long a live test may take")
	f.StringToStringVar(&o.endpoints, "endpoint", nil, "HOST=URL: send requests for that host to a simulator or a private instance; may be repeated")
	f.StringSliceVar(&o.networks, "allow-network", nil, "CIDR of a private network that may be reached; may be repeated")
}

// asked reports whether the live vendor is meant. Without a credential there
// is nothing to ask it.
func (o *liveOptions) asked() bool { return len(o.secretFiles)+len(o.secretEnv) > 0 }

// unasked names a flag that only means something where the live vendor is asked.
// Playing fixtures in its place would read as a test of the vendor.
func (o *liveOptions) unasked() string {
	switch {
	case len(o.config) > 0:
		return "config"
	case len(o.endpoints) > 0:
		return "endpoint"
	case len(o.networks) > 0:
		return "allow-network"
	}
	return ""
}

// check looks at the flags that need no vendor.
func (o *liveOptions) check(m *connector.Manifest) error {
	for _, name := range o.streams {
		if !slices.ContainsFunc(m.Streams(), func(s connector.StreamInfo) bool { return s.Name == name }) {
			return fmt.Errorf("--stream %s: the connector has no such stream", name)
		}
	}
	if o.show < 0 {
		return fmt.Errorf("--show %d: want 0 or more", o.show)
	}
	return nil
}

// errEnough ends a read once there is enough to show.
var errEnough = errors.New("enough is read")

func runLive(ctx context.Context, e *env, m *connector.Manifest, o liveOptions) error {
	opts, err := o.options(m)
	if as[*fs.PathError](err) {
		return err
	} else if err != nil {
		return usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	s, err := connector.Open(opts)
	var problems connector.Problems
	if errors.As(err, &problems) {
		return usageError{fmt.Errorf("--config: %w", err)}
	} else if err != nil {
		return err
	}
	defer s.Close()
	if s.Rotates() {
		return usageError{errors.New("the vendor replaces this refresh token at each use, and a test would lose the new one: " +
			"put it into a Secret and connect an Integration, whose status has the outcome of the same test")}
	}
	report := s.Test(ctx)
	if err := printReport(e, m, report); err != nil {
		return err
	}
	if report.Outcome == connector.AllPassed || report.Outcome == connector.Partial {
		if err := o.records(ctx, e, s, report); err != nil {
			return err
		}
	}
	switch report.Outcome {
	case connector.AllPassed:
		return nil
	case connector.Partial:
		return fmt.Errorf("%w: the Integration may be connected with acceptPartial, without the data types that failed", errOutcomeB)
	case connector.Inconclusive:
		return fmt.Errorf("%w to come to a verdict, since the vendor answered with passing errors: %w; try again", errOutcomeC, orUnknown(report.Err))
	}
	return fmt.Errorf("%w: %w", errOutcomeC, orUnknown(report.Err))
}

func orUnknown(err *connector.Error) error {
	if err == nil {
		return errors.New("see the table above")
	}
	return err
}

// options reads config and credential. The permission is Read whatever else is
// said: a live test changes nothing.
func (o *liveOptions) options(m *connector.Manifest) (connector.Options, error) {
	out := connector.Options{
		Manifest: m, Permission: connector.PermissionRead, Endpoints: o.endpoints, UserAgent: "seatkeeper-connector-test",
		Config: map[string]any{}, Secrets: map[string]string{},
	}
	types := map[string]string{}
	for _, f := range m.ConfigFields() {
		types[f.Name] = f.Type
	}
	for name, text := range o.config {
		v, err := configValue(types[name], text)
		if err != nil {
			return out, fmt.Errorf("--config %s: %w", name, err)
		}
		out.Config[name] = v
	}
	known := map[string]bool{}
	for _, set := range m.SecretSets() {
		for _, key := range slices.Concat(set.Required, set.Optional) {
			known[key] = true
		}
	}
	take := func(flag, key, value string) error {
		if !known[key] {
			return fmt.Errorf("--%s %s: the connector reads no such key of the Secret; it has %s", flag, key, strings.Join(sorted(known), ", "))
		}
		if value == "" {
			return fmt.Errorf("--%s %s: the value is empty", flag, key)
		}
		out.Secrets[key] = value
		return nil
	}
	for key, file := range o.secretFiles {
		data, err := os.ReadFile(file) //nolint:gosec // the user names the file
		if err != nil {
			return out, fmt.Errorf("--secret-file %s: %w", key, err)
		}
		if err := take("secret-file", key, strings.TrimRight(string(data), "\r\n")); err != nil {
			return out, err
		}
	}
	for key, variable := range o.secretEnv {
		if err := take("secret-env", key, os.Getenv(variable)); err != nil {
			return out, err
		}
	}
	for _, n := range o.networks {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return out, fmt.Errorf("--allow-network: %w", err)
		}
		out.AllowedNetworks = append(out.AllowedNetworks, p)
	}
	return out, nil
}

func sorted(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// configValue reads a flag's text as the type that the manifest declares.
func configValue(kind, text string) (any, error) {
	switch kind {
	case "integer":
		return strconv.ParseInt(text, 10, 64)
	case "boolean":
		return strconv.ParseBool(text)
	case "object":
		var v map[string]any
		err := json.Unmarshal([]byte(text), &v)
		return v, err
	}
	return text, nil
}

var outcomeText = map[connector.TestOutcome]string{
	connector.AllPassed:    "A: everything passed",
	connector.Partial:      "B: what is essential passed, and something else failed",
	connector.Failed:       "C: it cannot be connected",
	connector.Inconclusive: "undecided: the vendor answered with passing errors",
}

// printReport shows the outcome of the connect test, per data type.
func printReport(e *env, m *connector.Manifest, r connector.TestReport) error {
	account := r.Account.ID
	if r.Account.Name != "" {
		account = r.Account.Name + " (" + r.Account.ID + ")"
	}
	if account == "" {
		account = "unknown"
		if r.AccountError != "" {
			account += ": " + r.AccountError
		}
	}
	if _, err := fmt.Fprintf(e.out, "Connector  %s\nAccount    %s\nOutcome    %s\n\n", m.Title(), oneLine(account), outcomeText[r.Outcome]); err != nil {
		return err
	}
	var items []item
	for _, d := range r.DataTypes {
		outcome := map[connector.TestState]string{connector.TestPassed: "A", connector.TestSkipped: "-", connector.TestFailed: letterOf(d, r)}[d.State]
		items = append(items, item{
			"type": string(d.DataType), "outcome": outcome, "state": string(d.State), "class": string(d.Class), "message": d.Message, "fix": d.Fix,
		})
	}
	return printTable(e.out, items, []column{
		{Header: "DATA TYPE", Path: "type"}, {Header: "OUTCOME", Path: "outcome"}, {Header: "STATE", Path: "state"}, {Header: "CLASS", Path: "class"},
		{Header: "MESSAGE", Path: "message"}, {Header: "FIX", Path: "fix"},
	}, 0)
}

// letterOf is C where a failed data type keeps the account from being
// connected, else B.
func letterOf(d connector.DataTypeTest, r connector.TestReport) string {
	if r.Outcome == connector.Partial {
		return "B"
	}
	for _, t := range r.Streams {
		if t.State == connector.TestFailed && t.Essential && slices.Contains(t.DataTypes, d.DataType) {
			return "C"
		}
	}
	if r.Outcome == connector.Inconclusive {
		return "?"
	}
	return "B"
}

// records shows the first mapped records of each stream that passed.
func (o *liveOptions) records(ctx context.Context, e *env, s *connector.Session, r connector.TestReport) error {
	passed := map[string]bool{}
	for _, t := range r.Streams {
		passed[t.Stream] = t.State == connector.TestPassed
	}
	for _, st := range s.Streams() {
		if o.show == 0 || !passed[st.Name] || len(o.streams) > 0 && !slices.Contains(o.streams, st.Name) {
			continue
		}
		var first []model.Record
		res, err := s.Read(ctx, st.Name, func(_ context.Context, _ string, recs []model.Record) error {
			first = append(first, recs[:min(len(recs), o.show-len(first))]...)
			if len(first) >= o.show {
				return errEnough
			}
			return nil
		})
		if errors.Is(err, errEnough) {
			err = nil
		}
		if err := o.printRecords(e, st.Name, first, res, err); err != nil {
			return err
		}
	}
	return nil
}

func (o *liveOptions) printRecords(e *env, stream string, recs []model.Record, res connector.ReadResult, failure error) error {
	if _, err := fmt.Fprintf(e.out, "\n%s\n", stream); err != nil {
		return err
	}
	for i := range recs {
		fields, err := fieldsOf(&recs[i], !o.showValues)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(e.out, "  %s\n", oneLine(fields)); err != nil {
			return err
		}
	}
	if len(recs) == 0 {
		if _, err := fmt.Fprintln(e.out, "  no records"); err != nil {
			return err
		}
	}
	for _, q := range res.QuarantineSample {
		e.say("stream %s: record %s could not be mapped: %s: %s", stream, q.Key, q.Field, q.Message)
	}
	if failure != nil {
		e.say("%v", failure)
	}
	return nil
}
