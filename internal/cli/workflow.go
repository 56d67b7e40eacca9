// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
)

var errRunFailed = errors.New("the run did not succeed")

// runPoll is how often a run that is waited for is looked at.
const runPoll = time.Second

// runStatus is what waiting for a run looks at.
type runStatus struct {
	ID      string `json:"id"`
	State   string `json:"state"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Steps   []struct {
		Name    string `json:"name"`
		Result  string `json:"result"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
		Request any    `json:"request"`
	} `json:"steps"`
}

func newWorkflowRunCommand(e *env) *cobra.Command {
	var person, application, contract, key, reason string
	var inputs []string
	var dryRun, wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "run NAME",
		Short: "Start one run of a Workflow by hand",
		Long: `Start one run of a Workflow by hand. A Workflow that runs for a person takes one
who is in the directory, one that runs for an app or a contract takes that. The
same --key starts one run, however often it is sent. --wait shows each step as
it ends, and fails if the run does.`,
		Example: "  seatkeeper workflow run zoom-leaver --person jo@acme.example --dry-run --wait -n acme\n" +
			"  seatkeeper workflow run zoom-leaver --person jo@acme.example --input ticket=4711 --key ticket-4711 -n acme",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			input, err := inputOf(inputs)
			if err != nil {
				return usageError{err}
			}
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			var run runStatus
			body := map[string]any{"person": person, "application": application, "contract": contract, "input": input, "dryRun": dryRun, "key": key, "reason": reason}
			if err := c.Post(cmd.Context(), listPath(namespace, "workflows")+"/"+url.PathEscape(args[0])+"/runs", body, &run); err != nil {
				return err
			}
			e.say("Run %s of Workflow %s.", run.ID, args[0])
			if !wait {
				_, err := fmt.Fprintln(e.out, run.ID)
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return follow(ctx, e, c, listPath(namespace, "runs")+"/"+url.PathEscape(run.ID), run)
		},
	}
	f := cmd.Flags()
	f.StringVar(&person, "person", "", "e-mail address of the person whom the run is about")
	f.StringVar(&application, "application", "", "Application that the run is about, or INTEGRATION/ID of an app that was discovered")
	f.StringVar(&contract, "contract", "", "contract that the run is about")
	f.StringArrayVar(&inputs, "input", nil, "what expressions read as input.NAME: NAME=VALUE; a VALUE that is JSON keeps its type; may be repeated")
	f.BoolVar(&dryRun, "dry-run", false, "go through the steps and send nothing")
	f.StringVar(&key, "key", "", "idempotency key: the same key is the same run")
	f.StringVar(&reason, "reason", "", "why, for the audit")
	f.BoolVar(&wait, "wait", false, "wait until the run ends, and show its steps")
	f.DurationVar(&timeout, "timeout", 10*time.Minute, "how long --wait waits")
	return cmd
}

// inputOf reads NAME=VALUE.
func inputOf(pairs []string) (map[string]any, error) {
	out := map[string]any{}
	for _, p := range pairs {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--input %q: want NAME=VALUE", p)
		}
		var v any
		if err := json.Unmarshal([]byte(value), &v); err != nil {
			v = value
		}
		out[name] = v
	}
	return out, nil
}

// follow shows the steps of a run as they end.
func follow(ctx context.Context, e *env, c *queryclient.Client, path string, run runStatus) error {
	shown, waits := 0, ""
	for {
		for ; shown < len(run.Steps) && run.Steps[shown].Result != ""; shown++ {
			s := run.Steps[shown]
			line := s.Name + ": " + s.Result
			if s.Message != "" {
				line += " (" + s.Message + ")"
			}
			if s.Request != nil { // of a dry run
				request, err := json.Marshal(s.Request)
				if err != nil {
					return err
				}
				line += " " + string(request)
			}
			if _, err := fmt.Fprintln(e.out, line); err != nil {
				return err
			}
		}
		why := strings.TrimSpace(run.Reason + " " + run.Message)
		switch run.State {
		case "succeeded":
			e.say("The run has succeeded.")
			return nil
		case "failed", "stopped", "attention":
			return fmt.Errorf("run %s is %s: %s: %w", run.ID, run.State, why, errRunFailed)
		case "waiting":
			if why != waits {
				e.say("Waiting: %s", why)
				waits = why
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("run %s goes on, but was not waited for any longer; `seatkeeper runs %s` shows it: %w", run.ID, run.ID, ctx.Err())
		case <-time.After(runPoll):
		}
		run.Steps = nil
		if err := c.Get(ctx, path, nil, &run); err != nil {
			return err
		}
	}
}

func newRunStopCommand(e *env) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "stop ID", Short: "Let no further step of a run start",
		Long:    "Let no further step of a run start. A call that is under way is resolved first:\nwhat it did is known before the run ends.",
		Example: "  seatkeeper runs stop 0190c2… --reason 'wrong person' -n acme",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var run runStatus
			if err := actOnRun(cmd.Context(), e, args[0], "stop", map[string]any{"reason": reason}, &run); err != nil {
				return err
			}
			if run.State == "inflight" {
				e.say("Run %s stops as soon as its call has ended.", run.ID)
				return nil
			}
			e.say("Run %s is %s.", run.ID, run.State)
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return cmd
}

func newRunResolveCommand(e *env) *cobra.Command {
	var how, reason string
	cmd := &cobra.Command{
		Use: "resolve ID", Short: "Say how a run in attention goes on",
		Long:    "Say how a run in attention goes on, after looking at the vendor: retry does the\nstep again, skip goes on as if it were done, fail ends the run.",
		Example: "  seatkeeper runs resolve 0190c2… --how skip -n acme",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if how == "" {
				return usageError{errors.New("--how is missing: retry, skip or fail")}
			}
			var run runStatus
			if err := actOnRun(cmd.Context(), e, args[0], "resolve", map[string]any{"how": how, "reason": reason}, &run); err != nil {
				return err
			}
			e.say("Run %s goes on: %s.", run.ID, how)
			return nil
		},
	}
	cmd.Flags().StringVar(&how, "how", "", "retry, skip or fail (required)")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return cmd
}

func actOnRun(ctx context.Context, e *env, id, verb string, body map[string]any, out *runStatus) error {
	c, namespace, err := e.client(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Post(ctx, listPath(namespace, "runs")+"/"+url.PathEscape(id)+"/"+verb, body, out)
}
