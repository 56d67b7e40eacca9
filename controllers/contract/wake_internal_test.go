// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

func TestOfApplication(t *testing.T) {
	c := &v1alpha1.Contract{Spec: v1alpha1.ContractSpec{ApplicationRef: v1alpha1.ObjectReference{Name: "zoom"}}}
	for name, want := range map[string]bool{"zoom": true, "slack": false} {
		if got := ofApplication(&v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Name: name}}, c); got != want {
			t.Errorf("a change of %s concerns the Contract of zoom: %v, want %v", name, got, want)
		}
	}
}
