// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Rules cannot name input, because it holds free values; comparing the whole
// spec while stop is unchanged covers it. The one update that sets stop could
// change input too, of a run that is being stopped and has read it already.

// WorkflowRunSpec starts one run. It cannot change, except that stop may be set.
//
// +kubebuilder:validation:XValidation:rule="self.stop != oldSelf.stop || self == oldSelf",message="spec is immutable, except that stop may be set to true"
// +kubebuilder:validation:XValidation:rule="self.workflowRef == oldSelf.workflowRef && has(self.subject) == has(oldSelf.subject) && (!has(self.subject) || self.subject == oldSelf.subject) && self.dryRun == oldSelf.dryRun && has(self.ttlAfterFinished) == has(oldSelf.ttlAfterFinished) && (!has(self.ttlAfterFinished) || self.ttlAfterFinished == oldSelf.ttlAfterFinished)",message="spec is immutable, except that stop may be set to true"
// +kubebuilder:validation:XValidation:rule="self.stop || !oldSelf.stop",message="a stopped run cannot be started again; create another WorkflowRun",fieldPath=".stop"
type WorkflowRunSpec struct {
	// workflowRef names the Workflow to run.
	// +required
	WorkflowRef ObjectReference `json:"workflowRef,omitzero"`

	// subject of the run, as the Workflow's trigger asks for.
	// +optional
	Subject *RunSubject `json:"subject,omitempty"`

	// input of the run.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Input map[string]Value `json:"input,omitempty"`

	// stop starts no further step of the run. It cannot be taken back.
	// +optional
	// +kubebuilder:default=false
	Stop bool `json:"stop"`

	// dryRun goes through the steps and sends nothing.
	// +optional
	// +kubebuilder:default=false
	DryRun bool `json:"dryRun"`

	// ttlAfterFinished is how long the object stays after the run finished.
	// Default 168h. The run's rows stay as long as retention says.
	// +optional
	TTLAfterFinished DurationOrDays `json:"ttlAfterFinished,omitempty"`
}

// RunSubject names what a run is about.
//
// +kubebuilder:validation:ExactlyOneOf=person;application;contract
type RunSubject struct {
	// person by e-mail address; the person must exist.
	// +optional
	Person Email `json:"person,omitempty"`

	// application by name.
	// +optional
	Application ResourceName `json:"application,omitempty"`

	// contract by name.
	// +optional
	Contract ResourceName `json:"contract,omitempty"`
}

// StepState is how far a step of a run is.
//
// +kubebuilder:validation:Enum=Pending;Running;Waiting;Succeeded;Skipped;Failed;Stopped;Attention
type StepState string

// The step states.
const (
	StepPending   StepState = "Pending"
	StepRunning   StepState = "Running"
	StepWaiting   StepState = "Waiting"
	StepSucceeded StepState = "Succeeded"
	StepSkipped   StepState = "Skipped"
	StepFailed    StepState = "Failed"
	StepStopped   StepState = "Stopped"
	// StepAttention waits for a person: its outcome is unknown and repeating it
	// is unsafe.
	StepAttention StepState = "Attention"
)

// WorkflowRunStatus follows a run. It is written every 10 s at most.
type WorkflowRunStatus struct {
	CommonStatus `json:",inline"`

	// runID of the run in the store.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RunID string `json:"runID,omitempty"`

	// revision of the Workflow that the run keeps.
	// +optional
	Revision int64 `json:"revision,omitempty"`

	// steps in order; of a longer run the last ones.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Steps []RunStepStatus `json:"steps,omitempty"`

	// startTime of the run.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// completionTime of the run.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
}

// RunStepStatus is how far a step is.
type RunStepStatus struct {
	// name of the step, with the names of the steps around it: dept.crm.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name,omitempty"`

	// state of the step.
	// +required
	State StepState `json:"state,omitempty"`

	// reason of the state.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// attempts that were made.
	// +optional
	Attempts int32 `json:"attempts,omitempty"`
}

// WorkflowRun starts one run by hand and follows it. Its name is the
// idempotency key: re-created, it follows the run that exists. Deleting it
// stops nothing.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=saas,shortName=skrun
// +kubebuilder:selectablefield:JSONPath=`.spec.workflowRef.name`
// +kubebuilder:printcolumn:name="Succeeded",type="string",JSONPath=`.status.conditions[?(@.type=="Succeeded")].status`
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=`.status.conditions[?(@.type=="Succeeded")].reason`
// +kubebuilder:printcolumn:name="Workflow",type="string",JSONPath=`.spec.workflowRef.name`
// +kubebuilder:printcolumn:name="Revision",type="integer",JSONPath=`.status.revision`,priority=1
// +kubebuilder:printcolumn:name="Run",type="string",JSONPath=`.status.runID`,priority=1
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Succeeded")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=`.metadata.creationTimestamp`
type WorkflowRun struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state.
	// +required
	Spec WorkflowRunSpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status WorkflowRunStatus `json:"status,omitzero"`
}

// WorkflowRunList is a list of WorkflowRuns.
//
// +kubebuilder:object:root=true
type WorkflowRunList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []WorkflowRun `json:"items"`
}
