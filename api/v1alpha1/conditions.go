// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types that every kind has. Reconciling and Stalled are only there
// when True, and never both.
const (
	// ConditionReady sums the state up.
	ConditionReady = "Ready"
	// ConditionReconciling is True while the controller is at work on a change.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when nothing goes on until a person changes
	// something.
	ConditionStalled = "Stalled"
	// ConditionHeld is True when a guard holds something back. Its reason is
	// GuardHeld and status.held describes the set.
	ConditionHeld = "Held"
)

// Condition types of an Integration.
const (
	// ConditionTested says how the connect test went: AllPassed, Partial or
	// Failed.
	ConditionTested = "Tested"
	// ConditionSynced says how the last listing went.
	ConditionSynced = "Synced"
	// ConditionEndpointOverridden is True when the operator redirects the
	// connector's hosts; absent otherwise.
	ConditionEndpointOverridden = "EndpointOverridden"
	// ConditionDisconnectHeld is True when a deleted Integration waits for its
	// disconnect to be confirmed; absent otherwise.
	ConditionDisconnectHeld = "DisconnectHeld"
)

// Condition types of other kinds.
const (
	// ConditionWebhookReady says whether an Integration or Workflow receives
	// webhooks; absent if it has none.
	ConditionWebhookReady = "WebhookReady"
	// ConditionInventoryStale is True when an Application or LicensePolicy rests
	// on stale data; absent otherwise.
	ConditionInventoryStale = "InventoryStale"
	// ConditionValid says whether a Workflow can run.
	ConditionValid = "Valid"
	// ConditionPeopleUnreached is True when runs of a Workflow wait for people whom
	// no channel reaches, or could not tell somebody within the last day; absent
	// otherwise.
	ConditionPeopleUnreached = "PeopleUnreached"
	// ConditionAttentionNeeded is True while runs of a Workflow wait for a person to
	// say how they go on; absent otherwise.
	ConditionAttentionNeeded = "AttentionNeeded"
	// ConditionLastRunFailed is True when the newest run of a Workflow that has ended
	// failed, for a week; absent otherwise.
	ConditionLastRunFailed = "LastRunFailed"
	// ConditionPathsUnreceived is True when a Workflow reads parts of a webhook's
	// body that no body had; absent otherwise. Runs start all the same.
	ConditionPathsUnreceived = "PathsUnreceived"
	// ConditionSCIMServed says whether an Organization's identity provider is
	// served without a stream of failures; absent where SCIM is off.
	ConditionSCIMServed = "SCIMServed"
	// ConditionEmailReady says whether an Organization's mail server takes mails,
	// and people can answer them; absent where none is named.
	ConditionEmailReady = "EmailReady"
	// ConditionSucceeded says how a WorkflowRun ended: Unknown until it has.
	ConditionSucceeded = "Succeeded"
	// ConditionGranted says whether an AccessRequest's access is in force.
	ConditionGranted = "Granted"
	// ConditionDelivered says whether an APIKey's key was written to its Secret.
	ConditionDelivered = "Delivered"
	// ConditionExpiring is True when an APIKey expires in 30 days or less; absent
	// otherwise.
	ConditionExpiring = "Expiring"
)
