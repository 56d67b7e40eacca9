// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Reasons of conditions and of data types. Each has a stable code and a page in
// the documentation; Reasons lists them. A reason may be used by another kind
// than the one it is listed under.

// Reasons that any kind may give.
const (
	// ReasonReconciled: everything that the spec asks for is done.
	ReasonReconciled = "Reconciled"
	// ReasonProgressing: the controller is at work, or waits its turn.
	ReasonProgressing = "Progressing"
	// ReasonSuspended: spec.suspend is true.
	ReasonSuspended = "Suspended"
	// ReasonInvalidSpec: the spec breaks a rule that the schema cannot check.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonInvalidExpression: a CEL expression or template does not compile.
	ReasonInvalidExpression = "InvalidExpression"
	// ReasonValueTooLarge: a free value is larger than 16 KiB.
	ReasonValueTooLarge = "ValueTooLarge"
	// ReasonReferenceNotFound: the resource that a field names does not exist.
	ReasonReferenceNotFound = "ReferenceNotFound"
	// ReasonDependencyNotReady: a resource that this one needs is not Ready.
	ReasonDependencyNotReady = "DependencyNotReady"
	// ReasonOrganizationMissing: the namespace has no Organization.
	ReasonOrganizationMissing = "OrganizationMissing"
	// ReasonGuardHeld: a guard holds more than it may let through.
	ReasonGuardHeld = "GuardHeld"
	// ReasonReleaseDigestMismatch: the release annotation names another set than
	// the one held.
	ReasonReleaseDigestMismatch = "ReleaseDigestMismatch"
	// ReasonStoreUnavailable: the SQL store does not answer.
	ReasonStoreUnavailable = "StoreUnavailable"
	// ReasonTransientError: an attempt failed and will be repeated.
	ReasonTransientError = "TransientError"
	// ReasonNotImplemented: this version checks the resource and does not act on
	// it yet.
	ReasonNotImplemented = "NotImplemented"
)

