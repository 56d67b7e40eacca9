// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ApplicationState is where an app stands in the company's judgement.
//
// +kubebuilder:validation:Enum=InReview;Evaluation;Sanctioned;CostOptimization;NeedToClose;Closed
type ApplicationState string

// The application states.
const (
	ApplicationInReview         ApplicationState = "InReview"
	ApplicationEvaluation       ApplicationState = "Evaluation"
	ApplicationSanctioned       ApplicationState = "Sanctioned"
	ApplicationCostOptimization ApplicationState = "CostOptimization"
	ApplicationNeedToClose      ApplicationState = "NeedToClose"
	ApplicationClosed           ApplicationState = "Closed"
)

// ApplicationSpec says what an app is to the company.
type ApplicationSpec struct {
	// displayName is what people read. Default: the resource's name.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	DisplayName string `json:"displayName,omitempty"`

	// description is what people read.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Description string `json:"description,omitempty"`

	// url where people find the app.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://`
	URL string `json:"url,omitempty"`

	// domains by which discovered apps, e-mails and expenses are matched to
	// this app.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Domains []DomainName `json:"domains,omitempty"`

	// aliases are other names under which sources know the app; compared
	// without case.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Aliases []string `json:"aliases,omitempty"`

	// integrationRefs are the Integrations whose own accounts are this app's
	// accounts. Default: those whose connector declares one of the domains.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	IntegrationRefs []ObjectReference `json:"integrationRefs,omitempty"`

	// category groups apps that do the same job, such as Collaboration.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Category string `json:"category,omitempty"`

	// state of the app in the company's judgement.
	// +optional
	// +kubebuilder:default=InReview
	State ApplicationState `json:"state,omitempty"`

	// owners of the app. The one with role Primary is asked first.
	// +optional
	// +listType=map
	// +listMapKey=email
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.filter(o, has(o.role) && o.role == 'Primary').size() <= 1",message="at most one owner may have role Primary"
	Owners []ApplicationOwner `json:"owners,omitempty"`

	// hidden leaves the app out of lists unless they ask for it.
	// +optional
	Hidden bool `json:"hidden,omitempty"`

	// tags of your own.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	Tags []string `json:"tags,omitempty"`

	// fields are custom fields.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Fields map[string]Value `json:"fields,omitempty"`

	// plans that the company buys. A Contract's price for a plan wins over the
	// unitCost here.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Plans []ApplicationPlan `json:"plans,omitempty"`

	// offboarding is what happens to a leaver's account, per Integration. Without
	// an entry the mildest action applies by which the Integration may stop an
	// account, or a task is opened. status.offboarding shows it.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Offboarding []OffboardingMethod `json:"offboarding,omitempty"`

	// catalog says whether and how people may ask for the app.
	// +optional
	Catalog *Catalog `json:"catalog,omitempty"`
}

// ApplicationOwner is somebody who answers for an app.
type ApplicationOwner struct {
	// email of the owner.
	// +required
	Email Email `json:"email,omitempty"`

	// role of the owner. Default Additional.
	// +optional
	// +kubebuilder:validation:Enum=Primary;Additional;Technical;Business
	Role string `json:"role,omitempty"`
}

// OwnerPrimary is the role of the owner who is asked first.
const OwnerPrimary = "Primary"

// ApplicationPlan is a plan that people hold seats of.
//
// +kubebuilder:validation:XValidation:rule="!has(self.unitCost) || has(self.period)",message="period must be set with unitCost"
// +kubebuilder:validation:XValidation:rule="!has(self.unitCost) || self.unitCost.minor >= 0",message="unitCost must not be negative",fieldPath=".unitCost"
type ApplicationPlan struct {
	// name of the plan, as Contracts and LicensePolicies refer to it.
	// +required
	Name PlanName `json:"name,omitempty"`

	// vendorKeys are the vendor's plan keys that count as this plan, such as
	// zoom.type.2. Default: the vendor's plan of the same name.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	VendorKeys []string `json:"vendorKeys,omitempty"`

	// unitCost of one seat for one period. 0 is a free plan; unset is unknown.
	// +optional
	UnitCost *Money `json:"unitCost,omitempty"`

	// period that unitCost covers.
	// +optional
	Period BillingPeriod `json:"period,omitempty"`

	// purchased seats. Unset: what the vendor reports.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000000
	Purchased *int64 `json:"purchased,omitempty"`
}

