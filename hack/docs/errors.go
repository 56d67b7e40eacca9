// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
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

// errorsTail says how the command line reports.
const errorsTail = "## Command line\n\n" +
	"`seatkeeper` prints `error: ` and a message to standard error and nothing to standard\n" +
	"output. The [exit code](cli.md) tells scripts what kind it is.\n\n" +
	"| exit code | message | mend |\n|---|---|---|\n" +
	"| 1 | `no gateway is published or runs in namespace seatkeeper-system` | Check the kubeconfig's context, or name the gateway with `--server https://HOST:PORT`. |\n" +
	"| 1 | `namespace \"…\" has no Seatkeeper resources yet` | Check `-n`, or apply an Integration there. |\n" +
	"| 1 | `FILE: row …, column …; nothing was changed` | Correct the cell in the source and export again; see [Import](import.md). |\n" +
	"| 1 | `held, and nothing was removed` | Look at `seatkeeper guards`, then release the set or correct the file. |\n" +
	"| 1 | `the store or the API server does not answer` | Try again. If it stays, look at the gateway's log. |\n" +
	"| 2 | `unknown flag`, `want …` | Correct the command line; `--help` shows it. |\n" +
	"| 3 | `unauthorised` | Sign in: the kubeconfig needs a bearer token or a client certificate that the gateway knows. |\n" +
	"| 3 | `user \"…\" may not …` | Have a role bound in that namespace; see [Security](security.md#roles). |\n"

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
	b.WriteString(errorsTail)
	return nil
}

func article(noun string) string {
	if strings.ContainsRune("AEIOU", rune(noun[0])) {
		return "an"
	}
	return "a"
}
