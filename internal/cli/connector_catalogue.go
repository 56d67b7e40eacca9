// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Entry is a connector in the catalogue: what can be known of it without
// connecting anything. It is made from the manifest alone.
type Entry struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Category string   `json:"category"`
	Verified string   `json:"verified"`
	Accounts string   `json:"accounts"` // single or multiple
	Domains  []string `json:"domains,omitempty"`
	DocsURL  string   `json:"docsURL,omitempty"` // the page that says how to connect it

	DataTypes []model.DataType `json:"dataTypes"`
	// CustomFields are the data types whose records carry them.
	CustomFields []model.DataType `json:"customFields,omitempty"`
	// LastActivity says whether a missing last activity means never.
	LastActivity string `json:"lastActivity,omitempty"` // Reported or NotReported; empty: it reads no accounts
	// FirstUsage is how far back the first sync reads usage, MaxUsage how far
	// it can be told to; empty: no usage.
	FirstUsage string `json:"firstUsage,omitempty"`
	MaxUsage   string `json:"maxUsage,omitempty"`

	Actions     []EntryAction `json:"actions,omitempty"`
	ActionNames []string      `json:"actionNames,omitempty"`
	ActionCount int           `json:"actionCount"`

	Config   []EntryConfig  `json:"config,omitempty"`
	Secrets  []EntrySecret  `json:"secrets,omitempty"`
	Webhooks []EntryWebhook `json:"webhooks,omitempty"`
}

// EntryWebhook is a way in which the vendor tells at once what happened.
type EntryWebhook struct {
	Name    string   `json:"name"`
	Title   string   `json:"title,omitempty"`
	Secrets []string `json:"secrets,omitempty"` // keys of the Secret that verifying needs
}

// EntryAction is an action of a connector.
type EntryAction struct {
	Name        string `json:"name"`
	Class       string `json:"class"`
	Destructive bool   `json:"destructive,omitempty"`
	EndsAccount bool   `json:"endsAccount,omitempty"`
	Undo        string `json:"undo,omitempty"`
}

// EntryConfig is a field of spec.config.
type EntryConfig struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Required bool     `json:"required,omitempty"`
	Default  any      `json:"default,omitempty"`
	Enum     []string `json:"enum,omitempty"`
	Title    string   `json:"title,omitempty"`
}

// EntrySecret is one way to sign in, and the keys of the Secret that it reads.
type EntrySecret struct {
	Title    string   `json:"title"`
	Required []string `json:"required,omitempty"`
	Optional []string `json:"optional,omitempty"`
}

// Categories are the groups of the catalogue, in its order, with their titles.
var Categories = []struct{ Name, Title string }{
	{"idp", "Identity providers"}, {"hris", "HR"}, {"expense", "Expenses"}, {"app", "Apps"}, {"file", "Files"},
}

// Catalogue lists the built-in connectors by category and name.
func Catalogue() ([]Entry, error) {
	var out []Entry
	for _, name := range connectors.Names() {
		m, err := connectors.Builtin(name)
		if err != nil {
			return nil, err
		}
		out = append(out, entryOf(m))
	}
	order := map[string]int{}
	for i, c := range Categories {
		order[c.Name] = i
	}
	slices.SortStableFunc(out, func(a, b Entry) int { return order[a.Category] - order[b.Category] })
	return out, nil
}

func entryOf(m *connector.Manifest) Entry {
	c := m.Capabilities()
	e := Entry{
		Name: m.Name(), Title: m.Title(), Category: m.Category(), Verified: m.Verified(), Accounts: "single", Domains: m.Domains(), DocsURL: m.DocsURL(),
		DataTypes: c.DataTypes, CustomFields: c.CustomFields,
		FirstUsage: days(m.FirstUsage(time.Now())), MaxUsage: days(c.UsageBackfill),
	}
	if c.MultiAccount {
		e.Accounts = "multiple"
	}
	if slices.Contains(c.DataTypes, model.DataAccounts) || slices.Contains(c.DataTypes, model.DataUsage) {
		e.LastActivity = "NotReported"
	}
	if slices.ContainsFunc(m.Streams(), func(s connector.StreamInfo) bool { return s.ActivityReported }) {
		e.LastActivity = "Reported"
	}
	for _, a := range m.Actions() {
		e.Actions = append(e.Actions, EntryAction{Name: a.Name, Class: string(a.Class), Destructive: a.Destructive, EndsAccount: a.EndsAccount, Undo: a.Undo})
	}
	slices.SortFunc(e.Actions, func(a, b EntryAction) int { return strings.Compare(a.Name, b.Name) })
	for _, a := range e.Actions {
		e.ActionNames = append(e.ActionNames, a.Name)
	}
	e.ActionCount = len(e.Actions)
	for _, f := range m.ConfigFields() {
		e.Config = append(e.Config, EntryConfig{Name: f.Name, Type: f.Type, Required: f.Required, Default: f.Default, Enum: m.ConfigEnum(f.Name), Title: f.Title})
	}
	for _, s := range m.SecretSets() {
		e.Secrets = append(e.Secrets, EntrySecret{Title: s.Title, Required: s.Required, Optional: s.Optional})
	}
	for _, name := range m.Webhooks() {
		w := m.Webhook(name)
		e.Webhooks = append(e.Webhooks, EntryWebhook{Name: name, Title: w.Title(), Secrets: w.SecretNames()})
	}
	return e
}

