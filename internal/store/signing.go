// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// signingName is the sealed value with which deliveries to an owner are
// verified. An Integration's has no kind in it.
func signingName(integration string) string { return "signing/" + integration }

// WorkflowSigning is the name under which a Workflow's secrets are kept: no
// Integration can have it.
func WorkflowSigning(workflow string) string { return "Workflow/" + workflow }

// PutSigningSecrets keeps, sealed, what deliveries and callbacks are verified
// with, by its name in the user's Secret, so that the gateway verifies them
// without the API server. The same values again write nothing.
func (s *Store) PutSigningSecrets(ctx context.Context, k *Keyring, tenant model.TenantID, owner string, secrets map[string]string) error {
	have, err := s.SigningSecrets(ctx, k, tenant, owner)
	if err == nil && maps.Equal(have, secrets) || errors.Is(err, ErrNotFound) && len(secrets) == 0 {
		return nil
	}
	var lost *UnknownKeyError
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.As(err, &lost) {
		return err
	}
	if len(secrets) == 0 {
		return s.DeleteSealed(ctx, tenant, signingName(owner))
	}
	plain, err := json.Marshal(secrets)
	if err != nil {
		return fmt.Errorf("encode the signing secrets of %q", owner) // the cause could quote one
	}
	return s.PutSealed(ctx, k, tenant, signingName(owner), plain)
}

// SigningSecrets returns them, or ErrNotFound.
func (s *Store) SigningSecrets(ctx context.Context, k *Keyring, tenant model.TenantID, owner string) (map[string]string, error) {
	plain, err := s.Sealed(ctx, k, tenant, signingName(owner))
	if err != nil {
		return nil, err
	}
	var out map[string]string
	if err := json.Unmarshal(plain, &out); err != nil {
		return nil, fmt.Errorf("signing secrets of %q: %w", owner, ErrNotFound) // of an older form; the next sync writes it anew
	}
	return out, nil
}

// CallbackSecret is the name of what signs callbacks that no webhook of a
// manifest reads, such as pressed buttons.
const CallbackSecret = "signingSecret"

// SigningSecret returns what signs callbacks of an Integration, or ErrNotFound.
func (s *Store) SigningSecret(ctx context.Context, k *Keyring, tenant model.TenantID, integration string) ([]byte, error) {
	all, err := s.SigningSecrets(ctx, k, tenant, integration)
	if err == nil && all[CallbackSecret] == "" {
		err = fmt.Errorf("signing secret of %q: %w", integration, ErrNotFound)
	}
	return []byte(all[CallbackSecret]), err
}
