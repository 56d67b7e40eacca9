// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line: `seatkeeper`, also installed as
// `kubectl-seatkeeper`. Data goes to standard output, everything else to
// standard error.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
	"github.com/seatkeeper/seatkeeper/internal/version"
)

// Exit codes, documented in docs/cli.md.
const (
	exitOK      = 0
	exitFailure = 1 // it was tried and did not work
	exitUsage   = 2 // the command line is wrong; nothing was tried
	exitRefused = 3 // not authenticated, or not allowed
	exitPartial = 4 // a connect test passed in part
)

// env is what every command shares.
type env struct {
	out, errOut io.Writer
	kube        *genericclioptions.ConfigFlags
	server      string
	serverCA    string
}

// usageError marks a wrong command line.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// Main runs the command line of the process and returns its exit code.
func Main() int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	return Execute(ctx, filepath.Base(os.Args[0]), os.Args[1:], os.Stdout, os.Stderr)
}

// Execute runs one command line.
func Execute(ctx context.Context, program string, args []string, out, errOut io.Writer) int {
	root := newRoot(program, &env{out: out, errOut: errOut, kube: kubeFlags()})
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	code := codeOf(err)
	_, _ = fmt.Fprintf(errOut, "error %s: %v\n", code.Code, err)
	if code.Exit == exitUsage {
		_, _ = fmt.Fprintf(errOut, "Run '%s --help' for usage.\n", cmd.CommandPath())
	}
	return code.Exit
}

func kubeFlags() *genericclioptions.ConfigFlags {
	f := genericclioptions.NewConfigFlags(true)
	// The rest of kubectl's flags are for callers of the API server alone.
	f.AuthInfoName, f.Impersonate, f.ImpersonateGroup, f.ImpersonateUID, f.ImpersonateUserExtra = nil, nil, nil, nil, nil
	f.CertFile, f.KeyFile, f.BearerToken, f.Insecure, f.TLSServerName, f.CAFile, f.APIServer = nil, nil, nil, nil, nil, nil, nil
	f.ClusterName, f.Timeout, f.DisableCompression, f.CacheDir = nil, nil, nil, nil
	return f
}

func newRoot(program string, e *env) *cobra.Command {
	use := "seatkeeper"
	if strings.HasPrefix(program, "kubectl-") {
		use = "kubectl seatkeeper"
	}
	root := &cobra.Command{
		Use:   use,
		Short: "Look at and steer a company's SaaS from the command line",
		Long: `Seatkeeper keeps a company's SaaS estate in the state that its git repository
declares. This command starts it on one machine, imports files, and shows the
inventory through the gateway, as the user of your kubeconfig.`,
		Version:           version.Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Args:              unknownCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	if use != "seatkeeper" {
		// cobra would print only the first word of Use.
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: use}
	}
	flags := root.PersistentFlags()
	e.kube.AddFlags(flags)
	flags.StringVar(&e.server, "server", os.Getenv("SEATKEEPER_SERVER"), "address of the gateway, https://HOST:PORT (default: as the cluster says, else by port-forward)")
	flags.StringVar(&e.serverCA, "server-ca", "", "PEM file with the authority of the gateway's certificate")
	root.AddGroup(&cobra.Group{ID: "look", Title: "Look at everything:"}, &cobra.Group{ID: "act", Title: "Act:"}, &cobra.Group{ID: "build", Title: "Write connectors:"}, &cobra.Group{ID: "run", Title: "Run on this machine:"})
	for _, r := range resources {
		list := newListCommand(e, r)
		switch r.Name {
		case "integrations":
			list.AddCommand(newDelegateCommand(e))
		case "apps":
			list.AddCommand(newKnownAppsCommand(e))
		case "workflows":
			list.AddCommand(newWorkflowRunCommand(e), newWorkflowHistoryCommand(e), newWorkflowDiffCommand(e), newWorkflowRestoreCommand(e), newWorkflowTestCommand(e), newWorkflowTokensCommand(e))
		case "runs":
			list.AddCommand(newRunStopCommand(e), newRunResumeCommand(e), newRunRetryCommand(e), newRunSkipCommand(e), newRunResolveCommand(e))
		}
		root.AddCommand(list)
	}
	for _, r := range promptResources {
		root.AddCommand(newPromptsCommand(e, r))
	}
	root.AddCommand(newEventsCommand(e), newWebhooksCommand(e))
	root.AddCommand(newKeysCommand(e), newSCIMCommand(e))
	root.AddCommand(newSummaryCommand(e), newConnectorsCommand(e), newConnectorCommand(e), newReleaseCommand(e), newImportCommand(e), newPushCommand(e), newUpCommand(e), newDownCommand(e))
	return root
}

// unknownCommand refuses what is no command as a usage error; cobra's own error
// could not be told from a failure.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usageError{fmt.Errorf("unknown command %q%s", args[0], hint)}
}

// client opens the gateway as the user of the kubeconfig. Close it.
func (e *env) client(ctx context.Context) (*queryclient.Client, string, error) {
	loader := e.kube.ToRawKubeConfigLoader()
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	// Without a file the loader would go on with http://localhost:8080.
	if raw, err := loader.RawConfig(); err == nil && len(raw.Clusters) == 0 && os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return nil, "", &queryclient.UnreachableError{Err: errors.New("no kubeconfig is named: use --kubeconfig FILE, or set KUBECONFIG; `seatkeeper up` prints the one it wrote")}
	}
	cfg, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	c, err := queryclient.New(ctx, cfg, queryclient.Options{Server: e.server, CAFile: e.serverCA})
	return c, namespace, err
}

// say writes a line for people.
func (e *env) say(format string, args ...any) {
	_, _ = fmt.Fprintf(e.errOut, format+"\n", args...)
}
