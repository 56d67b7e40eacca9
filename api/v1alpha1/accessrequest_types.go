// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AccessRequestSpec asks for an app. It cannot change, so that what was
// approved is what was asked for; deleting it withdraws the request.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec is immutable: delete the request and make another"
type AccessRequestSpec struct {
	// applicationRef names the Application, whose catalog must allow requests.
	// +required
	ApplicationRef ObjectReference `json:"applicationRef,omitzero"`

	// plan that is asked for. Default: the catalog's.
	// +optional
	Plan PlanName `json:"plan,omitempty"`

	// person who gets access.
	// +required
	Person Email `json:"person,omitempty"`

	// requestedBy is the user who asks, as Kubernetes authenticates them.
	// Asking for somebody else needs approval.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	RequestedBy string `json:"requestedBy,omitempty"`

	// reason that approvers read.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`

	// for how long. Default and bound: the catalog's maxGrant.
	// +optional
	For DurationOrDays `json:"for,omitempty"`
}

// ApprovalState is how far an approval is.
//
// +kubebuilder:validation:Enum=Pending;Approved;Rejected;TimedOut;Skipped
type ApprovalState string

// The approval states.
const (
	ApprovalPending  ApprovalState = "Pending"
	ApprovalApproved ApprovalState = "Approved"
	ApprovalRejected ApprovalState = "Rejected"
	ApprovalTimedOut ApprovalState = "TimedOut"
	ApprovalSkipped  ApprovalState = "Skipped"
)

// AccessRequestStatus is how far the request is.
type AccessRequestStatus struct {
	CommonStatus `json:",inline"`

	// approvals in the order in which they are asked for. Who answered stands
	// in the audit, not here.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Approvals []ApprovalStatus `json:"approvals,omitempty"`

	// runID of the run that grants access.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RunID string `json:"runID,omitempty"`

	// granted is when access was granted.
	// +optional
	Granted *metav1.Time `json:"granted,omitempty"`

	// expires is when access ends.
	// +optional
	Expires *metav1.Time `json:"expires,omitempty"`
}

// ApprovalStatus is how far one approval is.
type ApprovalStatus struct {
	// name of the approval, such as Manager or AppOwner.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Name string `json:"name,omitempty"`

	// state of the approval.
	// +required
	State ApprovalState `json:"state,omitempty"`
}

// AccessRequest asks for an app from the catalog.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=saas,shortName=skreq
// +kubebuilder:selectablefield:JSONPath=`.spec.applicationRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.person`
// +kubebuilder:selectablefield:JSONPath=`.spec.requestedBy`
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Application",type="string",JSONPath=`.spec.applicationRef.name`
// +kubebuilder:printcolumn:name="Person",type="string",JSONPath=`.spec.person`
// +kubebuilder:printcolumn:name="RequestedBy",type="string",JSONPath=`.spec.requestedBy`,priority=1
// +kubebuilder:printcolumn:name="Expires",type="string",JSONPath=`.status.expires`,priority=1
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
type AccessRequest struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state.
	// +required
	Spec AccessRequestSpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status AccessRequestStatus `json:"status,omitzero"`
}

// AccessRequestList is a list of AccessRequests.
//
// +kubebuilder:object:root=true
type AccessRequestList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []AccessRequest `json:"items"`
}
