// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"slices"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/controllers/integration"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/gateway/webhook"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
	"github.com/seatkeeper/seatkeeper/internal/webhookurl"
)

// hooks wires what handles the events that webhooks receive.
func (w *wiring) hooks() *webhook.Drainer {
	return webhook.NewDrainer(webhook.Drainer{
		Store: w.store, Keyring: w.keys, Manifest: w.sessions.Manifest, Due: w.worker.Wake, Told: w.starter.Hint,
		Clock: w.options.Clock, Log: w.options.Log.With("component", "webhooks"),
	})
}

// addresses wires what makes the addresses of webhooks.
func (w *wiring) addresses() *webhookurl.Minter {
	o := w.options
	return &webhookurl.Minter{
		Secrets: w.GetClient(), Store: w.store, Keyring: w.keys, PublicURL: o.PublicURL, Clock: o.Clock,
		Denied: func(namespace, secret string) error {
			return &syncer.SecretDeniedError{Namespace: namespace, Name: secret, ServiceAccountNamespace: o.ServiceAccount.Namespace, ServiceAccount: o.ServiceAccount.Name}
		},
	}
}

// Webhooks implements integration.Backend.
func (b *integrations) Webhooks(ctx context.Context, namespace, name string, spec handover.Spec) (out integration.Webhooks, _ *handover.Problem, err error) {
	m, err := b.sessions.Manifest(spec)
	if err != nil {
		return out, problemOf(err), nil
	}
	if out.Names = m.Webhooks(); len(out.Names) == 0 {
		return out, nil, nil
	}
	tenant, err := b.store.EnsureTenant(ctx, namespace)
	if err != nil {
		return out, nil, err
	}
	have, err := b.store.SigningSecrets(ctx, b.keys, tenant, name)
	var lost *store.UnknownKeyError
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.As(err, &lost) {
		return out, nil, err
	}
	for _, w := range out.Names {
		for _, key := range m.Webhook(w).RequiredSecrets() {
			if have[key] == "" && !slices.Contains(out.Missing, key) {
				out.Missing = append(out.Missing, key)
			}
		}
	}
	out.Dead, err = b.store.DeadLetters(ctx, tenant, v1alpha1.KindIntegration, name)
	return out, nil, err
}

// workflowHooks is what the Workflow controller needs for webhooks.
type workflowHooks struct {
	*webhookurl.Minter
	store   *store.Store
	keys    *store.Keyring
	secrets syncer.SecretReader
}

func (w *wiring) workflowHooks() workflowHooks {
	return workflowHooks{w.addresses(), w.store, w.keys, secretReader{reader: w.GetAPIReader(), serviceAccount: w.options.ServiceAccount}}
}

// Sign implements the Workflow controller's Webhooks.
func (h workflowHooks) Sign(ctx context.Context, namespace, workflow, secret string) (missing string, problem *webhookurl.Problem, err error) {
	tenant, err := h.store.EnsureTenant(ctx, namespace)
	if err != nil {
		return "", nil, err
	}
	keep := map[string]string{}
	if secret != "" {
		s, err := h.secrets.ReadSecret(ctx, namespace, secret)
		var absent *syncer.SecretNotFoundError
		var denied *syncer.SecretDeniedError
		switch {
		case errors.As(err, &absent):
			problem = &webhookurl.Problem{Reason: v1alpha1.ReasonSecretNotFound, Message: "spec.trigger.webhook.hmac.secretName: " + absent.Error()}
		case errors.As(err, &denied):
			problem = &webhookurl.Problem{Reason: v1alpha1.ReasonSecretAccessDenied, Message: denied.Error()}
		case err != nil:
			return "", nil, err
		}
		if key := s.Data[connector.GenericKey]; key != "" {
			keep[connector.GenericKey] = key
		} else if problem == nil {
			missing = connector.GenericKey
		}
	}
	return missing, problem, h.store.PutSigningSecrets(ctx, h.keys, tenant, store.WorkflowSigning(workflow), keep)
}

// DeadLetters implements the Workflow controller's Webhooks.
func (h workflowHooks) DeadLetters(ctx context.Context, namespace, workflow string) ([]string, error) {
	tenant, err := h.store.EnsureTenant(ctx, namespace)
	if err != nil {
		return nil, err
	}
	return h.store.DeadLetters(ctx, tenant, v1alpha1.KindWorkflow, workflow)
}
