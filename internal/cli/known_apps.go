// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seatkeeper/seatkeeper/internal/catalog"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

var knownAppColumns = []column{
	{Header: "APP", Path: "slug", Whole: true}, {Header: "NAME", Path: "name"}, {Header: "VENDOR", Path: "vendor"}, {Header: "CATEGORY", Path: "category"},
	{Header: "DOMAINS", Path: "domains", Wide: true}, {Header: "ALIASES", Path: "aliases", Wide: true}, {Header: "CONNECTOR", Path: "connector", Wide: true},
}

var knownCategoryColumns = []column{
	{Header: "CATEGORY", Path: "name", Whole: true}, {Header: "TITLE", Path: "title"}, {Header: "APPS", Path: "apps"}, {Header: "DEFINITION", Path: "definition", Wide: true},
}

// newKnownAppsCommand lists the catalogue of known apps, and tells what a text is
// recognised as.
func newKnownAppsCommand(e *env) *cobra.Command {
	format, category, recognise, text := formatTable, "", "", ""
	cmd := &cobra.Command{
		Use:   "known [SEARCH]",
		Short: "The catalogue of known apps, by which what is discovered is recognised",
		Long: `The catalogue of known apps, by which what is discovered is recognised: domains,
category and other names of each. SEARCH shows those whose name, vendor, alias
or domain contains it; --category those that do one job, and "--category list"
the jobs. --recognise tells which app a text is of, as expense, signon, oauth or
domain, and by what. It needs no cluster.`,
		Example: "  seatkeeper apps known\n  seatkeeper apps known jira -o yaml\n  seatkeeper apps known --category list\n  seatkeeper apps known --recognise expense 'PAYPAL *GITHUB INC'",
		Args:    usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := validFormat(format); err != nil {
				return usageError{err}
			}
			if len(args) == 1 {
				text = args[0]
			}
			known := catalog.Default()
			switch {
			case recognise != "":
				return tellApp(e, known, format, model.AppSignal{Kind: model.AppSignalKind(recognise), Text: text})
			case category == "list":
				return listKnownCategories(e, known, format)
			}
			return listKnownApps(e, known, format, category, text)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", formatTable, "table, wide, json, yaml, csv or name")
	cmd.Flags().StringVar(&category, "category", "", `only apps of this category; "list" lists the categories`)
	cmd.Flags().StringVar(&recognise, "recognise", "", "say which app SEARCH is of: expense, signon, oauth or domain")
	return cmd
}

func listKnownApps(e *env, known *catalog.Catalog, format, category, search string) error {
	if category != "" && !slices.ContainsFunc(known.Categories(), func(k catalog.Category) bool { return k.Name == category }) {
		return usageError{fmt.Errorf("--category %q is none; --category list shows them", category)}
	}
	l := list{Kind: "KnownAppList"}
	for _, a := range known.Apps() {
		text := strings.ToLower(strings.Join(slices.Concat([]string{a.Slug, a.Name, a.Vendor}, a.Aliases, a.Domains), "\n"))
		if category != "" && a.Category != category || !strings.Contains(text, strings.ToLower(strings.TrimSpace(search))) {
			continue
		}
		it, err := itemOf(a)
		if err != nil {
			return err
		}
		l.Items = append(l.Items, it)
	}
	if len(l.Items) == 0 && (format == formatTable || format == formatWide) {
		e.say("The catalogue knows no such app; Seatkeeper lists what it does not know with `seatkeeper apps --view unmatched`.")
		return nil
	}
	return printList(e.out, format, l, knownAppColumns)
}

func listKnownCategories(e *env, known *catalog.Catalog, format string) error {
	apps := map[string]int{}
	for _, a := range known.Apps() {
		apps[a.Category]++
	}
	l := list{Kind: "AppCategoryList"}
	for _, k := range known.Categories() {
		it, err := itemOf(struct {
			catalog.Category
			Apps int `json:"apps"`
		}{k, apps[k.Name]})
		if err != nil {
			return err
		}
		l.Items = append(l.Items, it)
	}
	return printList(e.out, format, l, knownCategoryColumns)
}

// told is what a text is recognised as.
type told struct {
	App       string   `json:"app,omitempty"`
	MatchedBy string   `json:"matchedBy,omitempty"`
	Among     []string `json:"among,omitempty"`
}

func tellApp(e *env, known *catalog.Catalog, format string, s model.AppSignal) error {
	switch s.Kind {
	case model.SignalExpense, model.SignalSignOn, model.SignalOAuth, model.SignalDomain:
	default:
		return usageError{fmt.Errorf("--recognise %q: want expense, signon, oauth or domain", s.Kind)}
	}
	if s.Text == "" {
		return usageError{fmt.Errorf("--recognise %s needs the text to look at", s.Kind)}
	}
	m := known.Recognise(s)
	it, err := itemOf(told{App: m.App, MatchedBy: m.Rule, Among: m.Among})
	if err != nil {
		return err
	}
	return printList(e.out, format, list{Kind: "AppMatchList", Items: []item{it}}, []column{
		{Header: "APP", Path: "app", Whole: true}, {Header: "MATCHED BY", Path: "matchedBy"}, {Header: "ONE OF", Path: "among"},
	})
}
