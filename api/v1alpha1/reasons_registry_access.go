// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// accessRequestReasons are those of an AccessRequest.
var accessRequestReasons = []ReasonInfo{
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
}

// apiKeyReasons are those of an APIKey.
var apiKeyReasons = []ReasonInfo{
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
}

// organizationReasons are those of an Organization.
var organizationReasons = []ReasonInfo{
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
