// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/controllers/integration"
	"github.com/seatkeeper/seatkeeper/controllers/licensepolicy"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// describe returns what the connector of the spec can do.
func describe(sessions *syncer.Sessions, spec handover.Spec) (integration.Connector, *handover.Problem) {
	m, err := sessions.Manifest(spec)
	if err != nil {
		return integration.Connector{}, problemOf(err)
	}
	return integration.Connector{
		Name: m.Name(), MultiAccount: m.MultiAccount(),
		DataTypes: m.Capabilities().DataTypes, Actions: m.Capabilities().Actions, Capabilities: capabilitiesOf(m),
	}, nil
}

// problemOf is what the user is told of an error in opening a session.
func problemOf(err error) *handover.Problem {
	if err == nil {
		return nil
	}
	var open *syncer.OpenError
	if errors.As(err, &open) {
		return &handover.Problem{Reason: open.Reason, Message: open.Error(), Transient: open.Transient}
	}
	return &handover.Problem{Reason: v1alpha1.ReasonTransientError, Message: err.Error(), Transient: true}
}

// capabilitiesOf is the capabilities table, generated from the manifest.
func capabilitiesOf(m *connector.Manifest) *v1alpha1.Capabilities {
	c := m.Capabilities()
	out := &v1alpha1.Capabilities{LastActivity: v1alpha1.LastActivityNotReported, Accounts: v1alpha1.AccountsSingle}
	if slices.ContainsFunc(m.Streams(), func(s connector.StreamInfo) bool { return s.ActivityReported }) {
		out.LastActivity = v1alpha1.LastActivityReported
	}
	if c.MultiAccount {
		out.Accounts = v1alpha1.AccountsMultiple
	}
	for _, t := range c.DataTypes {
		out.DataTypes = append(out.DataTypes, v1alpha1.DataType(t))
	}
	for _, t := range c.CustomFields {
		out.CustomFields = append(out.CustomFields, string(t))
	}
	for _, a := range c.Actions {
		out.Actions = append(out.Actions, v1alpha1.ActionName(a))
	}
	slices.Sort(out.DataTypes)
	slices.Sort(out.CustomFields)
	slices.Sort(out.Actions)
	if hours := int(c.UsageBackfill.Hours()); hours > 0 {
		out.UsageBackfill = v1alpha1.DurationOrDays(strconv.Itoa(hours) + "h")
		if hours%24 == 0 {
			out.UsageBackfill = v1alpha1.DurationOrDays(strconv.Itoa(hours/24) + "d")
		}
	}
	return out
}

// catalog describes the connectors of Integrations to controllers.
type catalog struct{}

// Domains returns the web domains of the connector of an Integration. A
// Connector resource is matched by integrationRefs instead.
func (catalog) Domains(i *v1alpha1.Integration) []string {
	m, err := connectors.Builtin(i.Spec.Connector)
	if err != nil {
		return nil
	}
	return m.Domains()
}

// Action describes an action of the connector of an Integration.
func (catalog) Action(i *v1alpha1.Integration, name string) (licensepolicy.Action, bool) {
	m, err := connectors.Builtin(i.Spec.Connector)
	if err != nil {
		return licensepolicy.Action{}, false
	}
	for _, a := range m.Actions() {
		if a.Name != name {
			continue
		}
		out := licensepolicy.Action{Destructive: a.Destructive, EndsAccount: a.EndsAccount}
		for _, in := range a.Input {
			switch in.Type {
			case inputAccount:
				out.AccountInput = in.Name
			case inputPlan:
				out.PlanInput = in.Name
			}
		}
		return out, true
	}
	return licensepolicy.Action{}, false
}

// Types of action inputs that take what a seat is known by.
const (
	inputAccount = "account"
	inputPlan    = "plan"
)

// manifests validates the manifests of Connector resources.
type manifests struct{}

// Validate implements the Connector controller's Manifests.
func (manifests) Validate(name string, spec json.RawMessage) (*v1alpha1.Capabilities, error) {
	m, err := connector.LoadSpec(name, spec)
	if err != nil {
		return nil, err
	}
	return capabilitiesOf(m), nil
}

// Builtin implements the Connector controller's Manifests.
func (manifests) Builtin() []string { return connectors.Names() }
