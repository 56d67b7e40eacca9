// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seatkeeper/seatkeeper/internal/tokens"
)

var errUnreceived = errors.New("expressions read what was never received")

var tokenColumns = []column{
	{Header: "IN THE TRIGGER", Path: "trigger", Whole: true}, {Header: "ELSEWHERE", Path: "expression", Whole: true}, {Header: "TYPE", Path: "type"}, {Header: "LAST SEEN", Path: "lastSeen"},
	{Header: "FIRST SEEN", Path: "firstSeen", Wide: true}, {Header: "PATH", Path: "path", Wide: true},
}

// tokenList is what the gateway tells of a Workflow's webhook.
type tokenList struct {
	list
	Full       bool             `json:"full,omitempty"`
	Unreceived []tokens.Finding `json:"unreceived"`
}

func newWorkflowTokensCommand(e *env) *cobra.Command {
	format, check := formatTable, false
	cmd := &cobra.Command{
		Use: "tokens NAME", Short: "List what the webhook of a Workflow received, as expressions write it",
		Long: `List what the webhook of a Workflow received: each part of a body as the
templates of spec.trigger.webhook write it, and as every other expression does,
with its type. A condition such as spec.when takes it without ${ }. No value is
kept, and no key that looks like one: [0] is any element of a list, "KEY" any
key that is data.

--check lists the expressions that read what no body had, and fails if there are
any. A test teaches too: seatkeeper webhooks test.`,
		Example: "  seatkeeper workflow tokens new-hire -n acme\n  seatkeeper workflow tokens new-hire --check -n acme",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := validFormat(format); err != nil {
				return usageError{err}
			}
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			var l tokenList
			if err := c.Get(cmd.Context(), listPath(namespace, "workflows")+"/"+url.PathEscape(args[0])+"/tokens", nil, &l); err != nil {
				return err
			}
			if check {
				return checkTokens(e, args[0], l)
			}
			return showTokens(e, format, args[0], l)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", formatTable, "table, wide, json, yaml, csv or name")
	cmd.Flags().BoolVar(&check, "check", false, "list expressions that read what was never received, and fail if there are any")
	return cmd
}

func showTokens(e *env, format, name string, l tokenList) error {
	if format == formatJSON || format == formatYAML {
		if l.Items == nil {
			l.Items = []item{}
		}
		return printDocument(e.out, format, l)
	}
	if l.Full {
		e.say("More came than is kept.")
	}
	for _, f := range l.Unreceived {
		e.say("%s", f)
	}
	if len(l.Items) == 0 && (format == formatTable || format == formatWide) {
		e.say("Nothing was received yet. Send a test: seatkeeper webhooks test %s -f body.json", name)
		return nil
	}
	return printList(e.out, format, l.list, tokenColumns)
}

func checkTokens(e *env, name string, l tokenList) error {
	for _, f := range l.Unreceived {
		if _, err := fmt.Fprintln(e.out, f); err != nil {
			return err
		}
	}
	switch {
	case len(l.Unreceived) > 0:
		return fmt.Errorf("%d %w, in Workflow %s", len(l.Unreceived), errUnreceived, name)
	case len(l.Items) == 0:
		e.say("Nothing was received yet, so nothing could be checked.")
	default:
		e.say("Every expression reads what was received.")
	}
	return nil
}

// webhookTest is what the gateway answers to a test.
type webhookTest struct {
	Outcome string     `json:"outcome"`
	Reason  string     `json:"reason"`
	Message string     `json:"message"`
	Due     *time.Time `json:"due"`
	Person  *struct {
		Email       string            `json:"email"`
		DisplayName string            `json:"displayName"`
		By          string            `json:"by"`
		Value       string            `json:"value"`
		Created     bool              `json:"created"`
		Fields      map[string]string `json:"fields"`
	} `json:"person"`
	When *struct {
		Expression string `json:"expression"`
		Result     bool   `json:"result"`
		Error      string `json:"error"`
		Reads      []struct {
			Path   string `json:"path"`
			Value  any    `json:"value"`
			Absent bool   `json:"absent"`
		} `json:"reads"`
	} `json:"when"`
	Guard *struct {
		Allowed int64  `json:"allowed"`
		Started int64  `json:"started"`
		Per     string `json:"per"`
	} `json:"guard"`
	Event struct {
		ID     string `json:"id"`
		Window string `json:"window"`
		CopyOf string `json:"copyOf"`
	} `json:"event"`
	Paths []struct {
		Path string `json:"path"`
		Type string `json:"type"`
		New  bool   `json:"new"`
	} `json:"paths"`
}

func newWebhookTestCommand(e *env) *cobra.Command {
	file, format, contentType := "", formatTable, "application/json"
	cmd := &cobra.Command{
		Use: "test WORKFLOW", Short: "Show what a body would lead to if it were sent to a Workflow",
		Long: `Show what a body would lead to if it were sent to a Workflow with trigger
webhook, by the code that deliveries go through: whom it is about, or of what
somebody would be made known, how spec.when comes out and what it read, what the
guard lets pass, and what a repeated delivery is known by. Nothing is started
and nobody is made known. What the body has is learned; see seatkeeper workflow
tokens.`,
		Example: "  seatkeeper webhooks test new-hire -f body.json -n acme\n  echo '{\"email\": \"ada@acme.example\"}' | seatkeeper webhooks test new-hire -f - -n acme",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case file == "":
				return usageError{errors.New("--file is missing: the file with the body, or - for standard input")}
			case format != formatTable && format != formatJSON && format != formatYAML:
				return usageError{fmt.Errorf("-o %s: want table, json or yaml", format)}
			}
			in := cmd.InOrStdin()
			if file != "-" {
				f, err := os.Open(file) //nolint:gosec // the user names it
				if err != nil {
					return err
				}
				defer func() { _ = f.Close() }()
				in = f
			}
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			var answer json.RawMessage
			if err := c.Send(cmd.Context(), listPath(namespace, "workflows")+"/"+url.PathEscape(args[0])+"/test", contentType, in, &answer); err != nil {
				return err
			}
			if format != formatTable {
				return printDocument(e.out, format, answer)
			}
			var t webhookTest
			if err := json.Unmarshal(answer, &t); err != nil {
				return err
			}
			e.say("This was a test: nothing was started.")
			return t.print(e.out)
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "file with the body, or - for standard input (required)")
	cmd.Flags().StringVar(&contentType, "content-type", contentType, "what the body is, as its sender says")
	cmd.Flags().StringVarP(&format, "output", "o", formatTable, "table, json or yaml")
	return cmd
}

