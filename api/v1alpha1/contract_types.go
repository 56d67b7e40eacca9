// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ContractState is what the company says of a contract.
//
// +kubebuilder:validation:Enum=Draft;Active;Cancelled
type ContractState string

// The contract states.
const (
	// ContractDraft is not in force: nobody is reminded and no price is used.
	ContractDraft ContractState = "Draft"
	// ContractActive is in force for its term.
	ContractActive ContractState = "Active"
	// ContractCancelled runs out at the end of its term.
	ContractCancelled ContractState = "Cancelled"
)

// ContractStage is where a contract stands today.
//
// +kubebuilder:validation:Enum=Draft;Upcoming;Active;InNotice;Missed;Expired;Cancelled
type ContractStage string

// The contract stages.
const (
	// StageDraft is a Contract in state Draft.
	StageDraft ContractStage = "Draft"
	// StageUpcoming has a term that has not begun.
	StageUpcoming ContractStage = "Upcoming"
	// StageActive is in its term, and the first reminder is not due yet.
	StageActive ContractStage = "Active"
	// StageInNotice is between the first reminder and the cancellation deadline.
	StageInNotice ContractStage = "InNotice"
	// StageMissed is past the cancellation deadline of an automatic renewal.
	StageMissed ContractStage = "Missed"
	// StageExpired is past the end of the term.
	StageExpired ContractStage = "Expired"
	// StageCancelled is a Contract in state Cancelled.
	StageCancelled ContractStage = "Cancelled"
)

// ContractSpec is what was agreed with a vendor.
//
// +kubebuilder:validation:XValidation:rule="!has(self.total) || !has(self.lines) || self.lines.all(l, !has(l.unitCost) || l.unitCost.currency == self.total.currency)",message="lines must have the currency of total"
type ContractSpec struct {
	// applicationRef names the Application that the contract is about.
	// +required
	ApplicationRef ObjectReference `json:"applicationRef,omitzero"`

	// displayName is what people read. Default: the resource's name.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	DisplayName string `json:"displayName,omitempty"`

	// state that the company gives the contract.
	// +optional
	// +kubebuilder:default=Active
	State ContractState `json:"state,omitempty"`

	// vendor or reseller that the contract is with.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Vendor string `json:"vendor,omitempty"`

	// owner answers for the contract and is reminded of it. Default: the
	// Application's primary owner.
	// +optional
	Owner Email `json:"owner,omitempty"`

	// contacts at the vendor and in the company.
	// +optional
	// +listType=map
	// +listMapKey=email
	// +kubebuilder:validation:MaxItems=32
	Contacts []ContractContact `json:"contacts,omitempty"`

	// description is what people read.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Description string `json:"description,omitempty"`

	// fields are custom fields.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Fields map[string]Value `json:"fields,omitempty"`

	// documents that belong to the contract.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Documents []ContractDocument `json:"documents,omitempty"`

	// term that the contract runs for; both days belong to it.
	// +required
	Term ContractTerm `json:"term,omitzero"`

	// renewal says what happens at the end of the term. Default: type None.
	// +optional
	Renewal *ContractRenewal `json:"renewal,omitempty"`

	// reminders before the cancellation deadline, or before the end of the term
	// where the renewal has none.
	// +optional
	// +listType=map
	// +listMapKey=before
	// +kubebuilder:validation:MaxItems=16
	Reminders []ContractReminder `json:"reminders,omitempty"`

	// total of the term. Unset: what the lines add up to.
	// +optional
	Total *Money `json:"total,omitempty"`

	// lines of the contract, agreed together and therefore replaced together.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Lines []ContractLine `json:"lines,omitempty"`

	// previousRef names the Contract that this one follows.
	// +optional
	PreviousRef *ObjectReference `json:"previousRef,omitempty"`
}

// ContractContact is somebody to talk to about a contract.
type ContractContact struct {
	// email of the contact.
	// +required
	Email Email `json:"email,omitempty"`

	// displayName is what people read.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	DisplayName string `json:"displayName,omitempty"`

	// role of the contact.
	// +optional
	// +kubebuilder:validation:Enum=Vendor;Owner;Finance;Legal;Other
	Role string `json:"role,omitempty"`
}

// ContractDocument is a document, linked or uploaded.
//
// +kubebuilder:validation:ExactlyOneOf=url;fileId
type ContractDocument struct {
	// name of the document.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name,omitempty"`

	// url where the document is.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://`
	URL string `json:"url,omitempty"`

	// fileId of an uploaded file.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	FileID string `json:"fileId,omitempty"`
}

// ContractTerm is the time that a contract runs for.
//
// +kubebuilder:validation:XValidation:rule="self.end > self.start",message="end must be after start",fieldPath=".end"
type ContractTerm struct {
	// start is the first day.
	// +required
	Start Date `json:"start,omitempty"`

	// end is the last day.
	// +required
	End Date `json:"end,omitempty"`
}

