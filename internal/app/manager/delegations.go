// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/defect"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

const (
	// delegationInterval is that of idle work (decision 10); who pastes a
	// credential sees it written as soon.
	delegationInterval = 5 * time.Second
	delegationBatch    = 20
	// delegationPatience is how long after its link's end a credential is kept
	// that cannot be written, for want of a RoleBinding.
	delegationPatience = 24 * time.Hour
	// delegationRetention is how long ended links stay for a look back.
	delegationRetention = 30 * 24 * time.Hour
)

// delegations writes what was supplied behind a link into the Secret that the
// Integration names, and then erases it from the store.
type delegations struct {
	store  *store.Store
	keys   *store.Keyring
	spaces *tenantNames
	// secrets creates, reads and patches Secrets by name, uncached.
	secrets  client.Client
	manifest func(handover.Spec) (*connector.Manifest, error)
	// written is told of an Integration whose Secret changed.
	written func(ctx context.Context, namespace, name string)
	clock   clock.WithTicker
	log     *slog.Logger
}

// NeedLeaderElection tells controller-runtime that only the leader writes.
func (d *delegations) NeedLeaderElection() bool { return true }

// Start writes until ctx ends.
func (d *delegations) Start(ctx context.Context) error {
	ticker := d.clock.NewTicker(delegationInterval)
	defer ticker.Stop()
	for {
		d.writeAll(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

func (d *delegations) writeAll(ctx context.Context) {
	for after := ""; ctx.Err() == nil; {
		waiting, err := d.store.SubmittedDelegations(ctx, after, delegationBatch)
		if err != nil {
			if ctx.Err() == nil {
				d.log.Error("Could not list supplied credentials", "error", err)
			}
			return
		}
		for _, one := range waiting {
			err := defect.Guard(func() error { return d.write(ctx, one) })
			if err != nil && ctx.Err() == nil {
				// No error of these quotes a value.
				d.log.Error("A supplied credential is not written yet", append([]any{"integration", one.Integration, "secret", one.SecretName}, defect.Attrs(err)...)...)
			}
			after = one.ID
		}
		if len(waiting) < delegationBatch {
			return
		}
	}
}

// refusedError says for good why a credential is not written.
type refusedError struct{ reason string }

func (e *refusedError) Error() string { return e.reason }

// write writes one. A crash between the Secret and the erasure writes the same
// once more.
func (d *delegations) write(ctx context.Context, one store.Delegation) error {
	namespace, err := d.spaces.of(ctx, one.Tenant)
	if err != nil {
		return err
	}
	err = d.put(ctx, namespace, one)
	var refused *refusedError
	switch {
	case errors.As(err, &refused):
		d.log.Warn("A supplied credential was refused and erased", "namespace", namespace, "integration", one.Integration, "reason", refused.reason)
		return d.store.FinishDelegation(ctx, one, store.DelegationRefused, refused.reason)
	case err != nil && d.clock.Now().After(one.ExpiresAt.Add(delegationPatience)):
		return d.store.FinishDelegation(ctx, one, store.DelegationRefused, "the Secret could not be written in time")
	case err != nil:
		return err
	}
	if err := d.store.FinishDelegation(ctx, one, store.DelegationWritten, ""); err != nil {
		return err
	}
	d.log.Info("Wrote a supplied credential", "namespace", namespace, "integration", one.Integration, "secret", one.SecretName)
	d.written(ctx, namespace, one.Integration)
	return nil
}

func (d *delegations) put(ctx context.Context, namespace string, one store.Delegation) error {
	st, err := d.store.IntegrationState(ctx, one.Tenant, one.Integration)
	if errors.Is(err, store.ErrNotFound) || err == nil && st.UID != one.IntegrationUID {
		return &refusedError{"the Integration that the link was for is gone"}
	}
	if err != nil {
		return err
	}
	var spec handover.Spec
	if err := json.Unmarshal(st.Spec, &spec); err != nil {
		return fmt.Errorf("read the spec of integration %q: %w", one.Integration, err)
	}
	if spec.SecretName != one.SecretName {
		return &refusedError{"spec.credentialsRef names another Secret than when the link was made"}
	}
	manifest, err := d.manifest(spec)
	if err != nil {
		return fmt.Errorf("the connector of integration %q: %w", one.Integration, err)
	}
	values, err := d.store.DelegatedCredential(ctx, d.keys, one)
	if errors.Is(err, store.ErrNotFound) {
		return &refusedError{"what was supplied is not there any more"}
	}
	if err != nil {
		return err
	}
	return d.apply(ctx, namespace, one, manifest, values)
}

// apply creates the Secret, or changes one that was made for this Integration.
// Another Secret is not touched: whoever may change the Integration's spec could
// have any Secret of the namespace overwritten otherwise.
func (d *delegations) apply(ctx context.Context, namespace string, one store.Delegation, m *connector.Manifest, values map[string]string) error {
	labels := map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue, v1alpha1.OwnerKindLabel: v1alpha1.KindIntegration, v1alpha1.OwnerNameLabel: one.Integration}
	fresh := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: one.SecretName, Labels: labels}, Type: corev1.SecretTypeOpaque, Data: map[string][]byte{}}
	for k, v := range values {
		fresh.Data[k] = []byte(v)
	}
	owner := client.FieldOwner(v1alpha1.FieldOwnerPrefix + "delegation")
	err := d.secrets.Create(ctx, fresh, owner)
	if err == nil || !apierrors.IsAlreadyExists(err) {
		return secretFailure("create", one.SecretName, err)
	}
	var have corev1.Secret
	if err := d.secrets.Get(ctx, types.NamespacedName{Namespace: namespace, Name: one.SecretName}, &have); err != nil {
		return secretFailure("read", one.SecretName, err)
	}
	for k, v := range labels {
		if have.Labels[k] != v {
			return &refusedError{fmt.Sprintf("the Secret %s exists and was not made for this Integration: delete it, or label it %s=%s,%s=%s,%s=%s, and make a new link", one.SecretName,
				v1alpha1.ManagedByLabel, v1alpha1.ManagedByValue, v1alpha1.OwnerKindLabel, v1alpha1.KindIntegration, v1alpha1.OwnerNameLabel, one.Integration)}
		}
	}
	// Keys of the other ways to sign in go: the connector would take the first
	// way that is complete.
	data := map[string]any{}
	for _, set := range m.SecretSets() {
		for _, f := range m.SecretFields(set.Auth) {
			data[f.Name] = nil
		}
	}
	for k, v := range values {
		data[k] = []byte(v) // encoded as base64, as a Secret's data is
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": have.ResourceVersion}, "data": data})
	if err != nil {
		return fmt.Errorf("encode the Secret %s", one.SecretName) // the cause could quote it
	}
	return secretFailure("change", one.SecretName, d.secrets.Patch(ctx, &have, client.RawPatch(types.MergePatchType, patch), owner))
}

// secretFailure keeps the API server's reason and not its text, which may quote
// what was sent.
func secretFailure(verb, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s the Secret %s: the API server answered %s", verb, name, apierrors.ReasonForError(err))
}
