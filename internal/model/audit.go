// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import "time"

// ActorKind says what kind of actor decided.
type ActorKind string

// Actor kinds.
const (
	ActorUser     ActorKind = "User"     // a Kubernetes identity
	ActorEmployee ActorKind = "Employee" // a person asked in Slack or by e-mail
	ActorPolicy   ActorKind = "Policy"   // a policy's declared default
	ActorSystem   ActorKind = "System"
	ActorKey      ActorKind = "Key"     // an APIKey; the name is apikey/NAME/KEYID
	ActorUnknown  ActorKind = "Unknown" // whoever sent a request and did not say who they are
)

// AuditRecord says who or what did something, why, and what came of it. Only
// Subject may identify a person; every other field must not.
type AuditRecord struct {
	ID            string    `json:"id"` // set by the store
	At            time.Time `json:"at"` // set by the store
	Actor         string    `json:"actor"`
	ActorKind     ActorKind `json:"actorKind"`
	Action        string    `json:"action"`     // "seat.reclaim", "guard.release", …
	ObjectKind    string    `json:"objectKind"` // "LicensePolicy", "Integration", "account", …
	ObjectName    string    `json:"objectName"`
	PersonID      string    `json:"personID,omitempty"`
	Reason        string    `json:"reason,omitempty"`
	Cause         string    `json:"cause,omitempty"` // the policy and generation, or commit, that led here
	RunID         string    `json:"runID,omitempty"`
	RequestDigest string    `json:"requestDigest,omitempty"`
	Result        string    `json:"result"`
	// Detail holds further facts that identify nobody.
	Detail map[string]string `json:"detail,omitempty"`
	// Subject holds what identifies the person (name, e-mail, account); it is
	// kept apart and deleted when the person is anonymised.
	Subject map[string]string `json:"subject,omitempty"`
}

// Actor is who decided.
type Actor struct {
	Name string
	Kind ActorKind
}
