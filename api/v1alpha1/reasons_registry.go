// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ReasonInfo documents a reason.
//
//nolint:kubeapilinter // It is no API type: no object has it.
type ReasonInfo struct {
	// Reason as conditions carry it.
	Reason string
	// Kind that gives the reason; empty if any may.
	Kind string
	// Code is stable and never given to another reason.
	Code string
	// Title says what is the case.
	Title string
	// Mend says what to do.
	Mend string
}

// Reasons lists every reason constant of this package exactly once, by code.
// New reasons get the next free code of their kind; codes are never reused.
var Reasons = []ReasonInfo{
	{
		Reason: ReasonReconciled, Kind: "", Code: "SK1001",
		Title: "Everything that the spec asks for is done.",
		Mend:  "Nothing to do.",
	},
	{
		Reason: ReasonProgressing, Kind: "", Code: "SK1002",
		Title: "The controller is at work, or waits its turn.",
		Mend:  "Wait. If it stays, look at the manager's log for this object.",
	},
	{
		Reason: ReasonSuspended, Kind: "", Code: "SK1003",
		Title: "spec.suspend is true.",
		Mend:  "Set spec.suspend to false to go on.",
	},
	{
		Reason: ReasonInvalidSpec, Kind: "", Code: "SK1004",
		Title: "The spec breaks a rule that the schema cannot check.",
		Mend:  "Change the field that the message names.",
	},
	{
		Reason: ReasonInvalidExpression, Kind: "", Code: "SK1005",
		Title: "A CEL expression or template does not compile.",
		Mend:  "Correct the expression at the field and position that the message names.",
	},
	{
		Reason: ReasonValueTooLarge, Kind: "", Code: "SK1006",
		Title: "A free value is larger than 16 KiB.",
		Mend:  "Make the value smaller, or keep it where it belongs and refer to it.",
	},
	{
		Reason: ReasonReferenceNotFound, Kind: "", Code: "SK1007",
		Title: "The resource that a field names does not exist.",
		Mend:  "Create the resource in this namespace, or correct the name.",
	},
	{
		Reason: ReasonDependencyNotReady, Kind: "", Code: "SK1008",
		Title: "A resource that this one needs is not Ready.",
		Mend:  "Look at the resource that the message names.",
	},
	{
		Reason: ReasonOrganizationMissing, Kind: "", Code: "SK1009",
		Title: "The namespace has no Organization.",
		Mend:  "Create an Organization named default in this namespace.",
	},
	{
		Reason: ReasonGuardHeld, Kind: "", Code: "SK1010",
		Title: "A guard holds more than it may let through.",
		Mend:  "List what is held with: seatkeeper guards. Release it with: seatkeeper release, or correct the source.",
	},
	{
		Reason: ReasonReleaseDigestMismatch, Kind: "", Code: "SK1011",
		Title: "The release annotation names another set than the one held.",
		Mend:  "Look at what is held now and release its digest.",
	},
	{
		Reason: ReasonStoreUnavailable, Kind: "", Code: "SK1012",
		Title: "The SQL store does not answer.",
		Mend:  "Look at the store's own log and at the connection settings of the manager.",
	},
	{
		Reason: ReasonTransientError, Kind: "", Code: "SK1013",
		Title: "An attempt failed and will be repeated.",
		Mend:  "Wait. If it stays, the message says what failed.",
	},
	{
		Reason: ReasonNotImplemented, Kind: "", Code: "SK1014",
		Title: "This version checks the resource and does not act on it yet.",
		Mend:  "Use a version of Seatkeeper that acts on this kind.",
	},
	{
		Reason: ReasonAddressReady, Kind: "", Code: "SK1015",
		Title: "The addresses of the webhooks are in the Secret that status.webhook names.",
		Mend:  "Nothing to do. Give the address to the sender; docs/webhooks.md walks through it.",
	},
	{
		Reason: ReasonPublicURLUnset, Kind: "", Code: "SK1016",
		Title: "Only the paths of the webhooks are known, not where the gateway is reached; nobody is asked by e-mail either.",
		Mend:  "Start the manager with --public-url (chart: gateway.publicURL). For a webhook you can also put the path behind the gateway's address yourself.",
	},
	{
		Reason: ReasonSecretConflict, Kind: "", Code: "SK1017",
		Title: "The Secret for the addresses exists and was made for something else.",
		Mend:  "Rename or delete that Secret, or rename the resource.",
	},
	{
		Reason: ReasonDeadLetters, Kind: "", Code: "SK1018",
		Title: "Events were received and could not be handled. They are kept.",
		Mend:  "List them with: seatkeeper events list --state dead. Mend the cause, then: seatkeeper events replay.",
	},
	{
		Reason: ReasonMailNotConfigured, Kind: "", Code: "SK1019",
		Title: "People are to be asked by e-mail, and the Organization names no mail server.",
		Mend:  "Set spec.notifications.smtpSecretName of the Organization, or choose another channel.",
	},
	{
		Reason: ReasonAllPassed, Kind: KindIntegration, Code: "SK1101",
		Title: "The connect test passed for every data type.",
		Mend:  "Nothing to do.",
	},
	{
		Reason: ReasonPartial, Kind: KindIntegration, Code: "SK1102",
		Title: "The connect test passed, except for data types that are not essential.",
		Mend:  "Grant what the message names, or set spec.acceptPartial to go on without.",
	},
	{
		Reason: ReasonFailed, Kind: KindIntegration, Code: "SK1103",
		Title: "The connect test failed for an essential data type.",
		Mend:  "Mend what the message names; a changed Secret is tested again at once.",
	},
	{
		Reason: ReasonSynced, Kind: KindIntegration, Code: "SK1104",
		Title: "The last listing completed.",
		Mend:  "Nothing to do.",
	},
	{
		Reason: ReasonSyncing, Kind: KindIntegration, Code: "SK1105",
		Title: "The first listing is in progress.",
		Mend:  "Wait for the first listing to complete.",
	},
	{
		Reason: ReasonSyncFailed, Kind: KindIntegration, Code: "SK1106",
		Title: "The last listing failed; what was known before is kept.",
		Mend:  "The message says which data type failed and why.",
	},
	{
		Reason: ReasonSyncStale, Kind: KindIntegration, Code: "SK1107",
		Title: "No listing completed within the time that the interval allows.",
		Mend:  "Look at why listings fail or wait; use counts as Unknown until one completes.",
	},
	{
		Reason: ReasonSecretNotFound, Kind: KindIntegration, Code: "SK1108",
		Title: "The Secret of credentialsRef does not exist.",
		Mend:  "Create the Secret that the message names, in this namespace.",
	},
	{
		Reason: ReasonSecretKeyMissing, Kind: KindIntegration, Code: "SK1109",
		Title: "The Secret lacks a key that the connector asks for.",
		Mend:  "Add the key that the message names to the Secret.",
	},
	{
		Reason: ReasonSecretAccessDenied, Kind: KindIntegration, Code: "SK1110",
		Title: "The manager may not read Secrets of this namespace.",
		Mend:  "Apply the RoleBinding that the message prints.",
	},
	{
		Reason: ReasonCredentialsRequired, Kind: KindIntegration, Code: "SK1111",
		Title: "The connector needs credentials and credentialsRef is not set.",
		Mend:  "Set spec.credentialsRef to a Secret with the keys that the message names.",
	},
	{
		Reason: ReasonCredentialsRejected, Kind: KindIntegration, Code: "SK1112",
		Title: "The vendor refused the credentials.",
		Mend:  "Create new credentials at the vendor and put them into the Secret.",
	},
	{
		Reason: ReasonPermissionMissing, Kind: KindIntegration, Code: "SK1113",
		Title: "The credentials lack a permission at the vendor.",
		Mend:  "Grant the scope or role that the message names, at the vendor.",
	},
	{
		Reason: ReasonPlanInsufficient, Kind: KindIntegration, Code: "SK1114",
		Title: "The vendor's plan does not include what was asked for.",
		Mend:  "Upgrade at the vendor, or leave the data type out with spec.dataTypes.",
	},
	{
		Reason: ReasonHostUnreachable, Kind: KindIntegration, Code: "SK1115",
		Title: "The vendor's host cannot be reached.",
		Mend:  "Check the host in spec.config, the network, and proxies.",
	},
	{
		Reason: ReasonHostNotAllowed, Kind: KindIntegration, Code: "SK1116",
		Title: "A request would go to a host or network that is not allowed.",
		Mend:  "Correct the host; private networks must be allowed by the operator.",
	},
	{
		Reason: ReasonRateLimited, Kind: KindIntegration, Code: "SK1117",
		Title: "The vendor's rate limit is used up.",
		Mend:  "Wait. If it stays, raise spec.interval, or the limit at the vendor.",
	},
	{
		Reason: ReasonVendorError, Kind: KindIntegration, Code: "SK1118",
		Title: "The vendor answered with an error.",
		Mend:  "The message has the vendor's own words; look at the vendor's status page.",
	},
	{
		Reason: ReasonPaginationStuck, Kind: KindIntegration, Code: "SK1119",
		Title: "The vendor returned the same page twice.",
		Mend:  "Report it to the connector's author; nothing was removed.",
	},
	{
		Reason: ReasonUnexpectedResponse, Kind: KindIntegration, Code: "SK1120",
		Title: "The vendor's answer is not what the connector describes.",
		Mend:  "Report it to the connector's author with the message.",
	},
	{
		Reason: ReasonRecordsQuarantined, Kind: KindIntegration, Code: "SK1121",
		Title: "Records could not be mapped and were left out.",
		Mend:  "Look at the sample in the message; correct the records or the manifest.",
	},
	{
		Reason: ReasonFileRefused, Kind: KindIntegration, Code: "SK1122",
		Title: "A file was refused as a whole and changed nothing.",
		Mend:  "Correct the row and column that the message names.",
	},
	{
		Reason: ReasonConnectorNotFound, Kind: KindIntegration, Code: "SK1123",
		Title: "No connector of that name is built in or in this namespace.",
		Mend:  "Correct the name; the project's folder connectors and kubectl get connectors list them.",
	},
	{
		Reason: ReasonConnectorNotReady, Kind: KindIntegration, Code: "SK1124",
		Title: "The Connector that connectorRef names is not Ready.",
		Mend:  "Look at the Connector's own condition.",
	},
	{
		Reason: ReasonInvalidConfig, Kind: KindIntegration, Code: "SK1125",
		Title: "spec.config does not fit the connector's config schema.",
		Mend:  "Correct the key that the message names.",
	},
	{
		Reason: ReasonDataTypeUnsupported, Kind: KindIntegration, Code: "SK1126",
		Title: "spec.dataTypes names a type that the connector does not have.",
		Mend:  "Leave the type out; status.capabilities lists the others.",
	},
	{
		Reason: ReasonActionUnsupported, Kind: KindIntegration, Code: "SK1127",
		Title: "spec.destructiveActions names an action that the connector does not have.",
		Mend:  "Correct the name; status.capabilities lists the actions.",
	},
	{
		Reason: ReasonAccountChanged, Kind: KindIntegration, Code: "SK1128",
		Title: "The credentials reach another remote account than before.",
		Mend:  "Restore the credentials, create the second Integration that the message prints, or accept the account by annotation.",
	},
	{
		Reason: ReasonSingleAccountConnector, Kind: KindIntegration, Code: "SK1129",
		Title: "The connector allows one account and an older Integration has it.",
		Mend:  "Delete one of the two Integrations.",
	},
	{
		Reason: ReasonAccountAlreadyConnected, Kind: KindIntegration, Code: "SK1130",
		Title: "Another Integration is connected to the same remote account.",
		Mend:  "Delete one of the two Integrations.",
	},
	{
		Reason: ReasonDependentsExist, Kind: KindIntegration, Code: "SK1131",
		Title: "The Integration was deleted, and others depend on it.",
		Mend:  "Set the annotation seatkeeper.dev/confirm-disconnect to its metadata.uid, or change what depends on it.",
	},
	{
		Reason: ReasonDisconnecting, Kind: KindIntegration, Code: "SK1132",
		Title: "The Integration was deleted and its rows are being hidden.",
		Mend:  "Wait.",
	},
	{
		Reason: ReasonOperatorOverride, Kind: KindIntegration, Code: "SK1133",
		Title: "The operator redirects this connector's hosts.",
		Mend:  "Nothing to do; the operator's connectorEndpoints are in force.",
	},
	{
		Reason: ReasonNotEnabled, Kind: KindIntegration, Code: "SK1134",
		Title: "The data type is left out by spec.dataTypes.",
		Mend:  "Add it to spec.dataTypes to fetch it.",
	},
	{
		Reason: ReasonNotConnected, Kind: KindApplication, Code: "SK1201",
		Title: "No Integration delivers this app's own accounts.",
		Mend:  "Create an Integration for the app, or name one in spec.integrationRefs.",
	},
	{
		Reason: ReasonDomainConflict, Kind: KindApplication, Code: "SK1202",
		Title: "Another Application declares the same domain.",
		Mend:  "Remove the domain from one of the two.",
	},
	{
		Reason: ReasonPlanConflict, Kind: KindApplication, Code: "SK1203",
		Title: "Two plans claim the same vendor key.",
		Mend:  "Leave the vendor key in one plan.",
	},
	{
		Reason: ReasonPlanUnmapped, Kind: KindApplication, Code: "SK1204",
		Title: "The vendor reports paid seats of a plan that spec.plans does not have.",
		Mend:  "Add the vendor key to a plan in spec.plans.",
	},
	{
		Reason: ReasonInventoryStale, Kind: KindApplication, Code: "SK1205",
		Title: "Data that the roll-up rests on is stale.",
		Mend:  "Look at the Integration that the message names.",
	},
	{
		Reason: ReasonOffboardingInvalid, Kind: KindApplication, Code: "SK1206",
		Title: "An entry of spec.offboarding cannot be carried out.",
		Mend:  "Change what the message names. Until then a task is opened for a leaver's accounts there; everything else goes on.",
	},
	{
		Reason: ReasonTermOpen, Kind: KindContract, Code: "SK1301",
		Title: "The contract is in its term.",
		Mend:  "Nothing to do.",
	},
	{
		Reason: ReasonPlanNotFound, Kind: KindContract, Code: "SK1302",
		Title: "A line or policy names a plan that the Application does not have.",
		Mend:  "Add the plan to the Application, or correct the name.",
	},
	{
		Reason: ReasonContractOverlap, Kind: KindContract, Code: "SK1303",
		Title: "Another active Contract of the Application covers the same plan and time.",
		Mend:  "Shorten one of the terms, or cancel one Contract.",
	},
	{
		Reason: ReasonDeadlineMissed, Kind: KindContract, Code: "SK1304",
		Title: "The cancellation deadline of an automatic renewal has passed.",
		Mend:  "Talk to the vendor; the next term has begun or will.",
	},
	{
		Reason: ReasonTermEnded, Kind: KindContract, Code: "SK1305",
		Title: "The term is over.",
		Mend:  "Create the Contract that follows, with previousRef, or delete this one.",
	},
	{
		Reason: ReasonNoTrustedSignal, Kind: KindLicensePolicy, Code: "SK1401",
		Title: "No source reports a signal that the policy trusts.",
		Mend:  "Connect a source that reports use, or list another signal; until then seats are Unknown.",
	},
	{
		Reason: ReasonModeLimited, Kind: KindLicensePolicy, Code: "SK1402",
		Title: "Something allows less than spec.mode.",
		Mend:  "The message says what; status.effectiveMode says what applies.",
	},
	{
		Reason: ReasonPermissionRead, Kind: KindLicensePolicy, Code: "SK1403",
		Title: "The Integration that would act has permission Read.",
		Mend:  "Set its spec.permission to ReadAndAct.",
	},
	{
		Reason: ReasonActionNotAllowed, Kind: KindLicensePolicy, Code: "SK1404",
		Title: "The action is destructive and not named on the Integration.",
		Mend:  "Add the action to the Integration's spec.destructiveActions.",
	},
	{
		Reason: ReasonRemovalUnsupported, Kind: KindLicensePolicy, Code: "SK1405",
		Title: "The connector cannot take the seat back that way.",
		Mend:  "Choose another spec.removal.",
	},
	{
		Reason: ReasonChannelNotFound, Kind: KindLicensePolicy, Code: "SK1406",
		Title: "A channel names an Integration that cannot deliver questions.",
		Mend:  "Correct spec.ask.channels.",
	},
	{
		Reason: ReasonNoReachableChannel, Kind: KindLicensePolicy, Code: "SK1407",
		Title: "People cannot be asked, because no channel reaches them.",
		Mend:  "Add a channel; a question is not sent through the app it is about to who does not use it.",
	},
	{
		Reason: ReasonPolicyConflict, Kind: KindLicensePolicy, Code: "SK1408",
		Title: "An older LicensePolicy covers the same plan.",
		Mend:  "Narrow spec.plans of one of the two.",
	},
	{
		Reason: ReasonScheduleInvalid, Kind: KindLicensePolicy, Code: "SK1409",
		Title: "The cron fields cannot be read.",
		Mend:  "Correct spec.schedule.",
	},
	{
		Reason: ReasonGroupNotFound, Kind: KindLicensePolicy, Code: "SK1410",
		Title: "The identity provider lists no such group.",
		Mend:  "Correct spec.removal.group: its name or its id, as the Integration lists it.",
	},
	{
		Reason: ReasonGroupAmbiguous, Kind: KindLicensePolicy, Code: "SK1411",
		Title: "Several groups of the identity provider have the name.",
		Mend:  "Put the id of the one that is meant into spec.removal.group; the message lists them.",
	},
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
	{
		Reason: ReasonManifestValid, Kind: KindConnector, Code: "SK1701",
		Title: "The manifest is valid.",
		Mend:  "Nothing to do.",
	},
	{
		Reason: ReasonInvalidManifest, Kind: KindConnector, Code: "SK1702",
		Title: "The manifest is not valid.",
		Mend:  "Correct the path that the message names.",
	},
	{
		Reason: ReasonNameReserved, Kind: KindConnector, Code: "SK1703",
		Title: "A built-in connector has the same name.",
		Mend:  "Choose another name.",
	},
	{
		Reason: ReasonAwaitingApproval, Kind: KindAccessRequest, Code: "SK1801",
		Title: "Approvers have been asked.",
		Mend:  "Wait, or remind the approvers.",
	},
	{
		Reason: ReasonGranted, Kind: KindAccessRequest, Code: "SK1802",
		Title: "Access is granted.",
		Mend:  "Nothing to do.",
	},
	{
		Reason: ReasonDenied, Kind: KindAccessRequest, Code: "SK1803",
		Title: "An approver said no.",
		Mend:  "Talk to the approver and make another request.",
	},
	{
		Reason: ReasonApprovalTimedOut, Kind: KindAccessRequest, Code: "SK1804",
		Title: "No approver answered in time.",
		Mend:  "Make another request.",
	},
	{
		Reason: ReasonExpired, Kind: KindAccessRequest, Code: "SK1805",
		Title: "The time that access, or a key, was granted for is over.",
		Mend:  "Make another request, or create another key.",
	},
	{
		Reason: ReasonNotRequestable, Kind: KindAccessRequest, Code: "SK1806",
		Title: "The Application's catalog does not allow requests.",
		Mend:  "Talk to the Application's owner.",
	},
	{
		Reason: ReasonRequesterMismatch, Kind: KindAccessRequest, Code: "SK1807",
		Title: "RequestedBy is not the user who made the request.",
		Mend:  "Set requestedBy to your own user name.",
	},
	{
		Reason: ReasonNoSeatAvailable, Kind: KindAccessRequest, Code: "SK1808",
		Title: "No seat of the plan is free.",
		Mend:  "Wait for one, or let the owner buy more.",
	},
	{
		Reason: ReasonIssued, Kind: KindAPIKey, Code: "SK1901",
		Title: "The key works.",
		Mend:  "Nothing to do.",
	},
	{
		Reason: ReasonDeliveryPending, Kind: KindAPIKey, Code: "SK1902",
		Title: "The key waits to be written to its Secret.",
		Mend:  "Wait.",
	},
	{
		Reason: ReasonDeliveryConflict, Kind: KindAPIKey, Code: "SK1903",
		Title: "The Secret to deliver to exists already.",
		Mend:  "Delete the Secret, or choose another name.",
	},
	{
		Reason: ReasonRevoked, Kind: KindAPIKey, Code: "SK1904",
		Title: "The key was revoked.",
		Mend:  "Create another APIKey.",
	},
	{
		Reason: ReasonNotIssued, Kind: KindAPIKey, Code: "SK1905",
		Title: "No token of the key was made yet.",
		Mend:  "Run seatkeeper keys create with its name, which prints the token once, or set spec.deliverTo.",
	},
	{
		Reason: ReasonExpiresSoon, Kind: KindAPIKey, Code: "SK1906",
		Title: "The key expires in 30 days, 7 days or 1 day.",
		Mend:  "Set a later spec.expiresAt, then seatkeeper keys rotate, and replace the token where it is used.",
	},
	{
		Reason: ReasonSCIMServing, Kind: KindOrganization, Code: "SK2001",
		Title: "SCIM is switched on, and requests of the identity provider are answered.",
		Mend:  "Nothing to do.",
	},
	{
		Reason: ReasonSCIMFailing, Kind: KindOrganization, Code: "SK2002",
		Title: "More than 40 % of the identity provider's requests failed in the last 30 minutes.",
		Mend:  "List them with seatkeeper scim log --failed; docs/scim.md says what each answer means. Mend it before the identity provider quarantines the job.",
	},
	{
		Reason: ReasonMailServerReady, Kind: KindOrganization, Code: "SK2003",
		Title: "The mail server can be reached and lets Seatkeeper in.",
		Mend:  "Nothing to do.",
	},
	{
		Reason: ReasonMailServerUnusable, Kind: KindOrganization, Code: "SK2004",
		Title: "The mail server refuses Seatkeeper, or its certificate is not trusted.",
		Mend:  "Correct the Secret that spec.notifications.smtpSecretName names; docs/notifications.md lists its keys.",
	},
	{
		Reason: ReasonMailServerUnreachable, Kind: KindOrganization, Code: "SK2005",
		Title: "The mail server does not answer for now. Mails wait and are tried again.",
		Mend:  "Look at the mail server, at DNS and at network policies.",
	},
	{
		Reason: ReasonMailSecretInvalid, Kind: KindOrganization, Code: "SK2006",
		Title: "A key of the mail server's Secret is missing or wrong.",
		Mend:  "Correct the key that the message names; docs/notifications.md lists them.",
	},
}

// ReasonCode returns the stable code of a reason, or "" for one that is not
// listed.
func ReasonCode(reason string) string {
	for i := range Reasons {
		if Reasons[i].Reason == reason {
			return Reasons[i].Code
		}
	}
	return ""
}
