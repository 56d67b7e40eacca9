// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"errors"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// signingName is the sealed value with which a vendor signs its callbacks.
func signingName(integration string) string { return "signing/" + integration }

// PutSigningSecret keeps, sealed, what a vendor signs callbacks of an
// Integration with, so that the gateway verifies them without the API server.
// The same value again writes nothing.
func (s *Store) PutSigningSecret(ctx context.Context, k *Keyring, tenant model.TenantID, integration string, secret []byte) error {
	have, err := s.Sealed(ctx, k, tenant, signingName(integration))
	if err == nil && bytes.Equal(have, secret) {
		return nil
	}
	var lost *UnknownKeyError
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.As(err, &lost) {
		return err
	}
	return s.PutSealed(ctx, k, tenant, signingName(integration), secret)
}

// SigningSecret returns it, or ErrNotFound.
func (s *Store) SigningSecret(ctx context.Context, k *Keyring, tenant model.TenantID, integration string) ([]byte, error) {
	return s.Sealed(ctx, k, tenant, signingName(integration))
}
