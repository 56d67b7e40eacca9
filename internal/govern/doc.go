// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package govern carries out what package policy decides: it gathers facts from
// the store, evaluates, writes findings, holds what the guard holds, starts
// runs, and decides again just before a run acts. It knows no Kubernetes, so
// that controller and run executor share it.
package govern

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Store is what the package needs of the store.
type Store interface {
	Seats(ctx context.Context, tenant model.TenantID, f store.SeatFilter, fn func(model.Seat) error) error
	Admins(ctx context.Context, tenant model.TenantID, integrations []string) (map[string][]string, error)
	GroupPeople(ctx context.Context, tenant model.TenantID, groups []string) (map[string][]string, error)
	DirectoryAccounts(ctx context.Context, tenant model.TenantID, integration, groupID, person string) (map[string][]model.DirectoryAccount, error)

	Keeps(ctx context.Context, tenant model.TenantID, policy string) ([]model.Keep, error)
	SeatKeep(ctx context.Context, tenant model.TenantID, policy string, seat model.SeatKey) (*model.Keep, error)
	ReplaceFindings(ctx context.Context, tenant model.TenantID, policy string, findings iter.Seq2[model.Finding, error]) (int64, error)

	Policy(ctx context.Context, tenant model.TenantID, name string) (store.PolicyState, error)
	SetPolicyResult(ctx context.Context, tenant model.TenantID, policy string, counts json.RawMessage, dataVersion int64) error
	PolicyRuns(ctx context.Context, tenant model.TenantID, policy string, since time.Time) (store.PolicyRuns, error)
	CreateRuns(ctx context.Context, tenant model.TenantID, runs []store.NewRun) (int, error)

	Hold(ctx context.Context, tenant model.TenantID, subject store.HoldSubject) (store.Hold, error)
	ReleasedItems(ctx context.Context, tenant model.TenantID, subject store.HoldSubject) (map[string]bool, error)
	PutHold(ctx context.Context, tenant model.TenantID, h store.Hold, items []store.HoldItem) (store.Hold, error)
	ClearHold(ctx context.Context, tenant model.TenantID, subject store.HoldSubject) error

	SetSeatPrices(ctx context.Context, tenant model.TenantID, policy string, prices map[model.SeatKey]model.Price) error
	FirstReclaim(ctx context.Context, tenant model.TenantID, policy string) (time.Time, error)

	Workflow(ctx context.Context, tenant model.TenantID, name string) (store.WorkflowState, error)
	TenantFacts(ctx context.Context, tenant model.TenantID) (store.TenantFacts, error)
	Person(ctx context.Context, tenant model.TenantID, id string) (store.PersonView, error)
	PersonByEmail(ctx context.Context, tenant model.TenantID, email string) (store.PersonView, error)
	ListAccounts(ctx context.Context, tenant model.TenantID, q store.AccountQuery) ([]store.AccountView, string, error)

	BookReuse(ctx context.Context, tenant model.TenantID, policy string, reuses []store.Reuse) (int, error)
}

var _ Store = (*store.Store)(nil)
