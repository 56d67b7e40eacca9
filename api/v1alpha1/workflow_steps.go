// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Steps nest three levels deep. Structural schemas cannot recurse, so each
// level is a type of its own: Step holds InnerSteps, which hold LeafSteps.
// What goes deeper belongs into a Workflow that a workflow step starts.

// StepName names a step; it is unique in its Workflow, and ${steps.<name>.…}
// reads its outputs.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-z][a-zA-Z0-9]{0,62}$`
type StepName string

// StepBase is what every step has.
type StepBase struct {
	// name of the step, unique in the Workflow.
	// +required
	Name StepName `json:"name,omitempty"`

	// when is a CEL condition; the step is skipped unless it is true.
	// +optional
	When Expression `json:"when,omitempty"`

	// timeout of the step. Default: that of its kind.
	// +optional
	Timeout DurationOrDays `json:"timeout,omitempty"`

	// retry of the step. Default: the Workflow's.
	// +optional
	Retry *Retry `json:"retry,omitempty"`

	// onError says what a step that failed for good does to its run. Default
	// Fail.
	// +optional
	// +kubebuilder:validation:Enum=Fail;Continue;Ask
	OnError string `json:"onError,omitempty"`

	// outputs that later steps read.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Outputs map[string]Output `json:"outputs,omitempty"`
}

// Output is a value that a step leaves for later ones.
type Output struct {
	// value is a CEL expression over resp, status and headers.
	// +required
	Value Expression `json:"value,omitempty"`

	// sensitive values are sealed at rest and never shown.
	// +optional
	Sensitive bool `json:"sensitive,omitempty"`
}

// StepAction is what a step does, where it holds no steps of its own. Exactly
// one kind is set.
type StepAction struct {
	// action runs an action of a connector.
	// +optional
	Action *ActionStep `json:"action,omitempty"`

	// http sends a request to a host of your own choice.
	// +optional
	HTTP *HTTPStep `json:"http,omitempty"`

	// wait lets time pass.
	// +optional
	Wait *WaitStep `json:"wait,omitempty"`

	// approval asks for a yes.
	// +optional
	Approval *ApprovalStep `json:"approval,omitempty"`

	// ask asks a question with options.
	// +optional
	Ask *AskStep `json:"ask,omitempty"`

	// delegate opens a task for a person.
	// +optional
	Delegate *DelegateStep `json:"delegate,omitempty"`

	// notify tells somebody.
	// +optional
	Notify *NotifyStep `json:"notify,omitempty"`

	// offboarding applies each app's own offboarding method to the person.
	// +optional
	Offboarding *OffboardingStep `json:"offboarding,omitempty"`

	// workflow starts another Workflow and waits for it.
	// +optional
	Workflow *WorkflowStep `json:"workflow,omitempty"`
}

// Step is a step of a Workflow.
//
// +kubebuilder:validation:ExactlyOneOf=action;http;wait;approval;ask;delegate;notify;offboarding;workflow;switch;forEach
type Step struct {
	StepBase   `json:",inline"`
	StepAction `json:",inline"`

	// switch runs the steps of the first case that is true.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Switch []Case `json:"switch,omitempty"`

	// forEach runs steps once per item of a list.
	// +optional
	ForEach *ForEach `json:"forEach,omitempty"`
}

// Case is a branch of a switch.
type Case struct {
	// when is a CEL condition. Unset: otherwise.
	// +optional
	When Expression `json:"when,omitempty"`

	// steps of the branch, in order.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Steps []InnerStep `json:"steps,omitempty"`
}

// ForEach runs steps once per item of a list.
type ForEach struct {
	LoopBase `json:",inline"`

	// steps for each item, in order.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Steps []InnerStep `json:"steps,omitempty"`
}

// LoopBase is what every forEach has.
type LoopBase struct {
	// in is a CEL expression that gives a list, of at most 1000 items.
	// +required
	In Expression `json:"in,omitempty"`

	// as names the item in expressions.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z][a-zA-Z0-9]*$`
	As string `json:"as,omitempty"`

	// maxParallel is how many items are at work at the same time. Loops inside of
	// one another have at most 64 together. Default 1: one after the other.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	MaxParallel int32 `json:"maxParallel,omitempty"`

	// failurePolicy says what a failed item does to the others. Default
	// Continue.
	// +optional
	// +kubebuilder:validation:Enum=Continue;Stop
	FailurePolicy string `json:"failurePolicy,omitempty"`
}

