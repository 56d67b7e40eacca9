// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package handover holds the two documents that pass between the Integration
// controller, which runs on the leader, and the sync workers, which run on
// every replica: what to sync, and how it went (decision 8). Both lie in the
// store as JSON. Neither holds a secret, a person or a moving timestamp.
package handover

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Spec says what to sync. The controller writes it, with defaults applied.
type Spec struct {
	Namespace string `json:"namespace"`

	// Connector is the name of a built-in connector; ConnectorRef that of a
	// Connector resource, whose spec is Manifest.
	Connector    string          `json:"connector,omitempty"`
	ConnectorRef string          `json:"connectorRef,omitempty"`
	Manifest     json.RawMessage `json:"manifest,omitempty"`

	// DisplayName is what people read. No sync depends on it.
	DisplayName string `json:"displayName,omitempty"`

	Config map[string]any `json:"config,omitempty"`
	// SecretName is empty for a connector that needs no credential.
	SecretName string `json:"secretName,omitempty"`
	// SecretVersion changes whenever the Secret does. It is the API server's
	// version, never a digest of the content.
	SecretVersion string `json:"secretVersion,omitempty"`

	Permission         string   `json:"permission"`
	DestructiveActions []string `json:"destructiveActions,omitempty"`

	AcceptPartial bool             `json:"acceptPartial,omitempty"`
	DataTypes     []model.DataType `json:"dataTypes,omitempty"`

	Interval      time.Duration `json:"interval"`
	Timeout       time.Duration `json:"timeout"`
	RetryInterval time.Duration `json:"retryInterval"`

	ShrinkMinItems   int  `json:"shrinkMinItems"`
	ShrinkMaxPercent int  `json:"shrinkMaxPercent"`
	ReservePercent   *int `json:"reservePercent,omitempty"`

	// AcceptAccount is the remote account that a person accepted.
	AcceptAccount string `json:"acceptAccount,omitempty"`
	// RetainFor is how long the rows of a replaced account can be restored.
	RetainFor time.Duration `json:"retainFor"`

	// Suspended stops syncs and actions; Disconnecting, which a deleted
	// Integration is until its disconnect is confirmed, stops actions.
	Suspended     bool `json:"suspended,omitempty"`
	Disconnecting bool `json:"disconnecting,omitempty"`
	// Problem is what keeps the spec from being synced; Suspended is true then.
	Problem *Problem `json:"problem,omitempty"`
}

// TestInput is the digest of everything that a connect test depends on: when
// it changes, the test is run again.
func (s Spec) TestInput() string {
	return digest(s.Connector, s.ConnectorRef, s.Manifest, s.Config, s.SecretName, s.SecretVersion, s.Permission, s.DataTypes, s.AcceptAccount)
}

func digest(parts ...any) string {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, p := range parts {
		// Strings, numbers and maps of decoded JSON always encode, and a
		// hash.Hash never fails a write.
		_ = enc.Encode(p)
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// Outcome is the verdict of a connect test.
type Outcome string

// Test outcomes: A, B, C, and one that only transient failures decided.
const (
	AllPassed    Outcome = "AllPassed"
	Partial      Outcome = "Partial"
	Failed       Outcome = "Failed"
	Inconclusive Outcome = "Inconclusive"
)

// State is how far the rows of a data type can be trusted.
type State string

// Data type states, as Integration.status.dataTypes names them.
const (
	Pending  State = "Pending"
	Fresh    State = "Fresh"
	Stale    State = "Stale"
	Disabled State = "Disabled"
	Held     State = "Held"
)

// Status says how syncing goes. A worker writes it, the controller shows it.
type Status struct {
	// Synced is false until a first sync finished.
	Synced bool `json:"synced,omitempty"`
	// Problem is what blocks the whole Integration; nil for nothing.
	Problem *Problem `json:"problem,omitempty"`

	Test    *Test    `json:"test,omitempty"`
	Account *Account `json:"account,omitempty"`

	DataTypes []DataType `json:"dataTypes,omitempty"`
	Held      []HeldSet  `json:"held,omitempty"`

	// Digest changes exactly when the stored data did.
	Digest string `json:"digest,omitempty"`
	// Request is the request for a sync that was last answered.
	Request string `json:"request,omitempty"`
	// Generation is the resource's generation that was last synced.
	Generation int64 `json:"generation,omitempty"`
	// Streams is how each stream fared. The controller does not read it.
	Streams map[string]Stream `json:"streams,omitempty"`
}

// Problem is a condition of the whole Integration: a stable reason, and what
// happened and how to mend it.
type Problem struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// Transient problems mend by themselves.
	Transient bool `json:"transient,omitempty"`
	// Verbatim: the message prints what people apply, so that it is shown as it is.
	Verbatim bool `json:"verbatim,omitempty"`
}

// Test is the verdict of the last connect test.
type Test struct {
	// Input is the Spec.TestInput that was tested.
	Input   string  `json:"input"`
	Outcome Outcome `json:"outcome"`
	Message string  `json:"message,omitempty"`
	// Disabled are the streams that failed without being essential.
	Disabled []DisabledStream `json:"disabled,omitempty"`
	// Day is the date of the test. A partial verdict is tested again weekly.
	Day model.Date `json:"day,omitempty"`
}

// DisabledStream is a stream that a test found unusable.
type DisabledStream struct {
	Stream  string `json:"stream"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Account identifies the remote account.
type Account struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// DataType says how one data type fares.
type DataType struct {
	Name        model.DataType `json:"name"`
	State       State          `json:"state"`
	Records     int64          `json:"records"`
	Quarantined int64          `json:"quarantined,omitempty"`
	Reason      string         `json:"reason,omitempty"`
	Message     string         `json:"message,omitempty"`
}

// Stream is how the last read of one stream ended.
type Stream struct {
	State       State  `json:"state"`
	Reason      string `json:"reason,omitempty"`
	Message     string `json:"message,omitempty"`
	Quarantined int64  `json:"quarantined,omitempty"`
	// LeftOut is how many of them the last whole read left out: reads of changes
	// do not ask for those again.
	LeftOut int64 `json:"leftOut,omitempty"`
}

// HeldSet is what a guard holds back of one stream.
type HeldSet struct {
	Stream  string `json:"stream"`
	Digest  string `json:"digest"`
	Count   int64  `json:"count"`
	Total   int64  `json:"total"`
	Allowed int64  `json:"allowed"`
	Reason  string `json:"reason"`
}
