// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
)

var apiKeysGVR = schema.GroupVersionResource{Group: "seatkeeper.dev", Version: "v1alpha1", Resource: "apikeys"}

// Times of waiting for the manager to see a new APIKey.
const (
	keyWait  = 30 * time.Second
	keyRetry = 500 * time.Millisecond
)

// keysResource is the list of keys; the verbs are its subcommands.
var keysResource = resource{
	Name: "keys", Aliases: []string{"key", "apikeys"},
	Short:   "API keys, with when each was last used and expires",
	Long:    "API keys, with when each was last used and expires. The tokens are not kept:\none is shown when it is made, and never again.",
	Example: "  seatkeeper keys -n acme\n  seatkeeper keys create entra --type SCIM --expires-in 180d -n acme",
	Columns: []column{
		{Header: "NAME", Path: "name", Whole: true}, {Header: "TYPE", Path: "type"}, {Header: "STATE", Path: "state"},
		{Header: "EXPIRES", Path: "expiresAt", Format: minute}, {Header: "LAST USED", Path: "lastUsed", Format: minute},
		{Header: "KEY ID", Path: "keyID", Wide: true}, {Header: "BY", Path: "createdBy", Wide: true},
		{Header: "PREVIOUS", Path: "previousKeyID", Wide: true}, {Header: "UNTIL", Path: "previousEnds", Format: minute, Wide: true},
		{Header: "SCOPES", Path: "scopes", Wide: true}, {Header: "DESCRIPTION", Path: "description", Wide: true},
	},
}

// newKeysCommand lists keys, and makes, rotates and revokes them.
func newKeysCommand(e *env) *cobra.Command {
	cmd := newListCommand(e, keysResource)
	list := newListCommand(e, keysResource)
	list.Use, list.Aliases, list.GroupID, list.Example = "list", []string{"ls"}, "", "  seatkeeper keys list -n acme -o wide"
	cmd.AddCommand(list, newKeyCreateCommand(e), newKeyRotateCommand(e), newKeyRevokeCommand(e))
	return cmd
}

// keySpec is what the flags of create say.
type keySpec struct {
	kind, description, expiresAt, expiresIn, overlap string
	scopes, networks                                 []string
}

func newKeyCreateCommand(e *env) *cobra.Command {
	var k keySpec
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a key and print its token, once",
		Long: `Make a key and print its token, once. It creates the APIKey as you, then has the
gateway make the token. Nobody can see the token again: put it where it is used.
For an APIKey that is there already, from git, the first create makes its token.`,
		Example: "  seatkeeper keys create entra --type SCIM --description 'Entra ID' --expires-in 180d -n acme\n" +
			"  seatkeeper keys create export --type REST --scope contracts:read --source-network 10.0.0.0/8 -n acme",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !nameRule.MatchString(args[0]) {
				return usageError{fmt.Errorf("%q: want a name of small letters, digits and dashes", args[0])}
			}
			spec, err := k.spec(time.Now())
			if err != nil {
				return usageError{err}
			}
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			uid, err := ensureKey(cmd.Context(), e, namespace, args[0], spec)
			if err != nil {
				return err
			}
			return printToken(cmd.Context(), e, c, namespace, args[0], "token", map[string]string{"uid": uid})
		},
	}
	f := cmd.Flags()
	f.StringVar(&k.kind, "type", "", "SCIM, REST or MCP (required for a new key)")
	f.StringVar(&k.description, "description", "", "what the key is for")
	f.StringVar(&k.expiresAt, "expires-at", "", "when it stops working: 2027-12-31 or 2027-12-31T00:00:00Z")
	f.StringVar(&k.expiresIn, "expires-in", "", "after how long it stops working: 180d or 4320h")
	f.StringVar(&k.overlap, "overlap", "", "how long the token before works after a rotation (default 24h)")
	f.StringSliceVar(&k.scopes, "scope", nil, "what the key may: contracts:read; may be repeated (default: read everything, write nothing); with --type SCIM scim:read, scim:write, scim:admins (default: the first two)")
	f.StringSliceVar(&k.networks, "source-network", nil, "network it works from: 10.0.0.0/8; may be repeated (default: anywhere)")
	return cmd
}

// spec is the spec of the APIKey. The API server checks the rest.
func (k keySpec) spec(now time.Time) (map[string]any, error) {
	out := map[string]any{}
	if k.kind != "" {
		if !slices.Contains([]string{"SCIM", "REST", "MCP"}, strings.ToUpper(k.kind)) {
			return nil, fmt.Errorf("--type %q: want SCIM, REST or MCP", k.kind)
		}
		out["type"] = strings.ToUpper(k.kind)
	}
	expires, err := k.expires(now)
	if err != nil {
		return nil, err
	}
	for field, v := range map[string]string{"description": k.description, "overlap": k.overlap, "expiresAt": expires} {
		if v != "" {
			out[field] = v
		}
	}
	for field, list := range map[string][]string{"scopes": k.scopes, "sourceNetworks": k.networks} {
		if len(list) > 0 {
			values := make([]any, len(list))
			for i, v := range list {
				values[i] = v
			}
			out[field] = values
		}
	}
	return out, nil
}

func (k keySpec) expires(now time.Time) (string, error) {
	switch {
	case k.expiresAt != "" && k.expiresIn != "":
		return "", errors.New("--expires-at and --expires-in exclude one another")
	case k.expiresIn != "":
		d, err := lifetime(k.expiresIn)
		if err != nil || d <= 0 || d > maxLifetime {
			return "", fmt.Errorf("--expires-in %q: want 180d or 4320h, at most 100 years", k.expiresIn)
		}
		return now.Add(d).UTC().Truncate(time.Second).Format(time.RFC3339), nil
	case k.expiresAt == "":
		return "", nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, k.expiresAt); err == nil {
			if !at.After(now) {
				return "", fmt.Errorf("--expires-at %s: that is over", k.expiresAt)
			}
			return at.UTC().Format(time.RFC3339), nil
		}
	}
	return "", fmt.Errorf("--expires-at %q: want 2027-12-31 or 2027-12-31T00:00:00Z", k.expiresAt)
}

