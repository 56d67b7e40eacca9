// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seatkeeper/seatkeeper/internal/cli"
)

const cliHead = "# Command line\n\n" +
	"`seatkeeper` is also installed as `kubectl-seatkeeper`; `kubectl seatkeeper …` takes\n" +
	"the same commands. It talks to the gateway as the user of your kubeconfig, never\n" +
	"to the database, and reads no Secret. Data goes to standard output, everything\n" +
	"else to standard error. It uses no colour.\n\n" +
	"| exit code | meaning |\n|---|---|\n" +
	"| 0 | done |\n" +
	"| 1 | it was tried and did not work; the message says what, where and how to mend it |\n" +
	"| 2 | the command line is wrong; nothing was tried |\n" +
	"| 3 | not authenticated, or not allowed by RBAC |\n" +
	"| 4 | a connect test passed in part (outcome B) |\n\n"

func writeCLI(b *bytes.Buffer) error {
	// Defaults that come from the environment must not depend on who generates.
	if err := os.Unsetenv("SEATKEEPER_SERVER"); err != nil {
		return err
	}
	root := cli.Reference()
	b.WriteString(cliHead)
	b.WriteString("## Flags of every command\n\n")
	writeFlags(b, root.PersistentFlags())
	for _, group := range root.Groups() {
		fmt.Fprintf(b, "## %s\n\n", strings.TrimSuffix(group.Title, ":"))
		for _, c := range root.Commands() {
			if c.GroupID == group.ID && !c.Hidden {
				writeCommand(b, c)
			}
		}
	}
	return nil
}

func writeCommand(b *bytes.Buffer, c *cobra.Command) {
	fmt.Fprintf(b, "### %s\n\n", c.CommandPath())
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintf(b, "%s\n\n", text)
	fmt.Fprintf(b, "Usage: `%s`\n\n", c.UseLine())
	if len(c.Aliases) > 0 {
		fmt.Fprintf(b, "Aliases: `%s`\n\n", strings.Join(c.Aliases, "`, `"))
	}
	if c.Example != "" {
		b.WriteString("```sh\n")
		for line := range strings.SplitSeq(c.Example, "\n") {
			b.WriteString(strings.TrimPrefix(line, "  ") + "\n")
		}
		b.WriteString("```\n\n")
	}
	if flags := c.LocalNonPersistentFlags(); flags.HasAvailableFlags() {
		writeFlags(b, flags)
	}
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			writeCommand(b, sub)
		}
	}
}

func writeFlags(b *bytes.Buffer, flags *pflag.FlagSet) {
	b.WriteString("| flag | default | meaning |\n|---|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		def := f.DefValue
		if def == "[]" {
			def = ""
		}
		if def != "" {
			def = "`" + def + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, def, cell(f.Usage))
	})
	b.WriteString("\n")
}
