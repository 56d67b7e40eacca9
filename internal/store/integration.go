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

// IntegrationSpec is what the Integration's controller hands over to the sync
// workers (decision 8).
type IntegrationSpec struct {
	Name       string
	UID        string
	Generation int64
	Connector  string // "okta", or "resource/NAME" for a connectorRef
	// Spec is the resource's spec as JSON; the store does not look inside.
	Spec json.RawMessage
	// SecretVersion changes when the credentials do.
	SecretVersion string
	// RequestedAt is the value of the annotation that asks for a sync now.
	RequestedAt string
	// AcceptAccount is the remote account id that a person accepted in place
	// of the one connected before (decision 19).
	AcceptAccount string
	Interval      time.Duration
	RetryInterval time.Duration
	Suspended     bool
}

// IntegrationState is an Integration as the store knows it.
type IntegrationState struct {
	Tenant model.TenantID
	// Source is the internal id of the connected remote account: the key of
	// every fact row. A name may be given to another source later.
	Source int64
	IntegrationSpec

	DueAt    *time.Time // nil: not scheduled
	Failures int        // in a row
	Owner    string     // the replica that syncs it now, if LeaseUntil is ahead
	Epoch    int64
	// LeaseUntil is when another replica may take over.
	LeaseUntil time.Time
	// StateVersion rises when Status changed; DataVersion when a fact did.
	StateVersion, DataVersion int64
	Status                    json.RawMessage // as FinishIntegration left it
	RemoteID, RemoteName      string          // the remote account; empty until known
	CreatedAt                 time.Time
	FirstSyncedAt             *time.Time
	LastSyncedAt              *time.Time
	HiddenAt, PurgeAt         *time.Time
}

const integrationColumns = `tenant, id, name, uid, generation, connector, spec, secret_version, requested_at, accept_account,
	interval_ms, retry_interval_ms, suspended, due_at, failures, owner, epoch, lease_until, state_version, data_version, status,
	remote_id, remote_name, created_at, first_synced_at, last_synced_at, hidden_at, purge_at`

// scanner is what *sql.Row and *sql.Rows share.
type scanner interface{ Scan(dest ...any) error }

func scanIntegration(r scanner) (st IntegrationState, err error) {
	var spec, status string
	var interval, retry, lease, created int64
	var due, first, last, hidden, purge sql.NullInt64
	err = r.Scan(&st.Tenant, &st.Source, &st.Name, &st.UID, &st.Generation, &st.Connector, &spec, &st.SecretVersion, &st.RequestedAt, &st.AcceptAccount,
		&interval, &retry, &st.Suspended, &due, &st.Failures, &st.Owner, &st.Epoch, &lease, &st.StateVersion, &st.DataVersion, &status,
		&st.RemoteID, &st.RemoteName, &created, &first, &last, &hidden, &purge)
	if err != nil {
		return st, err
	}
	st.Spec = json.RawMessage(spec)
	if status != "" {
		st.Status = json.RawMessage(status)
	}
	st.Interval, st.RetryInterval = time.Duration(interval)*time.Millisecond, time.Duration(retry)*time.Millisecond
	st.LeaseUntil, st.CreatedAt = fromMillis(lease), fromMillis(created)
	st.DueAt, st.FirstSyncedAt, st.LastSyncedAt = nullTime(due), nullTime(first), nullTime(last)
	st.HiddenAt, st.PurgeAt = nullTime(hidden), nullTime(purge)
	return st, nil
}

func scanIntegrationRows(r *sql.Rows) (IntegrationState, error) { return scanIntegration(r) }

// UpsertIntegration records what the Integration asks for. It writes nothing
// if nothing changed, and makes the sync due when the generation, the
// credentials, the accepted account or the request for a sync did.
func (s *Store) UpsertIntegration(ctx context.Context, tenant model.TenantID, spec IntegrationSpec) (changed bool, err error) {
	if len(spec.Spec) == 0 {
		spec.Spec = json.RawMessage("{}")
	}
	have, err := s.IntegrationState(ctx, tenant, spec.Name)
	if err == nil && sameSpec(have.IntegrationSpec, spec) {
		return false, nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		have, err := integrationByName(ctx, tx, tenant, spec.Name, s.dialect.forUpdate)
		switch {
		case errors.Is(err, ErrNotFound):
			changed = true
			return s.insertIntegration(ctx, tx, tenant, spec)
		case err != nil:
			return err
		case sameSpec(have.IntegrationSpec, spec):
			changed = false
			return nil
		}
		changed = true
		due := millisOrNil(have.DueAt)
		if asksForSync(have.IntegrationSpec, spec) {
			due = s.now()
		}
		_, err = tx.ExecContext(ctx, `UPDATE integration_state SET uid=$3, generation=$4, connector=$5, spec=$6, secret_version=$7, requested_at=$8,
			accept_account=$9, interval_ms=$10, retry_interval_ms=$11, suspended=$12, due_at=$13 WHERE tenant=$1 AND id=$2`,
			tenant, have.Source, spec.UID, spec.Generation, spec.Connector, string(spec.Spec), spec.SecretVersion, spec.RequestedAt,
			spec.AcceptAccount, spec.Interval.Milliseconds(), spec.RetryInterval.Milliseconds(), spec.Suspended, due)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("hand over integration %q: %w", spec.Name, err)
	}
	return changed, nil
}