const maxLifetime = 36500 * 24 * time.Hour

// lifetime reads days, as in 180d, or a duration.
func lifetime(s string) (time.Duration, error) {
	n, ok := strings.CutSuffix(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	days, err := strconv.ParseInt(n, 10, 16) // more would not fit a Duration
	return time.Duration(days) * 24 * time.Hour, err
}

// ensureKey creates the APIKey, with the rights of the user, or finds it, and
// returns its UID.
func ensureKey(ctx context.Context, e *env, namespace, name string, spec map[string]any) (uid string, err error) {
	keys, err := keyResource(e, namespace)
	if err != nil {
		return "", err
	}
	have, err := keys.Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		if len(spec) > 0 {
			return "", usageError{fmt.Errorf("the APIKey %s is there already: change it in git or with kubectl, and leave the flags out to make its token", name)}
		}
		if to, _, _ := unstructured.NestedString(have.Object, "spec", "deliverTo", "secretName"); to != "" {
			return "", fmt.Errorf("the token of the APIKey %s is delivered to the Secret %s: read it there", name, to)
		}
		return string(have.GetUID()), nil
	}
	if !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("look for the APIKey %s: %w", name, err)
	}
	if spec["type"] == nil {
		return "", usageError{fmt.Errorf("--type is missing: there is no APIKey %s yet; want SCIM, REST or MCP", name)}
	}
	made, err := keys.Create(ctx, object("seatkeeper.dev/v1alpha1", "APIKey", namespace, name, spec), metav1.CreateOptions{FieldManager: "seatkeeper-keys"})
	if err != nil {
		return "", fmt.Errorf("create the APIKey %s: %w", name, err)
	}
	text, err := yaml.Marshal(object("seatkeeper.dev/v1alpha1", "APIKey", namespace, name, spec).Object)
	if err != nil {
		return "", err
	}
	e.say("Created; keep it in git:\n---\n%s", text)
	return string(made.GetUID()), nil
}

func keyResource(e *env, namespace string) (dynamic.ResourceInterface, error) {
	cfg, err := e.kube.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return client.Resource(apiKeysGVR).Namespace(namespace), nil
}

// printToken has a token made and prints it alone to standard output. A new
// APIKey the manager may not have seen yet.
func printToken(ctx context.Context, e *env, c *queryclient.Client, namespace, name, verb string, in map[string]string) error {
	var out struct {
		Type, KeyID, Token string
		ExpiresAt          *time.Time
		Previous           string `json:"previousKeyID"`
		PreviousEnds       *time.Time
	}
	path := listPath(namespace, "keys") + "/" + url.PathEscape(name) + "/" + verb
	for deadline := time.Now().Add(keyWait); ; {
		err := c.Post(ctx, path, in, &out)
		if err == nil {
			break
		}
		if !status(http.StatusNotFound)(err) || time.Now().After(deadline) || in["uid"] == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(keyRetry):
		}
	}
	if _, err := io.WriteString(e.out, out.Token+"\n"); err != nil {
		return err
	}
	e.say("Key %s of type %s. This is the only time that its token is shown.", out.KeyID, out.Type)
	if out.ExpiresAt != nil {
		e.say("It works until %s.", out.ExpiresAt.Local().Format("2006-01-02 15:04 MST"))
	} else {
		e.say("It does not expire, which is not recommended: set spec.expiresAt.")
	}
	if out.PreviousEnds != nil {
		e.say("The token before, %s, works until %s.", out.Previous, out.PreviousEnds.Local().Format("2006-01-02 15:04 MST"))
	}
	return nil
}

func newKeyRotateCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate NAME",
		Short: "Make another token of a key and print it, once",
		Long: `Make another token of a key and print it, once. The token before goes on working
for spec.overlap, 24h unless the APIKey says otherwise; an older one ends at
once.`,
		Example: "  seatkeeper keys rotate entra -n acme",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			return printToken(cmd.Context(), e, c, namespace, args[0], "rotate", map[string]string{})
		},
	}
}

func newKeyRevokeCommand(e *env) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "revoke NAME",
		Short: "End every token of a key, at once and for ever",
		Long: `End every token of a key, at once and for ever: from the next request on no
gateway takes it. It also sets spec.revoked of the APIKey; set it in git too.`,
		Example: "  seatkeeper keys revoke entra --reason 'left in a chat' -n acme",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := e.client(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			// The gateway first: it ends the key even while the manager is down.
			if err := c.Post(cmd.Context(), listPath(namespace, "keys")+"/"+url.PathEscape(args[0])+"/revoke", map[string]string{"reason": reason}, nil); err != nil {
				return err
			}
			e.say("Revoked %s: none of its tokens works any more.", args[0])
			keys, err := keyResource(e, namespace)
			if err != nil {
				return err
			}
			_, err = keys.Patch(cmd.Context(), args[0], types.MergePatchType, []byte(`{"spec":{"revoked":true}}`), metav1.PatchOptions{FieldManager: "seatkeeper-keys"})
			if err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("the key is revoked, but spec.revoked of the APIKey %s was not set: %w", args[0], err)
			}
			e.say("Set spec.revoked of the APIKey; set it in git too, or delete the APIKey there.")
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return cmd
}
