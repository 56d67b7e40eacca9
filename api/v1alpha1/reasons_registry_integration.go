// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// integrationReasons are those of an Integration.
var integrationReasons = []ReasonInfo{
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
}

// connectorReasons are those of a Connector.
var connectorReasons = []ReasonInfo{
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
}
