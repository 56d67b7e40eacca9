// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Duration is elapsed time, like 90s, 1h30m or 250ms. Days are not elapsed
// time: a field that takes calendar days is Days or DurationOrDays.
//
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=28
// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s|ms)){1,4}$`
type Duration string

// Days is a number of calendar days in the zone that applies, like 90d.
//
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=5
// +kubebuilder:validation:Pattern=`^[1-9][0-9]{0,3}d$`
type Days string

// DaysOrNone is Days, or 0d for none at all.
//
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=5
// +kubebuilder:validation:Pattern=`^(0|[1-9][0-9]{0,3})d$`
type DaysOrNone string

// DurationOrDays is elapsed time (72h) or calendar days (3d).
//
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=28
// +kubebuilder:validation:Pattern=`^(([0-9]{1,5}(h|m|s|ms)){1,4}|[1-9][0-9]{0,3}d)$`
type DurationOrDays string

// Date is a calendar date, YYYY-MM-DD, without a zone.
//
// +kubebuilder:validation:Format=date
// +kubebuilder:validation:MinLength=10
// +kubebuilder:validation:MaxLength=10
type Date string

// Holiday is a calendar date, YYYY-MM-DD, or MM-DD for that day of every year.
//
// +kubebuilder:validation:MinLength=5
// +kubebuilder:validation:MaxLength=10
// +kubebuilder:validation:Pattern=`^([0-9]{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`
type Holiday string

// TimeOfDay is a wall-clock time, HH:MM from 00:00 to 23:59.
//
// +kubebuilder:validation:MinLength=5
// +kubebuilder:validation:MaxLength=5
// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
type TimeOfDay string

// TimeZone is an IANA zone name such as Europe/Berlin, or UTC. Abbreviations
// like EST are ambiguous and refused.
//
// +kubebuilder:validation:MinLength=3
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:Pattern=`^(UTC|[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){1,2})$`
type TimeZone string

// ZoneSource says whose zone a wall-clock time is in: Person, Organization, or
// an IANA name.
//
// +kubebuilder:validation:MinLength=3
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:Pattern=`^(Person|Organization|UTC|[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){1,2})$`
type ZoneSource string

// The ZoneSource values that are not zone names.
const (
	ZonePerson       ZoneSource = "Person"
	ZoneOrganization ZoneSource = "Organization"
)

// Weekday is a day of the week.
//
// +kubebuilder:validation:Enum=Mon;Tue;Wed;Thu;Fri;Sat;Sun
type Weekday string

// CurrencyCode is an ISO 4217 code such as EUR.
//
// +kubebuilder:validation:MinLength=3
// +kubebuilder:validation:MaxLength=3
// +kubebuilder:validation:Pattern=`^[A-Z]{3}$`
type CurrencyCode string

// Money is an amount in minor units (cents) of a currency.
type Money struct {
	// minor is the amount in the currency's smallest unit; 1599 USD is 15.99 dollars.
	// +required
	Minor int64 `json:"minor"`

	// currency is the ISO 4217 code.
	// +required
	Currency CurrencyCode `json:"currency,omitempty"`
}

// BillingPeriod is the time that a price covers.
//
// +kubebuilder:validation:Enum=Month;Quarter;Year
type BillingPeriod string

// The billing periods.
const (
	PeriodMonth   BillingPeriod = "Month"
	PeriodQuarter BillingPeriod = "Quarter"
	PeriodYear    BillingPeriod = "Year"
)

// Email is an e-mail address.
//
// +kubebuilder:validation:MinLength=3
// +kubebuilder:validation:MaxLength=254
// +kubebuilder:validation:Pattern=`^[^@\s,;<>"]+@[^@\s,;<>"]+$`
type Email string

// DomainName is a lower-case DNS name.
//
// +kubebuilder:validation:MinLength=3
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:Pattern=`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$`
type DomainName string

// ResourceName is the name of a resource in the same namespace.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
type ResourceName string

// Expressions are compiled with a cost limit when the resource is reconciled. A
// bad one is Ready=False, reason InvalidExpression, with its field, position and
// the type that was expected.

// Expression is a CEL expression.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=4096
type Expression string

// Template is literal text with ${CEL} holes.
//
// +kubebuilder:validation:MaxLength=4096
type Template string

// ActionName is a name of connectors/ACTIONS.md, such as license.remove.
//
// +kubebuilder:validation:MinLength=3
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-z][a-zA-Z0-9]*(\.[a-z][a-zA-Z0-9]*)+$`
type ActionName string

// PlanName is the name of a plan in an Application's spec.plans.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
type PlanName string

// ObjectReference names a resource in the same namespace. Its kind follows from
// the field that holds it.
type ObjectReference struct {
	// name of the resource.
	// +required
	Name ResourceName `json:"name,omitempty"`
}

// RecipientRole names people by what they are to the matter at hand.
//
// +kubebuilder:validation:Enum=Person;Manager;AppOwner;Owner
type RecipientRole string

// The recipient roles.
const (
	// RolePerson is the person whom the matter is about.
	RolePerson RecipientRole = "Person"
	// RoleManager is that person's manager.
	RoleManager RecipientRole = "Manager"
	// RoleAppOwner is the primary owner of the Application.
	RoleAppOwner RecipientRole = "AppOwner"
	// RoleOwner is the owner of the resource itself, such as the Contract.
	RoleOwner RecipientRole = "Owner"
)

// Recipient is somebody to tell, ask, or hand something to.
//
// +kubebuilder:validation:ExactlyOneOf=role;email
type Recipient struct {
	// role names the recipient by what they are to the matter.
	// +optional
	Role RecipientRole `json:"role,omitempty"`

	// email names one person, or a shared mailbox.
	// +optional
	Email Email `json:"email,omitempty"`
}

// Guard bounds how much may happen at once before a person looks. What is
// allowed is max(minItems, maxPercent of the subject set, rounded up), and
// never more than half of the set. The rest is held with reason GuardHeld.
type Guard struct {
	// minItems may always be done, however small the set. Default 20.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MinItems *int32 `json:"minItems,omitempty"`

	// maxPercent of the subject set may be done. Default 5.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=50
	MaxPercent *int32 `json:"maxPercent,omitempty"`

	// per is the window over which the count runs. Default 24h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('720h')",message="must be from 1m to 720h"
	Per Duration `json:"per,omitempty"`
}

// CommonStatus is the part of a status that every kind shares.
type CommonStatus struct {
	// observedGeneration is the generation that the status describes; -1 until
	// the first visit.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// lastHandledReconcileAt echoes the annotation seatkeeper.dev/requestedAt
	// that was last acted on.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// conditions describe the state; Ready sums them up.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchStrategy=merge
	// +patchMergeKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`
}
