// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package trigger turns what happened into runs of Workflows. Sources write
// events to the outbox; here each is held against the triggers of the tenant's
// Workflows, and what fits becomes a run, once per trigger key (decision 2), in
// the transaction that marks the event handled. What cannot start yet, because
// its moment has not come, its Workflow is not ready or a guard holds it, waits
// as a row that people can see.
package trigger

import (
	"context"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Seats finds unused seats; govern.Unused is it.
type Seats interface {
	// Found returns those that a LicensePolicy found, in the order of their keys.
	Found(ctx context.Context, tenant model.TenantID, policy string, after *model.SeatKey, limit int) ([]model.Finding, error)
	// Seat returns what it found of one.
	Seat(ctx context.Context, tenant model.TenantID, policy string, seat model.SeatKey) ([]model.Finding, error)
	// For returns those that were not used for so many days, all or one.
	For(ctx context.Context, tenant model.TenantID, days int, seat *model.SeatKey) ([]model.Finding, error)
}

// Store is what starting runs needs of the store.
type Store interface {
	workflow.VarsStore
	TriggerWork(ctx context.Context) ([]model.TenantID, error)
	ListWorkflows(ctx context.Context, tenant model.TenantID) ([]store.WorkflowState, error)
	NewEvents(ctx context.Context, tenant model.TenantID, limit int) ([]model.Event, error)
	DueStarts(ctx context.Context, tenant model.TenantID, limit int) ([]store.WorkflowStart, error)
	StartedKeys(ctx context.Context, tenant model.TenantID, workflow string, keys []string) (map[string]bool, error)
	TakenKeys(ctx context.Context, tenant model.TenantID, workflow string, keys []string) (map[string]bool, error)
	StartedSince(ctx context.Context, tenant model.TenantID, workflow string, since time.Time) (int64, error)
	PeopleCounts(ctx context.Context, tenant model.TenantID) (map[model.Lifecycle]int64, error)
	RecheckMoments(ctx context.Context) error
	RecheckStarts(ctx context.Context, tenant model.TenantID, people []string) error
	ApplyStarts(ctx context.Context, tenant model.TenantID, b store.StartBatch) (int, error)
	Person(ctx context.Context, tenant model.TenantID, id string) (store.PersonView, error)
	PersonByEmail(ctx context.Context, tenant model.TenantID, email string) (store.PersonView, error)
	PersonOfEmployee(ctx context.Context, tenant model.TenantID, employeeID string) (store.PersonView, error)
	PersonOfSource(ctx context.Context, tenant model.TenantID, integration, externalID string) (store.PersonView, error)
	PersonOfAccount(ctx context.Context, tenant model.TenantID, integration, account string) (store.PersonView, error)
	DatedPeople(ctx context.Context, tenant model.TenantID, end bool, from, to model.Date, after string, limit int) ([]string, error)
	App(ctx context.Context, tenant model.TenantID, name string) (model.AppFacts, error)
	KnownBefore(ctx context.Context, tenant model.TenantID, integration, id string) (bool, error)
	Contracts(ctx context.Context, tenant model.TenantID) ([]store.KnownContract, error)
	Contract(ctx context.Context, tenant model.TenantID, name string) (store.KnownContract, error)
	AppOfContract(ctx context.Context, tenant model.TenantID, c model.ContractFacts) (model.AppFacts, error)
	SeatFacts(ctx context.Context, tenant model.TenantID, f model.Finding) (model.SeatFacts, model.AppFacts, error)
	ListStarts(ctx context.Context, tenant model.TenantID, q store.StartQuery) ([]store.WorkflowStart, error)
	AddWebhookPerson(ctx context.Context, tenant model.TenantID, w store.WebhookPerson) (string, error)
}