func (s *Store) insertIntegration(ctx context.Context, q querier, tenant model.TenantID, spec IntegrationSpec) error {
	id, err := nextID(ctx, q, tenant, "source", 1)
	if err != nil {
		return err
	}
	now := s.now()
	_, err = q.ExecContext(ctx, `INSERT INTO integration_state (tenant, id, name, uid, generation, connector, spec, secret_version, requested_at,
		accept_account, interval_ms, retry_interval_ms, suspended, due_at, created_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$14)`,
		tenant, id, spec.Name, spec.UID, spec.Generation, spec.Connector, string(spec.Spec), spec.SecretVersion, spec.RequestedAt,
		spec.AcceptAccount, spec.Interval.Milliseconds(), spec.RetryInterval.Milliseconds(), spec.Suspended, now)
	return err
}

func sameSpec(a, b IntegrationSpec) bool {
	return !asksForSync(a, b) && a.Interval == b.Interval && a.RetryInterval == b.RetryInterval &&
		a.Suspended == b.Suspended && string(a.Spec) == string(b.Spec)
}

func asksForSync(have, want IntegrationSpec) bool {
	return have.UID != want.UID || have.Generation != want.Generation || have.Connector != want.Connector ||
		have.SecretVersion != want.SecretVersion || have.RequestedAt != want.RequestedAt || have.AcceptAccount != want.AcceptAccount
}

// IntegrationState returns the connected Integration of that name, or
// ErrNotFound.
func (s *Store) IntegrationState(ctx context.Context, tenant model.TenantID, name string) (IntegrationState, error) {
	return integrationByName(ctx, s.reads, tenant, name, "")
}

func integrationByName(ctx context.Context, q querier, tenant model.TenantID, name, lock string) (IntegrationState, error) {
	st, err := scanIntegration(q.QueryRowContext(ctx, `SELECT `+integrationColumns+` FROM integration_state
		WHERE tenant=$1 AND name=$2 AND hidden_at IS NULL`+lock, tenant, name))
	if errors.Is(err, sql.ErrNoRows) {
		return st, fmt.Errorf("integration %q: %w", name, ErrNotFound)
	}
	return st, err
}

// ListIntegrations returns the tenant's connected Integrations by name.
func (s *Store) ListIntegrations(ctx context.Context, tenant model.TenantID) ([]IntegrationState, error) {
	return collect(ctx, s.reads, scanIntegrationRows, `SELECT `+integrationColumns+` FROM integration_state
		WHERE tenant=$1 AND hidden_at IS NULL ORDER BY name`, tenant)
}

// ChangedStates returns every Integration, of all tenants, whose state version
// is above since, oldest version first. The leader starts at 0 and continues
// from the last version returned.
func (s *Store) ChangedStates(ctx context.Context, since int64) ([]IntegrationState, error) {
	return collect(ctx, s.reads, scanIntegrationRows, `SELECT `+integrationColumns+` FROM integration_state
		WHERE state_version > $1 AND hidden_at IS NULL ORDER BY state_version`, since)
}

// SyncTime says when an Integration was last synced without a problem.
type SyncTime struct {
	Namespace, Integration string
	// At is when it was handed over first while no sync has succeeded yet.
	At time.Time
}

// SyncTimes returns the time of every Integration of every tenant.
func (s *Store) SyncTimes(ctx context.Context) ([]SyncTime, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (t SyncTime, err error) {
		var at int64
		err = r.Scan(&t.Namespace, &t.Integration, &at)
		t.At = fromMillis(at)
		return t, err
	}, `SELECT t.namespace, i.name, COALESCE(i.last_synced_at, i.created_at) FROM integration_state i JOIN tenant t ON t.id = i.tenant
		WHERE i.hidden_at IS NULL ORDER BY t.namespace, i.name`)
}

// raiseStateVersion returns the next state version. Updating the one row
// orders commits, so that a reader who has seen version n has seen all below.
func raiseStateVersion(ctx context.Context, q querier) (v int64, err error) {
	err = q.QueryRowContext(ctx, `UPDATE state_clock SET version = version + 1 WHERE id = 1 RETURNING version`).Scan(&v)
	return v, err
}

// nextID reserves n consecutive ids of a tenant's counter and returns the first.
func nextID(ctx context.Context, q querier, tenant model.TenantID, counter string, n int64) (int64, error) {
	var last int64
	err := q.QueryRowContext(ctx, `INSERT INTO tenant_counter (tenant, name, value) VALUES ($1,$2,$3)
		ON CONFLICT (tenant, name) DO UPDATE SET value = tenant_counter.value + excluded.value RETURNING value`, tenant, counter, n).Scan(&last)
	if err != nil {
		return 0, fmt.Errorf("reserve %s ids: %w", counter, err)
	}
	return last - n + 1, nil
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// millisOrNil is the column value of an optional instant.
func millisOrNil(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UnixMilli()
}
