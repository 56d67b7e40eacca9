// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"io"
	"net/netip"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
)

// Permission is what an Integration lets a connector do.
type Permission string

// Permissions, as Integration.spec.permission names them. The zero value
// grants reading only.
const (
	PermissionRead       Permission = "Read"
	PermissionReadAndAct Permission = "ReadAndAct"
)

// Rate is a number of requests in a time.
type Rate = ratelimit.Rate

// Budget meters the requests of one credential; syncs and actions share it.
type Budget interface {
	// Take takes one token of key and returns 0, or takes none and returns how
	// long to wait before asking again. The zero rate asks about blocks only.
	Take(ctx context.Context, key string, rate Rate) (wait time.Duration, err error)
	// Block lets nobody take from key before until.
	Block(ctx context.Context, key string, until time.Time) error
}

// Options configure a Session.
type Options struct {
	Manifest *Manifest
	Config   map[string]any    // Integration.spec.config
	Secrets  map[string]string // the Secret's data

	Permission  Permission       // zero: Read
	Destructive []string         // destructive actions granted by name
	DataTypes   []model.DataType // empty: all that the manifest has

	// ReservePercent is the share of the vendor's rate limit left to others.
	// nil takes the manifest's.
	ReservePercent *int

	// Endpoints redirects declared hosts, for simulators and private
	// instances: host → base URL. Only the operator sets it (decision 27).
	Endpoints       map[string]string
	AllowedNetworks []netip.Prefix

	Budget Budget      // nil: a budget of this process alone
	Tokens *TokenCache // nil: access tokens live as long as the session
	Clock  clock.Clock // nil: the system clock
	// Vault keeps refresh tokens, which a vendor may replace at each use. nil:
	// they live as long as Tokens, and what replaced the Secret's is then lost.
	Vault Vault
	// Reload reads the Secret again, when it may have been changed since. nil:
	// Secrets is what there is.
	Reload func(context.Context) (map[string]string, error)

	// MaxWait bounds how long a read waits for a rate limit before it gives
	// up with ClassRateLimit and RetryAfter. Zero: 75 s, so that a listing
	// longer than a vendor's minute ends at all. Actions wait 5 s at most.
	MaxWait time.Duration
	// SecretVersion changes whenever Secrets do: a listing that broke off goes on
	// only with the Secret that it began with, as another credential may see
	// another account, or less of this one.
	SecretVersion string
	// State holds the state that earlier reads returned, by stream.
	State map[string]StreamState
	// Upload opens the uploaded file of a file connector.
	Upload func() (io.ReadCloser, error)
	// UserAgent overrides "seatkeeper".
	UserAgent string
}

// StreamState is what a stream remembers between reads.
type StreamState struct {
	// WindowEnd is how far a window stream has been read.
	WindowEnd time.Time `json:"windowEnd,omitzero"`
	// Cursor is the newest change that an incremental stream has shown, Delta
	// the address of what changed since, and FullAt when its last whole read
	// began.
	Cursor time.Time `json:"cursor,omitzero"`
	Delta  string    `json:"delta,omitempty"`
	FullAt time.Time `json:"fullAt,omitzero"`
	// Shape identifies the mapping, config and data types of those reads.
	Shape string `json:"shape,omitempty"`
	// Round is where a stream of partitions stands that broke off.
	Round *Round `json:"round,omitempty"`
}

// Sink takes the records of one page of one partition. Part is "" for a
// stream without partitions. Returning an error stops the read.
type Sink func(ctx context.Context, part string, records []model.Record) error

// Window is a span of time, end exclusive.
type Window struct{ Start, End time.Time }

// Quarantined is one record that could not be mapped, and why. It holds the
// record's key but none of its values.
type Quarantined struct {
	Part, Key, Field, Message string
}

// AbsenceProves reports whether what the read did not list is gone at the
// vendor. A caller that cannot spare the Held records keeps everything while
// one of them is quarantined.
func (r *ReadResult) AbsenceProves() bool { return r.Complete && !r.Incremental && r.Quarantined == 0 }

// HeldRecord is a record that exists at the vendor but could not be mapped:
// what is stored of it stays.
type HeldRecord struct {
	DataType   model.DataType
	Part       string
	ExternalID string
}

// PartResult says how reading one partition ended.
type PartResult struct {
	Part     string
	Complete bool
	Skipped  bool // onError: skip_partition applied; the partition is gone
	Records  int
	// Quarantined counts the partition's records that could not be mapped.
	Quarantined int
	Err         error
}

// ReadResult sums up a read. Absence proves anything only when AbsenceProves; a partition's
// absences prove something when it is Complete with nothing Quarantined.
type ReadResult struct {
	Stream string
	// Complete: the listing ended without error.
	Complete bool
	// Incremental: only what changed was listed, so that no absence proves
	// anything. Records may be Removed then.
	Incremental bool
	// Held lists records that exist at the vendor but could not be mapped:
	// their absence from the stream is no absence at the vendor. HeldUnknown
	// says that some could not even be identified, and then no absence proves
	// anything. See AbsenceProves.
	Held        []HeldRecord
	HeldUnknown bool
	// Records counts mapped records, Items the vendor's own.
	Records, Items int
	Quarantined    int
	// QuarantineSample holds the first few.
	QuarantineSample []Quarantined
	Requests         int
	// Window is the time that a complete read of usage covers; nil otherwise.
	Window *Window
	// Parts has one entry per partition read, in order; none without partitions.
	Parts []PartResult
	// Kept are the partitions that earlier reads of the same round have read, and
	// this one left out: what is stored of them is as it should be.
	Kept []string
	// Began is when the listing began that this read went on with: nothing in
	// the result is known to be newer. Zero: with this read.
	Began time.Time
	// State replaces the stream's state once the records are stored.
	State StreamState
	// Notes tell what a person should know, such as a file's unmapped columns.
	Notes []string
}

