// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/cli"
)

const errorsHead = "# Error codes\n\n" +
	"Every reason of a condition has a code that never changes its meaning. Each entry\n" +
	"says what is the case, where it is said, and what mends it; the condition's own\n" +
	"message names the field, the object or the vendor's answer. A reason may be given\n" +
	"by another kind than the one it is listed under.\n\n" +
	"```sh\n" +
	"kubectl describe integration NAME -n NAMESPACE   # conditions, with reason and message\n" +
	"seatkeeper integrations -n NAMESPACE -o wide     # the same of every Integration\n" +
	"```\n\n" +
	"For the command line, see [below](#command-line).\n\n"

// commandLineHead says how the command line reports.
const commandLineHead = "## Command line\n\n" +
	"`seatkeeper` prints `error CODE: ` and a message to standard error and nothing to\n" +
	"standard output, except for the report of a live connect test. The\n" +
	"[exit code](cli.md) tells scripts what kind it is.\n\n"

func writeErrors(b *bytes.Buffer) error {
	b.WriteString(errorsHead)
	kind := "-"
	for _, info := range v1alpha1.Reasons {
		if info.Kind != kind {
			kind = info.Kind
			title := kind
			if title == "" {
				title = "Any kind"
			}
			fmt.Fprintf(b, "## %s\n\n", title)
		}
		where := "a condition of any kind"
		if kind != "" {
			where = "a condition of " + article(kind) + " " + kind
		}
		fmt.Fprintf(b, "<a id=%q></a>\n### %s %s\n\n", strings.ToLower(info.Code), info.Code, info.Reason)
		fmt.Fprintf(b, "- What: %s\n- Where: %s with reason `%s`.\n- Mend: %s\n\n", info.Title, where, info.Reason, info.Mend)
	}
	b.WriteString(commandLineHead)
	for _, c := range cli.ErrorCodes {
		fmt.Fprintf(b, "<a id=%q></a>\n### %s\n\n- What: %s\n- Where: a command that ends with exit code %d.\n- Mend: %s\n\n", strings.ToLower(c.Code), c.Code, c.Title, c.Exit, c.Mend)
	}
	b.Truncate(b.Len() - 1) // one line break at the end
	return nil
}

func article(noun string) string {
	if strings.ContainsRune("AEIOU", rune(noun[0])) {
		return "an"
	}
	return "a"
}
