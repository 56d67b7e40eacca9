// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "slices"

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
var Reasons = slices.Concat(
	commonReasons, integrationReasons, applicationReasons, contractReasons, licensePolicyReasons, workflowReasons,
	workflowRunReasons, connectorReasons, accessRequestReasons, apiKeyReasons, organizationReasons,
)

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
