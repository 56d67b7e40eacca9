// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Reclaim is a seat that was given back, as the run that did it knows it.
type Reclaim struct {
	Policy, App, Integration, AccountID, PlanKey, PersonID string
	// Annual is what the run believed a year of the seat costs; it counts only
	// if no price is declared.
	Annual    *model.Money
	RunID     string
	DecidedBy string
	Reason    string
}

// bookReclaim books what a reclaimed seat is worth, in the transaction that
// records that it was reclaimed. Booking the same run twice books it once.
//
// Potential is a year's cost from the day on which billing can fall, sunk what
// is prepaid until then. Nothing is realised yet: that is when billing falls.
func (s *Store) bookReclaim(ctx context.Context, q querier, tenant model.TenantID, r Reclaim) error {
	department, err := departmentOf(ctx, q, tenant, r.PersonID)
	if err != nil {
		return err
	}
	price, err := seatPrice(ctx, q, tenant, r.Policy, r.Integration, r.PlanKey)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	priced := err == nil
	entry := model.LedgerEntry{
		Quantity: 1, App: r.App, Policy: r.Policy, Integration: r.Integration, AccountID: r.AccountID, PlanKey: r.PlanKey,
		PersonID: r.PersonID, Department: department, RunID: r.RunID, DecidedBy: r.DecidedBy, Reason: r.Reason,
		Contract: price.Contract, Line: price.Plan, EffectiveOn: price.EffectiveOn,
	}
	if priced && price.Contract == "" {
		entry.Line = ""
	}
	today := model.DateOf(s.clock.Now(), time.UTC)
	for _, e := range reclaimEntries(entry, price, priced, r.Annual, today) {
		e.DedupeKey = "reclaim/" + r.RunID + "/" + string(e.Kind)
		if err := s.appendLedger(ctx, q, tenant, e); err != nil {
			return err
		}
	}
	return nil
}

func reclaimEntries(base model.LedgerEntry, price model.Price, priced bool, believed *model.Money, today model.Date) []model.LedgerEntry {
	with := func(kind model.LedgerKind, amount *model.Money, reason string) model.LedgerEntry {
		e := base
		e.Kind, e.Amount = kind, amount
		if reason != "" {
			e.Reason = reason
		}
		return e
	}
	annual, ok := price.Annual()
	if !priced || !ok {
		if believed == nil {
			return []model.LedgerEntry{with(model.LedgerUnknown, nil, "NoPriceKnown")}
		}
		annual = *believed
	}
	out := []model.LedgerEntry{with(model.LedgerPotential, &annual, "")}
	if sunk, ok := price.Sunk(today); priced && ok {
		return append(out, with(model.LedgerSunk, &sunk, ""))
	}
	return append(out, with(model.LedgerUnknown, nil, "NoContract"))
}

func departmentOf(ctx context.Context, q querier, tenant model.TenantID, personID string) (string, error) {
	if personID == "" {
		return "", nil
	}
	var department string
	err := q.QueryRowContext(ctx, `SELECT department FROM person WHERE tenant = $1 AND id = $2`, tenant, personID).Scan(&department)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read department: %w", err)
	}
	return department, nil
}

// appendLedger adds an entry unless its dedupe key is there already.
func (s *Store) appendLedger(ctx context.Context, q querier, tenant model.TenantID, e model.LedgerEntry) error {
	_, err := s.appendLedgerOnce(ctx, q, tenant, e)
	return err
}

