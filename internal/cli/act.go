// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// newReleaseCommand lets a held set go. The digest binds the release to the
// set that the person looked at (decision 18).
func newReleaseCommand(e *env) *cobra.Command {
	var digest string
	cmd := &cobra.Command{
		Use: "release KIND/NAME", GroupID: "act",
		Short: "Let a held set go, after looking at it",
		Long: `Let a held set go. Look at it first with 'seatkeeper guards KIND/NAME', which
prints its digest: the release holds for exactly that set, and not for one that
has grown since.`,
		Example: "  seatkeeper release policy/zoom-90d --digest sha256:… -n acme",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, name, ok := strings.Cut(args[0], "/")
			if !ok || kind == "" || name == "" {
				return usageError{fmt.Errorf("%q: want KIND/NAME as `seatkeeper guards` shows it", args[0])}
			}
			if digest == "" {
				return usageError{errors.New("--digest is missing: copy it from `seatkeeper guards " + args[0] + "`")}
			}
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			path := listPath(namespace, "guards") + "/" + url.PathEscape(kind) + "/" + url.PathEscape(name) + "/release"
			if err := c.Post(cmd.Context(), path, map[string]string{"digest": digest}, nil); err != nil {
				return err
			}
			e.say("Released %s, %s. It goes on at the next evaluation.", args[0], digest)
			return nil
		},
	}
	cmd.Flags().StringVar(&digest, "digest", "", "digest of the set, as `seatkeeper guards` shows it (required)")
	return cmd
}

// usageArgs marks a wrong number of arguments as a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}