// OffboardingMethod is what happens to a leaver's account at one Integration.
//
// +kubebuilder:validation:XValidation:rule="self.method != 'Automatic' || has(self.action)",message="method Automatic needs an action"
// +kubebuilder:validation:XValidation:rule="self.method == 'Automatic' || (!has(self.action) && !has(self.deleteAfter))",message="action and deleteAfter may only be set with method Automatic"
type OffboardingMethod struct {
	// name of the Integration.
	// +required
	Name ResourceName `json:"name,omitempty"`

	// method says who acts: Automatic runs the action, Delegate opens a task
	// that asks for evidence, Ignore does nothing. While Automatic cannot be
	// carried out, a task is opened.
	// +required
	// +kubebuilder:validation:Enum=Automatic;Delegate;Ignore
	Method string `json:"method,omitempty"`

	// action that Automatic runs. It takes access away and needs nothing but the
	// account, such as user.suspend, user.deactivate or app.unassign. To delete,
	// set deleteAfter.
	// +optional
	Action ActionName `json:"action,omitempty"`

	// deleteAfter this grace period the account, stopped by user.suspend or
	// user.deactivate, is deleted by user.delete. Unset: it stays stopped.
	// +optional
	DeleteAfter Days `json:"deleteAfter,omitempty"`

	// transferTo receives the leaver's data; the first who can be found. The
	// connector needs data.transfer, or a user.delete that hands data over.
	// Order is meaning, so the list is replaced as a whole.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	TransferTo []Recipient `json:"transferTo,omitempty"`

	// unmanagedAccounts are accounts of the app that no Integration can act on,
	// such as those that only an identity provider knows. Where entries differ,
	// Delegate wins. Default Delegate.
	// +optional
	// +kubebuilder:validation:Enum=Delegate;Ignore
	UnmanagedAccounts string `json:"unmanagedAccounts,omitempty"`
}

// Catalog says how people may ask for the app.
type Catalog struct {
	// requestable lets people ask.
	// +optional
	Requestable bool `json:"requestable,omitempty"`

	// approvers are asked in this order; the first who can be found decides.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Approvers []Recipient `json:"approvers,omitempty"`

	// plan that is granted unless the request names another.
	// +optional
	Plan PlanName `json:"plan,omitempty"`

	// maxGrant is the longest time that access is granted for. Unset: without
	// end.
	// +optional
	MaxGrant DurationOrDays `json:"maxGrant,omitempty"`
}

// ApplicationStatus is the roll-up over everything that knows the app.
type ApplicationStatus struct {
	CommonStatus `json:",inline"`

	// connected says whether an Integration delivers the app's own accounts.
	// +optional
	Connected bool `json:"connected"`

	// inIdP says whether an identity provider knows the app.
	// +optional
	InIDP bool `json:"inIdP"`

	// sources that know, or knew, the app: Integration names, or the name that
	// a push or file source gave itself.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	Sources []string `json:"sources,omitempty"`

	// users of the app.
	// +optional
	Users *UserCounts `json:"users,omitempty"`

	// seats of all paid plans.
	// +optional
	Seats *SeatCounts `json:"seats,omitempty"`

	// plans are the roll-up plan by plan.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Plans []PlanStatus `json:"plans,omitempty"`

	// spend that prices and seats add up to.
	// +optional
	Spend *Spend `json:"spend,omitempty"`

	// similarApps are other apps of the same category that are in use.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	SimilarApps []string `json:"similarApps,omitempty"`

	// offboarding is what happens to a leaver's account, per Integration, as it
	// would be carried out now.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Offboarding []OffboardingStatus `json:"offboarding,omitempty"`

	// recommendedConnector could connect the app, which nothing does yet.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	RecommendedConnector string `json:"recommendedConnector,omitempty"`
}

