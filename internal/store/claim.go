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

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Claim is one replica's right to sync one Integration. Its epoch fences every
// effect: a replica that was paused past its lease gets ErrFenced.
type Claim struct {
	IntegrationState
}

// ClaimDueIntegrations takes up to limit Integrations of any tenant that are
// due, not suspended and claimed by nobody, longest due first.
func (s *Store) ClaimDueIntegrations(ctx context.Context, owner string, limit int, lease time.Duration) ([]Claim, error) {
	now := s.now()
	due, err := collect(ctx, s.reads, scanIntegrationRows, `SELECT `+integrationColumns+` FROM integration_state
		WHERE due_at <= $1 AND hidden_at IS NULL AND NOT suspended AND lease_until <= $1 ORDER BY due_at LIMIT $2`, now, clampLimit(limit))
	if err != nil {
		return nil, fmt.Errorf("find due integrations: %w", err)
	}
	var claims []Claim
	for _, st := range due {
		won := false
		err := s.write(ctx, func(tx *sql.Tx) error {
			res, err := tx.ExecContext(ctx, `UPDATE integration_state SET owner=$3, epoch=epoch+1, lease_until=$4
				WHERE tenant=$1 AND id=$2 AND epoch=$5 AND lease_until <= $6 AND hidden_at IS NULL AND NOT suspended`,
				st.Tenant, st.Source, owner, now+lease.Milliseconds(), st.Epoch, now)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			won = n == 1
			return err
		})
		if err != nil {
			return claims, fmt.Errorf("claim integration %q: %w", st.Name, err)
		}
		if won {
			st.Owner, st.Epoch, st.LeaseUntil = owner, st.Epoch+1, fromMillis(now+lease.Milliseconds())
			claims = append(claims, Claim{st})
		}
	}
	return claims, nil
}

