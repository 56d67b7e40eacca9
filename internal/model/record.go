// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import "time"

// TenantID is the internal id of a tenant: one per (installation, namespace).
// Zero is no tenant, and every store method refuses it.
type TenantID int64

// DataType names a kind of record that a source can deliver. The values are
// the ones that Integration.spec.dataTypes lists.
type DataType string

// The data types of spec/connectors.md section 2.
const (
	DataPeople       DataType = "people"
	DataAccounts     DataType = "accounts"
	DataPlans        DataType = "plans"
	DataAssignments  DataType = "licenses"
	DataGroups       DataType = "groups"
	DataMemberships  DataType = "memberships"
	DataUsage        DataType = "usage"
	DataApps         DataType = "apps"
	DataTransactions DataType = "transactions"
	DataContracts    DataType = "contracts"
)

// Lifecycle is where a person stands with the organisation. Only the declared
// source of truth sets it; absence alone never does (decision 4).
type Lifecycle string

// Lifecycle values. The empty value is "not stated by this source".
const (
	LifecycleFuture   Lifecycle = "future"
	LifecycleCurrent  Lifecycle = "current"
	LifecycleOnLeave  Lifecycle = "onLeave"
	LifecyclePast     Lifecycle = "past"
	LifecycleExternal Lifecycle = "external"
)

// AccountStatus is the state of an account at its vendor, in one vocabulary.
type AccountStatus string

// Account states; a vendor value that no mapping knows is AccountUnknown, with
// the vendor's own word kept in Account.RawStatus.
const (
	AccountActive      AccountStatus = "active"
	AccountInvited     AccountStatus = "invited"
	AccountSuspended   AccountStatus = "suspended"
	AccountArchived    AccountStatus = "archived"
	AccountDeactivated AccountStatus = "deactivated"
	AccountDeleted     AccountStatus = "deleted"
	AccountUnknown     AccountStatus = "unknown"
)

// AccountKind tells people from machines.
type AccountKind string

// Account kinds.
const (
	AccountHuman   AccountKind = "human"
	AccountGuest   AccountKind = "guest"
	AccountService AccountKind = "service"
	AccountShared  AccountKind = "shared"
)

// Person is a human being as one source describes them.
type Person struct {
	ExternalID        string // required: the source's stable id
	Email             string // required: lower case
	Aliases           []string
	DisplayName       string
	GivenName         string
	FamilyName        string
	Title             string
	Department        string
	Division          string
	CostCenter        string
	Location          string
	TimeZone          string // IANA name
	EmployeeID        string
	EmploymentType    string
	ManagerEmail      string
	ManagerExternalID string
	StartDate         Date
	EndDate           Date
	Lifecycle         Lifecycle
	PhotoURL          string
	Custom            map[string]any
}

// Account is one login at one app. AppExternalID is empty for the
// integration's own app; an identity provider also reports the accounts of the
// apps behind it, with their id there.
type Account struct {
	AppExternalID    string
	ExternalID       string // required
	PersonKey        string // lower-case e-mail, when the source gives one
	PersonExternalID string // the source's id of the person, when it gives one
	Username         string
	DisplayName      string
	Status           AccountStatus
	RawStatus        string
	Kind             AccountKind // empty: human
	Role             string
	IsAdmin          bool
	MFA              *bool
	GrantedVia       string // direct, group, oauth, scim
	CreatedAt        *time.Time

	// ActivityReported says whether this source reports last activity at all.
	// Without it a nil LastActivityAt means "unknown", with it "never".
	ActivityReported   bool
	LastActivityAt     *time.Time
	LastActivitySource string // "<connector>.<field>"
	Custom             map[string]any
}

// Plan is a licence that can be held.
type Plan struct {
	Key           string // required: the vendor's stable key
	Name          string // required
	Paid          bool
	Purchased     *int64
	Used          *int64
	UnitCostMinor *int64
	Currency      string
	Period        Period
	// Active is false for a plan that is not sold any more, nil where the vendor
	// does not say. It decides whether the plan is read, and is not stored.
	Active *bool
}

// AssignmentState is the state of a seat.
type AssignmentState string

// Seat states.
const (
	AssignmentActive    AssignmentState = "active"
	AssignmentPending   AssignmentState = "pending"
	AssignmentSuspended AssignmentState = "suspended"
)