// OffboardingStatus is what happens to a leaver's account at one Integration.
type OffboardingStatus struct {
	// name of the Integration.
	// +required
	Name ResourceName `json:"name,omitempty"`

	// method that applies. Delegate stands in for an Automatic that cannot be
	// carried out.
	// +required
	// +kubebuilder:validation:Enum=Automatic;Delegate;Ignore
	Method string `json:"method,omitempty"`

	// action that Automatic runs.
	// +optional
	Action ActionName `json:"action,omitempty"`

	// source says whether spec.offboarding declares it or it applies by default.
	// +required
	// +kubebuilder:validation:Enum=Declared;Default
	Source string `json:"source,omitempty"`
}

// The values of OffboardingStatus.Source.
const (
	OffboardingDeclared = "Declared"
	OffboardingDefault  = "Default"
)

// UserCounts counts an app's users by use.
type UserCounts struct {
	// total is everybody with an account that is not deleted.
	// +optional
	Total int64 `json:"total"`
	// active within the window.
	// +optional
	Active int64 `json:"active"`
	// inactive for the whole window, by a trusted signal.
	// +optional
	Inactive int64 `json:"inactive"`
	// unknown is for whom no trusted, fresh signal exists.
	// +optional
	Unknown int64 `json:"unknown"`
}

// SeatCounts counts seats.
type SeatCounts struct {
	// purchased seats; unset when neither the vendor nor the spec says.
	// +optional
	Purchased *int64 `json:"purchased,omitempty"`
	// assigned to somebody.
	// +optional
	Assigned int64 `json:"assigned"`
	// used within the window.
	// +optional
	Used int64 `json:"used"`
	// unused for the whole window, by a trusted signal.
	// +optional
	Unused int64 `json:"unused"`
	// unknown is for how many no trusted, fresh signal exists.
	// +optional
	Unknown int64 `json:"unknown"`
}

// PlanStatus is the roll-up of one plan.
type PlanStatus struct {
	// name of the plan.
	// +required
	Name PlanName `json:"name,omitempty"`

	// seats of the plan.
	// +optional
	Seats *SeatCounts `json:"seats,omitempty"`
}

// Spend is what an app costs in a year.
type Spend struct {
	// annualMinor is the yearly cost in minor units of currency.
	// +optional
	AnnualMinor int64 `json:"annualMinor"`

	// currency of annualMinor.
	// +required
	Currency CurrencyCode `json:"currency,omitempty"`

	// summary is the amount as people write it, such as "USD 76752.00".
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Summary string `json:"summary,omitempty"`

	// source says where prices came from.
	// +optional
	// +kubebuilder:validation:Enum=Contract;Plan;Mixed
	Source string `json:"source,omitempty"`
}

// The values of Spend.Source.
const (
	SpendFromContract = "Contract"
	SpendFromPlan     = "Plan"
	SpendMixed        = "Mixed"
)

// Application is an app that the company knows of and has an opinion on.
// Apps that are merely discovered are rows; the CLI lists both.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=saas,shortName=skapp
// +kubebuilder:selectablefield:JSONPath=`.spec.state`
// +kubebuilder:selectablefield:JSONPath=`.spec.category`
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Users",type="integer",JSONPath=`.status.users.total`
// +kubebuilder:printcolumn:name="Seats",type="integer",JSONPath=`.status.seats.assigned`
// +kubebuilder:printcolumn:name="Unused",type="integer",JSONPath=`.status.seats.unused`
// +kubebuilder:printcolumn:name="Unknown",type="integer",JSONPath=`.status.seats.unknown`
// +kubebuilder:printcolumn:name="Annual",type="string",JSONPath=`.status.spend.summary`
// +kubebuilder:printcolumn:name="State",type="string",JSONPath=`.spec.state`,priority=1
// +kubebuilder:printcolumn:name="Category",type="string",JSONPath=`.spec.category`,priority=1
// +kubebuilder:printcolumn:name="Connected",type="boolean",JSONPath=`.status.connected`,priority=1
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
type Application struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state.
	// +optional
	Spec ApplicationSpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ApplicationStatus `json:"status,omitzero"`
}

// ApplicationList is a list of Applications.
//
// +kubebuilder:object:root=true
type ApplicationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Application `json:"items"`
}
