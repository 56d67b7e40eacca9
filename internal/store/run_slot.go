// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// ReasonConcurrencyLimit is why a run waits, or has not begun, whose Workflow
// has as many runs under way as it may.
const ReasonConcurrencyLimit = "ConcurrencyLimit"

// SlotPolicy says what becomes of a run for which there is no place.
type SlotPolicy string

// Slot policies.
const (
	SlotQueue   SlotPolicy = "Queue"   // it waits, the oldest goes first
	SlotSkip    SlotPolicy = "Skip"    // it ends without a step
	SlotReplace SlotPolicy = "Replace" // the oldest is stopped for it
)

// SlotClaim asks for one of the places that the runs of one definition with
// the same key share. The run of the change is written as it is to wait; one
// that gets the place is due at once instead.
type SlotClaim struct {
	Key    string
	Max    int
	Policy SlotPolicy
}

// hash keeps what a key is made of, such as an address, out of the row.
func (c SlotClaim) hash() string {
	sum := sha256.Sum256([]byte(c.Key))
	return hex.EncodeToString(sum[:16])
}

// lockSlots lets one transaction at a time give or free places of a definition,
// on PostgreSQL by the row of its Workflow. All rows are locked in one order.
func (s *Store) lockSlots(ctx context.Context, tx *sql.Tx, runs []Run) error {
	type definition struct {
		tenant model.TenantID
		name   string
	}
	var all []definition
	for _, r := range runs {
		if d := (definition{r.Tenant, r.Name}); r.SlotKey != "" && !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b definition) int { return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.name, b.name)) })
	for _, d := range all {
		var name string
		err := tx.QueryRowContext(ctx, `SELECT name FROM workflow WHERE tenant=$1 AND name=$2`+s.dialect.forUpdate, d.tenant, d.name).Scan(&name)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("lock the places of Workflow %q: %w", d.name, err)
		}
	}
	return nil
}

const slotRuns = ` FROM run WHERE tenant=$1 AND kind=$2 AND name=$3 AND slot_key=$4 AND slot_key <> '' AND ended_at IS NULL`