// days writes a span as whole days where it has them.
func days(d time.Duration) string {
	hours := int(d.Round(time.Hour).Hours())
	switch {
	case hours <= 0:
		return ""
	case hours%24 == 0:
		return strconv.Itoa(hours/24) + "d"
	}
	return strconv.Itoa(hours) + "h"
}

var catalogueColumns = []column{
	{Header: "NAME", Path: "name", Whole: true}, {Header: "CATEGORY", Path: "category"}, {Header: "DATA", Path: "dataTypes"},
	{Header: "ACTIONS", Path: "actionCount"}, {Header: "USAGE", Path: "firstUsage"}, {Header: "ACCOUNTS", Path: "accounts"},
	{Header: "VERIFIED", Path: "verified"},
	{Header: "TITLE", Path: "title", Wide: true}, {Header: "CUSTOM FIELDS", Path: "customFields", Wide: true},
	{Header: "LAST ACTIVITY", Path: "lastActivity", Wide: true}, {Header: "ACTION NAMES", Path: "actionNames", Wide: true},
	{Header: "DOCS", Path: "docsURL", Wide: true},
}

func newConnectorsCommand(e *env) *cobra.Command {
	format, category := formatTable, ""
	cmd := &cobra.Command{
		Use: "connectors [NAME]", GroupID: "look",
		Short: "The catalogue: what each built-in connector reads, what it can do, and what it was checked against",
		Long: `The catalogue of built-in connectors, made from their manifests: category, data
types, custom fields, actions, how far back the first sync reads usage, whether
several accounts can be connected, and what it was checked against. With a NAME
it shows that one, with its config and the keys of its Secret. It needs no
cluster; with -n NAMESPACE a NAME that is not built in is a Connector of that
namespace, and your rights are those of your kubeconfig.`,
		Example: "  seatkeeper connectors\n  seatkeeper connectors okta -o yaml\n  seatkeeper connectors -n acme crm\n  seatkeeper connectors --category idp -o wide",
		Args:    usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := validFormat(format); err != nil {
				return usageError{err}
			}
			return runCatalogue(cmd, e, args, category, format)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", formatTable, "table, wide, json, yaml, csv or name")
	cmd.Flags().StringVar(&category, "category", "", "only idp, hris, expense, app or file")
	return cmd
}

func runCatalogue(cmd *cobra.Command, e *env, args []string, category, format string) error {
	all, err := Catalogue()
	if err != nil {
		return err
	}
	if len(args) == 1 && cmd.Flags().Changed("namespace") && !slices.Contains(connectors.Names(), args[0]) {
		own, err := ownEntry(cmd.Context(), e, args[0])
		if err != nil {
			return err
		}
		all = append(all, own)
	}
	known := category == ""
	for _, c := range Categories {
		known = known || c.Name == category
	}
	if !known {
		return usageError{fmt.Errorf("--category %q: want idp, hris, expense, app or file", category)}
	}
	l := list{Kind: "ConnectorList"}
	for _, entry := range all {
		if category != "" && entry.Category != category || len(args) == 1 && entry.Name != args[0] {
			continue
		}
		it, err := itemOf(entry)
		if err != nil {
			return err
		}
		l.Items = append(l.Items, it)
	}
	if len(args) == 0 {
		return printList(e.out, format, l, catalogueColumns)
	}
	if len(l.Items) == 0 {
		known := slices.ContainsFunc(all, func(e Entry) bool { return e.Name == args[0] })
		if _, err := connectors.Builtin(args[0]); err != nil && !known {
			return usageError{fmt.Errorf("%w; -n NAMESPACE shows a Connector of that namespace", err)}
		}
		return usageError{fmt.Errorf("connector %s is of another category than %s", args[0], category)}
	}
	switch format {
	case formatJSON, formatYAML:
		return printDocument(e.out, format, l.Items[0])
	case formatTable:
		return printDocument(e.out, formatYAML, l.Items[0])
	}
	return printList(e.out, format, l, catalogueColumns)
}

// ownEntry is the entry of a Connector of the namespace, made from its manifest
// like that of a built-in one.
func ownEntry(ctx context.Context, e *env, name string) (Entry, error) {
	loader := e.kube.ToRawKubeConfigLoader()
	namespace, _, err := loader.Namespace()
	if err != nil {
		return Entry{}, fmt.Errorf("read the kubeconfig: %w", err)
	}
	cfg, err := loader.ClientConfig()
	if err != nil {
		return Entry{}, fmt.Errorf("read the kubeconfig: %w", err)
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return Entry{}, fmt.Errorf("read the kubeconfig: %w", err)
	}
	obj, err := client.Resource(v1alpha1.GroupVersion.WithResource("connectors")).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return Entry{}, fmt.Errorf("connector %q is not built in, and namespace %s has no such Connector: %w", name, namespace, err)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("read Connector %q of namespace %s: %w", name, namespace, err)
	}
	spec, err := json.Marshal(obj.Object["spec"])
	if err != nil {
		return Entry{}, fmt.Errorf("encode Connector %q: %w", name, err)
	}
	m, err := connector.LoadSpec(name, spec)
	if err != nil {
		return Entry{}, manifestError(err)
	}
	return entryOf(m), nil
}

// itemOf turns a value into what printers take.
func itemOf(v any) (item, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	var it item
	if err := json.Unmarshal(raw, &it); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return it, nil
}
