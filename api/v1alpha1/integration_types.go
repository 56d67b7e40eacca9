// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Permission says what an Integration may do at the vendor.
//
// +kubebuilder:validation:Enum=Read;ReadAndAct
type Permission string

// The permissions.
const (
	// PermissionRead sends no write, whatever a policy or workflow says.
	PermissionRead Permission = "Read"
	// PermissionReadAndAct allows the connector's actions, except destructive
	// ones that are not named in destructiveActions.
	PermissionReadAndAct Permission = "ReadAndAct"
)

// DataType is a kind of record that a source delivers.
//
// +kubebuilder:validation:Enum=people;accounts;plans;licenses;groups;memberships;usage;apps;transactions;contracts
type DataType string

// The data types.
const (
	DataPeople       DataType = "people"
	DataAccounts     DataType = "accounts"
	DataPlans        DataType = "plans"
	DataLicenses     DataType = "licenses"
	DataGroups       DataType = "groups"
	DataMemberships  DataType = "memberships"
	DataUsage        DataType = "usage"
	DataApps         DataType = "apps"
	DataTransactions DataType = "transactions"
	DataContracts    DataType = "contracts"
)

// IntegrationSpec is one connected account of one connector.
//
// +kubebuilder:validation:ExactlyOneOf=connector;connectorRef
// +kubebuilder:validation:XValidation:rule="has(self.connector) == has(oldSelf.connector) && (!has(self.connector) || self.connector == oldSelf.connector)",message="connector is immutable: create a second Integration for another connector"
// +kubebuilder:validation:XValidation:rule="has(self.connectorRef) == has(oldSelf.connectorRef) && (!has(self.connectorRef) || self.connectorRef.name == oldSelf.connectorRef.name)",message="connectorRef is immutable: create a second Integration for another connector"
// +kubebuilder:validation:XValidation:rule="!has(self.destructiveActions) || size(self.destructiveActions) == 0 || (has(self.permission) && self.permission == 'ReadAndAct')",message="destructiveActions need permission ReadAndAct"
type IntegrationSpec struct {
	// connector is the name of a built-in connector. Immutable.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Connector string `json:"connector,omitempty"`

	// connectorRef names a Connector of this namespace. Immutable.
	// +optional
	ConnectorRef *ObjectReference `json:"connectorRef,omitempty"`

	// displayName is what people read; it may change, the identity does not.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	DisplayName string `json:"displayName,omitempty"`

	// config is what the connector needs to know and is not secret. It is
	// checked against the config schema of the connector's manifest.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Config map[string]Value `json:"config,omitempty"`

	// credentialsRef names the Secret with the keys that the connector asks
	// for. A changed Secret is tested and then used.
	// +optional
	CredentialsRef *ObjectReference `json:"credentialsRef,omitempty"`

	// permission says what may be done at the vendor.
	// +optional
	// +kubebuilder:default=Read
	Permission Permission `json:"permission,omitempty"`

	// destructiveActions are the actions that end or erase something and are
	// allowed all the same, named one by one.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	DestructiveActions []ActionName `json:"destructiveActions,omitempty"`

	// acceptPartial goes on after a test in which data types that are not
	// essential failed. They count as Unknown, not as empty.
	// +optional
	AcceptPartial bool `json:"acceptPartial,omitempty"`

	// interval between full listings, jittered by up to 10 %. Default 1h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('5m')",message="must be 5m or more"
	Interval Duration `json:"interval,omitempty"`

	// timeout of one sync. Default: the connector's own, else 6h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s')",message="must be 1s or more"
	Timeout Duration `json:"timeout,omitempty"`

	// retryInterval after a failed sync. Default 5m, growing up to interval.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s')",message="must be 10s or more"
	RetryInterval Duration `json:"retryInterval,omitempty"`

	// dataTypes to fetch. Default: all that the connector has.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	DataTypes []DataType `json:"dataTypes,omitempty"`

	// shrinkGuard holds a sync that would remove too much. Default 20 and 10 %.
	// +optional
	ShrinkGuard *ShrinkGuard `json:"shrinkGuard,omitempty"`

	// reservePercent of the vendor's rate limit is left to others. Default: the
	// connector's own, else 50.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=95
	ReservePercent *int32 `json:"reservePercent,omitempty"`

	// retainFor is how long rows stay restorable after a disconnect. Default
	// 30d; 0d purges at once.
	// +optional
	RetainFor DaysOrNone `json:"retainFor,omitempty"`

	// suspend stops syncs and actions.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ShrinkGuard bounds what one sync may remove. What is allowed is
// max(minItems, maxPercent of the rows known, rounded up), and never more than
// half of them.
type ShrinkGuard struct {
	// minItems may always go. Default 20.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MinItems *int32 `json:"minItems,omitempty"`

	// maxPercent of the rows known may go. Default 10.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=50
	MaxPercent *int32 `json:"maxPercent,omitempty"`
}

// IntegrationStatus is what is known of the connected account.
type IntegrationStatus struct {
	CommonStatus `json:",inline"`

	// connector is the name of the connector, built in or of this namespace.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Connector string `json:"connector,omitempty"`

	// account is the remote account that the credentials reach. Another one
	// after a change of credentials is held with reason AccountChanged.
	// +optional
	Account *RemoteAccount `json:"account,omitempty"`

	// capabilities come from the connector's manifest.
	// +optional
	Capabilities *Capabilities `json:"capabilities,omitempty"`

	// dataTypes says how each data type fares.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	DataTypes []DataTypeStatus `json:"dataTypes,omitempty"`

	// held describes what a guard or a disconnect holds back.
	// +optional
	Held *HeldSet `json:"held,omitempty"`

	// webhook describes the addresses by which the vendor tells what happens,
	// never the addresses themselves. Absent if the connector has no webhook.
	// +optional
	Webhook *WebhookStatus `json:"webhook,omitempty"`

	// digest changes exactly when the data did.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Digest string `json:"digest,omitempty"`
}

// RemoteAccount identifies an account at a vendor.
type RemoteAccount struct {
	// id at the vendor, stable.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	ID string `json:"id,omitempty"`

	// name at the vendor.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name,omitempty"`
}

// Capabilities is what a connector can do.
type Capabilities struct {
	// version of the connector's manifest.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`

	// dataTypes that the connector can fetch.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	DataTypes []DataType `json:"dataTypes,omitempty"`

	// customFields that the connector delivers.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=128
	CustomFields []string `json:"customFields,omitempty"`

	// actions that the connector has.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	Actions []ActionName `json:"actions,omitempty"`

	// usageBackfill is how far back the first sync can see use.
	// +optional
	UsageBackfill DurationOrDays `json:"usageBackfill,omitempty"`

	// lastActivity says whether the source reports when an account was last
	// active. Without it use stays Unknown.
	// +optional
	// +kubebuilder:validation:Enum=Reported;NotReported
	LastActivity string `json:"lastActivity,omitempty"`

	// accounts says whether several Integrations of the connector may stand
	// side by side.
	// +optional
	// +kubebuilder:validation:Enum=Single;Multiple
	Accounts string `json:"accounts,omitempty"`
}

// The values of Capabilities.LastActivity and Capabilities.Accounts.
const (
	LastActivityReported    = "Reported"
	LastActivityNotReported = "NotReported"
	AccountsSingle          = "Single"
	AccountsMultiple        = "Multiple"
)

// DataTypeState says how far a data type's rows can be trusted.
//
// +kubebuilder:validation:Enum=Pending;Fresh;Stale;Disabled;Held
type DataTypeState string

// The data type states.
const (
	// DataTypePending has not completed a first listing.
	DataTypePending DataTypeState = "Pending"
	// DataTypeFresh completed within the time that its interval allows.
	DataTypeFresh DataTypeState = "Fresh"
	// DataTypeStale did not; rows are kept, and use counts as Unknown.
	DataTypeStale DataTypeState = "Stale"
	// DataTypeDisabled failed its test for want of permission or plan, or is
	// left out by spec.dataTypes.
	DataTypeDisabled DataTypeState = "Disabled"
	// DataTypeHeld completed, and the shrink guard holds the result.
	DataTypeHeld DataTypeState = "Held"
)

// DataTypeStatus says how one data type fares.
type DataTypeStatus struct {
	// name of the data type.
	// +required
	Name DataType `json:"name,omitempty"`

	// state of its rows.
	// +required
	State DataTypeState `json:"state,omitempty"`

	// records is the number of rows.
	// +optional
	Records int64 `json:"records"`

	// quarantined is the number of records of the last listing that could not
	// be mapped and were left out.
	// +optional
	Quarantined int64 `json:"quarantined,omitempty"`

	// reason for a state other than Fresh.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// message says what to do about it.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// HeldSet describes what is held back until a person decides. It carries counts
// and a digest; the CLI lists the members.
type HeldSet struct {
	// digest of the held set. Releasing it releases this set and no later one.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Digest string `json:"digest,omitempty"`

	// count of things held.
	// +optional
	Count int64 `json:"count"`

	// total of the subject set.
	// +optional
	Total int64 `json:"total"`

	// allowed without a release.
	// +optional
	Allowed int64 `json:"allowed"`

	// reason of the hold.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`
}

// Integration connects one account of one connector: a workspace, an
// organisation, a tenant. Deleting it disconnects; no remote account changes.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=saas,shortName=skint
// +kubebuilder:selectablefield:JSONPath=`.spec.connector`
// +kubebuilder:selectablefield:JSONPath=`.spec.permission`
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Connector",type="string",JSONPath=`.status.connector`
// +kubebuilder:printcolumn:name="People",type="integer",JSONPath=`.status.dataTypes[?(@.name=="people")].records`
// +kubebuilder:printcolumn:name="Accounts",type="integer",JSONPath=`.status.dataTypes[?(@.name=="accounts")].records`
// +kubebuilder:printcolumn:name="Synced",type="string",JSONPath=`.status.conditions[?(@.type=="Synced")].reason`,priority=1
// +kubebuilder:printcolumn:name="Permission",type="string",JSONPath=`.spec.permission`,priority=1
// +kubebuilder:printcolumn:name="Account",type="string",JSONPath=`.status.account.name`,priority=1
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
type Integration struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state.
	// +required
	Spec IntegrationSpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status IntegrationStatus `json:"status,omitzero"`
}

// IntegrationList is a list of Integrations.
//
// +kubebuilder:object:root=true
type IntegrationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Integration `json:"items"`
}
