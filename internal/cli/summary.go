// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/spf13/cobra"

	"github.com/seatkeeper/seatkeeper/internal/cli/summary"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

func newSummaryCommand(e *env) *cobra.Command {
	format := formatTable
	cmd := &cobra.Command{
		Use: "summary", GroupID: "look",
		Short:   "What was found: apps, people, paid seats, unused, unknown, and what they cost",
		Example: "  seatkeeper summary -n acme",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := validFormat(format); err != nil {
				return usageError{err}
			}
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			if format == formatJSON || format == formatYAML {
				return showOne(cmd.Context(), e, c, listPath(namespace, "summary"), format)
			}
			var s model.Summary
			if err := c.Get(cmd.Context(), listPath(namespace, "summary"), nil, &s); err != nil {
				return err
			}
			return summary.Print(e.out, s)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", formatTable, "table, json or yaml")
	return cmd
}
