// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	workflowctl "github.com/seatkeeper/seatkeeper/controllers/workflow"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/tokens"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// workflows is the backend of the Workflow and WorkflowRun controllers.
type workflows struct{ store *store.Store }

// Put implements the Workflow controller's Backend.
func (b workflows) Put(ctx context.Context, namespace string, w store.WorkflowState, definition json.RawMessage) (store.WorkflowState, error) {
	tenant, err := b.store.EnsureTenant(ctx, namespace)
	if err != nil {
		return w, err
	}
	return b.store.PutWorkflow(ctx, tenant, w, definition)
}

// Delete implements the Workflow controller's Backend.
func (b workflows) Delete(ctx context.Context, namespace, name string, stop bool, by store.Decider) error {
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return b.store.DeleteWorkflow(ctx, tenant, name, stop, by)
}

// Load implements the Workflow controller's Backend.
func (b workflows) Load(ctx context.Context, namespace, name string) (store.RunCounts, error) {
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if err != nil {
		return store.RunCounts{}, err
	}
	return b.store.WorkflowLoad(ctx, tenant, name)
}

// Tokens implements the Workflow controller's Backend.
func (b workflows) Tokens(ctx context.Context, namespace, name string) (tokens.Known, error) {
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if err != nil {
		return tokens.Known{}, err
	}
	return tokens.Of(ctx, b.store, tenant, name)
}

// Held implements the Workflow controller's Backend.
func (b workflows) Held(ctx context.Context, namespace, name string) (*store.Hold, error) {
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if err != nil {
		return nil, err
	}
	for _, subject := range holdsOf(name) {
		h, err := b.store.Hold(ctx, tenant, subject)
		if err == nil && h.ReleasedAt == nil {
			return &h, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	return nil, nil
}

// holdsOf are what the guard of a Workflow may hold: runs that are to start, and
// accounts that those would take access from which have started.
func holdsOf(name string) []store.HoldSubject {
	return []store.HoldSubject{store.WorkflowHold(name), store.RemovalHold(name)}
}

// Release implements the Workflow controller's Backend.
func (b workflows) Release(ctx context.Context, namespace, name, digest string) error {
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if err != nil {
		return err
	}
	by := model.Actor{Name: "annotation " + v1alpha1.ReleaseAnnotation, Kind: model.ActorUser}
	for _, subject := range holdsOf(name) {
		if released, err := b.store.ReleaseHeld(ctx, tenant, subject, digest, by, "released by annotation of the Workflow"); err != nil || released {
			return err
		}
	}
	return nil
}

// Start implements the WorkflowRun controller's Backend.
func (b workflows) Start(ctx context.Context, namespace string, r workflow.StartRequest) (store.Run, error) {
	tenant, err := b.store.EnsureTenant(ctx, namespace)
	if err != nil {
		return store.Run{}, err
	}
	run, _, err := workflow.Start(ctx, b.store, tenant, r)
	return run, err
}

// Find implements the WorkflowRun controller's Backend.
func (b workflows) Find(ctx context.Context, namespace, name, key string) (store.RunDetail, error) {
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if err != nil {
		return store.RunDetail{}, err
	}
	run, err := b.store.RunByTrigger(ctx, tenant, workflow.KindWorkflow, name, workflow.CallersKey(key))
	if err != nil {
		return store.RunDetail{}, err
	}
	return b.store.Run(ctx, tenant, run.ID)
}

// Stop implements the WorkflowRun controller's Backend.
func (b workflows) Stop(ctx context.Context, namespace, id string, by store.Decider) error {
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if err != nil {
		return err
	}
	_, err = b.store.StopRun(ctx, tenant, id, by)
	return err
}

// stepActions describes the actions of connectors to the Workflow controller.
type stepActions struct{ *catalog }

// Events implements the Workflow controller's Connectors.
func (c stepActions) Events(ctx context.Context, i *v1alpha1.Integration) (names []string, known bool) {
	m := c.manifest(ctx, i)
	if m == nil {
		return nil, false
	}
	return m.Events(), true
}

// Action implements the Workflow controller's Connectors.
func (c stepActions) Action(ctx context.Context, i *v1alpha1.Integration, name string) (out workflowctl.Action, known, ok bool) {
	a, known, ok := c.action(ctx, i, name)
	if !ok {
		return out, known, false
	}
	out = workflowctl.Action{Acts: a.Mode == connector.ModeAct, Destructive: a.Destructive, Grants: a.Effect == connector.EffectGrants, Removes: a.Effect == connector.EffectRemoves}
	for _, in := range a.Input {
		out.Inputs = append(out.Inputs, workflowctl.Input{Name: in.Name, Required: in.Required})
	}
	return out, true, true
}
