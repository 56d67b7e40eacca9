// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// APIKeyType says which interface a key opens.
//
// +kubebuilder:validation:Enum=SCIM;REST;MCP
type APIKeyType string

// The key types.
const (
	APIKeySCIM APIKeyType = "SCIM"
	APIKeyREST APIKeyType = "REST"
	APIKeyMCP  APIKeyType = "MCP"
)

// APIKeySpec describes a key. Only a digest of the key is kept.
//
// +kubebuilder:validation:XValidation:rule="self.type != 'SCIM' || !has(self.scopes) || self.scopes.all(s, s in ['scim:read', 'scim:write', 'scim:admins'])",message="a key of type SCIM has the scopes scim:read, scim:write and scim:admins, and no others",fieldPath=".scopes"
// +kubebuilder:validation:XValidation:rule="!oldSelf.revoked || self.revoked",message="a revoked key stays revoked; create another",fieldPath=".revoked"
type APIKeySpec struct {
	// type says which interface the key opens. Immutable.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="type is immutable: create another APIKey"
	Type APIKeyType `json:"type,omitempty"`

	// description says what the key is for.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Description string `json:"description,omitempty"`

	// expiresAt is when the key stops working. Unset: it does not expire, which
	// is not recommended.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// overlap is how long the previous key goes on working after a rotation.
	// Default 24h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('720h')",message="must be 720h or less"
	Overlap Duration `json:"overlap,omitempty"`

	// scopes that the key has, such as contracts:read. Unset: read everything,
	// write nothing. A key of type SCIM has some of scim:read, scim:write and
	// scim:admins, which lets it give people roles that administer. Unset:
	// scim:read and scim:write.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[a-z*][a-zA-Z0-9._*-]*(:[a-z*][a-zA-Z0-9._*-]*)?$`
	Scopes []string `json:"scopes,omitempty"`

	// sourceNetworks that the key works from. Unset: from anywhere.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=4
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="must be a network such as 10.0.0.0/8"
	SourceNetworks []string `json:"sourceNetworks,omitempty"`

	// revoked ends the key at once. It cannot be taken back.
	// +optional
	// +kubebuilder:default=false
	Revoked bool `json:"revoked"`

	// deliverTo writes the key to a Secret. Unset: use seatkeeper keys create,
	// which prints it once.
	// +optional
	DeliverTo *KeyDelivery `json:"deliverTo,omitempty"`
}

// KeyDelivery writes a key to a Secret.
type KeyDelivery struct {
	// secretName is the Secret to create, with the key token. It must not exist.
	// +required
	SecretName ResourceName `json:"secretName,omitempty"`

	// deleteAfter this time the Secret is deleted. Default 1h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('168h')",message="must be from 1m to 168h"
	DeleteAfter Duration `json:"deleteAfter,omitempty"`
}

// APIKeyStatus is what is known of a key.
type APIKeyStatus struct {
	CommonStatus `json:",inline"`

	// keyID is the public part of the key, by which the audit names it.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	KeyID string `json:"keyID,omitempty"`

	// previousKeyID is that of the key that still works during an overlap.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PreviousKeyID string `json:"previousKeyID,omitempty"`

	// secretName is the Secret that the key was delivered to.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`
}

// APIKey issues a key for SCIM, REST or MCP.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=apikeys,categories=saas,shortName=skkey
// +kubebuilder:selectablefield:JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Type",type="string",JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Expires",type="string",JSONPath=`.spec.expiresAt`
// +kubebuilder:printcolumn:name="KeyID",type="string",JSONPath=`.status.keyID`,priority=1
// +kubebuilder:printcolumn:name="Description",type="string",JSONPath=`.spec.description`,priority=1
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
type APIKey struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state.
	// +required
	Spec APIKeySpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status APIKeyStatus `json:"status,omitzero"`
}

// APIKeyList is a list of APIKeys.
//
// +kubebuilder:object:root=true
type APIKeyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []APIKey `json:"items"`
}
