// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package licensepolicy

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

func TestMayRestOn(t *testing.T) {
	zoom := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Name: "zoom", Labels: map[string]string{"tier": "two"}}}
	for name, tt := range map[string]struct {
		spec v1alpha1.LicensePolicySpec
		want bool
	}{
		"names it":             {v1alpha1.LicensePolicySpec{ApplicationRef: &v1alpha1.ObjectReference{Name: "zoom"}}, true},
		"names another":        {v1alpha1.LicensePolicySpec{ApplicationRef: &v1alpha1.ObjectReference{Name: "slack"}}, false},
		"may have selected it": {v1alpha1.LicensePolicySpec{ApplicationSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "one"}}}, true},
	} {
		if got := mayRestOn(zoom, &v1alpha1.LicensePolicy{Spec: tt.spec}); got != tt.want {
			t.Errorf("a policy that %s: %v, want %v", name, got, tt.want)
		}
	}
}
