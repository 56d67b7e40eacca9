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

// asked are the lists of what people are asked.
func asked(name, alias, short, example string) resource {
	return resource{
		Name: name, Aliases: []string{alias}, One: true, Short: short,
		Long: short + ".\n\nThose that you are asked are shown: your user name is your e-mail address in\n" +
			"the directory. --all shows everybody's, to those who may list runs. Only who was\nasked can decide.",
		Example: example,
		Columns: []column{
			{Header: "ID", Path: "id", Whole: true}, {Header: "OF", Path: "of"}, {Header: "ABOUT", Path: "about"},
			{Header: "DEADLINE", Path: "deadline", Format: minute}, {Header: "ANSWER", Path: "answer", Or: "state"}, {Header: "STATE", Path: "state", Wide: true},
			{Header: "TITLE", Path: "title", Wide: true}, {Header: "RUN", Path: "runID", Wide: true}, {Header: "CREATED", Path: "createdAt", Format: minute, Wide: true},
		},
		Filters: []filter{
			{"state", "state", "open, answered, expired or withdrawn (default: open)"},
			{"all", "all", "what anybody is asked: true or false"},
		},
	}
}

// promptResources are the lists that have list, show and decide below them.
var promptResources = []resource{
	asked("approvals", "approval", "Approvals that runs wait for", "  seatkeeper approvals list -n acme\n  seatkeeper approvals decide 0f3a… --choice Approve -n acme"),
	asked("reviews", "review", "Questions about seats, and of Workflows", "  seatkeeper reviews list -n acme\n  seatkeeper reviews decide 0f3a… --choice Keep -n acme"),
	asked("tasks", "task", "Tasks that people were given", "  seatkeeper tasks list -n acme\n  seatkeeper tasks decide 0f3a… --choice Done --text https://tickets.acme.example/4711 -n acme"),
}

func newPromptsCommand(e *env, r resource) *cobra.Command {
	cmd := newListCommand(e, r)
	list := newListCommand(e, r)
	list.Use, list.Aliases, list.GroupID, list.Args = "list", nil, "", usageArgs(cobra.NoArgs)
	for _, c := range []*cobra.Command{cmd, list} {
		c.Flags().Lookup("all").NoOptDefVal = "true"
	}
	cmd.AddCommand(list, newShowCommand(e, r.Name), newDecideCommand(e, r.Name))
	return cmd
}

// askedStatus is one question, as the gateway shows it.
type askedStatus struct {
	Text       string   `json:"text"`
	State      string   `json:"state"`
	Options    []string `json:"options"`
	Answer     string   `json:"answer"`
	AnsweredBy string   `json:"answeredBy"`
	AnswerText string   `json:"answerText"`
	Closed     string   `json:"closed"`
	Message    string   `json:"message"`
	AskedOf    []struct {
		Name string `json:"name"`
	} `json:"askedOf"`
}

func newShowCommand(e *env, list string) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show what is asked, by whom and why, in words",
		Example: "  seatkeeper " + list + " show 0f3a… -n acme",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			var one askedStatus
			if err := c.Get(cmd.Context(), listPath(namespace, list)+"/"+url.PathEscape(args[0]), nil, &one); err != nil {
				return err
			}
			_, err = fmt.Fprint(e.out, one.words())
			return err
		},
	}
}

// words is the question with how it stands.
func (a askedStatus) words() string {
	names := make([]string, len(a.AskedOf))
	for i, p := range a.AskedOf {
		names[i] = p.Name
	}
	var b strings.Builder
	b.WriteString(strings.TrimRight(a.Text, "\n") + "\n\nAsked of: " + strings.Join(names, ", ") + "\n")
	switch {
	case a.Answer != "":
		fmt.Fprintf(&b, "Answered: %s, by %s", a.Answer, a.AnsweredBy)
		if a.AnswerText != "" {
			b.WriteString(": " + a.AnswerText)
		}
		b.WriteString("\n")
	case a.Closed != "":
		b.WriteString("Closed: " + a.Closed + "\n")
	default:
		b.WriteString("Open. Choices: " + strings.Join(a.Options, ", ") + "\n")
	}
	return b.String()
}

func newDecideCommand(e *env, list string) *cobra.Command {
	var choice, text string
	cmd := &cobra.Command{
		Use: "decide ID", Short: "Answer what you are asked",
		Long: "Answer what you are asked. Only who was asked can: others are told who that is,\n" +
			"and nothing changes. --text is your reason, or the evidence of a task: a text or\na link.",
		Example: "  seatkeeper " + list + " decide 0f3a… --choice " + map[string]string{"approvals": "Approve", "reviews": "Keep", "tasks": "Done"}[list] + " -n acme",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if choice == "" {
				return usageError{errors.New("--choice is missing: `seatkeeper " + list + " show " + args[0] + "` says what there is to choose from")}
			}
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			var one askedStatus
			if err := c.Post(cmd.Context(), listPath(namespace, list)+"/"+url.PathEscape(args[0])+"/decide", map[string]string{"choice": choice, "text": text}, &one); err != nil {
				return err
			}
			e.say("%s", one.Message)
			return nil
		},
	}
	cmd.Flags().StringVar(&choice, "choice", "", "one of the choices (required)")
	cmd.Flags().StringVar(&text, "text", "", "reason, or evidence: a text or a link")
	return cmd
}