// Assignment is one seat: an account that holds a plan.
type Assignment struct {
	AccountExternalID string // or PersonKey
	PersonKey         string
	PlanKey           string // required
	PlanName          string
	Paid              bool
	State             AssignmentState
	AssignedAt        *time.Time
	GrantedVia        string
	ExternalID        string // the vendor's id of the assignment, if it has one
}

// Group is a set of accounts at the source.
type Group struct {
	ExternalID  string
	Name        string
	Description string
	Kind        string // idp, app, role, builtin
	Email       string
	UpdatedAt   *time.Time
}

// Membership puts an account in a group.
type Membership struct {
	GroupExternalID   string
	AccountExternalID string
	Role              string
}

// UsageEvent is proof of use. It is stored as one row per account, app, kind
// and day.
type UsageEvent struct {
	AppExternalID     string
	AccountExternalID string // or PersonExternalID or PersonKey
	PersonExternalID  string
	PersonKey         string
	At                time.Time
	Kind              string // login, activity, sso_login, …
	Count             int64
	Source            string
}

// DiscoveredApp is an app that a source knows of.
type DiscoveredApp struct {
	ExternalID  string
	Name        string
	CatalogHint string
	URL         string
	Source      string // idp, oauth, expense, browser, mail, custom
	State       string // active, inactive
	SSOMode     string
	Scopes      []string
	Unverified  bool
	FirstSeenAt *time.Time
}

// TransactionKind says what moved the money.
type TransactionKind string

// Transaction kinds. A refund has a negative amount.
const (
	TransactionCard          TransactionKind = "card"
	TransactionBill          TransactionKind = "bill"
	TransactionReimbursement TransactionKind = "reimbursement"
	TransactionInvoice       TransactionKind = "invoice"
	TransactionRefund        TransactionKind = "refund"
)

// Transaction is money spent with a vendor, as an expense system books it.
type Transaction struct {
	ExternalID       string // required
	Date             Date   // required
	Amount           Money  // required, both parts
	VendorName       string // required: as booked, whatever the app is called
	VendorExternalID string
	MCC              string // merchant category code, ISO 18245
	Description      string
	PayerEmail       string
	Department       string
	GLAccount        string
	Kind             TransactionKind // required
	Status           string          // the source's own word
	ReceiptURL       string
}

// Contract is an agreement with a vendor, as a source describes it. The kind
// Contract is what a user declares; this is what a source reports.
type Contract struct {
	ExternalID    string // required
	Name          string // required
	AppHint       string // required: name or domain by which the app is found
	Start         Date
	End           Date
	AutoRenew     bool
	NoticeDays    *int64
	ValueMinor    *int64 // of the whole term, in minor units of Currency
	Currency      string
	BillingPeriod Period
	OwnerEmail    string
	Lines         []ContractLine
	DocumentURL   string
	Status        string // the source's own word
}

// ContractLine is what a contract buys of one plan.
type ContractLine struct {
	PlanKey       string `json:"planKey"`
	Quantity      int64  `json:"quantity"`
	UnitCostMinor *int64 `json:"unitCostMinor,omitempty"`
}

// Record is one mapped record of a stream: exactly one pointer is set.
type Record struct {
	Person     *Person
	Account    *Account
	Plan       *Plan
	Assignment *Assignment
	Group      *Group
	Membership *Membership
	Usage      *UsageEvent
	App        *DiscoveredApp

	Transaction *Transaction
	Contract    *Contract

	// Removed: the source says that the record is gone. Only its key is filled;
	// a seat without plan, or a membership with one side only, stands for all
	// that the source has not listed in the same read.
	Removed bool
}

// Type returns the data type of the pointer that is set, or "" for none.
func (r Record) Type() DataType {
	switch {
	case r.Person != nil:
		return DataPeople
	case r.Account != nil:
		return DataAccounts
	case r.Plan != nil:
		return DataPlans
	case r.Assignment != nil:
		return DataAssignments
	case r.Group != nil:
		return DataGroups
	case r.Membership != nil:
		return DataMemberships
	case r.Usage != nil:
		return DataUsage
	case r.App != nil:
		return DataApps
	case r.Transaction != nil:
		return DataTransactions
	case r.Contract != nil:
		return DataContracts
	}
	return ""
}