// InnerStep is a step inside a Step.
//
// +kubebuilder:validation:ExactlyOneOf=action;http;wait;approval;ask;delegate;notify;offboarding;workflow;switch;forEach
type InnerStep struct {
	StepBase   `json:",inline"`
	StepAction `json:",inline"`

	// switch runs the steps of the first case that is true.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Switch []LeafCase `json:"switch,omitempty"`

	// forEach runs steps once per item of a list.
	// +optional
	ForEach *LeafForEach `json:"forEach,omitempty"`
}

// LeafCase is a branch of a switch inside a Step.
type LeafCase struct {
	// when is a CEL condition. Unset: otherwise.
	// +optional
	When Expression `json:"when,omitempty"`

	// steps of the branch, in order.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Steps []LeafStep `json:"steps,omitempty"`
}

// LeafForEach runs leaf steps once per item of a list.
type LeafForEach struct {
	LoopBase `json:",inline"`

	// steps for each item, in order.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Steps []LeafStep `json:"steps,omitempty"`
}

// LeafStep is a step inside an InnerStep; it holds no further steps.
//
// +kubebuilder:validation:ExactlyOneOf=action;http;wait;approval;ask;delegate;notify;offboarding;workflow
type LeafStep struct {
	StepBase   `json:",inline"`
	StepAction `json:",inline"`
}

// ActionStep runs an action of a connector.
type ActionStep struct {
	// integration that acts.
	// +required
	Integration ResourceName `json:"integration,omitempty"`

	// name of the action.
	// +required
	Name ActionName `json:"name,omitempty"`

	// with is the action's input; text may hold ${ } holes.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	With map[string]Value `json:"with,omitempty"`
}

// HTTPStep sends a request to a host of your own choice.
//
// +kubebuilder:validation:XValidation:rule="!has(self.method) || self.method == 'GET' || has(self.class)",message="class is required unless method is GET"
// +kubebuilder:validation:XValidation:rule="!has(self.class) || self.class != 'Verifiable' || has(self.verify)",message="class Verifiable needs verify"
// +kubebuilder:validation:AtMostOneOf=body;graphql
type HTTPStep struct {
	// url of the request. Its host must be literal or in allowHosts.
	// +required
	// +kubebuilder:validation:MinLength=8
	URL Template `json:"url,omitempty"`

	// method of the request. Default GET.
	// +optional
	// +kubebuilder:validation:Enum=GET;POST;PUT;PATCH;DELETE
	Method string `json:"method,omitempty"`

	// headers of the request.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Headers map[string]Template `json:"headers,omitempty"`

	// query of the request.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Query map[string]Template `json:"query,omitempty"`

	// body of the request, sent as JSON unless it is text; an object goes as a
	// form where the header Content-Type says so.
	// +optional
	Body *Value `json:"body,omitempty"`

	// graphql query, sent as the body.
	// +optional
	GraphQL *GraphQL `json:"graphql,omitempty"`

	// auth of the request.
	// +optional
	Auth *HTTPAuth `json:"auth,omitempty"`

	// expect is a CEL condition that a good answer meets. Default: status is
	// 2xx.
	// +optional
	Expect Expression `json:"expect,omitempty"`

	// class says how a request whose answer was lost is resolved: repeated
	// (Read, Idempotent), repeated under its key (Keyed), read back
	// (Verifiable), or left to a person (Unsafe). Required unless GET.
	// +optional
	// +kubebuilder:validation:Enum=Read;Idempotent;Keyed;Verifiable;Unsafe
	Class string `json:"class,omitempty"`

	// keyHeader carries the idempotency key with class Keyed. Default
	// Idempotency-Key.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+$`
	KeyHeader string `json:"keyHeader,omitempty"`

	// verify reads back whether the request took effect. Required with class
	// Verifiable.
	// +optional
	Verify *HTTPVerify `json:"verify,omitempty"`

	// allowHosts that a url with a computed host may reach.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	AllowHosts []DomainName `json:"allowHosts,omitempty"`
}

// GraphQL is a GraphQL request.
type GraphQL struct {
	// query text.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	Query string `json:"query,omitempty"`

	// variables of the query.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Variables map[string]Value `json:"variables,omitempty"`
}

// HTTPAuth authenticates a request from a Secret.
//
// +kubebuilder:validation:XValidation:rule="self.type != 'ClientCredentials' || has(self.tokenURL)",message="type ClientCredentials needs tokenURL"
type HTTPAuth struct {
	// type of authentication. Bearer reads the key token; Basic reads username
	// and password; ClientCredentials reads clientId and clientSecret and gets
	// a token from tokenURL.
	// +required
	// +kubebuilder:validation:Enum=Bearer;Basic;ClientCredentials
	Type string `json:"type,omitempty"`

	// secretName is the Secret to read.
	// +required
	SecretName ResourceName `json:"secretName,omitempty"`

	// header that carries the token of Bearer and ClientCredentials. Default
	// Authorization.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+$`
	Header string `json:"header,omitempty"`

	// scheme in front of the token, such as Zoho-oauthtoken. Default: Bearer in
	// the header Authorization, none in another.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9-]*$`
	Scheme string `json:"scheme,omitempty"`

	// tokenURL for ClientCredentials.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https://`
	TokenURL string `json:"tokenURL,omitempty"`

	// scopes for ClientCredentials.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=256
	Scopes []string `json:"scopes,omitempty"`
}

