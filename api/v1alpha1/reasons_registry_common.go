// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// commonReasons are those that any kind may give.
var commonReasons = []ReasonInfo{
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
}
