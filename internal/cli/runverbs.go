// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

func newRunResumeCommand(e *env) *cobra.Command {
	var reason string
	var to int64
	var yes bool
	cmd := &cobra.Command{
		Use: "resume ID", Short: "Go on with a stopped run where it was",
		Long: `Go on with a stopped run where it was: a wait keeps its time, and what was done
is not done again. The run's person is read again, and its timeout counts anew.
--to-revision moves the run to another revision of its Workflow, after showing
what differs; it is refused if that has no such step.`,
		Example: "  seatkeeper runs resume 0190c2… -n acme\n  seatkeeper runs resume 0190c2… --to-revision 4 -n acme",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to < 0 {
				return usageError{fmt.Errorf("--to-revision %d: want a number from 1 on", to)}
			}
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			path := listPath(namespace, "runs") + "/" + url.PathEscape(args[0])
			if to > 0 {
				var run struct {
					Name     string `json:"name"`
					Revision int64  `json:"revision"`
				}
				if err := c.Get(cmd.Context(), path, nil, &run); err != nil {
					return err
				}
				text, err := diffRevisions(cmd.Context(), c, namespace, run.Name, run.Revision, to)
				if err != nil {
					return err
				}
				e.say("%s", text)
				if !yes && !confirmed(cmd.InOrStdin(), e.errOut, fmt.Sprintf("Go on with run %s on revision %d?", args[0], to)) {
					return usageError{errors.New("nothing was changed: answer y, or give --yes")}
				}
			}
			var out runStatus
			if err := c.Post(cmd.Context(), path+"/resume", map[string]any{"reason": reason, "toRevision": to}, &out); err != nil {
				return err
			}
			e.say("Run %s goes on.", out.ID)
			return nil
		},
	}
	f := cmd.Flags()
	f.Int64Var(&to, "to-revision", 0, "go on with this revision of the Workflow")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	f.StringVar(&reason, "reason", "", "why, for the audit")
	return cmd
}

func newRunRetryCommand(e *env) *cobra.Command {
	var reason, from string
	var yes bool
	cmd := &cobra.Command{
		Use: "retry ID", Short: "Do the failed step of a run again, and what comes behind it",
		Long: `Do the failed step of a run again, and all that comes behind it; --from-step
begins with an earlier step that the run has come to. Each is a new effect,
though most actions look first whether theirs is there. Where an effect of the
step may be there already, look at the vendor, then give --yes.`,
		Example: "  seatkeeper runs retry 0190c2… --reason 'licence bought' -n acme\n  seatkeeper runs retry 0190c2… --from-step signOut -n acme",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.runVerb(cmd, args[0], "retry", map[string]any{"reason": reason, "fromStep": from, "lookedAt": yes})
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from-step", "", "step to begin with (default: the one that failed)")
	f.BoolVarP(&yes, "yes", "y", false, "I have looked whether the step had its effect")
	f.StringVar(&reason, "reason", "", "why, for the audit")
	return cmd
}

func newRunSkipCommand(e *env) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "skip ID", Short: "Go on behind the step that a run waits at or failed at",
		Long:    "Go on behind the step that a run waits at or failed at, as if its condition had\nbeen false.",
		Example: "  seatkeeper runs skip 0190c2… --reason 'done by hand' -n acme",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.runVerb(cmd, args[0], "skip", map[string]any{"reason": reason})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return cmd
}

func (e *env) runVerb(cmd *cobra.Command, id, verb string, body map[string]any) error {
	var run runStatus
	if err := actOnRun(cmd.Context(), e, id, verb, body, &run); err != nil {
		return err
	}
	e.say("Run %s goes on: %s.", run.ID, verb)
	return nil
}

// confirmed asks on the terminal; no answer is no.
func confirmed(in io.Reader, out io.Writer, question string) bool {
	_, _ = fmt.Fprintf(out, "%s [y/N] ", question)
	line, _ := bufio.NewReader(in).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true
	}
	return false
}
