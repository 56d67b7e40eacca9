// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PolicyMode says how far a LicensePolicy goes.
//
// +kubebuilder:validation:Enum=Report;Ask;Approve;Auto
type PolicyMode string

// The policy modes.
const (
	// ModeReport finds and counts; it sends nothing.
	ModeReport PolicyMode = "Report"
	// ModeAsk asks the person who holds the seat.
	ModeAsk PolicyMode = "Ask"
	// ModeApprove asks an approver.
	ModeApprove PolicyMode = "Approve"
	// ModeAuto reclaims without asking, within the guard.
	ModeAuto PolicyMode = "Auto"
)

// LicensePolicySpec says when a seat counts as unused and what happens then.
//
// +kubebuilder:validation:ExactlyOneOf=applicationRef;applicationSelector
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'Ask' || has(self.ask)",message="mode Ask needs ask"
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'Approve' || has(self.approve)",message="mode Approve needs approve"
type LicensePolicySpec struct {
	// applicationRef names the Application.
	// +optional
	ApplicationRef *ObjectReference `json:"applicationRef,omitempty"`

	// applicationSelector selects Applications by their labels.
	// +optional
	ApplicationSelector *metav1.LabelSelector `json:"applicationSelector,omitempty"`

	// plans that the policy covers. Empty: every paid plan.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Plans []PlanName `json:"plans,omitempty"`

	// inactiveAfter this time without use, by a trusted signal, a seat counts
	// as unused. A shorter observation makes it Unknown.
	// +optional
	// +kubebuilder:default="90d"
	InactiveAfter Days `json:"inactiveAfter,omitempty"`

	// signals that are trusted, the strongest first: kinds of use that a source
	// reports. A sign-on event alone never proves use unless it is listed.
	// Default: activity, login.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Signals []UsageSignal `json:"signals,omitempty"`

	// neverUsedAfter this time since it was assigned, a seat without any use
	// counts as unused. Default: inactiveAfter.
	// +optional
	NeverUsedAfter Days `json:"neverUsedAfter,omitempty"`

	// exempt says whose seats are left alone. Who matches any entry is exempt.
	// The list is replaced as a whole.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Exempt []Exemption `json:"exempt,omitempty"`

	// onLeave says what happens to seats of people on leave. Default Hold.
	// +optional
	// +kubebuilder:validation:Enum=Hold;Evaluate
	OnLeave string `json:"onLeave,omitempty"`

	// schedule of the evaluation: five cron fields in the organisation's zone.
	// Default: hourly, at an offset that spreads policies over the hour.
	// +optional
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^\S+( +\S+){4}$`
	Schedule string `json:"schedule,omitempty"`

	// mode says how far the policy goes.
	// +optional
	// +kubebuilder:default=Report
	Mode PolicyMode `json:"mode,omitempty"`

	// ask says how the person who holds the seat is asked.
	// +optional
	Ask *Ask `json:"ask,omitempty"`

	// approve says who approves in mode Approve.
	// +optional
	Approve *Approve `json:"approve,omitempty"`

	// removal says how a seat is taken back. Default: Direct, license.remove.
	// +optional
	Removal *Removal `json:"removal,omitempty"`

	// guard bounds how many seats are taken back at once. Default 20, 5 %, 24h.
	// +optional
	Guard *Guard `json:"guard,omitempty"`

	// workflowRef names a Workflow with a license trigger that runs instead of
	// the built-in reclaim flow.
	// +optional
	WorkflowRef *ObjectReference `json:"workflowRef,omitempty"`

	// suspend stops evaluation, and starts no further step of what is in flight.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// UsageSignal is a kind of use that a source reports, such as activity, login
// or sso_login.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9_]*$`
type UsageSignal string

// The signals that are trusted by default.
const (
	SignalActivity UsageSignal = "activity"
	SignalLogin    UsageSignal = "login"
)

// The values of LicensePolicySpec.OnLeave.
const (
	OnLeaveHold     = "Hold"
	OnLeaveEvaluate = "Evaluate"
)

// Exemption leaves seats alone. Who matches any of people, groups and when is
// exempt.
//
// +kubebuilder:validation:AtLeastOneOf=people;groups;when
type Exemption struct {
	// people by e-mail address.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1024
	People []Email `json:"people,omitempty"`

	// groups by name, as a source reports them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Groups []string `json:"groups,omitempty"`

	// when is a CEL condition over person, account and license.
	// +optional
	When Expression `json:"when,omitempty"`

	// until is the last day on which the exemption counts. Unset: for good.
	// +optional
	Until Date `json:"until,omitempty"`

	// reason that reports show.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason,omitempty"`
}

// AskOption is an answer that a person may give.
//
// +kubebuilder:validation:Enum=Reclaim;Keep;Escalate
type AskOption string

// The answers.
const (
	// OptionReclaim gives the seat back.
	OptionReclaim AskOption = "Reclaim"
	// OptionKeep keeps it, for keepFor.
	OptionKeep AskOption = "Keep"
	// OptionEscalate leaves the decision to somebody else.
	OptionEscalate AskOption = "Escalate"
)

// TimeoutOutcome says what silence means.
//
// +kubebuilder:validation:Enum=Keep;Reclaim;Escalate
type TimeoutOutcome string

// The outcomes of silence.
const (
	TimeoutKeep     TimeoutOutcome = "Keep"
	TimeoutReclaim  TimeoutOutcome = "Reclaim"
	TimeoutEscalate TimeoutOutcome = "Escalate"
)

// Ask says how a person is asked.
//
// +kubebuilder:validation:XValidation:rule="!has(self.options) || self.options.exists(o, o == 'Keep')",message="options must contain Keep: a question must allow a no",fieldPath=".options"
// +kubebuilder:validation:XValidation:rule="!has(self.options) || !self.options.exists(o, o == 'Escalate') || has(self.escalate)",message="option Escalate needs escalate"
// +kubebuilder:validation:XValidation:rule="!has(self.onTimeout) || self.onTimeout != 'Escalate' || has(self.escalate)",message="onTimeout Escalate needs escalate"
type Ask struct {
	// channels to ask through, the first that reaches the person.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Channels []AskChannel `json:"channels,omitempty"`

	// options to choose from. Default: Reclaim and Keep, and Escalate where
	// escalate is set.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Options []AskOption `json:"options,omitempty"`

	// reminders after these times without an answer.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	Reminders []DurationOrDays `json:"reminders,omitempty"`

	// timeout after which silence counts as onTimeout. Default 72h.
	// +optional
	Timeout DurationOrDays `json:"timeout,omitempty"`

	// onTimeout says what silence means. Default Keep.
	// +optional
	OnTimeout TimeoutOutcome `json:"onTimeout,omitempty"`

	// keepFor is how long Keep exempts the seat. Default 90d.
	// +optional
	KeepFor Days `json:"keepFor,omitempty"`

	// escalate says who decides when the person leaves it to somebody else.
	// +optional
	Escalate *Escalation `json:"escalate,omitempty"`

	// quietHours in which nobody is asked.
	// +optional
	QuietHours *QuietHours `json:"quietHours,omitempty"`

	// maxPerPersonPerDay bounds the messages to one person, from all policies;
	// several seats share one message. Default 1. Not in force in this version:
	// each seat has a message of its own, and none waits for another day.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=24
	MaxPerPersonPerDay *int32 `json:"maxPerPersonPerDay,omitempty"`

	// askReason says whether Keep asks for a reason. Default Optional. Not in
	// force in this version: nobody is asked for one.
	// +optional
	// +kubebuilder:validation:Enum=Never;Optional;Required
	AskReason string `json:"askReason,omitempty"`
}

// AskChannel is a way to reach a person.
//
// +kubebuilder:validation:ExactlyOneOf=integration;email
type AskChannel struct {
	// integration that delivers the question, such as one for Slack.
	// +optional
	Integration ResourceName `json:"integration,omitempty"`

	// email asks by e-mail with a signed link. Leave it out otherwise.
	// +optional
	// +kubebuilder:validation:Enum=true
	Email *bool `json:"email,omitempty"`
}

// Escalation says who decides instead.
type Escalation struct {
	// to whom the decision goes; the first who can be found, and never the
	// person who holds the seat.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	To []Recipient `json:"to,omitempty"`

	// timeout after which fallback is asked. Default 72h.
	// +optional
	Timeout DurationOrDays `json:"timeout,omitempty"`

	// fallback is asked next. After the same timeout onTimeout of the question
	// applies, with Escalate counting as Keep.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Fallback []Recipient `json:"fallback,omitempty"`
}

// QuietHours is a span of the day, over midnight if to is before from.
//
// +kubebuilder:validation:XValidation:rule="self.from != self.to",message="from and to must differ"
type QuietHours struct {
	// from this time of day.
	// +required
	From TimeOfDay `json:"from,omitempty"`

	// to this time of day.
	// +required
	To TimeOfDay `json:"to,omitempty"`

	// zone that the times are in. Default Person.
	// +optional
	Zone ZoneSource `json:"zone,omitempty"`
}

// Approve says who approves.
type Approve struct {
	// approvers in order; the first who can be found decides, and never the
	// person who holds the seat.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Approvers []Recipient `json:"approvers,omitempty"`

	// channels to ask through. Default: those of ask, else e-mail.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Channels []AskChannel `json:"channels,omitempty"`

	// timeout after which silence counts as onTimeout. Default 72h.
	// +optional
	Timeout DurationOrDays `json:"timeout,omitempty"`

	// onTimeout says what silence means: Keep or Reclaim. Default Keep.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self != 'Escalate'",message="must be Keep or Reclaim: an approval is not escalated"
	OnTimeout TimeoutOutcome `json:"onTimeout,omitempty"`
}

// RemovalVia says which way a seat is taken back.
//
// +kubebuilder:validation:Enum=Direct;IdentityProvider;Downgrade;Delegate
type RemovalVia string

// The ways of removal.
const (
	// ViaDirect runs an action of the app's own Integration.
	ViaDirect RemovalVia = "Direct"
	// ViaIdentityProvider takes the person out of a group there.
	ViaIdentityProvider RemovalVia = "IdentityProvider"
	// ViaDowngrade moves the seat to another plan.
	ViaDowngrade RemovalVia = "Downgrade"
	// ViaDelegate opens a task for a person.
	ViaDelegate RemovalVia = "Delegate"
)

// Removal says how a seat is taken back.
//
// +kubebuilder:validation:XValidation:rule="self.via != 'IdentityProvider' || (has(self.integration) && has(self.group))",message="via IdentityProvider needs integration and group"
// +kubebuilder:validation:XValidation:rule="self.via == 'IdentityProvider' || !has(self.group)",message="group may only be set with via IdentityProvider"
// +kubebuilder:validation:XValidation:rule="(self.via == 'Downgrade') == has(self.plan)",message="plan must be set with via Downgrade, and only with it"
// +kubebuilder:validation:XValidation:rule="self.via in ['Direct', 'Downgrade'] || !has(self.action)",message="action may only be set with via Direct or Downgrade"
// +kubebuilder:validation:XValidation:rule="self.via == 'Delegate' || !has(self.to)",message="to may only be set with via Delegate"
type Removal struct {
	// via which way.
	// +required
	Via RemovalVia `json:"via,omitempty"`

	// action of the connector. Default license.remove for Direct,
	// license.assign of plan for Downgrade.
	// +optional
	Action ActionName `json:"action,omitempty"`

	// plan to move to, with Downgrade.
	// +optional
	Plan PlanName `json:"plan,omitempty"`

	// integration that acts. Default: the one that reports the seat.
	// +optional
	Integration ResourceName `json:"integration,omitempty"`

	// group to take the person out of, with IdentityProvider.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Group string `json:"group,omitempty"`

	// to whom the task goes, with Delegate. Default: the Application's owner.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	To []Recipient `json:"to,omitempty"`
}

// LicensePolicyStatus is what the last evaluation found. It changes when a
// result changes, not when an evaluation ran.
type LicensePolicyStatus struct {
	CommonStatus `json:",inline"`

	// effectiveMode is the mode that applies where something, such as a missing
	// Organization, allows less than spec.mode.
	// +optional
	EffectiveMode PolicyMode `json:"effectiveMode,omitempty"`

	// evaluated counts seats by result.
	// +optional
	Evaluated *PolicyCounts `json:"evaluated,omitempty"`

	// savings are kept apart by what they are.
	// +optional
	Savings *PolicySavings `json:"savings,omitempty"`

	// held describes what the guard holds.
	// +optional
	Held *HeldSet `json:"held,omitempty"`
}

// PolicyCounts counts seats.
type PolicyCounts struct {
	// candidates is every seat that the policy covers.
	// +optional
	Candidates int64 `json:"candidates"`
	// active seats.
	// +optional
	Active int64 `json:"active"`
	// inactive seats, by a trusted signal, that are not exempt.
	// +optional
	Inactive int64 `json:"inactive"`
	// unknown seats: no trusted signal, stale data, or observed too briefly.
	// +optional
	Unknown int64 `json:"unknown"`
	// exempt seats, protected ones included.
	// +optional
	Exempt int64 `json:"exempt"`
	// held seats: by the guard, or because the person is on leave or cannot be
	// reached.
	// +optional
	Held int64 `json:"held"`
	// inFlight seats have a run that is not finished.
	// +optional
	InFlight int64 `json:"inFlight"`
	// reclaimed seats, since the policy exists.
	// +optional
	Reclaimed int64 `json:"reclaimed"`
	// kept seats, by an answer that still counts.
	// +optional
	Kept int64 `json:"kept"`
	// failed runs that wait for a person.
	// +optional
	Failed int64 `json:"failed"`
}

// PolicySavings holds amounts, one per currency, that must never be added up
// across kinds.
type PolicySavings struct {
	// potentialAnnual is what a year costs less if every inactive seat goes.
	// +optional
	// +listType=map
	// +listMapKey=currency
	// +kubebuilder:validation:MaxItems=16
	PotentialAnnual []Money `json:"potentialAnnual,omitempty"`

	// sunk is what is prepaid for reclaimed seats until their term ends.
	// +optional
	// +listType=map
	// +listMapKey=currency
	// +kubebuilder:validation:MaxItems=16
	Sunk []Money `json:"sunk,omitempty"`

	// realised is what billing fell by.
	// +optional
	// +listType=map
	// +listMapKey=currency
	// +kubebuilder:validation:MaxItems=16
	Realised []Money `json:"realised,omitempty"`

	// avoided is what was not bought because a reclaimed seat was reused.
	// +optional
	// +listType=map
	// +listMapKey=currency
	// +kubebuilder:validation:MaxItems=16
	Avoided []Money `json:"avoided,omitempty"`

	// unpriced seats have neither a Contract line nor a unitCost; what they
	// would save is Unknown.
	// +optional
	Unpriced int64 `json:"unpriced,omitempty"`

	// summary is potentialAnnual as people write it, such as "USD 19188.00",
	// or Unknown.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Summary string `json:"summary,omitempty"`
}

// LicensePolicy finds seats that nobody uses and takes them back as far as its
// mode goes. What is Unknown is never taken back.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=licensepolicies,categories=saas,shortName=sklp
// +kubebuilder:selectablefield:JSONPath=`.spec.applicationRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Mode",type="string",JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Inactive",type="integer",JSONPath=`.status.evaluated.inactive`
// +kubebuilder:printcolumn:name="Unknown",type="integer",JSONPath=`.status.evaluated.unknown`
// +kubebuilder:printcolumn:name="Held",type="integer",JSONPath=`.status.evaluated.held`
// +kubebuilder:printcolumn:name="Savings",type="string",JSONPath=`.status.savings.summary`
// +kubebuilder:printcolumn:name="Application",type="string",JSONPath=`.spec.applicationRef.name`,priority=1
// +kubebuilder:printcolumn:name="Exempt",type="integer",JSONPath=`.status.evaluated.exempt`,priority=1
// +kubebuilder:printcolumn:name="InFlight",type="integer",JSONPath=`.status.evaluated.inFlight`,priority=1
// +kubebuilder:printcolumn:name="Reclaimed",type="integer",JSONPath=`.status.evaluated.reclaimed`,priority=1
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
type LicensePolicy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state.
	// +required
	Spec LicensePolicySpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status LicensePolicyStatus `json:"status,omitzero"`
}

// LicensePolicyList is a list of LicensePolicies.
//
// +kubebuilder:object:root=true
type LicensePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []LicensePolicy `json:"items"`
}
