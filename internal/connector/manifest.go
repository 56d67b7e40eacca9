// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"slices"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Manifest is a validated and compiled connector. It is immutable and safe
// for concurrent use.
type Manifest struct {
	name, title, category, verified, native string
	docsURL                                 string
	multiAccount                            bool
	domains                                 []string
	config                                  []configField
	auth                                    []authMethod
	http                                    httpSpec
	account                                 *accountSpec
	streams                                 []*stream
	actions                                 []*action
	webhooks                                []*Webhook
}

// configField is one field of spec.config.
type configField struct {
	InputField
	enum    []string
	minimum *int
	maximum *int
	pattern string
	example string
}

// Name returns the connector's name, such as okta.
func (m *Manifest) Name() string { return m.name }

// Title returns the name for people.
func (m *Manifest) Title() string { return m.title }

// Category returns idp, hris, app, expense or file.
func (m *Manifest) Category() string { return m.category }

// MultiAccount reports whether several accounts may be connected at once.
func (m *Manifest) MultiAccount() bool { return m.multiAccount }

// Domains returns the web domains by which the app is recognised.
func (m *Manifest) Domains() []string { return slices.Clone(m.domains) }

// Verified says against what the manifest was checked: Spec, Docs, Live or No.
func (m *Manifest) Verified() string { return m.verified }

// builtinDocs is the page of a built-in connector, by its name.
const builtinDocs = "https://github.com/seatkeeper/seatkeeper/blob/main/connectors/%s/README.md"

// DocsURL returns the page that says how to connect the app; empty if nobody
// named one.
func (m *Manifest) DocsURL() string { return m.docsURL }

// ConfigFields describes spec.config.
func (m *Manifest) ConfigFields() []InputField {
	out := make([]InputField, len(m.config))
	for i, f := range m.config {
		out[i] = f.InputField
	}
	return out
}

// SecretSet lists the Secret keys of one way to sign in.
type SecretSet struct {
	Auth               string
	Title              string
	Required, Optional []string
}

// SecretSets lists the ways to sign in; any one of them will do.
func (m *Manifest) SecretSets() []SecretSet {
	var out []SecretSet
	for _, a := range m.auth {
		set := SecretSet{Auth: a.id, Title: cmp.Or(a.title, a.id)}
		for _, s := range a.secrets {
			if s.optional {
				set.Optional = append(set.Optional, s.name)
			} else {
				set.Required = append(set.Required, s.name)
			}
		}
		out = append(out, set)
	}
	return out
}

// Concurrency is how many requests of one session the vendor should meet at
// once; zero: the manifest does not say.
func (m *Manifest) Concurrency() int { return m.http.concurrency }

// Streams returns the streams in the manifest's order.
func (m *Manifest) Streams() []StreamInfo {
	out := make([]StreamInfo, len(m.streams))
	for i, s := range m.streams {
		out[i] = s.info()
	}
	return out
}

func (s *stream) info() StreamInfo {
	return StreamInfo{
		Name: s.name, DataTypes: s.dataTypes(), Essential: s.essential, Optional: s.optional,
		ActivityReported: s.activityReported, Partitioned: s.parent != "" || s.items != nil,
		DeletesByAbsence: s.byAbsence, DeletesPerPartition: s.perPart, MaxDropPercent: s.maxDrop,
		Covers: slices.Clone(s.covers), Mode: s.mode,
	}
}

func (s *stream) dataTypes() []model.DataType {
	var out []model.DataType
	for _, e := range s.emits {
		if !slices.Contains(out, e.rt.dataType) {
			out = append(out, e.rt.dataType)
		}
	}
	return out
}

func (m *Manifest) stream(name string) *stream {
	for _, s := range m.streams {
		if s.name == name {
			return s
		}
	}
	return nil
}

// Actions returns the actions in the manifest's order. Whether one is enabled
// depends on the Integration; here every action reads as enabled.
func (m *Manifest) Actions() []ActionInfo {
	out := make([]ActionInfo, len(m.actions))
	for i, a := range m.actions {
		out[i] = a.ActionInfo
		out[i].Enabled = true
	}
	return out
}

func (m *Manifest) action(name string) *action {
	for _, a := range m.actions {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// Capabilities returns the capabilities table. It is computed from what the
// manifest does, so that it cannot disagree with it.
func (m *Manifest) Capabilities() Capabilities {
	c := Capabilities{MultiAccount: m.multiAccount}
	for _, s := range m.streams {
		for _, e := range s.emits {
			if !slices.Contains(c.DataTypes, e.rt.dataType) {
				c.DataTypes = append(c.DataTypes, e.rt.dataType)
			}
			if e.custom != nil && !slices.Contains(c.CustomFields, e.rt.dataType) {
				c.CustomFields = append(c.CustomFields, e.rt.dataType)
			}
			if e.rt.dataType == model.DataUsage {
				c.UsageBackfill = max(c.UsageBackfill, s.history)
			}
		}
	}
	for _, a := range m.actions {
		c.Actions = append(c.Actions, a.Name)
	}
	slices.Sort(c.DataTypes)
	slices.Sort(c.CustomFields)
	return c
}
