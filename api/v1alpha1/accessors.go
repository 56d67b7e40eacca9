// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The accessors below let shared code read and write conditions and the common
// part of any kind's status.

// GetConditions returns the status conditions.
func (in *AccessRequest) GetConditions() []metav1.Condition { return in.Status.Conditions }

// SetConditions replaces the status conditions.
func (in *AccessRequest) SetConditions(conditions []metav1.Condition) {
	in.Status.Conditions = conditions
}

// GetCommonStatus returns the part of the status that every kind shares, for
// reading and writing.
func (in *AccessRequest) GetCommonStatus() *CommonStatus { return &in.Status.CommonStatus }

// GetConditions returns the status conditions.
func (in *APIKey) GetConditions() []metav1.Condition { return in.Status.Conditions }

// SetConditions replaces the status conditions.
func (in *APIKey) SetConditions(conditions []metav1.Condition) { in.Status.Conditions = conditions }

// GetCommonStatus returns the part of the status that every kind shares, for
// reading and writing.
func (in *APIKey) GetCommonStatus() *CommonStatus { return &in.Status.CommonStatus }

// GetConditions returns the status conditions.
func (in *Application) GetConditions() []metav1.Condition { return in.Status.Conditions }

// SetConditions replaces the status conditions.
func (in *Application) SetConditions(conditions []metav1.Condition) {
	in.Status.Conditions = conditions
}

// GetCommonStatus returns the part of the status that every kind shares, for
// reading and writing.
func (in *Application) GetCommonStatus() *CommonStatus { return &in.Status.CommonStatus }

// GetConditions returns the status conditions.
func (in *Connector) GetConditions() []metav1.Condition { return in.Status.Conditions }

// SetConditions replaces the status conditions.
func (in *Connector) SetConditions(conditions []metav1.Condition) { in.Status.Conditions = conditions }

// GetCommonStatus returns the part of the status that every kind shares, for
// reading and writing.
func (in *Connector) GetCommonStatus() *CommonStatus { return &in.Status.CommonStatus }

// GetConditions returns the status conditions.
func (in *Contract) GetConditions() []metav1.Condition { return in.Status.Conditions }

// SetConditions replaces the status conditions.
func (in *Contract) SetConditions(conditions []metav1.Condition) { in.Status.Conditions = conditions }

// GetCommonStatus returns the part of the status that every kind shares, for
// reading and writing.
func (in *Contract) GetCommonStatus() *CommonStatus { return &in.Status.CommonStatus }

// GetConditions returns the status conditions.
func (in *Integration) GetConditions() []metav1.Condition { return in.Status.Conditions }

// SetConditions replaces the status conditions.
func (in *Integration) SetConditions(conditions []metav1.Condition) {
	in.Status.Conditions = conditions
}

// GetCommonStatus returns the part of the status that every kind shares, for
// reading and writing.
func (in *Integration) GetCommonStatus() *CommonStatus { return &in.Status.CommonStatus }

// GetConditions returns the status conditions.
func (in *LicensePolicy) GetConditions() []metav1.Condition { return in.Status.Conditions }

// SetConditions replaces the status conditions.
func (in *LicensePolicy) SetConditions(conditions []metav1.Condition) {
	in.Status.Conditions = conditions
}

// GetCommonStatus returns the part of the status that every kind shares, for
// reading and writing.
func (in *LicensePolicy) GetCommonStatus() *CommonStatus { return &in.Status.CommonStatus }

// GetConditions returns the status conditions.
func (in *Organization) GetConditions() []metav1.Condition { return in.Status.Conditions }

// SetConditions replaces the status conditions.
func (in *Organization) SetConditions(conditions []metav1.Condition) {
	in.Status.Conditions = conditions
}

// GetCommonStatus returns the part of the status that every kind shares, for
// reading and writing.
func (in *Organization) GetCommonStatus() *CommonStatus { return &in.Status.CommonStatus }

// GetConditions returns the status conditions.
func (in *Workflow) GetConditions() []metav1.Condition { return in.Status.Conditions }

// SetConditions replaces the status conditions.
func (in *Workflow) SetConditions(conditions []metav1.Condition) { in.Status.Conditions = conditions }

// GetCommonStatus returns the part of the status that every kind shares, for
// reading and writing.
func (in *Workflow) GetCommonStatus() *CommonStatus { return &in.Status.CommonStatus }

// GetConditions returns the status conditions.
func (in *WorkflowRun) GetConditions() []metav1.Condition { return in.Status.Conditions }

// SetConditions replaces the status conditions.
func (in *WorkflowRun) SetConditions(conditions []metav1.Condition) {
	in.Status.Conditions = conditions
}

// GetCommonStatus returns the part of the status that every kind shares, for
// reading and writing.
func (in *WorkflowRun) GetCommonStatus() *CommonStatus { return &in.Status.CommonStatus }
