// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"github.com/seatkeeper/seatkeeper/internal/connector"
)

// Annotations of the API, which this package does not import; a test of the
// manager compares them.
const (
	acceptAccountAnnotation = "seatkeeper.dev/accept-account"
	releaseAnnotation       = "seatkeeper.dev/release"
)

// Reasons that a sync gives. They are condition reasons of the API, which this
// package must not import either.
const (
	ReasonSecretNotFound     = "SecretNotFound"
	ReasonSecretAccessDenied = "SecretAccessDenied"
	ReasonSecretKeyMissing   = "SecretKeyMissing"
	ReasonConnectorNotFound  = "ConnectorNotFound"
	ReasonInvalidConfig      = "InvalidConfig"
	ReasonInvalidManifest    = "InvalidManifest"
	ReasonPartial            = "Partial"
	ReasonFailed             = "Failed"
	ReasonAccountChanged     = "AccountChanged"
	ReasonGuardHeld          = "GuardHeld"
	ReasonSyncFailed         = "SyncFailed"
	ReasonSyncing            = "Syncing"
	ReasonNotEnabled         = "NotEnabled"
	ReasonVendorError        = "VendorError"
	ReasonTransientError     = "TransientError"
	ReasonUnexpectedResponse = "UnexpectedResponse"
	ReasonRecordsQuarantined = "RecordsQuarantined"

	ReasonAccountAlreadyConnected = "AccountAlreadyConnected"
)

// Reasons lists every reason that this package gives, for the test that
// compares them with the API's.
func Reasons() []string {
	all := []string{ReasonSecretNotFound, ReasonSecretAccessDenied, ReasonSecretKeyMissing, ReasonConnectorNotFound, ReasonInvalidConfig,
		ReasonInvalidManifest, ReasonPartial, ReasonFailed, ReasonAccountChanged, ReasonGuardHeld, ReasonSyncFailed, ReasonSyncing,
		ReasonNotEnabled, ReasonVendorError, ReasonTransientError, ReasonUnexpectedResponse, ReasonRecordsQuarantined, ReasonAccountAlreadyConnected}
	for _, r := range classReasons {
		all = append(all, r)
	}
	return all
}

var classReasons = map[connector.ErrorClass]string{
	connector.ClassAuth:            "CredentialsRejected",
	connector.ClassPermission:      "PermissionMissing",
	connector.ClassPlan:            "PlanInsufficient",
	connector.ClassNotFound:        ReasonVendorError,
	connector.ClassConflict:        ReasonVendorError,
	connector.ClassRateLimit:       "RateLimited",
	connector.ClassTransient:       ReasonVendorError,
	connector.ClassInvalid:         ReasonVendorError,
	connector.ClassReset:           ReasonVendorError,
	connector.ClassUnreachable:     "HostUnreachable",
	connector.ClassPaginationStuck: "PaginationStuck",
	connector.ClassMapping:         ReasonUnexpectedResponse,
	connector.ClassConfig:          ReasonInvalidConfig,
	connector.ClassHostRefused:     "HostNotAllowed",
	connector.ClassAssertion:       "PermissionMissing",
	connector.ClassRefusedFile:     "FileRefused",
	connector.ClassCanceled:        ReasonTransientError,
}

func reasonOf(c connector.ErrorClass) string {
	if r, ok := classReasons[c]; ok {
		return r
	}
	return ReasonSyncFailed
}
