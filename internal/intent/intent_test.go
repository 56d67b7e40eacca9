// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"testing"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// What decisions compare with are the words that a Contract may say.
func TestContractWords(t *testing.T) {
	for said, want := range map[v1alpha1.ContractState]string{
		"": model.ContractActive, v1alpha1.ContractDraft: model.ContractDraft, v1alpha1.ContractActive: model.ContractActive, v1alpha1.ContractCancelled: model.ContractCancelled,
	} {
		if got := Contract(&v1alpha1.Contract{Spec: v1alpha1.ContractSpec{State: said}}).State; got != want {
			t.Errorf("state %q is %q, want %q", said, got, want)
		}
	}
	for said, want := range map[v1alpha1.RenewalType]string{
		v1alpha1.RenewalAuto: model.RenewalAuto, v1alpha1.RenewalManual: model.RenewalManual, v1alpha1.RenewalNone: model.RenewalNone,
	} {
		if got := Contract(&v1alpha1.Contract{Spec: v1alpha1.ContractSpec{Renewal: &v1alpha1.ContractRenewal{Type: said}}}).Renewal; got != want {
			t.Errorf("renewal %q is %q, want %q", said, got, want)
		}
	}
	if got := Contract(&v1alpha1.Contract{}).Renewal; got != model.RenewalNone {
		t.Errorf("no renewal is %q", got)
	}
}