// TestOutcome is the verdict of a connect test.
type TestOutcome string

// Test outcomes: A, B and C of the specification. Inconclusive means that
// only transient failures remained: test again.
const (
	AllPassed    TestOutcome = "AllPassed"
	Partial      TestOutcome = "Partial"
	Failed       TestOutcome = "Failed"
	Inconclusive TestOutcome = "Inconclusive"
)

// TestState is the verdict on one stream.
type TestState string

// Test states.
const (
	TestPassed  TestState = "passed"
	TestFailed  TestState = "failed"
	TestSkipped TestState = "skipped"
)

// RemoteAccount is whose data a credential opens.
type RemoteAccount struct{ ID, Name string }

// StreamTest is the verdict on one stream and so on its data types.
type StreamTest struct {
	Stream    string
	DataTypes []model.DataType
	Essential bool
	State     TestState
	Class     ErrorClass
	Message   string // the vendor's own words where it gave any
	Fix       string

	outcome string // what a failed assertion demands: B or C
}

// DataTypeTest is the verdict on one data type: failed if any stream that
// delivers it failed.
type DataTypeTest struct {
	DataType model.DataType
	State    TestState
	Class    ErrorClass
	Message  string
	Fix      string
}

// TestReport is the outcome of a connect test.
type TestReport struct {
	Outcome TestOutcome
	Account RemoteAccount
	// MultiAccount: other accounts may be connected beside this one.
	MultiAccount bool
	// AccountError says why the remote identity could not be read.
	AccountError string
	Streams      []StreamTest
	DataTypes    []DataTypeTest
	// Err is the failure that decided Failed or Inconclusive.
	Err *Error
}

// ActionClass says how an unknown outcome of an action is resolved.
type ActionClass string

// Action classes of spec/engine.md 1.3.
const (
	ActionRead       ActionClass = "read"
	ActionIdempotent ActionClass = "idempotent"
	ActionKeyed      ActionClass = "keyed"
	ActionVerifiable ActionClass = "verifiable"
	ActionUnsafe     ActionClass = "unsafe"
)

// ActionMode says which permission an action needs.
type ActionMode string

// Action modes.
const (
	ModeRead ActionMode = "read"
	ModeAct  ActionMode = "act"
)

// InputField describes one input of an action, or one config field.
type InputField struct {
	Name, Type, Title string
	Required          bool
	Default           any
}

// ActionInfo describes an action.
type ActionInfo struct {
	Name        string
	Class       ActionClass
	Mode        ActionMode
	Destructive bool
	// EndsAccount tells that the account itself goes, not only the seat.
	EndsAccount bool
	// Enabled is false where config or missing secrets switch the action off.
	Enabled     bool
	Input       []InputField
	HasPrecheck bool
	HasVerify   bool
	// VerifyWithin is how long the vendor may take to show the effect.
	VerifyWithin time.Duration
	// WaitTimeout is how long the vendor may take over what it has accepted, and
	// WaitEvery how often to ask (Poll); zero: the action has no wait.
	WaitTimeout time.Duration
	WaitEvery   time.Duration
	Undo        string
	// Effect says whether the action grants or removes access.
	Effect      Effect
	Description string
}

// ActionCall asks for one action.
type ActionCall struct {
	Name  string
	Input map[string]any
	// IdempotencyKey names the logical effect; it is the same for every
	// attempt at it.
	IdempotencyKey string
}

// ResultClass is how an action, a precheck or a verification ended.
type ResultClass string

// Result classes. Absent is the answer of Precheck and Verify when the effect
// is not there: go ahead, or not done.
const (
	ResultDone        ResultClass = "done"
	ResultAlready     ResultClass = "already"
	ResultAccepted    ResultClass = "accepted"
	ResultDenied      ResultClass = "denied"
	ResultNotFound    ResultClass = "not_found"
	ResultConflict    ResultClass = "conflict"
	ResultRateLimited ResultClass = "rate_limited"
	ResultFailed      ResultClass = "failed"
	ResultUnknown     ResultClass = "unknown"
	ResultAbsent      ResultClass = "absent"
)

// ActionResult is how a call ended.
type ActionResult struct {
	Class  ResultClass
	Output map[string]any
	// Sent is false only if the request that has the effect provably never
	// left this process.
	Sent          bool
	RequestDigest string // over method, URL and body of what was sent, without credentials
	StatusCode    int
	RetryAfter    time.Duration
	Message       string
}

// StreamInfo describes a stream of a manifest.
type StreamInfo struct {
	Name      string
	DataTypes []model.DataType
	Essential bool
	Optional  bool
	// ActivityReported tells that a nil last activity means never, not unknown;
	// on a usage stream, that no event in the window read means no use.
	ActivityReported bool
	// Partitioned streams may delete per partition.
	Partitioned bool
	// DeletesByAbsence tells that a complete read proves what is gone;
	// DeletesPerPartition, that a complete partition does so for itself.
	DeletesByAbsence    bool
	DeletesPerPartition bool
	// MaxDropPercent tightens the shrink guard; zero leaves it as it is.
	MaxDropPercent int
	// Covers lists the vendor's user states that the stream lists.
	Covers []string
	// Mode is full, window or incremental.
	Mode string
}

// Capabilities is what a manifest can do, generated from it.
type Capabilities struct {
	DataTypes    []model.DataType
	CustomFields []model.DataType // data types that carry custom fields
	Actions      []string
	// UsageBackfill is how far back the first sync reads usage; zero: it has none.
	UsageBackfill time.Duration
	MultiAccount  bool
}
