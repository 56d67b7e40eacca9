// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/cli"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

const connectorsHead = "# Connectors\n\n" +
	"What each built-in connector reads and can do, made from its manifest, so that it\n" +
	"cannot disagree with it. `seatkeeper connectors` prints the same. How to connect\n" +
	"one is in [Connect](connect.md), what each needs in its own page; any other app\n" +
	"is [one manifest](writing-a-connector.md), a CSV file or a push away.\n\n" +
	"- *Custom fields* names the records that keep what the vendor adds to them.\n" +
	"- *First usage* is how far back the first sync reads usage, and in brackets how far it can be told to.\n" +
	"- *Last activity* says whether an account without one was never used (reported) or may have been (not reported).\n" +
	"- *Verified* is what the manifest was checked against: the vendor's machine-readable description (Spec), its documentation (Docs), the live vendor (Live), or nothing yet (No).\n\n"

func writeConnectors(b *bytes.Buffer) error {
	all, err := cli.Catalogue()
	if err != nil {
		return err
	}
	b.WriteString(connectorsHead)
	for _, c := range cli.Categories {
		var of []cli.Entry
		for _, e := range all {
			if e.Category == c.Name {
				of = append(of, e)
			}
		}
		if len(of) == 0 {
			continue
		}
		fmt.Fprintf(b, "## %s\n\n", c.Title)
		b.WriteString("| connector | data types | custom fields | last activity | first usage | actions | accounts | verified |\n|---|---|---|---|---|---|---|---|\n")
		for _, e := range of {
			usage := e.FirstUsage
			if e.MaxUsage != e.FirstUsage {
				usage += " (" + e.MaxUsage + ")"
			}
			fmt.Fprintf(b, "| [%s](../connectors/%s/README.md) | %s | %s | %s | %s | %s | %s | %s |\n", cell(e.Title), e.Name,
				words(e.DataTypes), words(e.CustomFields), dash(map[string]string{"Reported": "reported", "NotReported": "not reported"}[e.LastActivity]),
				dash(usage), dash(strings.Join(actionsOf(e), ", ")), e.Accounts, e.Verified)
		}
		b.WriteString("\n")
		for _, e := range of {
			writeConnection(b, e)
		}
	}
	b.Truncate(b.Len() - 1) // one line break at the end
	return nil
}

// writeConnection says what connecting takes.
func writeConnection(b *bytes.Buffer, e cli.Entry) {
	fmt.Fprintf(b, "### %s\n\n", cell(e.Title))
	fmt.Fprintf(b, "How to connect it: <%s>\n\n", e.DocsURL)
	for i, s := range e.Secrets {
		or := "Secret"
		if i > 0 {
			or = "or Secret"
		}
		fmt.Fprintf(b, "- %s, %s: %s", or, cell(s.Title), dash(quoted(s.Required)))
		if len(s.Optional) > 0 {
			fmt.Fprintf(b, "; optional %s", quoted(s.Optional))
		}
		b.WriteString("\n")
	}
	for _, f := range e.Config {
		fmt.Fprintf(b, "- `config.%s` (%s", f.Name, f.Type)
		if f.Required {
			b.WriteString(", required")
		}
		if f.Default != nil {
			fmt.Fprintf(b, ", default `%v`", f.Default)
		}
		if len(f.Enum) > 0 {
			fmt.Fprintf(b, ": %s", strings.Join(f.Enum, ", "))
		}
		b.WriteString(")")
		if f.Title != "" {
			fmt.Fprintf(b, ": %s", cell(f.Title))
		}
		b.WriteString("\n")
	}
	for _, w := range e.Webhooks {
		fmt.Fprintf(b, "- webhook `%s`: %s", w.Name, cell(w.Title))
		if len(w.Secrets) > 0 {
			fmt.Fprintf(b, "; Secret %s", quoted(w.Secrets))
		}
		b.WriteString("\n")
	}
	if len(e.Secrets)+len(e.Config) == 0 {
		b.WriteString("- nothing\n")
	}
	b.WriteString("\n")
}

// actionsOf names the actions, and what each of the destructive ones is.
func actionsOf(e cli.Entry) []string {
	var out []string
	for _, a := range e.Actions {
		text := "`" + a.Name + "`"
		if a.Destructive {
			text += " (destructive)"
		}
		out = append(out, text)
	}
	return out
}

func words(types []model.DataType) string {
	var out []string
	for _, t := range types {
		out = append(out, string(t))
	}
	return dash(strings.Join(out, ", "))
}

func quoted(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