func (s *Store) appendLedgerOnce(ctx context.Context, q querier, tenant model.TenantID, e model.LedgerEntry) (added bool, err error) {
	if tenant == 0 || e.DedupeKey == "" {
		return false, errors.New("ledger entry: tenant and dedupe key are required")
	}
	if (e.Amount == nil) != (e.Kind == model.LedgerUnknown) {
		return false, fmt.Errorf("ledger entry %s: an amount goes with every kind but unknown", e.Kind)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return false, fmt.Errorf("ledger id: %w", err)
	}
	var minor any
	currency := ""
	if e.Amount != nil {
		minor, currency = e.Amount.Minor, e.Amount.Currency
	}
	res, err := q.ExecContext(ctx, `INSERT INTO ledger (tenant, id, at, kind, amount_minor, currency, quantity, app, policy, integration, account, plan,
		person_id, department, contract, contract_line, effective_on, run_id, decided_by, reason, dedupe_key)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21) ON CONFLICT (tenant, dedupe_key) DO NOTHING`,
		tenant, id.String(), s.now(), e.Kind, minor, currency, e.Quantity, e.App, e.Policy, e.Integration, e.AccountID, e.PlanKey,
		e.PersonID, e.Department, e.Contract, e.Line, string(e.EffectiveOn), e.RunID, e.DecidedBy, e.Reason, e.DedupeKey)
	if err != nil {
		return false, fmt.Errorf("append ledger: %w", err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// Reuse is a seat that somebody got after another one was reclaimed.
type Reuse struct {
	Integration, AccountID, PlanKey, PersonID string
	At                                        time.Time // when the seat was first observed
}

// BookReuse books as avoided what a reclaimed and prepaid seat saves when it is
// given to somebody else instead of bought. At most as many seats count as
// were reclaimed before and are not reused yet. It returns how many it booked.
func (s *Store) BookReuse(ctx context.Context, tenant model.TenantID, policy string, reuses []Reuse) (booked int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		booked = 0
		for _, r := range reuses {
			added, err := s.bookReuse(ctx, tx, tenant, policy, r)
			if err != nil {
				return err
			}
			if added {
				booked++
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("book reuse: %w", err)
	}
	return booked, nil
}

func (s *Store) bookReuse(ctx context.Context, tx *sql.Tx, tenant model.TenantID, policy string, r Reuse) (bool, error) {
	price, err := seatPrice(ctx, tx, tenant, policy, r.Integration, r.PlanKey)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var open int64
	var app sql.NullString
	err = tx.QueryRowContext(ctx, `SELECT coalesce(sum(CASE WHEN kind = 'sunk' THEN quantity ELSE -quantity END), 0), max(app) FROM ledger
		WHERE tenant = $1 AND policy = $2 AND integration = $3 AND plan = $4 AND
		((kind = 'sunk' AND at < $5 AND account <> $6) OR kind = 'avoided')`,
		tenant, policy, r.Integration, r.PlanKey, r.At.UnixMilli(), r.AccountID).Scan(&open, &app)
	if err != nil || open <= 0 {
		return false, err
	}
	amount, ok := price.Sunk(model.DateOf(r.At, time.UTC))
	if !ok || amount.Minor == 0 {
		return false, nil
	}
	department, err := departmentOf(ctx, tx, tenant, r.PersonID)
	if err != nil {
		return false, err
	}
	return s.appendLedgerOnce(ctx, tx, tenant, model.LedgerEntry{
		Kind: model.LedgerAvoided, Amount: &amount, Quantity: 1, App: app.String, Policy: policy, Integration: r.Integration, AccountID: r.AccountID,
		PlanKey: r.PlanKey, PersonID: r.PersonID, Department: department, Contract: price.Contract, Line: price.Plan, Reason: "SeatReused",
		DedupeKey: fmt.Sprintf("reuse/%s/%s/%s/%s/%d", policy, r.Integration, r.PlanKey, r.AccountID, r.At.UnixMilli()),
	})
}

// FirstReclaim returns when the policy first reclaimed a seat, or zero.
func (s *Store) FirstReclaim(ctx context.Context, tenant model.TenantID, policy string) (time.Time, error) {
	var at sql.NullInt64
	err := s.reads.QueryRowContext(ctx, `SELECT min(at) FROM ledger WHERE tenant = $1 AND policy = $2 AND kind = 'sunk'`, tenant, policy).Scan(&at)
	if err != nil || !at.Valid {
		return time.Time{}, err
	}
	return time.UnixMilli(at.Int64).UTC(), nil
}

// BookRealised books that billing fell: the Contract that follows another buys
// fewer seats of a plan. Only seats that were reclaimed under the earlier
// Contract, and whose fall was not booked yet, count; the rest is no merit of a
// policy. Booking the same pair of Contracts again books nothing.
func (s *Store) BookRealised(ctx context.Context, tenant model.TenantID, app, from, to, line string, fewer int64, annual model.Money) (booked int64, err error) {
	if fewer <= 0 || annual.Minor <= 0 {
		return 0, nil
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		booked = 0
		var open int64
		err := tx.QueryRowContext(ctx, `SELECT coalesce(sum(CASE WHEN kind = 'potential' THEN quantity ELSE -quantity END), 0) FROM ledger
			WHERE tenant = $1 AND contract = $2 AND contract_line = $3 AND kind IN ('potential', 'realised')`, tenant, from, line).Scan(&open)
		if err != nil {
			return err
		}
		n := min(open, fewer)
		if n <= 0 {
			return nil
		}
		amount, err := annual.MulDiv(n, 1)
		if err != nil {
			return err
		}
		added, err := s.appendLedgerOnce(ctx, tx, tenant, model.LedgerEntry{
			Kind: model.LedgerRealised, Amount: &amount, Quantity: n, App: app, Contract: from, Line: line, Reason: "RenewedWithFewerSeats",
			DedupeKey: fmt.Sprintf("realised/%s/%s/%s", from, to, line),
		})
		if added {
			booked = n
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("book realised savings of contract %q: %w", from, err)
	}
	return booked, nil
}

// SetSeatPrices records what seats of a policy cost, replacing what was
// recorded, and writes only what changed.
func (s *Store) SetSeatPrices(ctx context.Context, tenant model.TenantID, policy string, prices map[model.SeatKey]model.Price) error {
	have, err := s.SeatPrices(ctx, tenant, policy)
	if err != nil {
		return err
	}
	want := map[model.SeatKey]model.Price{}
	for k, p := range prices {
		want[model.SeatKey{Integration: k.Integration, PlanKey: k.PlanKey}] = p
	}
	var gone []model.SeatKey
	for k, p := range have {
		switch w, ok := want[k]; {
		case !ok:
			gone = append(gone, k)
		case w == p:
			delete(want, k)
		}
	}
	if len(want) == 0 && len(gone) == 0 {
		return nil
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		for _, k := range gone {
			if _, err := tx.ExecContext(ctx, `DELETE FROM seat_price WHERE tenant = $1 AND policy = $2 AND integration = $3 AND plan = $4`,
				tenant, policy, k.Integration, k.PlanKey); err != nil {
				return fmt.Errorf("remove price: %w", err)
			}
		}
		for k, p := range want {
			raw, err := json.Marshal(p)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO seat_price (tenant, policy, integration, plan, price, changed_at) VALUES ($1,$2,$3,$4,$5,$6)
				ON CONFLICT (tenant, policy, integration, plan) DO UPDATE SET price = excluded.price, changed_at = excluded.changed_at`,
				tenant, policy, k.Integration, k.PlanKey, string(raw), s.now()); err != nil {
				return fmt.Errorf("record price: %w", err)
			}
		}
		return nil
	})
}

// SeatPrices returns the recorded prices of a policy, by integration and plan.
func (s *Store) SeatPrices(ctx context.Context, tenant model.TenantID, policy string) (map[model.SeatKey]model.Price, error) {
	type row struct {
		key model.SeatKey
		raw string
	}
	rows, err := collect(ctx, s.reads, func(r *sql.Rows) (v row, err error) {
		return v, r.Scan(&v.key.Integration, &v.key.PlanKey, &v.raw)
	}, `SELECT integration, plan, price FROM seat_price WHERE tenant = $1 AND policy = $2`, tenant, policy)
	if err != nil {
		return nil, fmt.Errorf("read prices of %q: %w", policy, err)
	}
	out := make(map[model.SeatKey]model.Price, len(rows))
	for _, r := range rows {
		var p model.Price
		if err := json.Unmarshal([]byte(r.raw), &p); err != nil {
			return nil, fmt.Errorf("price of %s/%s: %w", r.key.Integration, r.key.PlanKey, err)
		}
		out[r.key] = p
	}
	return out, nil
}

func seatPrice(ctx context.Context, q querier, tenant model.TenantID, policy, integration, plan string) (p model.Price, err error) {
	var raw string
	err = q.QueryRowContext(ctx, `SELECT price FROM seat_price WHERE tenant = $1 AND policy = $2 AND integration = $3 AND plan = $4`,
		tenant, policy, integration, plan).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return p, fmt.Errorf("price of %s/%s: %w", integration, plan, ErrNotFound)
	}
	if err != nil {
		return p, fmt.Errorf("read price: %w", err)
	}
	return p, json.Unmarshal([]byte(raw), &p)
}
