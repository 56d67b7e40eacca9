// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"context"
	"io"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/tokens"
	"github.com/seatkeeper/seatkeeper/internal/trigger"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Store is what the endpoints read, and the few things they change.
type Store interface {
	SCIMStore
	KeyStore
	EventStore
	PromptStore
	workflow.StartStore
	trigger.Store // for rehearsals, which write nothing
	tokens.Store
	TenantByNamespace(ctx context.Context, namespace string) (model.TenantID, error)

	ListIntegrations(ctx context.Context, t model.TenantID) ([]store.IntegrationState, error)
	IntegrationState(ctx context.Context, t model.TenantID, name string) (store.IntegrationState, error)
	OwnConnectors(ctx context.Context, t model.TenantID) ([]store.OwnConnector, error)
	DeclaredApps(ctx context.Context, t model.TenantID) ([]store.DeclaredApp, error)
	ListApps(ctx context.Context, t model.TenantID, q store.AppQuery) ([]store.AppView, string, error)
	Sightings(ctx context.Context, t model.TenantID) ([]store.Sighting, error)
	UsersOf(ctx context.Context, t model.TenantID, groups map[string][]store.Sighting) (map[string]int64, error)
	SharedUsers(ctx context.Context, t model.TenantID, groups map[string][]store.Sighting) (shared, either int64, err error)
	KnownSpend(ctx context.Context, t model.TenantID, since model.Date) ([]store.KnownSpend, error)
	Vendors(ctx context.Context, t model.TenantID, q store.VendorQuery) ([]store.Vendor, string, error)
	ListPeople(ctx context.Context, t model.TenantID, q store.PeopleQuery) ([]store.PersonView, string, error)
	Person(ctx context.Context, t model.TenantID, id string) (store.PersonView, error)
	PeopleCounts(ctx context.Context, t model.TenantID) (map[model.Lifecycle]int64, error)
	ListTransactions(ctx context.Context, t model.TenantID, q store.SpendQuery) ([]store.TransactionView, string, error)
	ListContracts(ctx context.Context, t model.TenantID, q store.SpendQuery) ([]store.ContractView, string, error)
	SeatVerdicts(ctx context.Context, t model.TenantID, q store.VerdictQuery) ([]store.SeatVerdict, string, error)
	SeatTotals(ctx context.Context, t model.TenantID) ([]store.SeatTotal, error)
	Totals(ctx context.Context, t model.TenantID) (store.Totals, error)
	ListPolicies(ctx context.Context, t model.TenantID) ([]store.PolicyState, error)
	ListWorkflows(ctx context.Context, t model.TenantID) ([]store.WorkflowState, error)
	ListRuns(ctx context.Context, t model.TenantID, f store.RunFilter) ([]store.Run, error)
	RunsBelow(ctx context.Context, t model.TenantID, id string, limit int) (runs []store.Run, more int, err error)
	Released(ctx context.Context, t model.TenantID, id string) (store.RemovalRelease, error)
	workflow.VerbStore
	WorkflowRevisions(ctx context.Context, t model.TenantID, name string, q store.RevisionQuery) ([]store.WorkflowRevision, error)
	WorkflowRevision(ctx context.Context, t model.TenantID, name string, revision int64) (store.WorkflowRevision, error)
	StopRun(ctx context.Context, t model.TenantID, id string, by store.Decider) (store.Run, error)
	ResolveAttention(ctx context.Context, t model.TenantID, id string, how store.Resolution, by store.Decider) (store.Run, error)
	Ledger(ctx context.Context, t model.TenantID, q store.LedgerQuery) ([]model.LedgerEntry, error)
	Audit(ctx context.Context, t model.TenantID, q store.AuditQuery) ([]model.AuditRecord, error)
	ListStarts(ctx context.Context, t model.TenantID, q store.StartQuery) ([]store.WorkflowStart, error)
	ListHolds(ctx context.Context, t model.TenantID) ([]store.Hold, error)
	Hold(ctx context.Context, t model.TenantID, s store.HoldSubject) (store.Hold, error)
	HoldItems(ctx context.Context, t model.TenantID, holdID, after string, limit int) ([]store.HoldItem, error)
	ReleaseHold(ctx context.Context, t model.TenantID, s store.HoldSubject, digest string, by model.Actor, reason string) (store.Hold, error)
	PutUpload(ctx context.Context, t model.TenantID, integration, name string, r io.Reader) (store.Upload, error)
	Upload(ctx context.Context, t model.TenantID, id string) (store.Upload, error)
	EndpointOf(ctx context.Context, t model.TenantID, h store.Hook) (store.Endpoint, error)
	EventKnownBy(ctx context.Context, t model.TenantID, endpoint, dedupeKey string) (string, error)
	AppendAudit(ctx context.Context, t model.TenantID, r model.AuditRecord) error
}
