// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/connectors"
	connectorctl "github.com/seatkeeper/seatkeeper/controllers/connector"
	"github.com/seatkeeper/seatkeeper/controllers/integration"
	"github.com/seatkeeper/seatkeeper/controllers/licensepolicy"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/store"
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

// catalog describes the connectors of Integrations to controllers, built in or
// a Connector resource alike.
type catalog struct {
	reader client.Reader

	mu  sync.Mutex
	own map[types.UID]ownManifest
}

// ownManifest is the compiled manifest of a Connector resource; nil if it is
// not valid.
type ownManifest struct {
	generation int64
	manifest   *connector.Manifest
}

// manifest returns the manifest of the connector of an Integration, nil if
// there is none: what is wrong with it the Integration's own status says.
func (c *catalog) manifest(ctx context.Context, i *v1alpha1.Integration) *connector.Manifest {
	ref := i.Spec.ConnectorRef
	if ref == nil {
		m, err := connectors.Builtin(i.Spec.Connector)
		if err != nil {
			return nil
		}
		return m
	}
	var own v1alpha1.Connector
	if err := c.reader.Get(ctx, client.ObjectKey{Namespace: i.Namespace, Name: string(ref.Name)}, &own); err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if have, ok := c.own[own.UID]; ok && have.generation == own.Generation {
		return have.manifest
	}
	entry := ownManifest{generation: own.Generation}
	if raw, err := json.Marshal(own.Spec); err == nil {
		if m, err := connector.LoadSpec(own.Name, raw); err == nil {
			entry.manifest = m
		}
	}
	if c.own == nil || len(c.own) >= maxOwnManifests {
		c.own = map[types.UID]ownManifest{}
	}
	c.own[own.UID] = entry
	return entry.manifest
}

// maxOwnManifests bounds the memory that compiled manifests take.
const maxOwnManifests = 200

// Domains returns the web domains of the connector of an Integration.
func (c *catalog) Domains(ctx context.Context, i *v1alpha1.Integration) []string {
	if m := c.manifest(ctx, i); m != nil {
		return m.Domains()
	}
	return nil
}

// Action describes an action of the connector of an Integration.
func (c *catalog) Action(ctx context.Context, i *v1alpha1.Integration, name string) (licensepolicy.Action, bool) {
	a, _, ok := c.action(ctx, i, name)
	out := licensepolicy.Action{Destructive: a.Destructive, EndsAccount: a.EndsAccount}
	for _, in := range a.Input {
		switch in.Type {
		case inputAccount:
			out.AccountInput = in.Name
		case inputPlan:
			out.PlanInput = in.Name
		case inputGroup:
			out.GroupInput = in.Name
		}
	}
	return out, ok
}

// action finds an action of the connector of an Integration. known is false if
// nobody knows what the connector can do.
func (c *catalog) action(ctx context.Context, i *v1alpha1.Integration, name string) (a connector.ActionInfo, known, ok bool) {
	m := c.manifest(ctx, i)
	if m == nil {
		return a, false, false
	}
	for _, a := range m.Actions() {
		if a.Name == name {
			return a, true, true
		}
	}
	return a, true, false
}

// Types of action inputs that take what a seat is known by.
const (
	inputAccount = "account"
	inputPlan    = "plan"
	inputGroup   = "group"
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

// ownConnectors is the Connector controller's Catalogue.
type ownConnectors struct{ store *store.Store }

// PutConnector implements the Connector controller's Catalogue.
func (c ownConnectors) PutConnector(ctx context.Context, namespace string, e connectorctl.Entry) error {
	tenant, err := c.store.EnsureTenant(ctx, namespace)
	if err != nil {
		return err
	}
	return c.store.PutOwnConnector(ctx, tenant, store.OwnConnector(e))
}

// RemoveConnector implements the Connector controller's Catalogue.
func (c ownConnectors) RemoveConnector(ctx context.Context, namespace, name string) error {
	tenant, err := c.store.TenantByNamespace(ctx, namespace)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.store.RemoveOwnConnector(ctx, tenant, name)
}
