// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ConnectorSpec is a connector manifest. What kubectl shows and other
// resources refer to is typed here. The sections that describe the vendor's API
// are free values, because their shape grows with the manifest format and the
// manifest validator checks them far more deeply than a schema can: it compiles
// every expression and names file, path and expected type. A manifest that it
// refuses is Ready=False, reason InvalidManifest. The size of the whole is
// bounded by what the API server stores.
type ConnectorSpec struct {
	// title is what people read.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Title string `json:"title,omitempty"`

	// description is what people read.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Description string `json:"description,omitempty"`

	// category of the connector, such as app, idp, hris or expense.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9-]*$`
	Category string `json:"category,omitempty"`

	// version of the manifest.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9.+_-]*$`
	Version string `json:"version,omitempty"`

	// docsURL where setting up is described.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://`
	DocsURL string `json:"docsURL,omitempty"`

	// domains of the apps whose own accounts the connector delivers.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Domains []DomainName `json:"domains,omitempty"`

	// multiAccount allows several Integrations of the connector side by side.
	// +optional
	MultiAccount bool `json:"multiAccount,omitempty"`

	// verified says against what the manifest was checked: the vendor's API
	// description, its documentation, a live account, or nothing.
	// +optional
	// +kubebuilder:validation:Enum=Spec;Docs;Live;No
	Verified string `json:"verified,omitempty"`

	// config is the schema of Integration.spec.config, by key.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Config map[string]Value `json:"config,omitempty"`

	// auth methods in order; the first whose secrets are all there is used.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Auth []Value `json:"auth,omitempty"`

	// http says where and how requests go: hosts, limits, errors.
	// +optional
	HTTP *Value `json:"http,omitempty"`

	// account says how to find out which remote account the credentials reach.
	// +optional
	Account *Value `json:"account,omitempty"`

	// streams to read, by name.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Streams map[string]Value `json:"streams,omitempty"`

	// actions to take, by name.
	// +optional
	// +kubebuilder:validation:MaxProperties=128
	Actions map[string]Value `json:"actions,omitempty"`

	// webhooks to receive, by name.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Webhooks map[string]Value `json:"webhooks,omitempty"`
}

// ConnectorStatus is what is known of the manifest.
type ConnectorStatus struct {
	CommonStatus `json:",inline"`

	// capabilities that the manifest gives.
	// +optional
	Capabilities *Capabilities `json:"capabilities,omitempty"`

	// integrations that refer to the Connector.
	// +optional
	Integrations int64 `json:"integrations,omitempty"`
}

// Connector is a custom integration as data, for Integrations to refer to with
// connectorRef.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=saas,shortName=skconn
// +kubebuilder:selectablefield:JSONPath=`.spec.category`
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Title",type="string",JSONPath=`.spec.title`
// +kubebuilder:printcolumn:name="Category",type="string",JSONPath=`.spec.category`
// +kubebuilder:printcolumn:name="Version",type="string",JSONPath=`.spec.version`,priority=1
// +kubebuilder:printcolumn:name="Integrations",type="integer",JSONPath=`.status.integrations`,priority=1
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
type Connector struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state.
	// +required
	Spec ConnectorSpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ConnectorStatus `json:"status,omitzero"`
}

// ConnectorList is a list of Connectors.
//
// +kubebuilder:object:root=true
type ConnectorList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Connector `json:"items"`
}