// claimSlot decides whether the run of a change gets a place. The others are of
// the same transaction.
func (s *Store) claimSlot(ctx context.Context, tx *sql.Tx, changes []RunChange, at int) error {
	r, claim := &changes[at].Run, *changes[at].Claim
	if claim.Policy == SlotReplace {
		if replaced, err := s.replaceRuns(ctx, tx, r, claim, changes); err != nil || replaced {
			return err
		}
	}
	var held, ahead int
	if err := tx.QueryRowContext(ctx, `SELECT count(*)`+slotRuns+` AND slot_held`, r.Tenant, r.Kind, r.Name, r.SlotKey).Scan(&held); err != nil {
		return fmt.Errorf("count the places that are taken: %w", err)
	}
	free := claim.Max - held
	if free > 0 && claim.Policy == SlotQueue {
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1`+slotRuns+` AND NOT slot_held AND state <> 'attention' AND id < $5 LIMIT $6) AS q`,
			r.Tenant, r.Kind, r.Name, r.SlotKey, r.ID, free).Scan(&ahead); err != nil {
			return fmt.Errorf("count who waits for a place: %w", err)
		}
	}
	switch {
	case ahead < free:
		r.SlotHeld, r.State, r.DueAt, r.Reason, r.Message = true, RunReady, fromMillis(s.now()), "", ""
	case claim.Policy == SlotSkip:
		s.skipRun(r, fmt.Sprintf("it was not begun: %d runs are under way, and spec.concurrency.policy is Skip", held))
	default:
		if err := s.nameHolder(ctx, tx, r); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `UPDATE run SET slot_key=$3, slot_held=$4 WHERE tenant=$1 AND id=$2`, r.Tenant, r.ID, r.SlotKey, r.SlotHeld)
	return err
}

// nameHolder tells a run that waits for a place who has one, the longest first.
func (s *Store) nameHolder(ctx context.Context, tx *sql.Tx, r *Run) error {
	var id string
	var state RunState
	err := tx.QueryRowContext(ctx, `SELECT id, state`+slotRuns+` AND slot_held ORDER BY id LIMIT 1`, r.Tenant, r.Kind, r.Name, r.SlotKey).Scan(&id, &state)
	switch {
	case errors.Is(err, sql.ErrNoRows): // others have waited longer
		return nil
	case err != nil:
		return fmt.Errorf("find who has the place: %w", err)
	}
	r.Message += fmt.Sprintf("; run %s has the place and is %s", id, state)
	if state == RunAttention {
		r.Message += ": resolve it, or stop it"
	}
	return nil
}

func (s *Store) skipRun(r *Run, message string) {
	now := fromMillis(s.now())
	r.State, r.Outcome, r.Reason, r.Message, r.EndedAt, r.Lane = RunSucceeded, "skipped", ReasonConcurrencyLimit, message, &now, ""
}

// replaceRuns stops the oldest runs, so that there is a place for this one. It
// reports whether newer runs have taken this one's place before it began.
func (s *Store) replaceRuns(ctx context.Context, tx *sql.Tx, r *Run, claim SlotClaim, changes []RunChange) (replaced bool, err error) {
	var newer int
	if err := tx.QueryRowContext(ctx, `SELECT count(*)`+slotRuns+` AND id > $5`, r.Tenant, r.Kind, r.Name, r.SlotKey, r.ID).Scan(&newer); err != nil {
		return false, fmt.Errorf("count newer runs: %w", err)
	}
	if newer >= claim.Max {
		s.skipRun(r, "it was not begun: newer runs have taken its place, as spec.concurrency.policy is Replace")
		return true, nil
	}
	older, err := collect(ctx, tx, func(rows *sql.Rows) (id string, err error) { return id, rows.Scan(&id) },
		`SELECT id`+slotRuns+` AND id < $5 AND stop_requested_at IS NULL ORDER BY id DESC`, r.Tenant, r.Kind, r.Name, r.SlotKey, r.ID)
	if err != nil {
		return false, fmt.Errorf("find older runs: %w", err)
	}
	by := Decider{Actor: r.Kind + "/" + r.Name, Kind: model.ActorPolicy, Reason: "run " + r.ID + " takes its place: spec.concurrency.policy is Replace"}
	for _, id := range older[min(len(older), claim.Max-1-newer):] {
		if i := slices.IndexFunc(changes, func(c RunChange) bool { return c.Run.Key() == RunKey{r.Tenant, id} }); i >= 0 {
			err = s.requestStop(ctx, tx, &changes[i].Run, by) // it moves on in this transaction, which writes its row
		} else {
			err = s.stopRun(ctx, tx, r.Tenant, id, by)
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// wakeQueued takes the places of ended runs back, which would need others if they
// were resumed, and lets the runs that have waited longest look again.
func (s *Store) wakeQueued(ctx context.Context, tx *sql.Tx, ended []Run) error {
	type line struct {
		tenant          model.TenantID
		kind, name, key string
	}
	freed := map[line]int{}
	for _, r := range ended {
		if r.SlotKey != "" {
			freed[line{r.Tenant, r.Kind, r.Name, r.SlotKey}]++
		}
	}
	for l, n := range freed {
		if _, err := tx.ExecContext(ctx, `UPDATE run SET due_at=$5, state='ready', version=version+1 WHERE tenant=$1 AND id IN (SELECT id`+slotRuns+`
			AND NOT slot_held AND state='waiting' ORDER BY id LIMIT $6)`, l.tenant, l.kind, l.name, l.key, s.now(), n); err != nil {
			return fmt.Errorf("wake who waits for a place: %w", err)
		}
	}
	for _, r := range ended { // only now: until it is written, an ended run looks like one that waits
		if !r.SlotHeld {
			continue
		}
		if _, err := tx.ExecContext(ctx, `UPDATE run SET slot_held=FALSE WHERE tenant=$1 AND id=$2`, r.Tenant, r.ID); err != nil {
			return fmt.Errorf("free the place of run %s: %w", r.ID, err)
		}
	}
	return nil
}