// Reasons of an Integration.
const (
	// ReasonAllPassed: the connect test passed for every data type.
	ReasonAllPassed = "AllPassed"
	// ReasonPartial: the connect test passed, except for data types that are not
	// essential.
	ReasonPartial = "Partial"
	// ReasonFailed: the connect test failed for an essential data type.
	ReasonFailed = "Failed"
	// ReasonSynced: the last listing completed.
	ReasonSynced = "Synced"
	// ReasonSyncing: the first listing is in progress.
	ReasonSyncing = "Syncing"
	// ReasonSyncFailed: the last listing failed; what was known before is kept.
	ReasonSyncFailed = "SyncFailed"
	// ReasonSyncStale: no listing completed within the time that the interval
	// allows.
	ReasonSyncStale = "SyncStale"
	// ReasonSecretNotFound: the Secret of credentialsRef does not exist.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretKeyMissing: the Secret lacks a key that the connector asks for.
	ReasonSecretKeyMissing = "SecretKeyMissing"
	// ReasonSecretAccessDenied: the manager may not read Secrets of this
	// namespace.
	ReasonSecretAccessDenied = "SecretAccessDenied"
	// ReasonCredentialsRequired: the connector needs credentials and
	// credentialsRef is not set.
	ReasonCredentialsRequired = "CredentialsRequired"
	// ReasonCredentialsRejected: the vendor refused the credentials.
	ReasonCredentialsRejected = "CredentialsRejected"
	// ReasonPermissionMissing: the credentials lack a permission at the vendor.
	ReasonPermissionMissing = "PermissionMissing"
	// ReasonPlanInsufficient: the vendor's plan does not include what was asked
	// for.
	ReasonPlanInsufficient = "PlanInsufficient"
	// ReasonHostUnreachable: the vendor's host cannot be reached.
	ReasonHostUnreachable = "HostUnreachable"
	// ReasonHostNotAllowed: a request would go to a host or network that is not
	// allowed.
	ReasonHostNotAllowed = "HostNotAllowed"
	// ReasonRateLimited: the vendor's rate limit is used up.
	ReasonRateLimited = "RateLimited"
	// ReasonVendorError: the vendor answered with an error.
	ReasonVendorError = "VendorError"
	// ReasonPaginationStuck: the vendor returned the same page twice.
	ReasonPaginationStuck = "PaginationStuck"
	// ReasonUnexpectedResponse: the vendor's answer is not what the connector
	// describes.
	ReasonUnexpectedResponse = "UnexpectedResponse"
	// ReasonRecordsQuarantined: records could not be mapped and were left out.
	ReasonRecordsQuarantined = "RecordsQuarantined"
	// ReasonFileRefused: a file was refused as a whole and changed nothing.
	ReasonFileRefused = "FileRefused"
	// ReasonConnectorNotFound: no connector of that name is built in or in this
	// namespace.
	ReasonConnectorNotFound = "ConnectorNotFound"
	// ReasonConnectorNotReady: the Connector that connectorRef names is not Ready.
	ReasonConnectorNotReady = "ConnectorNotReady"
	// ReasonInvalidConfig: spec.config does not fit the connector's config schema.
	ReasonInvalidConfig = "InvalidConfig"
	// ReasonDataTypeUnsupported: spec.dataTypes names a type that the connector
	// does not have.
	ReasonDataTypeUnsupported = "DataTypeUnsupported"
	// ReasonActionUnsupported: spec.destructiveActions names an action that the
	// connector does not have.
	ReasonActionUnsupported = "ActionUnsupported"
	// ReasonAccountChanged: the credentials reach another remote account than
	// before.
	ReasonAccountChanged = "AccountChanged"
	// ReasonSingleAccountConnector: the connector allows one account and an older
	// Integration has it.
	ReasonSingleAccountConnector = "SingleAccountConnector"
	// ReasonAccountAlreadyConnected: another Integration is connected to the same
	// remote account.
	ReasonAccountAlreadyConnected = "AccountAlreadyConnected"
	// ReasonDependentsExist: the Integration was deleted, and others depend on it.
	ReasonDependentsExist = "DependentsExist"
	// ReasonDisconnecting: the Integration was deleted and its rows are being
	// hidden.
	ReasonDisconnecting = "Disconnecting"
	// ReasonOperatorOverride: the operator redirects this connector's hosts.
	ReasonOperatorOverride = "OperatorOverride"
	// ReasonNotEnabled: the data type is left out by spec.dataTypes.
	ReasonNotEnabled = "NotEnabled"
)

// Reasons of an Application.
const (
	// ReasonNotConnected: no Integration delivers this app's own accounts.
	ReasonNotConnected = "NotConnected"
	// ReasonDomainConflict: another Application declares the same domain.
	ReasonDomainConflict = "DomainConflict"
	// ReasonPlanConflict: two plans claim the same vendor key.
	ReasonPlanConflict = "PlanConflict"
	// ReasonPlanUnmapped: the vendor reports paid seats of a plan that spec.plans
	// does not have.
	ReasonPlanUnmapped = "PlanUnmapped"
	// ReasonInventoryStale: data that the roll-up rests on is stale.
	ReasonInventoryStale = "InventoryStale"
	// ReasonOffboardingInvalid: an entry of spec.offboarding cannot be carried out.
	ReasonOffboardingInvalid = "OffboardingInvalid"
)

// Reasons of a Contract.
const (
	// ReasonTermOpen: the contract is in its term.
	ReasonTermOpen = "TermOpen"
	// ReasonPlanNotFound: a line or policy names a plan that the Application does
	// not have.
	ReasonPlanNotFound = "PlanNotFound"
	// ReasonContractOverlap: another active Contract of the Application covers the
	// same plan and time.
	ReasonContractOverlap = "ContractOverlap"
	// ReasonDeadlineMissed: the cancellation deadline of an automatic renewal has
	// passed.
	ReasonDeadlineMissed = "DeadlineMissed"
	// ReasonTermEnded: the term is over.
	ReasonTermEnded = "TermEnded"
)

