// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
)

var revisionColumns = []column{
	{Header: "REVISION", Path: "revision"}, {Header: "CREATED", Path: "createdAt", Format: minute}, {Header: "AUTHOR", Path: "author"},
}

func newWorkflowHistoryCommand(e *env) *cobra.Command {
	format, limit := formatTable, 0
	cmd := &cobra.Command{
		Use: "history NAME", Short: "List the revisions of a Workflow, newest first",
		Long: `List the revisions of a Workflow, newest first. Every valid spec is a revision,
and stays one. AUTHOR is what applied it, with the commit where the annotation
` + v1alpha1.CommitAnnotation + ` names one.`,
		Example: "  seatkeeper workflow history zoom-leaver -n acme",
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
			l, err := fetchAll(cmd.Context(), c, revisionsPath(namespace, args[0]), url.Values{}, limit)
			if err != nil {
				return err
			}
			return printList(e.out, format, l, revisionColumns)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", formatTable, "table, wide, json, yaml, csv or name")
	cmd.Flags().IntVar(&limit, "limit", 0, "show at most this many; 0 shows all")
	return cmd
}

func newWorkflowDiffCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "diff NAME A [B]", Short: "Show what differs between two revisions of a Workflow",
		Long:    "Show what differs between revision A of a Workflow and B, or the newest.",
		Example: "  seatkeeper workflow diff zoom-leaver 3 4 -n acme",
		Args:    usageArgs(cobra.RangeArgs(2, 3)),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := revisionNumber(args[1])
			if err != nil {
				return usageError{err}
			}
			b := int64(0)
			if len(args) == 3 {
				if b, err = revisionNumber(args[2]); err != nil {
					return usageError{err}
				}
			}
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			text, err := diffRevisions(cmd.Context(), c, namespace, args[0], a, b)
			if err != nil {
				return err
			}
			if text == "" {
				e.say("Nothing differs.")
			}
			_, err = fmt.Fprint(e.out, text)
			return err
		},
	}
}

func newWorkflowRestoreCommand(e *env) *cobra.Command {
	var revision int64
	cmd := &cobra.Command{
		Use: "restore NAME --revision N", Short: "Print the YAML of an earlier revision, to commit",
		Long: `Print the YAML of an earlier revision, to commit or to apply. Nothing is
changed: what a pipeline applies from git would undo it. Runs that are under way
stay on their own revision.`,
		Example: "  seatkeeper workflow restore zoom-leaver --revision 3 -n acme",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if revision < 1 {
				return usageError{errors.New("--revision is missing: a number that `seatkeeper workflow history " + args[0] + "` shows")}
			}
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			r, err := fetchRevision(cmd.Context(), c, namespace, args[0], revision)
			if err != nil {
				return err
			}
			doc, err := revisionYAML(namespace, args[0], r)
			if err != nil {
				return err
			}
			e.say("Revision %d of Workflow %s, of %s. Commit it, or apply it with kubectl.", r.Revision, args[0], r.CreatedAt)
			_, err = e.out.Write(doc)
			return err
		},
	}
	cmd.Flags().Int64Var(&revision, "revision", 0, "revision to print (required)")
	return cmd
}

// revision is one version of a Workflow as the gateway answers it.
type revision struct {
	Revision  int64           `json:"revision"`
	CreatedAt string          `json:"createdAt"`
	Spec      json.RawMessage `json:"spec"`
}

func revisionsPath(namespace, name string) string {
	return listPath(namespace, "workflows") + "/" + url.PathEscape(name) + "/revisions"
}

func revisionNumber(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("revision %q: want a number that `seatkeeper workflow history` shows", s)
	}
	return n, nil
}

func fetchRevision(ctx context.Context, c *queryclient.Client, namespace, name string, n int64) (revision, error) {
	var r revision
	return r, c.Get(ctx, revisionsPath(namespace, name)+"/"+strconv.FormatInt(n, 10), nil, &r)
}

// revisionYAML is the Workflow as it was written, but for the order of fields.
func revisionYAML(namespace, name string, r revision) ([]byte, error) {
	doc := map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": v1alpha1.KindWorkflow,
		"metadata": map[string]any{"name": name, "namespace": namespace}, "spec": r.Spec,
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return yaml.JSONToYAML(raw)
}

// diffRevisions is what differs, empty if nothing; a b of 0 is the newest.
func diffRevisions(ctx context.Context, c *queryclient.Client, namespace, name string, a, b int64) (string, error) {
	if b == 0 {
		var newest struct {
			Items []revision `json:"items"`
		}
		if err := c.Get(ctx, revisionsPath(namespace, name), url.Values{"limit": {"1"}}, &newest); err != nil {
			return "", err
		}
		if len(newest.Items) > 0 {
			b = newest.Items[0].Revision
		}
	}
	var docs [2][]byte
	for i, n := range []int64{a, b} {
		r, err := fetchRevision(ctx, c, namespace, name, n)
		if err != nil {
			return "", err
		}
		if docs[i], err = revisionYAML(namespace, name, r); err != nil {
			return "", err
		}
	}
	return string(diff.Diff(fmt.Sprintf("%s revision %d", name, a), docs[0], fmt.Sprintf("%s revision %d", name, b), docs[1])), nil
}
