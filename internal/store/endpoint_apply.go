// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// HookEvents is what was made of received events of one endpoint.
type HookEvents struct {
	Tenant model.TenantID
	Hook   Hook
	// Events carry ids that are the same whenever they are made of the same, so
	// that a repetition adds nothing.
	Events []model.Event
	// AskForSync makes the Integration due, at most once in Between.
	AskForSync bool
	Between    time.Duration
}

// ApplyHook stores events and makes their Integration due, in one transaction.
// It is safe to repeat. It returns ErrNotFound if the Integration is gone.
func (s *Store) ApplyHook(ctx context.Context, h HookEvents) (due bool, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		due = false
		source := int64(0)
		if h.Hook.OwnerKind == "Integration" {
			st, err := integrationByName(ctx, tx, h.Tenant, h.Hook.OwnerName, s.dialect.forUpdate)
			if err != nil {
				return err
			}
			source = st.Source
			if h.AskForSync {
				if due, err = s.askForSync(ctx, tx, h, st); err != nil {
					return err
				}
			}
		}
		rows := make([][]any, len(h.Events))
		for i, e := range h.Events {
			rows[i] = []any{h.Tenant, e.ID, e.Kind, e.Subject, source, false, string(e.Payload), e.CreatedAt.UnixMilli()}
		}
		return s.insertRows(ctx, tx, `trigger_event (tenant, id, kind, subject, source, initial, payload, created_at)`, rows, ` ON CONFLICT (tenant, id) DO NOTHING`)
	})
	if err != nil {
		return false, fmt.Errorf("store events of %s: %w", h.Hook.Endpoint(), err)
	}
	return due, nil
}

// askForSync makes an Integration due now, or when as much time has passed since
// it was asked for last as must. One that waits after failures is left to its
// back-off: its next sync sees what happened all the same.
func (s *Store) askForSync(ctx context.Context, tx *sql.Tx, h HookEvents, st IntegrationState) (bool, error) {
	if st.Failures > 0 || st.Suspended {
		return false, nil
	}
	var asked int64
	err := tx.QueryRowContext(ctx, `SELECT asked_at FROM webhook_endpoint WHERE tenant=$1 AND owner_kind=$2 AND owner_name=$3 AND webhook=$4`,
		h.Tenant, h.Hook.OwnerKind, h.Hook.OwnerName, h.Hook.Webhook).Scan(&asked)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	now := s.now()
	due := max(now, asked+h.Between.Milliseconds())
	if st.DueAt != nil && st.DueAt.UnixMilli() <= due && (st.LeaseUntil.UnixMilli() <= now || st.DueAt.UnixMilli() > now) {
		return false, nil // it will be soon enough, and is not being synced at this moment
	}
	if _, err := tx.ExecContext(ctx, `UPDATE integration_state SET due_at=$3 WHERE tenant=$1 AND id=$2`, h.Tenant, st.Source, due); err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE webhook_endpoint SET asked_at=$5 WHERE tenant=$1 AND owner_kind=$2 AND owner_name=$3 AND webhook=$4`,
		h.Tenant, h.Hook.OwnerKind, h.Hook.OwnerName, h.Hook.Webhook, due)
	return due == now, err
}

// TouchOwner raises the state version of an Integration, so that its controller
// looks at it again.
func (s *Store) TouchOwner(ctx context.Context, tenant model.TenantID, h Hook) error {
	if h.OwnerKind != "Integration" {
		return nil
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		version, err := raiseStateVersion(ctx, tx)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE integration_state SET state_version=$3 WHERE tenant=$1 AND name=$2 AND hidden_at IS NULL`, tenant, h.OwnerName, version)
		return err
	})
}