// Reasons of a LicensePolicy.
const (
	// ReasonNoTrustedSignal: no source reports a signal that the policy trusts.
	ReasonNoTrustedSignal = "NoTrustedSignal"
	// ReasonModeLimited: something allows less than spec.mode.
	ReasonModeLimited = "ModeLimited"
	// ReasonPermissionRead: the Integration that would act has permission Read.
	ReasonPermissionRead = "PermissionRead"
	// ReasonActionNotAllowed: the action is destructive and not named on the
	// Integration.
	ReasonActionNotAllowed = "ActionNotAllowed"
	// ReasonRemovalUnsupported: the connector cannot take the seat back that way.
	ReasonRemovalUnsupported = "RemovalUnsupported"
	// ReasonChannelNotFound: a channel names an Integration that cannot deliver
	// questions.
	ReasonChannelNotFound = "ChannelNotFound"
	// ReasonNoReachableChannel: people cannot be asked, because no channel reaches
	// them.
	ReasonNoReachableChannel = "NoReachableChannel"
	// ReasonPolicyConflict: an older LicensePolicy covers the same plan.
	ReasonPolicyConflict = "PolicyConflict"
	// ReasonScheduleInvalid: the cron fields cannot be read.
	ReasonScheduleInvalid = "ScheduleInvalid"
	// ReasonGroupNotFound: the identity provider lists no such group.
	ReasonGroupNotFound = "GroupNotFound"
	// ReasonGroupAmbiguous: several groups of the identity provider have the name.
	ReasonGroupAmbiguous = "GroupAmbiguous"
)

// Reasons of a Workflow.
const (
	// ReasonCompiled: every step and expression is valid.
	ReasonCompiled = "Compiled"
	// ReasonInvalidStep: a step is not valid.
	ReasonInvalidStep = "InvalidStep"
	// ReasonIntegrationGone: a step or trigger needs an Integration that is gone.
	ReasonIntegrationGone = "IntegrationGone"
	// ReasonActionUnknown: a step names an action that the connector does not
	// have.
	ReasonActionUnknown = "ActionUnknown"
	// ReasonSecretInLiteral: a credential stands in the spec itself.
	ReasonSecretInLiteral = "SecretInLiteral"
	// ReasonDirectionViolation: a step goes against spec.direction.
	ReasonDirectionViolation = "DirectionViolation"
	// ReasonRunsNeedAttention: runs wait for a person.
	ReasonRunsNeedAttention = "RunsNeedAttention"
	// ReasonNeverReceived: an expression reads a part of a webhook's body that no
	// body had.
	ReasonNeverReceived = "NeverReceived"
	// ReasonLastRunFailed: the newest run that has ended failed.
	ReasonLastRunFailed = "LastRunFailed"
)

// Reasons of a WorkflowRun.
const (
	// ReasonRunning: a step is in progress.
	ReasonRunning = "Running"
	// ReasonWaiting: the run waits for a time, an answer or a turn.
	ReasonWaiting = "Waiting"
	// ReasonCompleted: every step is done.
	ReasonCompleted = "Completed"
	// ReasonStepFailed: a step failed for good.
	ReasonStepFailed = "StepFailed"
	// ReasonStopped: the run was stopped.
	ReasonStopped = "Stopped"
	// ReasonTimedOut: the run took longer than its timeout.
	ReasonTimedOut = "TimedOut"
	// ReasonNeedsAttention: the outcome of a step is unknown and repeating it is
	// unsafe.
	ReasonNeedsAttention = "NeedsAttention"
	// ReasonWorkflowNotValid: the Workflow is not valid.
	ReasonWorkflowNotValid = "WorkflowNotValid"
	// ReasonSubjectNotFound: the subject of the run does not exist.
	ReasonSubjectNotFound = "SubjectNotFound"
	// ReasonSubjectMismatch: the subject is not of the kind that the trigger asks
	// for.
	ReasonSubjectMismatch = "SubjectMismatch"
)

