// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// workflowReasons are those of a Workflow.
var workflowReasons = []ReasonInfo{
	{
		Reason: ReasonCompiled, Kind: KindWorkflow, Code: "SK1501",
		Title: "Every step and expression is valid.",
		Mend:  "Nothing to do.",
	},
	{
		Reason: ReasonInvalidStep, Kind: KindWorkflow, Code: "SK1502",
		Title: "A step is not valid.",
		Mend:  "Correct the step that the message names.",
	},
	{
		Reason: ReasonIntegrationGone, Kind: KindWorkflow, Code: "SK1503",
		Title: "A step or trigger needs an Integration that is gone.",
		Mend:  "Re-create the Integration, or change the step.",
	},
	{
		Reason: ReasonActionUnknown, Kind: KindWorkflow, Code: "SK1504",
		Title: "A step names an action that the connector does not have.",
		Mend:  "Correct the name; the Integration's status.capabilities lists the actions.",
	},
	{
		Reason: ReasonDirectionViolation, Kind: KindWorkflow, Code: "SK1505",
		Title: "A step goes against spec.direction.",
		Mend:  "Remove the step, or change the direction.",
	},
	{
		Reason: ReasonRunsNeedAttention, Kind: KindWorkflow, Code: "SK1506",
		Title: "Runs wait for a person.",
		Mend:  "List them with: seatkeeper runs --state attention.",
	},
	{
		Reason: ReasonSecretInLiteral, Kind: KindWorkflow, Code: "SK1507",
		Title: "A credential stands in the spec itself.",
		Mend:  "Put it into a Secret that auth names, and replace it where it was issued: git keeps what was committed.",
	},
	{
		Reason: ReasonNeverReceived, Kind: KindWorkflow, Code: "SK1508",
		Title: "An expression reads a part of a webhook's body that no body had.",
		Mend:  "Correct the path: seatkeeper workflow tokens NAME lists what was received. If the sender is to add it, send a test with it.",
	},
	{
		Reason: ReasonLastRunFailed, Kind: KindWorkflow, Code: "SK1509",
		Title: "The newest run of the Workflow that has ended failed.",
		Mend:  "Look at it with: seatkeeper runs, and the id in status.runs.lastFailed. Mend what failed, then start it again; a run that succeeds ends the condition, and so does a week.",
	},
}

// workflowRunReasons are those of a WorkflowRun.
var workflowRunReasons = []ReasonInfo{
	{
		Reason: ReasonRunning, Kind: KindWorkflowRun, Code: "SK1601",
		Title: "A step is in progress.",
		Mend:  "Wait.",
	},
	{
		Reason: ReasonWaiting, Kind: KindWorkflowRun, Code: "SK1602",
		Title: "The run waits for a time, an answer or a turn.",
		Mend:  "Wait, or answer; status.steps says for what.",
	},
	{
		Reason: ReasonCompleted, Kind: KindWorkflowRun, Code: "SK1603",
		Title: "Every step is done.",
		Mend:  "Nothing to do.",
	},
	{
		Reason: ReasonStepFailed, Kind: KindWorkflowRun, Code: "SK1604",
		Title: "A step failed for good.",
		Mend:  "Mend what the message names and start the run again.",
	},
	{
		Reason: ReasonStopped, Kind: KindWorkflowRun, Code: "SK1605",
		Title: "The run was stopped.",
		Mend:  "Create another WorkflowRun to run again.",
	},
	{
		Reason: ReasonTimedOut, Kind: KindWorkflowRun, Code: "SK1606",
		Title: "The run took longer than its timeout.",
		Mend:  "Raise the timeout, or look at what it waited for.",
	},
	{
		Reason: ReasonNeedsAttention, Kind: KindWorkflowRun, Code: "SK1607",
		Title: "The outcome of a step is unknown and repeating it is unsafe.",
		Mend:  "Look at the vendor whether it took effect, then resolve the run through the query API.",
	},
	{
		Reason: ReasonWorkflowNotValid, Kind: KindWorkflowRun, Code: "SK1608",
		Title: "The Workflow is not valid.",
		Mend:  "Look at the Workflow's own condition.",
	},
	{
		Reason: ReasonSubjectNotFound, Kind: KindWorkflowRun, Code: "SK1609",
		Title: "The subject of the run does not exist.",
		Mend:  "Correct spec.subject.",
	},
	{
		Reason: ReasonSubjectMismatch, Kind: KindWorkflowRun, Code: "SK1610",
		Title: "The subject is not of the kind that the trigger asks for.",
		Mend:  "Set the subject that the Workflow's trigger asks for.",
	},
}
