// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// changedAccount returns the problem of a credential that opens another remote
// account than the one whose rows are stored (decision 19), unless a person
// accepted exactly that one. Where the connector allows several accounts, the
// way to connect both is shown as well.
func changedAccount(name string, spec handover.Spec, known *handover.Account, found connector.RemoteAccount, multiAccount bool) *handover.Problem {
	if known == nil || known.ID == "" || found.ID == "" || known.ID == found.ID || spec.AcceptAccount == found.ID {
		return nil
	}
	happened := fmt.Sprintf("the credentials now reach account %s, the stored rows are of account %s; nothing was synced and the old rows are kept.",
		label(found.ID, found.Name), label(known.ID, known.Name))
	replace := fmt.Sprintf("kubectl annotate integration %s -n %s --overwrite %s=%s", name, spec.Namespace, acceptAccountAnnotation, shellWord(found.ID))
	if !multiAccount { // a second Integration would be refused
		return &handover.Problem{Reason: ReasonAccountChanged, Verbatim: true, Message: fmt.Sprintf(
			"%s The connector connects one account only: restore the old credentials, or replace the old account: %s", happened, replace)}
	}
	second := secondIntegration(name, spec, found)
	return &handover.Problem{Reason: ReasonAccountChanged, Verbatim: true, Message: fmt.Sprintf(
		"%s To replace the old account: %s. To connect both, restore the old credentials here, put the new ones into a Secret of another name, and apply a second Integration%s: %s",
		happened, replace, second.hint(), second.text)}
}

// printed is an Integration as people apply it.
type printed struct {
	text string
	// secret is the name of the Secret that it expects.
	secret string
	// cut tells that spec.config was too large to print.
	cut bool
}

func (p printed) hint() string {
	var parts []string
	if p.secret != "" {
		parts = append(parts, "its Secret is called "+p.secret)
	}
	if p.cut {
		parts = append(parts, "spec.config is too large to print and has to be copied")
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

// Bounds of what is printed: a condition holds it beside the rest of its
// message. The names are bounded as the API bounds them.
const (
	maxPrinted     = 12 << 10
	maxObjectName  = 253
	maxDisplayName = 128
	maxLabel       = 256
)

// secondIntegration is an Integration for the other account as JSON, which is
// YAML on one line. It repeats what says where and what to read; what may be
// done there a person grants anew.
func secondIntegration(name string, spec handover.Spec, found connector.RemoteAccount) printed {
	type ref struct {
		Name string `json:"name"`
	}
	var doc struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
		Spec struct {
			Connector      string         `json:"connector,omitempty"`
			ConnectorRef   *ref           `json:"connectorRef,omitempty"`
			DisplayName    string         `json:"displayName"`
			Config         map[string]any `json:"config,omitempty"`
			CredentialsRef *ref           `json:"credentialsRef,omitempty"`
		} `json:"spec"`
	}
	doc.APIVersion, doc.Kind = "seatkeeper.dev/v1alpha1", "Integration"
	doc.Metadata.Name, doc.Metadata.Namespace = second(name), spec.Namespace
	doc.Spec.Connector, doc.Spec.Config = spec.Connector, spec.Config
	if spec.ConnectorRef != "" {
		doc.Spec.ConnectorRef = &ref{spec.ConnectorRef}
	}
	doc.Spec.DisplayName = clip(cmp.Or(oneLine(found.Name), found.ID), maxDisplayName)
	if both := fmt.Sprintf("%s (%s)", spec.DisplayName, doc.Spec.DisplayName); spec.DisplayName != "" && utf8.RuneCountInString(both) <= maxDisplayName {
		doc.Spec.DisplayName = both
	}
	p := printed{}
	if spec.SecretName != "" {
		p.secret = second(spec.SecretName)
		doc.Spec.CredentialsRef = &ref{p.secret}
	}
	text, err := json.Marshal(doc)
	if err != nil || len(text) > maxPrinted {
		doc.Spec.Config, p.cut = nil, true
		text, _ = json.Marshal(doc) // of strings alone, which always encode
	}
	p.text = string(text)
	return p
}

// second is the name of the second of two.
func second(name string) string {
	const suffix = "-2"
	return strings.TrimRight(name[:min(len(name), maxObjectName-len(suffix))], "-.") + suffix
}

// shellWord quotes what a vendor calls its account for the command line.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._:/@-", r)
	}
	if strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func label(id, name string) string {
	if name = clip(oneLine(name), maxLabel); name == "" || name == id {
		return id
	}
	return fmt.Sprintf("%s (%s)", id, name)
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(s, "�")), " ")
}

// clip cuts after so many characters.
func clip(s string, limit int) string {
	if r := []rune(s); len(r) > limit {
		return string(r[:limit])
	}
	return s
}
