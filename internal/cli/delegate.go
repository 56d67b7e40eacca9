// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// newDelegateCommand makes a link for an app owner who has no access to the
// cluster.
func newDelegateCommand(e *env) *cobra.Command {
	expires, base := 24*time.Hour, ""
	cmd := &cobra.Command{
		Use:   "delegate NAME",
		Short: "Print a link by which an app's owner supplies the credential",
		Long: `Print a link by which an app's owner supplies the credential, without access to
the cluster. Who has the link can supply it once, until it expires, and can see
nothing. The manager then writes the Secret that spec.credentialsRef names. Send
the link as you would send a password. A new link ends the one before.`,
		Example: "  seatkeeper integrations delegate zoom --expires 24h -n acme",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !nameRule.MatchString(args[0]) {
				return usageError{fmt.Errorf("%q: want the name of an Integration", args[0])}
			}
			if base != "" {
				if u, err := url.Parse(base); err != nil || u.Scheme != "https" || u.Host == "" {
					return usageError{fmt.Errorf("--url %q: want https://HOST", base)}
				}
			}
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			if _, reachable := c.URL("/"); base == "" && !reachable {
				return usageError{errors.New("--url is missing: the gateway is reached by a port-forward of this machine, which nobody else can use; name the address that the app's owner reaches")}
			}
			var link struct {
				Path      string    `json:"path"`
				ExpiresAt time.Time `json:"expiresAt"`
				Secret    string    `json:"secret"`
			}
			if err := c.Post(cmd.Context(), listPath(namespace, "integrations")+"/"+args[0]+"/delegation", map[string]string{"expiresIn": expires.String()}, &link); err != nil {
				return err
			}
			address := strings.TrimSuffix(base, "/") + link.Path
			if base == "" {
				address, _ = c.URL(link.Path)
			}
			_, err = fmt.Fprintln(e.out, address)
			e.say("Works once, until %s. What is supplied goes into the Secret %s.", link.ExpiresAt.Local().Format("2006-01-02 15:04 MST"), link.Secret)
			return err
		},
	}
	f := cmd.Flags()
	f.DurationVar(&expires, "expires", expires, "how long the link works, 5m to 168h")
	f.StringVar(&base, "url", "", "https://HOST where the app's owner reaches the gateway (default: as this command does)")
	return cmd
}