// Reasons of a Connector.
const (
	// ReasonManifestValid: the manifest is valid.
	ReasonManifestValid = "ManifestValid"
	// ReasonInvalidManifest: the manifest is not valid.
	ReasonInvalidManifest = "InvalidManifest"
	// ReasonNameReserved: a built-in connector has the same name.
	ReasonNameReserved = "NameReserved"
)

// Reasons of an AccessRequest.
const (
	// ReasonAwaitingApproval: approvers have been asked.
	ReasonAwaitingApproval = "AwaitingApproval"
	// ReasonGranted: access is granted.
	ReasonGranted = "Granted"
	// ReasonDenied: an approver said no.
	ReasonDenied = "Denied"
	// ReasonApprovalTimedOut: no approver answered in time.
	ReasonApprovalTimedOut = "ApprovalTimedOut"
	// ReasonExpired: the time that access, or a key, was granted for is over.
	ReasonExpired = "Expired"
	// ReasonNotRequestable: the Application's catalog does not allow requests.
	ReasonNotRequestable = "NotRequestable"
	// ReasonRequesterMismatch: requestedBy is not the user who made the request.
	ReasonRequesterMismatch = "RequesterMismatch"
	// ReasonNoSeatAvailable: no seat of the plan is free.
	ReasonNoSeatAvailable = "NoSeatAvailable"
)

// Reasons of an Organization.
const (
	// ReasonSCIMServing: requests of identity providers are answered.
	ReasonSCIMServing = "SCIMServing"
	// ReasonSCIMFailing: many requests of identity providers fail.
	ReasonSCIMFailing = "SCIMFailing"
	// ReasonMailServerReady: the mail server can be reached and lets us in.
	ReasonMailServerReady = "MailServerReady"
	// ReasonMailServerUnusable: the mail server refuses us, or its certificate is
	// not trusted.
	ReasonMailServerUnusable = "MailServerUnusable"
	// ReasonMailServerUnreachable: the mail server does not answer for now.
	ReasonMailServerUnreachable = "MailServerUnreachable"
	// ReasonMailSecretInvalid: a key of the mail server's Secret is missing or
	// wrong.
	ReasonMailSecretInvalid = "MailSecretInvalid"
	// ReasonMailNotConfigured: a channel is e-mail, and the Organization names no
	// mail server.
	ReasonMailNotConfigured = "MailNotConfigured"
)

// Reasons of an APIKey.
const (
	// ReasonIssued: the key works.
	ReasonIssued = "Issued"
	// ReasonDeliveryPending: the key waits to be written to its Secret.
	ReasonDeliveryPending = "DeliveryPending"
	// ReasonDeliveryConflict: the Secret to deliver to exists already.
	ReasonDeliveryConflict = "DeliveryConflict"
	// ReasonRevoked: the key was revoked.
	ReasonRevoked = "Revoked"
	// ReasonNotIssued: no token of the key was made yet.
	ReasonNotIssued = "NotIssued"
	// ReasonExpiresSoon: the key expires in 30, 7 or 1 day.
	ReasonExpiresSoon = "ExpiresSoon"
)

// Reasons of webhooks, of an Integration or a Workflow.
const (
	// ReasonAddressReady: the addresses are in the Secret.
	ReasonAddressReady = "AddressReady"
	// ReasonPublicURLUnset: only the paths of the addresses are known, so that no
	// link can be sent either.
	ReasonPublicURLUnset = "PublicURLUnset"
	// ReasonSecretConflict: the Secret for the addresses belongs to something
	// else.
	ReasonSecretConflict = "SecretConflict"
	// ReasonDeadLetters: events were received and could not be handled.
	ReasonDeadLetters = "DeadLetters"
)