// HTTPVerify reads back whether a request took effect.
type HTTPVerify struct {
	// url to GET, with the headers and auth of the request.
	// +required
	// +kubebuilder:validation:MinLength=8
	URL Template `json:"url,omitempty"`

	// expect is a CEL condition over status and resp: true if it took effect.
	// +required
	Expect Expression `json:"expect,omitempty"`

	// within this time the effect shows. Default 1m.
	// +optional
	Within Duration `json:"within,omitempty"`
}

// WaitStep lets time pass.
//
// +kubebuilder:validation:ExactlyOneOf=for;until;businessDays
type WaitStep struct {
	// for this time: 72h is elapsed, 3d is calendar days at the same wall time.
	// +optional
	For DurationOrDays `json:"for,omitempty"`

	// until this moment.
	// +optional
	Until *Moment `json:"until,omitempty"`

	// businessDays to wait: until the same wall time on the so-many-th day of
	// work after today, as the Organization's workday says.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	BusinessDays int32 `json:"businessDays,omitempty"`
}

// ApprovalStep asks for a yes.
type ApprovalStep struct {
	// approvers in order; the first who can be found decides.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Approvers []Recipient `json:"approvers,omitempty"`

	// text of the question.
	// +optional
	Text Template `json:"text,omitempty"`

	// timeout after which silence counts as onTimeout. Default 72h.
	// +optional
	Timeout DurationOrDays `json:"timeout,omitempty"`

	// onTimeout says what silence means. Default Reject.
	// +optional
	// +kubebuilder:validation:Enum=Approve;Reject
	OnTimeout string `json:"onTimeout,omitempty"`

	// fallback is asked after the timeout, before onTimeout applies.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Fallback []Recipient `json:"fallback,omitempty"`
}

// AskStep asks a question with options.
type AskStep struct {
	// to whom, as an e-mail address.
	// +required
	// +kubebuilder:validation:MinLength=1
	To Template `json:"to,omitempty"`

	// via these channels, the first that reaches the person.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Via []AskChannel `json:"via,omitempty"`

	// text of the question.
	// +required
	// +kubebuilder:validation:MinLength=1
	Text Template `json:"text,omitempty"`

	// options to choose from; outputs.choice is the one chosen.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=75
	Options []string `json:"options,omitempty"`

	// timeout after which default counts. Default 72h.
	// +optional
	Timeout DurationOrDays `json:"timeout,omitempty"`

	// default is the option that silence counts as. Unset: the step fails.
	// +optional
	// +kubebuilder:validation:MaxLength=75
	Default string `json:"default,omitempty"`
}

// DelegateStep opens a task for a person.
type DelegateStep struct {
	// to whom; the first who can be found.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	To []Recipient `json:"to,omitempty"`

	// text of the task.
	// +required
	// +kubebuilder:validation:MinLength=1
	Text Template `json:"text,omitempty"`

	// evidence that closing the task takes. Default Optional.
	// +optional
	// +kubebuilder:validation:Enum=Optional;Required
	Evidence string `json:"evidence,omitempty"`
}

// NotifyStep tells somebody.
type NotifyStep struct {
	// to whom, all of them.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	To []Recipient `json:"to,omitempty"`

	// via these channels. Default: the first that reaches each.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:items:Enum=Slack;Email
	Via []string `json:"via,omitempty"`

	// subject of an e-mail.
	// +optional
	Subject Template `json:"subject,omitempty"`

	// text of the message.
	// +required
	// +kubebuilder:validation:MinLength=1
	Text Template `json:"text,omitempty"`
}

// OffboardingStep applies each app's own offboarding method to the person.
type OffboardingStep struct {
	// applications to cover. Default: every app in which the person has an
	// account.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	Applications []ResourceName `json:"applications,omitempty"`

	// except these applications.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	Except []ResourceName `json:"except,omitempty"`
}

// WorkflowStep starts another Workflow and waits for it.
type WorkflowStep struct {
	// name of the Workflow, whose trigger must be manual.
	// +required
	Name ResourceName `json:"name,omitempty"`

	// input of the run.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Input map[string]Value `json:"input,omitempty"`
}
