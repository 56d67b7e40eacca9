// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// eventsResource is the list of received events; the verbs are its subcommands.
var eventsResource = resource{
	Name: "events", Aliases: []string{"event"},
	Short: "Events that webhooks received, newest first",
	Long: "Events that webhooks received, newest first. Of an event that was handled only\nthat it came is kept. One that could not be handled is a dead letter: its body\n" +
		"is kept sealed for 30 days, to be replayed when the cause is mended.",
	Example: "  seatkeeper events list -n acme --state dead\n  seatkeeper events show 0190c2… -n acme --body\n  seatkeeper events replay 0190c2… -n acme --reason 'mapping mended'",
	Columns: []column{
		{Header: "ID", Path: "id", Whole: true}, {Header: "ENDPOINT", Path: "endpoint", Whole: true}, {Header: "STATE", Path: "state"},
		{Header: "RECEIVED", Path: "receivedAt", Format: minute}, {Header: "ATTEMPTS", Path: "attempts", Wide: true},
		{Header: "HANDLED", Path: "handledAt", Format: minute, Wide: true}, {Header: "BYTES", Path: "bytes", Wide: true},
		{Header: "NEXT TRY", Path: "nextTry", Format: minute, Wide: true}, {Header: "MESSAGE", Path: "message", Wide: true},
	},
	Filters: []filter{
		{"state", "state", "only new, handled or dead"},
		{"endpoint", "endpoint", "only those of KIND/NAME or KIND/NAME/WEBHOOK, such as Integration/okta"},
	},
}

// newEventsCommand lists, shows and replays received events.
func newEventsCommand(e *env) *cobra.Command {
	cmd := newListCommand(e, eventsResource)
	list := newListCommand(e, eventsResource)
	list.Use, list.Aliases, list.GroupID, list.Example = "list", []string{"ls"}, "", "  seatkeeper events list -n acme --state dead -o wide"
	cmd.AddCommand(list, newEventShowCommand(e), newEventReplayCommand(e))
	return cmd
}

func newEventShowCommand(e *env) *cobra.Command {
	format, body := formatYAML, false
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show what is known of one event",
		Long:    "Show what is known of one event. Its body may name people: --body shows it to\nwhom RBAC allows to get events/body, as the ClusterRole seatkeeper-auditor does,\nand the audit keeps who looked.",
		Example: "  seatkeeper events show 0190c2… -n acme\n  seatkeeper events show 0190c2… -n acme --body",
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
			path := listPath(namespace, "events") + "/" + url.PathEscape(args[0])
			if !body {
				return showOne(cmd.Context(), e, c, path, format)
			}
			var out struct{ Body string }
			if err := c.Get(cmd.Context(), path+"/body", nil, &out); err != nil {
				return err
			}
			_, err = fmt.Fprintln(e.out, out.Body)
			return err
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", formatYAML, "yaml or json")
	cmd.Flags().BoolVar(&body, "body", false, "print the body as it came, and nothing else")
	return cmd
}

func newEventReplayCommand(e *env) *cobra.Command {
	reason := ""
	cmd := &cobra.Command{
		Use: "replay ID", Short: "Have a dead letter handled again",
		Long:    "Have a dead letter handled again, as if it had just come. The audit keeps who\nasked for it and why.",
		Example: "  seatkeeper events replay 0190c2… -n acme --reason 'mapping mended'",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			path := listPath(namespace, "events") + "/" + url.PathEscape(args[0]) + "/replay"
			if err := c.Post(cmd.Context(), path, map[string]string{"reason": reason}, nil); err != nil {
				return err
			}
			e.say("Replayed %s. See how it went with: seatkeeper events show %s -n %s", args[0], args[0], namespace)
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return cmd
}

// webhookKinds are the kinds that have addresses.
var webhookKinds = map[string]string{"integration": "integrations", "workflow": "workflows"}

// newWebhooksCommand asks for new addresses, and tests bodies.
func newWebhooksCommand(e *env) *cobra.Command {
	overlap := ""
	rotate := &cobra.Command{
		Use: "rotate KIND/NAME", Short: "Ask for a new address of an Integration's or a Workflow's webhooks",
		Long: `Ask for a new address of an Integration's or a Workflow's webhooks. The address
before works for the overlap, 24h if you do not say otherwise. Both are in the
Secret NAME-webhook; the command prints neither. It sets an annotation, as you.`,
		Example: "  seatkeeper webhooks rotate integration/okta -n acme --overlap 2h",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, name, ok := strings.Cut(args[0], "/")
			plural := webhookKinds[strings.ToLower(kind)]
			if !ok || plural == "" || !nameRule.MatchString(name) {
				return usageError{fmt.Errorf("%q: want integration/NAME or workflow/NAME", args[0])}
			}
			annotations := map[string]any{"seatkeeper.dev/rotate-webhook": time.Now().UTC().Format(time.RFC3339Nano)}
			if overlap != "" {
				if d, err := time.ParseDuration(overlap); err != nil || d < 0 || d > 720*time.Hour {
					return usageError{fmt.Errorf("--overlap %q: want 0s to 720h, such as 2h", overlap)}
				}
				annotations["seatkeeper.dev/webhook-overlap"] = overlap
			}
			return rotateWebhook(cmd, e, plural, name, annotations)
		},
	}
	rotate.Flags().StringVar(&overlap, "overlap", "", "how long the address before works, 0s to 720h (default 24h)")
	cmd := &cobra.Command{Use: "webhooks", Aliases: []string{"webhook"}, GroupID: "act", Short: "Rotate the addresses at which events are received, and test what they take",
		Args: unknownCommand, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(rotate, newWebhookTestCommand(e))
	return cmd
}

func rotateWebhook(cmd *cobra.Command, e *env, plural, name string, annotations map[string]any) error {
	namespace, _, err := e.kube.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return fmt.Errorf("read the kubeconfig: %w", err)
	}
	cfg, err := e.kube.ToRESTConfig()
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		return err
	}
	gvr := schema.GroupVersionResource{Group: "seatkeeper.dev", Version: "v1alpha1", Resource: plural}
	_, err = client.Resource(gvr).Namespace(namespace).Patch(cmd.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "seatkeeper-cli"})
	if apierrors.IsNotFound(err) {
		return errors.Join(fmt.Errorf("there is no %s %q in namespace %q", strings.TrimSuffix(plural, "s"), name, namespace), err)
	}
	if err != nil {
		return fmt.Errorf("ask for a new address: %w", err)
	}
	e.say("Asked for a new address. It stands in the Secret %s-webhook within seconds, beside the one before:\n  kubectl get secret %s-webhook -n %s -o go-template='{{.data.url|base64decode}}'", name, name, namespace)
	return nil
}
