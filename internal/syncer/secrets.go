// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
)

// SecretReader reads the Secret of an Integration by name, uncached. It returns
// a *SecretNotFoundError or a *SecretDeniedError where that is the matter.
type SecretReader interface {
	ReadSecret(ctx context.Context, namespace, name string) (Secret, error)
}

// Secret is the content of a Secret and its version at the API server.
type Secret struct {
	Data    map[string]string
	Version string
}

// String hides the content from anything that prints the value.
func (s Secret) String() string { return fmt.Sprintf("Secret with %d keys", len(s.Data)) }

// GoString is String for %#v.
func (s Secret) GoString() string { return s.String() }

// SecretNotFoundError says that there is no such Secret.
type SecretNotFoundError struct{ Namespace, Name string }

// Error implements error.
func (e *SecretNotFoundError) Error() string {
	return fmt.Sprintf("there is no Secret %q in namespace %q: create it, for example with kubectl create secret generic %s -n %s --from-literal=KEY=VALUE",
		e.Name, e.Namespace, e.Name, e.Namespace)
}

// SecretDeniedError says that the manager may not read Secrets of the
// namespace, and holds the RoleBinding that lets it.
type SecretDeniedError struct {
	Namespace, Name string
	// ServiceAccount is the manager's own, as namespace and name.
	ServiceAccountNamespace, ServiceAccount string
}

// Error implements error.
func (e *SecretDeniedError) Error() string {
	return fmt.Sprintf("the manager may not read the Secret %q in namespace %q; apply this there: %s", e.Name, e.Namespace, e.RoleBinding())
}

// RoleBinding returns the YAML to apply, in flow style because a condition's
// message has one line.
func (e *SecretDeniedError) RoleBinding() string {
	return fmt.Sprintf("{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: seatkeeper-tenant, namespace: %s}, "+
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: seatkeeper-tenant}, "+
		"subjects: [{kind: ServiceAccount, name: %s, namespace: %s}]}", e.Namespace, e.ServiceAccount, e.ServiceAccountNamespace)
}