// outcomes says to people what would happen.
var outcomes = map[string]string{
	"Starts": "a run would start", "Waits": "a run would start later", "Held": "the guard would hold the run", "Skipped": "no run would start", "Nothing": "no run would start",
}

func (t webhookTest) print(out io.Writer) error {
	var lines [][2]string
	add := func(label, format string, args ...any) {
		lines = append(lines, [2]string{label, fmt.Sprintf(format, args...)})
	}
	outcome := cmp.Or(outcomes[t.Outcome], t.Outcome)
	if t.Due != nil {
		outcome += ", " + t.Due.UTC().Format(time.RFC3339)
	}
	if t.Reason != "" {
		outcome += ", " + t.Reason
	}
	if t.Message != "" {
		outcome += ": " + t.Message
	}
	add("Outcome", "%s", outcome)
	if p := t.Person; p != nil {
		how := "matched"
		if p.Created {
			how = "would be made known: nobody was found"
		}
		add("Person", "%s, %s by %s %q", cmp.Or(p.Email, p.DisplayName), how, p.By, p.Value)
		for _, name := range slices.Sorted(maps.Keys(p.Fields)) {
			add("", "%s = %q", name, p.Fields[name])
		}
	}
	if w := t.When; w != nil {
		add("When", "%s: %s", cmp.Or(w.Error, fmt.Sprint(w.Result)), w.Expression)
		for _, r := range w.Reads {
			value, err := json.Marshal(r.Value)
			if err != nil {
				return err
			}
			if r.Absent {
				value = []byte("absent")
			}
			add("", "%s = %s", r.Path, value)
		}
	}
	if g := t.Guard; g != nil {
		add("Guard", "%d runs may start in %s, %d have", g.Allowed, g.Per, g.Started)
	}
	switch {
	case t.Event.ID != "":
		add("Event", "known by the id %q", t.Event.ID)
	default:
		add("Event", "has no id: the same bytes are the same event for %s", t.Event.Window)
	}
	label := "Received"
	for _, p := range t.Paths {
		text := p.Path + ": " + p.Type
		if p.New {
			text += " (new)"
		}
		add(label, "%s", text)
		label = ""
	}
	for _, l := range lines {
		if _, err := fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("%-9s %s", l[0], oneLine(l[1])), " ")); err != nil {
			return err
		}
	}
	return nil
}
