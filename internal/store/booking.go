// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// BookingKind says what a run books.
type BookingKind string

// Booking kinds.
const (
	BookReclaimed BookingKind = "Reclaimed" // a seat was given back: savings
	BookKept      BookingKind = "Kept"      // a person keeps the seat: an exemption
)

// Booking is what a run writes to the ledger and the exemptions in the
// transaction that moves it on, so exactly once.
type Booking struct {
	Kind        BookingKind
	Policy      string
	App         string
	Integration string
	AccountID   string // the vendor's id
	PlanKey     string
	PersonID    string
	YearlyCost  *model.Money
	KeepUntil   time.Time // of Kept
	DecidedBy   string
	DecidedKind model.ActorKind
	Reason      string
}

// applyBooking writes one booking.
func (s *Store) applyBooking(ctx context.Context, tx *sql.Tx, tenant model.TenantID, run Run, b Booking) error {
	switch b.Kind {
	case BookReclaimed:
		return s.bookReclaim(ctx, tx, tenant, Reclaim{
			Policy: b.Policy, App: b.App, Integration: b.Integration, AccountID: b.AccountID, PlanKey: b.PlanKey, PersonID: b.PersonID,
			Annual: b.YearlyCost, RunID: run.ID, DecidedBy: b.DecidedBy, Reason: b.Reason,
		})
	case BookKept:
		return s.keepSeat(ctx, tx, tenant, model.Keep{
			Policy: b.Policy, Integration: b.Integration, AccountID: b.AccountID, PlanKey: b.PlanKey, PersonID: b.PersonID,
			Until: b.KeepUntil, Reason: b.Reason, By: b.DecidedBy,
		}, run.ID)
	}
	return fmt.Errorf("booking of unknown kind %q", b.Kind)
}
