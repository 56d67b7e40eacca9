// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/spf13/cobra"

	"github.com/seatkeeper/seatkeeper/internal/cli/preflight"
	"github.com/seatkeeper/seatkeeper/internal/cli/up"
)

const defaultStateDir = ".state"

func newUpCommand(e *env) *cobra.Command {
	o := up.Options{Out: e.out, Simulate: true}
	var bare bool
	cmd := &cobra.Command{
		Use: "up", GroupID: "run",
		Short: "Run everything on this machine: control plane, manager, gateway, simulated vendors",
		Long: `Run everything on this machine, in the foreground until Ctrl-C: an embedded
Kubernetes control plane, the manager with the gateway on SQLite, and simulated
Okta, Slack, Zoom and HRIS of an invented company. All state is in one folder;
a second start continues from it. Nothing is sent anywhere else.`,
		Example: "  seatkeeper up\n  seatkeeper up --people 5000 --seed 7 --state-dir /tmp/large\n  seatkeeper up --bare    # no simulated company: import your own files",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Simulate = !bare
			return up.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.StateDir, "state-dir", defaultStateDir, "folder of all state")
	f.StringVar(&o.BinDir, "bin-dir", "", "folder of the localcluster and manager binaries (default: beside this program)")
	f.IntVar(&o.PortBase, "port-base", preflight.DefaultPortBase, "first of eight ports on 127.0.0.1")
	f.IntVar(&o.People, "people", 500, "size of the simulated company, 1 to 100000")
	f.Uint64Var(&o.Seed, "seed", 1, "which company is simulated")
	f.BoolVar(&bare, "bare", false, "start without simulated vendors and sample resources")
	return cmd
}

func newDownCommand(e *env) *cobra.Command {
	var stateDir string
	cmd := &cobra.Command{
		Use: "down", GroupID: "run",
		Short: "Stop what `seatkeeper up` runs; its data stays",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return up.Down(stateDir, e.out)
		},
	}
	cmd.Flags().StringVar(&stateDir, "state-dir", defaultStateDir, "folder of all state")
	return cmd
}
