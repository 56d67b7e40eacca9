// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/internal/syncer"
)

// secretReader reads Secrets by name, one at a time and uncached: nothing lists
// or watches Secrets (decision 12).
type secretReader struct {
	reader         client.Reader
	serviceAccount types.NamespacedName
}

// ReadSecret implements syncer.SecretReader.
func (r secretReader) ReadSecret(ctx context.Context, namespace, name string) (syncer.Secret, error) {
	var s corev1.Secret
	err := r.reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &s)
	switch {
	case apierrors.IsNotFound(err):
		return syncer.Secret{}, &syncer.SecretNotFoundError{Namespace: namespace, Name: name}
	case apierrors.IsForbidden(err):
		return syncer.Secret{}, &syncer.SecretDeniedError{Namespace: namespace, Name: name,
			ServiceAccountNamespace: r.serviceAccount.Namespace, ServiceAccount: r.serviceAccount.Name}
	case err != nil:
		return syncer.Secret{}, fmt.Errorf("the API server did not give the Secret %q: %w", name, err)
	}
	data := make(map[string]string, len(s.Data))
	for k, v := range s.Data {
		data[k] = string(v)
	}
	return syncer.Secret{Data: data, Version: string(s.UID) + "/" + s.ResourceVersion}, nil
}
