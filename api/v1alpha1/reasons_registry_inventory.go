// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// applicationReasons are those of an Application.
var applicationReasons = []ReasonInfo{
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
}

// contractReasons are those of a Contract.
var contractReasons = []ReasonInfo{
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
}

// licensePolicyReasons are those of a LicensePolicy.
var licensePolicyReasons = []ReasonInfo{
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
}