// RenewClaim extends the lease of a running sync, or returns ErrFenced.
func (s *Store) RenewClaim(ctx context.Context, c Claim, lease time.Duration) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE integration_state SET lease_until=$4 WHERE tenant=$1 AND id=$2 AND epoch=$3 AND owner=$5 AND hidden_at IS NULL`,
			c.Tenant, c.Source, c.Epoch, s.now()+lease.Milliseconds(), c.Owner)
		if err != nil {
			return err
		}
		return oneRow(res, ErrFenced)
	})
}

// oneRow returns otherwise unless exactly one row was written.
func oneRow(res sql.Result, otherwise error) error {
	n, err := res.RowsAffected()
	if err == nil && n != 1 {
		return otherwise
	}
	return err
}

// fence holds the claim's row until commit and returns ErrFenced if the claim
// is no longer the owner's.
func (s *Store) fence(ctx context.Context, tx *sql.Tx, c Claim) error {
	var one int
	err := tx.QueryRowContext(ctx, `SELECT 1 FROM integration_state WHERE tenant=$1 AND id=$2 AND epoch=$3 AND owner=$4 AND hidden_at IS NULL`+s.dialect.forShare,
		c.Tenant, c.Source, c.Epoch, c.Owner).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrFenced
	}
	return err
}

// IntegrationResult is how a sync, or a part of the work for one, ended.
type IntegrationResult struct {
	// Status is JSON that the controller turns into the resource's status. The
	// state version rises only if it differs from the one before, so it must
	// hold no moving times or counters.
	Status json.RawMessage
	// NextDue is when to sync again; nil: only when something asks for it.
	NextDue *time.Time
	// RemoteID and RemoteName name the remote account; empty keeps what is known.
	RemoteID, RemoteName string
	// Synced tells that at least one stream finished.
	Synced bool
	// Failed counts towards the failures in a row that back-off grows with.
	Failed bool
}

// FinishIntegration records the outcome and gives the claim back. If the spec,
// the credentials or the request for a sync changed meanwhile, or somebody made it
// due anew, the Integration is due at once, whatever NextDue says.
func (s *Store) FinishIntegration(ctx context.Context, c Claim, r IntegrationResult) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		have, err := scanIntegration(tx.QueryRowContext(ctx, `SELECT `+integrationColumns+` FROM integration_state
			WHERE tenant=$1 AND id=$2 AND epoch=$3 AND owner=$4 AND hidden_at IS NULL`+s.dialect.forUpdate, c.Tenant, c.Source, c.Epoch, c.Owner))
		if errors.Is(err, sql.ErrNoRows) {
			return ErrFenced
		}
		if err != nil {
			return err
		}
		now := s.now()
		due := millisOrNil(r.NextDue)
		// Whoever released a hold, uploaded a file or sent an event meanwhile made
		// it due anew, for what this sync may not have seen.
		switch {
		case asksForSync(c.IntegrationSpec, have.IntegrationSpec):
			due = now
		case millisOrNil(have.DueAt) != millisOrNil(c.DueAt):
			if due = now; have.DueAt != nil && (r.NextDue == nil || have.DueAt.Before(*r.NextDue)) {
				due = have.DueAt.UnixMilli()
			}
		}
		version := have.StateVersion
		if string(have.Status) != string(r.Status) {
			if version, err = raiseStateVersion(ctx, tx); err != nil {
				return err
			}
		}
		if r.RemoteID == "" {
			r.RemoteID, r.RemoteName = have.RemoteID, have.RemoteName
		}
		failures := 0
		if r.Failed {
			failures = have.Failures + 1
		}
		first, last := millisOrNil(have.FirstSyncedAt), millisOrNil(have.LastSyncedAt)
		if r.Synced {
			last = now
			if first == nil {
				first = now
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE integration_state SET status=$3, due_at=$4, state_version=$5, remote_id=$6, remote_name=$7, failures=$8,
			first_synced_at=$9, last_synced_at=$10, owner='', lease_until=0 WHERE tenant=$1 AND id=$2`,
			c.Tenant, c.Source, string(r.Status), due, version, r.RemoteID, r.RemoteName, failures, first, last)
		return err
	})
	if err != nil {
		return fmt.Errorf("finish the sync of integration %q: %w", c.Name, err)
	}
	return nil
}

// StreamStates returns what each stream of the Integration left behind when it
// last finished, by stream name.
func (s *Store) StreamStates(ctx context.Context, tenant model.TenantID, integration string) (map[string]StreamState, error) {
	list, err := collect(ctx, s.reads, scanStreamState, `SELECT ss.stream, ss.generation, ss.completed_at, ss.covers_from, ss.covers_until, ss.activity_reported, ss.state
		FROM stream_state ss JOIN integration_state i ON i.tenant=ss.tenant AND i.id=ss.source
		WHERE ss.tenant=$1 AND i.name=$2 AND i.hidden_at IS NULL`, tenant, integration)
	if err != nil {
		return nil, fmt.Errorf("read the stream states of integration %q: %w", integration, err)
	}
	out := make(map[string]StreamState, len(list))
	for _, st := range list {
		out[st.Stream] = st
	}
	return out, nil
}

// StreamState is what a stream's last finished sync left behind.
type StreamState struct {
	Stream      string
	Generation  int64 // 0: no sync of the stream has finished
	CompletedAt *time.Time
	// CoversFrom and CoversUntil bound the time that a usage feed covers
	// without a gap.
	CoversFrom, CoversUntil *time.Time
	ActivityReported        bool
	State                   json.RawMessage // the connector's own; nil if none
}

func scanStreamState(r *sql.Rows) (st StreamState, err error) {
	var done, from, until sql.NullInt64
	var state string
	if err = r.Scan(&st.Stream, &st.Generation, &done, &from, &until, &st.ActivityReported, &state); err != nil {
		return st, err
	}
	st.CompletedAt, st.CoversFrom, st.CoversUntil = nullTime(done), nullTime(from), nullTime(until)
	if state != "" {
		st.State = json.RawMessage(state)
	}
	return st, nil
}
