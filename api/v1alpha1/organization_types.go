// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OrganizationSpec holds the facts that belong to the tenant itself.
type OrganizationSpec struct {
	// displayName is what people read.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	DisplayName string `json:"displayName,omitempty"`

	// domains are the organisation's own e-mail domains. A person with an
	// address in any other domain is External.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	Domains []DomainName `json:"domains,omitempty"`

	// timeZone applies where a person has none. Default UTC.
	// +optional
	TimeZone TimeZone `json:"timeZone,omitempty"`

	// currency is the one that totals are converted to, with exchangeRates.
	// Unset: amounts of different currencies are never added up.
	// +optional
	Currency CurrencyCode `json:"currency,omitempty"`

	// workday says when a day of work ends and which days are worked.
	// +optional
	Workday *Workday `json:"workday,omitempty"`

	// lifecycleSource is the only source that may change a person's lifecycle.
	// Unset: lifecycle changes by explicit call alone.
	// +optional
	LifecycleSource *LifecycleSource `json:"lifecycleSource,omitempty"`

	// sourceRank says which source wins where several state the same field of a
	// person. The first entry that names the field, or "*", decides.
	// Order is meaning, so the list is replaced as a whole.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	SourceRank []SourceRank `json:"sourceRank,omitempty"`

	// protected people and accounts are never touched by any policy or workflow.
	// +optional
	Protected *Protected `json:"protected,omitempty"`

	// exchangeRates convert amounts for totals. The newest rate that is not
	// later than the day in question is used.
	// +optional
	// +listType=map
	// +listMapKey=from
	// +listMapKey=to
	// +listMapKey=asOf
	// +kubebuilder:validation:MaxItems=512
	ExchangeRates []ExchangeRate `json:"exchangeRates,omitempty"`

	// retention says how long stored rows are kept.
	// +optional
	Retention *Retention `json:"retention,omitempty"`

	// roles that SCIM and the REST API know. Default: Employee, and Admin, which
	// is an administrator.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(r, self.exists_one(o, o.name.lowerAscii() == r.name.lowerAscii()))",message="two roles must not differ in capitals alone"
	// +kubebuilder:validation:XValidation:rule="self.all(r, r.name.lowerAscii() != 'employee' || r.name == 'Employee')",message="the role that everybody has by default is spelled Employee"
	Roles []Role `json:"roles,omitempty"`

	// notifications says where news about the whole organisation go.
	// +optional
	Notifications *Notifications `json:"notifications,omitempty"`

	// scim switches the SCIM server for this tenant.
	// +optional
	SCIM *SCIMSettings `json:"scim,omitempty"`
}

// Workday describes a day of work.
type Workday struct {
	// end is the wall-clock time that EndOfDay stands for, in the person's zone.
	// Default 18:00.
	// +optional
	End TimeOfDay `json:"end,omitempty"`

	// weekdays are the days that are worked. Default Mon to Fri.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=7
	Weekdays []Weekday `json:"weekdays,omitempty"`

	// holidays are not worked: a date such as 2027-03-26, or 12-25 for that day
	// of every year.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=512
	Holidays []Holiday `json:"holidays,omitempty"`
}

// LifecycleSource names the source of truth for who works here.
//
// +kubebuilder:validation:ExactlyOneOf=integration;scim
type LifecycleSource struct {
	// integration is the name of the Integration whose people records decide.
	// +optional
	Integration ResourceName `json:"integration,omitempty"`

	// scim makes the SCIM active flag decide. Leave it out otherwise.
	// +optional
	// +kubebuilder:validation:Enum=true
	SCIM *bool `json:"scim,omitempty"`
}

// SourceRank orders sources for some fields of a person.
type SourceRank struct {
	// fields of a person, or "*" for every field.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Fields []string `json:"fields,omitempty"`

	// sources are Integration names, the most trusted first.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Sources []ResourceName `json:"sources,omitempty"`
}

// Protected lists who and what is never touched. The last administrator of an
// account is protected without being listed.
//
// SCIM changes the directory and no account, so that people alone holds for it:
// a service account that is listed in accounts, or that when matches, must not
// keep its owner from being disabled when they leave.
type Protected struct {
	// people by e-mail address. What SCIM would change about them is refused.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=1024
	People []Email `json:"people,omitempty"`

	// accounts by their id at the vendor. The people whose they are change over SCIM
	// all the same.
	// +optional
	// +listType=map
	// +listMapKey=integration
	// +kubebuilder:validation:MaxItems=256
	Accounts []ProtectedAccounts `json:"accounts,omitempty"`

	// when is a CEL condition over account and person that protects the account
	// that it matches. The person changes over SCIM all the same.
	// +optional
	When Expression `json:"when,omitempty"`
}

// ProtectedAccounts lists accounts of one Integration.
type ProtectedAccounts struct {
	// integration is the name of the Integration.
	// +required
	Integration ResourceName `json:"integration,omitempty"`

	// externalIDs are the vendor's ids of the accounts.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	ExternalIDs []string `json:"externalIDs,omitempty"`
}

