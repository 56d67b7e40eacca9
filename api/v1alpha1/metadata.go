// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Annotations that people and tools set on resources of this group.
const (
	// RequestedAtAnnotation asks for a reconcile now. Any new value counts; it
	// is echoed in status.lastHandledReconcileAt.
	RequestedAtAnnotation = "seatkeeper.dev/requestedAt"

	// ForceAtAnnotation, equal to RequestedAtAnnotation, also ignores a back-off
	// or an open circuit breaker that a failure left behind.
	ForceAtAnnotation = "seatkeeper.dev/forceAt"

	// ConfirmDisconnectAnnotation releases a held Integration. The value must
	// be its metadata.uid, so that a value left in git confirms nothing for the
	// next object of the same name.
	ConfirmDisconnectAnnotation = "seatkeeper.dev/confirm-disconnect"

	// ReleaseAnnotation releases what a guard holds. The value is the digest of
	// the held set, so that it releases that set and no later one.
	ReleaseAnnotation = "seatkeeper.dev/release"

	// AcceptAccountAnnotation accepts that an Integration now reaches another
	// remote account. The value is the id of that account.
	AcceptAccountAnnotation = "seatkeeper.dev/accept-account"

	// RotateWebhookAnnotation on an Integration or Workflow asks for new addresses
	// of its webhooks. Any new value counts; the old addresses stay good for the
	// overlap.
	RotateWebhookAnnotation = "seatkeeper.dev/rotate-webhook"

	// WebhookOverlapAnnotation beside it says for how long, such as 2h; at most
	// 720h. Default 24h.
	WebhookOverlapAnnotation = "seatkeeper.dev/webhook-overlap"

	// RotatedWebhookAnnotation on the Secret of addresses echoes the last rotation
	// that was asked for, PreviousUntilAnnotation when the overlap ends, and
	// FirstWebhookAnnotation which of several webhooks has the keys without a
	// name.
	RotatedWebhookAnnotation = "seatkeeper.dev/rotated-webhook"
	PreviousUntilAnnotation  = "seatkeeper.dev/previous-until"
	FirstWebhookAnnotation   = "seatkeeper.dev/first-webhook"

	// CommitAnnotation on a Workflow is the commit that it was applied from, for
	// its history. A pipeline sets it.
	CommitAnnotation = "seatkeeper.dev/commit"

	// KeyIDAnnotation on a Secret names the key whose token it has, or had.
	KeyIDAnnotation = "seatkeeper.dev/key-id"
)

// Labels that Seatkeeper sets on the objects it creates.
const (
	// ManagedByLabel carries ManagedByValue on every object that a controller
	// of this project made.
	ManagedByLabel = "app.kubernetes.io/managed-by"

	// ManagedByValue is the value of ManagedByLabel.
	ManagedByValue = "seatkeeper"

	// OwnerKindLabel and OwnerNameLabel name the resource a Secret was made for.
	OwnerKindLabel = "seatkeeper.dev/owner-kind"
	OwnerNameLabel = "seatkeeper.dev/owner-name"
)

// DisconnectFinalizer keeps a deleted Integration, still syncing and sending no
// action, until its disconnect is confirmed or nothing depends on it.
const DisconnectFinalizer = "seatkeeper.dev/disconnect"

// WorkflowFinalizer keeps a deleted Workflow until its waiting runs are drained
// or stopped, as its deletionPolicy says.
const WorkflowFinalizer = "seatkeeper.dev/workflow"

// APIKeyFinalizer keeps a deleted APIKey until its digest is revoked in the
// store, so that no deleted key goes on working.
const APIKeyFinalizer = "seatkeeper.dev/api-key"

// OrganizationName is the only name an Organization may have.
const OrganizationName = "default"

// FieldOwnerPrefix begins the field manager of every server-side apply; the
// controller's name follows.
const FieldOwnerPrefix = "seatkeeper-"