// RenewalType says what happens when a term ends.
//
// +kubebuilder:validation:Enum=Auto;Manual;None
type RenewalType string

// The renewal types.
const (
	// RenewalAuto renews unless it is cancelled before the deadline.
	RenewalAuto RenewalType = "Auto"
	// RenewalManual needs an agreement to go on.
	RenewalManual RenewalType = "Manual"
	// RenewalNone ends.
	RenewalNone RenewalType = "None"
)

// ContractRenewal says what happens when a term ends.
//
// +kubebuilder:validation:XValidation:rule="self.type != 'None' || (!has(self.noticePeriodDays) && !has(self.termMonths))",message="noticePeriodDays and termMonths may not be set with type None"
type ContractRenewal struct {
	// type of renewal.
	// +required
	Type RenewalType `json:"type,omitempty"`

	// noticePeriodDays before the end by which the vendor must have the
	// cancellation: the deadline is the end less these calendar days.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1095
	NoticePeriodDays *int32 `json:"noticePeriodDays,omitempty"`

	// termMonths of the term that follows.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=120
	TermMonths *int32 `json:"termMonths,omitempty"`
}

// ContractReminder tells people that a deadline comes.
type ContractReminder struct {
	// before the deadline, in calendar days.
	// +required
	Before Days `json:"before,omitempty"`

	// to whom. Default: the owner.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	To []Recipient `json:"to,omitempty"`
}

// ContractLine is one position of a contract.
//
// +kubebuilder:validation:XValidation:rule="!has(self.unitCost) || has(self.period)",message="period must be set with unitCost"
// +kubebuilder:validation:XValidation:rule="!has(self.unitCost) || self.unitCost.minor >= 0",message="unitCost must not be negative",fieldPath=".unitCost"
type ContractLine struct {
	// plan of the Application that the line buys.
	// +required
	Plan PlanName `json:"plan,omitempty"`

	// quantity of seats.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000000
	Quantity *int64 `json:"quantity,omitempty"`

	// unitCost of one seat for one period.
	// +optional
	UnitCost *Money `json:"unitCost,omitempty"`

	// period that unitCost covers.
	// +optional
	Period BillingPeriod `json:"period,omitempty"`
}

// ContractStatus is where a contract stands.
type ContractStatus struct {
	CommonStatus `json:",inline"`

	// stage of the contract.
	// +optional
	Stage ContractStage `json:"stage,omitempty"`

	// cancellationDeadline is the last day on which a cancellation counts: the
	// end of the term less the notice period.
	// +optional
	CancellationDeadline Date `json:"cancellationDeadline,omitempty"`

	// seats contracted against those in use.
	// +optional
	Seats *ContractSeats `json:"seats,omitempty"`

	// annual is what a year of the lines costs.
	// +optional
	Annual *Money `json:"annual,omitempty"`

	// potentialSavings is what a year costs less without the unused seats,
	// which takes effect at the renewal.
	// +optional
	PotentialSavings *Money `json:"potentialSavings,omitempty"`

	// summary is potentialSavings as people write it, such as "USD 19188.00".
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Summary string `json:"summary,omitempty"`
}

// ContractSeats counts seats against the lines.
type ContractSeats struct {
	// contracted by the lines.
	// +optional
	Contracted int64 `json:"contracted"`
	// assigned to somebody, of the plans that the lines name.
	// +optional
	Assigned int64 `json:"assigned"`
	// unused is contracted less those in use: not assigned, or assigned and
	// unused by a trusted signal.
	// +optional
	Unused int64 `json:"unused"`
	// unknown is for how many assigned seats no trusted, fresh signal exists.
	// +optional
	Unknown int64 `json:"unknown"`
}

// Contract is what was agreed with a vendor for an Application.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=saas,shortName=skcon
// +kubebuilder:validation:XValidation:rule="!has(self.spec.previousRef) || self.spec.previousRef.name != self.metadata.name",message="a Contract may not follow itself",fieldPath=".spec.previousRef"
// +kubebuilder:selectablefield:JSONPath=`.spec.applicationRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.state`
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Application",type="string",JSONPath=`.spec.applicationRef.name`
// +kubebuilder:printcolumn:name="Stage",type="string",JSONPath=`.status.stage`
// +kubebuilder:printcolumn:name="End",type="string",JSONPath=`.spec.term.end`
// +kubebuilder:printcolumn:name="Deadline",type="string",JSONPath=`.status.cancellationDeadline`
// +kubebuilder:printcolumn:name="Unused",type="integer",JSONPath=`.status.seats.unused`
// +kubebuilder:printcolumn:name="Savings",type="string",JSONPath=`.status.summary`,priority=1
// +kubebuilder:printcolumn:name="Contracted",type="integer",JSONPath=`.status.seats.contracted`,priority=1
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
type Contract struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state.
	// +required
	Spec ContractSpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ContractStatus `json:"status,omitzero"`
}

// ContractList is a list of Contracts.
//
// +kubebuilder:object:root=true
type ContractList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Contract `json:"items"`
}
