// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Direction says which way a workflow moves people, and so which actions it may
// not take: an Offboarding workflow creates nothing, an Onboarding one ends
// nothing.
//
// +kubebuilder:validation:Enum=Onboarding;Offboarding;Change;Neutral
type Direction string

// The directions.
const (
	DirectionOnboarding  Direction = "Onboarding"
	DirectionOffboarding Direction = "Offboarding"
	DirectionChange      Direction = "Change"
	DirectionNeutral     Direction = "Neutral"
)

// WorkflowSpec is what starts a run and what a run does. A run keeps the
// revision that it started with.
type WorkflowSpec struct {
	// displayName is what people read.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	DisplayName string `json:"displayName,omitempty"`

	// description is what people read.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Description string `json:"description,omitempty"`

	// trigger starts runs.
	// +required
	Trigger Trigger `json:"trigger,omitzero"`

	// when is a CEL condition over the trigger's subject and event. Runs start
	// only where it is true.
	// +optional
	When Expression `json:"when,omitempty"`

	// at moves the start of a run to a moment. Unset: at once.
	// +optional
	At *Moment `json:"at,omitempty"`

	// catchUp says what happens to a moment that has passed when it is first
	// seen. Default: an event that has just happened runs; a date of StartsOn or
	// EndsOn runs within 7d; of the times of a schedule the last one runs.
	// +optional
	CatchUp *CatchUp `json:"catchUp,omitempty"`

	// direction says which way the workflow moves people. Default Neutral.
	// +optional
	Direction Direction `json:"direction,omitempty"`

	// dryRun goes through the steps and sends nothing.
	// +optional
	DryRun bool `json:"dryRun,omitempty"`

	// concurrency bounds runs at the same time.
	// +optional
	Concurrency *Concurrency `json:"concurrency,omitempty"`

	// guard bounds how many runs may start by themselves. Default 20, 5 %, 24h where
	// runs are about people or take a destructive action; other runs have none
	// unless this is set. A run that somebody starts by hand is not counted.
	// +optional
	Guard *Guard `json:"guard,omitempty"`

	// steps in order.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Steps []Step `json:"steps,omitempty"`

	// onFailure runs in order after a step failed for good.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	OnFailure []LeafStep `json:"onFailure,omitempty"`

	// retry of steps that do not say otherwise.
	// +optional
	Retry *Retry `json:"retry,omitempty"`

	// timeout of a whole run. Default 90d.
	// +optional
	Timeout DurationOrDays `json:"timeout,omitempty"`

	// deletionPolicy says what becomes of waiting runs when the Workflow is
	// deleted: Drain lets them finish, Stop ends them. Default Stop.
	// +optional
	// +kubebuilder:validation:Enum=Drain;Stop
	DeletionPolicy string `json:"deletionPolicy,omitempty"`

	// suspend starts no run and no further step of any run.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// Trigger starts runs. Exactly one kind is set.
//
// +kubebuilder:validation:ExactlyOneOf=person;application;license;contract;realtime;webhook;schedule;manual
type Trigger struct {
	// person starts a run when something happens to a person.
	// +optional
	Person *PersonTrigger `json:"person,omitempty"`

	// application starts a run when something happens to an app.
	// +optional
	Application *ApplicationTrigger `json:"application,omitempty"`

	// license starts a run when a seat is found unused.
	// +optional
	License *LicenseTrigger `json:"license,omitempty"`

	// contract starts a run before a contract's date.
	// +optional
	Contract *ContractTrigger `json:"contract,omitempty"`

	// realtime starts a run on an event that a vendor sends to its connector.
	// +optional
	Realtime *RealtimeTrigger `json:"realtime,omitempty"`

	// webhook starts a run on any JSON sent to a URL of its own. The URL is a
	// credential and stands in the Secret <workflow>-webhook.
	// +optional
	Webhook *WebhookTrigger `json:"webhook,omitempty"`

	// schedule starts a run at wall-clock times.
	// +optional
	Schedule *ScheduleTrigger `json:"schedule,omitempty"`

	// manual starts a run by API, CLI or WorkflowRun.
	// +optional
	Manual *ManualTrigger `json:"manual,omitempty"`
}

// PersonEvent is something that happens to a person.
//
// +kubebuilder:validation:Enum=Joined;Left;Changed;StartsOn;EndsOn
type PersonEvent string

// The person events.
const (
	PersonJoined   PersonEvent = "Joined"
	PersonLeft     PersonEvent = "Left"
	PersonChanged  PersonEvent = "Changed"
	PersonStartsOn PersonEvent = "StartsOn"
	PersonEndsOn   PersonEvent = "EndsOn"
)

// PersonTrigger starts a run when something happens to a person.
//
// +kubebuilder:validation:XValidation:rule="self.events.exists(e, e == 'Changed') == has(self.changed)",message="changed must be set with event Changed, and only with it"
type PersonTrigger struct {
	// events that start a run.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	Events []PersonEvent `json:"events,omitempty"`

	// changed fields of a person that count, with event Changed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Changed []string `json:"changed,omitempty"`
}

// ApplicationEvent is something that happens to an app.
//
// +kubebuilder:validation:Enum=Discovered;StateChanged;NotInIdP;SpendChanged
type ApplicationEvent string

// The application events.
const (
	// ApplicationDiscovered: a source lists an app that no Application declares and
	// no other source knows.
	ApplicationDiscovered ApplicationEvent = "Discovered"
	// ApplicationStateChanged: spec.state of an Application changed.
	ApplicationStateChanged ApplicationEvent = "StateChanged"
	// ApplicationNotInIDP: people use an app that no identity provider lists.
	ApplicationNotInIDP ApplicationEvent = "NotInIdP"
	// ApplicationSpendChanged: what an Application costs in a year, or a term of its
	// Contracts, changed.
	ApplicationSpendChanged ApplicationEvent = "SpendChanged"
)

// ApplicationTrigger starts a run when something happens to an app.
type ApplicationTrigger struct {
	// events that start a run.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Events []ApplicationEvent `json:"events,omitempty"`
}

// LicenseTrigger starts a run for each seat that is unused, also for those that
// were before there was the Workflow, and one more each time that it becomes so
// again.
//
// +kubebuilder:validation:ExactlyOneOf=policyRef;inactiveFor
type LicenseTrigger struct {
	// policyRef names the LicensePolicy that finds it. A seat that is exempt,
	// protected, kept, held or of unknown use is none.
	// +optional
	PolicyRef *ObjectReference `json:"policyRef,omitempty"`

	// inactiveFor these days, by a trusted signal, whatever the app: any paid seat
	// that the Organization does not protect.
	// +optional
	InactiveFor Days `json:"inactiveFor,omitempty"`
}

// ContractTrigger starts a run before a contract's date.
type ContractTrigger struct {
	// before the date, in calendar days of the organisation's zone. 0d is the day
	// itself: with End when the last day of the term ends, else at 09:00.
	// +required
	Before DaysOrNone `json:"before,omitempty"`

	// of which date. A cancelled contract has an end, and no deadline; a draft has
	// neither. Default CancellationDeadline.
	// +optional
	// +kubebuilder:validation:Enum=End;CancellationDeadline
	Of string `json:"of,omitempty"`
}

// RealtimeTrigger starts a run on a vendor's event.
type RealtimeTrigger struct {
	// integration that receives the event.
	// +required
	Integration ResourceName `json:"integration,omitempty"`

	// event as the connector names it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Event string `json:"event,omitempty"`

	// subject of the runs: with Person, the person whom the event is about, found by
	// the vendor's ids or the e-mail address; an event about nobody who is known
	// within an hour starts nothing. Default None.
	// +optional
	// +kubebuilder:validation:Enum=None;Person
	Subject string `json:"subject,omitempty"`
}

// WebhookTrigger starts a run on any JSON.
type WebhookTrigger struct {
	// person finds, or makes, the person whom the body is about. Unset: the run
	// has no subject.
	// +optional
	Person *WebhookPerson `json:"person,omitempty"`

	// hmac checks a signature over the body.
	// +optional
	HMAC *WebhookHMAC `json:"hmac,omitempty"`

	// dedupe is the id of an event; a second body with the same id starts
	// nothing. Default: the digest of the body.
	// +optional
	// +kubebuilder:validation:MinLength=1
	Dedupe Template `json:"dedupe,omitempty"`

	// dedupeWindow is for how long the same bytes are the same event where no id
	// is known. Default 10m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('72h')",message="must be 72h or less"
	DedupeWindow Duration `json:"dedupeWindow,omitempty"`
}

// WebhookPerson finds the person whom a body is about.
//
// +kubebuilder:validation:XValidation:rule="!has(self.create) || !self.create || has(self.fields)",message="create needs fields"
type WebhookPerson struct {
	// match finds the person: the first entry all of whose fields are in the
	// body decides. Order is meaning, so the list is replaced as a whole.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Match []PersonMatch `json:"match,omitempty"`

	// create makes the person when none matches.
	// +optional
	Create bool `json:"create,omitempty"`

	// fields of a person that is made.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=64
	Fields map[string]Template `json:"fields,omitempty"`
}

// PersonMatch compares one field.
//
// +kubebuilder:validation:ExactlyOneOf=employeeID;email;externalID
type PersonMatch struct {
	// employeeID of the person.
	// +optional
	// +kubebuilder:validation:MinLength=1
	EmployeeID Template `json:"employeeID,omitempty"`

	// email of the person.
	// +optional
	// +kubebuilder:validation:MinLength=1
	Email Template `json:"email,omitempty"`

	// externalID of the person at the source of truth.
	// +optional
	// +kubebuilder:validation:MinLength=1
	ExternalID Template `json:"externalID,omitempty"`
}

// WebhookHMAC checks a signature over the raw body.
//
// +kubebuilder:validation:XValidation:rule="has(self.scheme) && self.scheme == 'StandardWebhooks' ? !has(self.header) && !has(self.prefix) && !has(self.encoding) && !has(self.algorithm) && !has(self.timestampHeader) && !has(self.signed) : has(self.header)",message="scheme Plain needs header; scheme StandardWebhooks says the rest itself"
// +kubebuilder:validation:XValidation:rule="!has(self.timestampHeader) || has(self.signed)",message="timestampHeader needs signed, with the timestamp in it"
type WebhookHMAC struct {
	// scheme of the signature. StandardWebhooks is that of standardwebhooks.com.
	// Default Plain.
	// +optional
	// +kubebuilder:validation:Enum=Plain;StandardWebhooks
	Scheme string `json:"scheme,omitempty"`

	// secretName is the Secret whose key "key" holds the shared key.
	// +required
	SecretName ResourceName `json:"secretName,omitempty"`

	// header with the signature.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+$`
	Header string `json:"header,omitempty"`

	// prefix before the signature, such as "sha256=".
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Prefix string `json:"prefix,omitempty"`

	// encoding of the signature. Default Hex.
	// +optional
	// +kubebuilder:validation:Enum=Hex;Base64
	Encoding string `json:"encoding,omitempty"`

	// algorithm of the signature. Default SHA256.
	// +optional
	// +kubebuilder:validation:Enum=SHA256;SHA512;SHA1
	Algorithm string `json:"algorithm,omitempty"`

	// signed is the text under the signature, with the holes rawBody, headers and
	// method, such as "POST${rawBody}". Default: the raw body.
	// +optional
	// +kubebuilder:validation:MinLength=1
	Signed Template `json:"signed,omitempty"`

	// timestampHeader holds when the request was sent, in seconds or milliseconds
	// since 1970 or RFC 3339. It must be part of signed.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+$`
	TimestampHeader string `json:"timestampHeader,omitempty"` //nolint:kubeapilinter // the name of a header that senders call so, and no time

	// maxSkew is how far the timestamp may be from now, up to 1h. Default 5m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="must be 1s to 1h"
	MaxSkew Duration `json:"maxSkew,omitempty"`
}

// ScheduleTrigger starts a run at wall-clock times. In the hour that a clock
// change skips it runs right after it; in the one that repeats, once.
type ScheduleTrigger struct {
	// cron is five cron fields.
	// +required
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^\S+( +\S+){4}$`
	Cron string `json:"cron,omitempty"`

	// timeZone of the fields. Default: the organisation's.
	// +optional
	TimeZone TimeZone `json:"timeZone,omitempty"`
}

// ManualTrigger starts a run by hand.
type ManualTrigger struct {
	// subject that a caller must name. Default None.
	// +optional
	// +kubebuilder:validation:Enum=None;Person;Application;Contract
	Subject string `json:"subject,omitempty"`
}

// EndOfDay is the Moment.Time that stands for the organisation's workday.end.
const EndOfDay = "EndOfDay"

// Moment is a calendar date, moved by days, at a wall-clock time in a zone.
//
// +kubebuilder:validation:AtMostOneOf=offsetDays;offsetBusinessDays
type Moment struct {
	// date is a CEL expression that gives a date, such as person.endDate.
	// +required
	Date Expression `json:"date,omitempty"`

	// offsetDays moves the date.
	// +optional
	// +kubebuilder:validation:Minimum=-3650
	// +kubebuilder:validation:Maximum=3650
	OffsetDays int32 `json:"offsetDays,omitempty"`

	// offsetBusinessDays moves the date by days of work, as the Organization's
	// workday says: 3 is the third after the date, -3 the third before it, and 0
	// the date itself or, if that is none, the next one.
	// +optional
	// +kubebuilder:validation:Minimum=-1000
	// +kubebuilder:validation:Maximum=1000
	OffsetBusinessDays *int32 `json:"offsetBusinessDays,omitempty"`

	// time of day as HH:MM, or EndOfDay. Default 09:00.
	// +optional
	// +kubebuilder:validation:MinLength=5
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:Pattern=`^(EndOfDay|([01][0-9]|2[0-3]):[0-5][0-9])$`
	Time string `json:"time,omitempty"`

	// zone of the time. Default Person, where the run has one, else
	// Organization.
	// +optional
	Zone ZoneSource `json:"zone,omitempty"`
}

// CatchUp says what happens to a moment that has passed.
//
// +kubebuilder:validation:XValidation:rule="(self.mode == 'RunIfWithin') == has(self.within)",message="within must be set with mode RunIfWithin, and only with it"
type CatchUp struct {
	// mode of catching up.
	// +required
	// +kubebuilder:validation:Enum=Run;Skip;RunIfWithin
	Mode string `json:"mode,omitempty"`

	// within this time a passed moment still counts.
	// +optional
	Within DurationOrDays `json:"within,omitempty"`
}

// Concurrency bounds runs at the same time.
type Concurrency struct {
	// max runs at the same time per key.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Max int32 `json:"max,omitempty"`

	// key that the bound counts by. Default: one bound for the Workflow.
	// +optional
	Key Template `json:"key,omitempty"`

	// policy for a run over the bound. Default Queue.
	// +optional
	// +kubebuilder:validation:Enum=Queue;Skip;Replace
	Policy string `json:"policy,omitempty"`
}

// Retry says how often a step is tried again. Only what the error's class
// allows is tried again.
type Retry struct {
	// maxAttempts in all. Default 5.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	MaxAttempts *int32 `json:"maxAttempts,omitempty"`

	// backoff before the second attempt; it doubles with each. Default 10s.
	// +optional
	Backoff Duration `json:"backoff,omitempty"`

	// maxBackoff bounds the doubling. Default 1h.
	// +optional
	MaxBackoff Duration `json:"maxBackoff,omitempty"`
}

// WorkflowStatus is what is known of a Workflow.
type WorkflowStatus struct {
	CommonStatus `json:",inline"`

	// revision that new runs start with.
	// +optional
	Revision int64 `json:"revision,omitempty"`

	// runs by state.
	// +optional
	Runs *RunCounts `json:"runs,omitempty"`

	// webhook describes the URL of a webhook trigger, never the URL itself.
	// +optional
	Webhook *WebhookStatus `json:"webhook,omitempty"`

	// tokens are the first 128 of the paths of values, in the order of the alphabet,
	// that bodies had which the webhook received, tests included: user.email is what
	// steps read as event.data.body.user.email, and spec.trigger.webhook as
	// body.user.email. `seatkeeper workflow tokens` lists all, with their types.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=256
	Tokens []string `json:"tokens,omitempty"`

	// held describes runs that the guard holds.
	// +optional
	Held *HeldSet `json:"held,omitempty"`
}

// RunCounts counts runs that are not finished.
type RunCounts struct {
	// running runs have a step in progress.
	// +optional
	Running int64 `json:"running"`
	// waiting runs wait for a time, an answer or a turn.
	// +optional
	Waiting int64 `json:"waiting"`
	// attention is how many runs wait for a person to mend something.
	// +optional
	Attention int64 `json:"attention"`
	// oldestAttention is the id of the run that waits so for longest.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	OldestAttention string `json:"oldestAttention,omitempty"`
	// lastFailed is the id of the newest run that has ended, if it failed within
	// the last week.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	LastFailed string `json:"lastFailed,omitempty"`
}

// WebhookStatus describes a webhook's URL.
type WebhookStatus struct {
	// secretName is the Secret with the keys url, path, and those of the address
	// before as long as it is good: previousURL, previousPath.
	// +required
	SecretName ResourceName `json:"secretName,omitempty"`

	// rotation of the URL.
	// +optional
	// +kubebuilder:validation:Enum=Current;Overlapping
	Rotation string `json:"rotation,omitempty"`
}

// Workflow says what starts a run and what a run does.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=saas,shortName=skwf
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Revision",type="integer",JSONPath=`.status.revision`
// +kubebuilder:printcolumn:name="Running",type="integer",JSONPath=`.status.runs.running`
// +kubebuilder:printcolumn:name="Attention",type="integer",JSONPath=`.status.runs.attention`
// +kubebuilder:printcolumn:name="Waiting",type="integer",JSONPath=`.status.runs.waiting`,priority=1
// +kubebuilder:printcolumn:name="Suspend",type="boolean",JSONPath=`.spec.suspend`,priority=1
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
type Workflow struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state.
	// +required
	Spec WorkflowSpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status WorkflowStatus `json:"status,omitzero"`
}

// WorkflowList is a list of Workflows.
//
// +kubebuilder:object:root=true
type WorkflowList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Workflow `json:"items"`
}