// ExchangeRate is the price of one unit of a currency in another.
//
// +kubebuilder:validation:XValidation:rule="self.from != self.to",message="from and to must differ"
type ExchangeRate struct {
	// from is the currency that is converted.
	// +required
	From CurrencyCode `json:"from,omitempty"`

	// to is the currency that results.
	// +required
	To CurrencyCode `json:"to,omitempty"`

	// rate is how many units of to one unit of from is worth, as a decimal.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:Pattern=`^[0-9]{1,12}(\.[0-9]{1,10})?$`
	// +kubebuilder:validation:XValidation:rule="self.matches('[1-9]')",message="must be greater than 0"
	Rate string `json:"rate,omitempty"`

	// asOf is the first day that the rate applies to.
	// +required
	AsOf Date `json:"asOf,omitempty"`
}

// Retention says how long rows are kept.
type Retention struct {
	// usage rows, one per account, app and day. Default 400d.
	// +optional
	Usage Days `json:"usage,omitempty"`

	// audit records. Default 2555d.
	// +optional
	Audit Days `json:"audit,omitempty"`

	// inbox holds received events after they were handled. Default 30d.
	// +optional
	Inbox Days `json:"inbox,omitempty"`
}

// Role is a role that SCIM's userType and the REST API know.
type Role struct {
	// name of the role, compared exactly.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Name string `json:"name,omitempty"`

	// description is what people read.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Description string `json:"description,omitempty"`

	// admin says whether holders of the role are administrators.
	// +optional
	Admin bool `json:"admin,omitempty"`
}

// Notifications says where news go.
type Notifications struct {
	// channels that hear of held guards, failures and renewals.
	// The list is replaced as a whole.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Channels []NotificationChannel `json:"channels,omitempty"`

	// smtpSecretName is the Secret of the mail server, with the keys url
	// (smtp://HOST:587 or smtps://HOST:465), from, username, password and, for an
	// authority of your own, ca.crt. Without it nothing is sent by e-mail.
	// +optional
	SMTPSecretName ResourceName `json:"smtpSecretName,omitempty"`
}

// NotificationChannel is a chat channel or a mailbox.
//
// +kubebuilder:validation:ExactlyOneOf=integration;email
// +kubebuilder:validation:XValidation:rule="has(self.integration) == has(self.channel)",message="channel must be set with integration, and only with it"
type NotificationChannel struct {
	// integration that posts the message, such as one for Slack.
	// +optional
	Integration ResourceName `json:"integration,omitempty"`

	// channel at the vendor, as the vendor names it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Channel string `json:"channel,omitempty"`

	// email is a mailbox.
	// +optional
	Email Email `json:"email,omitempty"`
}

// SCIMSettings switches the SCIM server.
type SCIMSettings struct {
	// enabled serves SCIM 2.0 for this tenant to keys of type SCIM.
	// +optional
	Enabled bool `json:"enabled,omitempty"`

	// userNameDomains are the only domains that a userName may have. Unset: any.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	UserNameDomains []DomainName `json:"userNameDomains,omitempty"`

	// anyUserName accepts a userName that is no e-mail address.
	// +optional
	AnyUserName bool `json:"anyUserName,omitempty"`

	// strict holds identity providers to the letter of RFC 7644. Leave it out
	// for Entra ID and Okta, which need the deviations that are documented.
	// +optional
	Strict bool `json:"strict,omitempty"`
}

// OrganizationStatus is what is known of the tenant.
type OrganizationStatus struct {
	CommonStatus `json:",inline"`

	// people known to the tenant, by lifecycle.
	// +optional
	People *PeopleCounts `json:"people,omitempty"`

	// applications is how many apps are known, discovered ones included.
	// +optional
	Applications int64 `json:"applications,omitempty"`
}

// PeopleCounts counts people by lifecycle.
type PeopleCounts struct {
	// total is everybody.
	// +optional
	Total int64 `json:"total"`
	// future joiners.
	// +optional
	Future int64 `json:"future"`
	// current people.
	// +optional
	Current int64 `json:"current"`
	// onLeave is who is on leave.
	// +optional
	OnLeave int64 `json:"onLeave"`
	// past people.
	// +optional
	Past int64 `json:"past"`
	// external people.
	// +optional
	External int64 `json:"external"`
	// unknown is whose lifecycle no source states.
	// +optional
	Unknown int64 `json:"unknown"`
}

// Organization holds what belongs to the tenant, which is the namespace. There
// is one, named default; without it times are UTC, amounts are not converted,
// and no policy goes beyond mode Report.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=saas,shortName=skorg
// +kubebuilder:validation:XValidation:rule="self.metadata.name == 'default'",message="an Organization must be named default: there is one per namespace"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="People",type="integer",JSONPath=`.status.people.current`
// +kubebuilder:printcolumn:name="Apps",type="integer",JSONPath=`.status.applications`
// +kubebuilder:printcolumn:name="Zone",type="string",JSONPath=`.spec.timeZone`,priority=1
// +kubebuilder:printcolumn:name="Source",type="string",JSONPath=`.spec.lifecycleSource.integration`,priority=1
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
type Organization struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state.
	// +optional
	Spec OrganizationSpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status OrganizationStatus `json:"status,omitzero"`
}

// OrganizationList is a list of Organizations.
//
// +kubebuilder:object:root=true
type OrganizationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Organization `json:"items"`
}
