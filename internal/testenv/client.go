// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

// Client returns a client without a cache that knows the project's kinds and
// those of Kubernetes. Like the manager's, it takes no unknown field.
func (e *Env) Client(t testing.TB) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(e.Config, client.Options{Scheme: scheme, FieldValidation: "Strict"})
	if err != nil {
		t.Fatalf("create client: %v", err)
	}
	return c
}
