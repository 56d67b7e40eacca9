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

// RemoteAccount is whose data a credential opens.
type RemoteAccount struct{ ID, Name string }

// HideIntegration disconnects: the rows that came from it vanish from every
// view at once and are purged after retainFor. A running sync is fenced off.
// Hiding what is not there is no error.
func (s *Store) HideIntegration(ctx context.Context, tenant model.TenantID, name string, retainFor time.Duration) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		st, err := integrationByName(ctx, tx, tenant, name, s.dialect.forUpdate)
		if err != nil {
			return err
		}
		return s.hideSource(ctx, tx, tenant, st.Source, retainFor)
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("disconnect integration %q: %w", name, err)
	}
	return s.mergePeople(ctx, tenant)
}

func (s *Store) hideSource(ctx context.Context, q querier, tenant model.TenantID, source int64, retainFor time.Duration) error {
	now := s.now()
	_, err := q.ExecContext(ctx, `UPDATE integration_state SET hidden_at=$3, purge_at=$4, epoch=epoch+1, owner='', lease_until=0, due_at=NULL
		WHERE tenant=$1 AND id=$2`, tenant, source, now, now+retainFor.Milliseconds())
	if err != nil {
		return err
	}
	return markSource(ctx, q, tenant, source)
}

// TakeAccount records which remote account a claimed Integration reads, before
// its first record. If another Integration of the same connector has it, that
// one is named and nothing changes: whoever was first keeps it.
func (s *Store) TakeAccount(ctx context.Context, c Claim, remote RemoteAccount) (owner string, err error) {
	if remote.ID == "" || c.RemoteID == remote.ID {
		return "", nil
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		// One at a time in the tenant, or two would find each other missing.
		var id int64
		if err := tx.QueryRowContext(ctx, `SELECT id FROM tenant WHERE id=$1`+s.dialect.forUpdate, c.Tenant).Scan(&id); err != nil {
			return err
		}
		err := tx.QueryRowContext(ctx, `SELECT name FROM integration_state WHERE tenant=$1 AND connector=$2 AND remote_id=$3 AND hidden_at IS NULL AND id <> $4
			ORDER BY id LIMIT 1`, c.Tenant, c.Connector, remote.ID, c.Source).Scan(&owner)
		if err == nil {
			return s.fence(ctx, tx, c)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		// The account of stored rows is replaced with them, not here.
		_, err = tx.ExecContext(ctx, `UPDATE integration_state SET remote_id=$3, remote_name=$4 WHERE tenant=$1 AND id=$2 AND remote_id=''`,
			c.Tenant, c.Source, remote.ID, remote.Name)
		if err != nil {
			return err
		}
		return s.fence(ctx, tx, c)
	})
	if err != nil {
		return "", fmt.Errorf("take the remote account of integration %q: %w", c.Name, err)
	}
	return owner, nil
}

// RestoreIntegration gives a claimed Integration that has never synced the rows
// of a hidden one with the same connector and remote account, if its time to
// be purged has not come. The claim returned replaces c either way.
func (s *Store) RestoreIntegration(ctx context.Context, c Claim, remote RemoteAccount) (_ Claim, restored bool, err error) {
	if remote.ID == "" || c.FirstSyncedAt != nil {
		return c, false, nil
	}
	out := c
	err = s.write(ctx, func(tx *sql.Tx) error {
		out, restored = c, false
		if err := s.fence(ctx, tx, c); err != nil {
			return err
		}
		old, err := scanIntegration(tx.QueryRowContext(ctx, `SELECT `+integrationColumns+` FROM integration_state
			WHERE tenant=$1 AND connector=$2 AND remote_id=$3 AND hidden_at IS NOT NULL AND purge_at > $4 ORDER BY hidden_at DESC LIMIT 1`,
			c.Tenant, c.Connector, remote.ID, s.now()))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM integration_state WHERE tenant=$1 AND id=$2`, c.Tenant, c.Source); err != nil {
			return err
		}
		epoch := max(c.Epoch, old.Epoch) + 1
		_, err = tx.ExecContext(ctx, `UPDATE integration_state SET name=$3, uid=$4, generation=$5, spec=$6, secret_version=$7, requested_at=$8,
			accept_account=$9, interval_ms=$10, retry_interval_ms=$11, suspended=$12, due_at=$13, owner=$14, epoch=$15, lease_until=$16,
			hidden_at=NULL, purge_at=NULL WHERE tenant=$1 AND id=$2`,
			c.Tenant, old.Source, c.Name, c.UID, c.Generation, string(c.Spec), c.SecretVersion, c.RequestedAt, c.AcceptAccount,
			c.Interval.Milliseconds(), c.RetryInterval.Milliseconds(), c.Suspended, millisOrNil(c.DueAt), c.Owner, epoch, c.LeaseUntil.UnixMilli())
		if err != nil {
			return err
		}
		st, err := integrationByName(ctx, tx, c.Tenant, c.Name, "")
		if err != nil {
			return err
		}
		out, restored = Claim{st}, true
		return markSource(ctx, tx, c.Tenant, old.Source)
	})
	if err != nil {
		return c, false, fmt.Errorf("restore the rows of integration %q: %w", c.Name, err)
	}
	if restored {
		err = s.mergePeople(ctx, out.Tenant)
	}
	return out, restored, err
}

// ReplaceAccount lets a claimed Integration start over with another remote
// account that a person accepted: the rows of the old one are hidden and
// purged after retainFor. The claim returned replaces c.
func (s *Store) ReplaceAccount(ctx context.Context, c Claim, remote RemoteAccount, retainFor time.Duration) (Claim, error) {
	var out Claim
	err := s.write(ctx, func(tx *sql.Tx) error {
		if err := s.fence(ctx, tx, c); err != nil {
			return err
		}
		if err := s.hideSource(ctx, tx, c.Tenant, c.Source, retainFor); err != nil {
			return err
		}
		if err := s.insertIntegration(ctx, tx, c.Tenant, c.IntegrationSpec); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE integration_state SET owner=$3, epoch=$4, lease_until=$5, remote_id=$6, remote_name=$7, status=$8, state_version=$9
			WHERE tenant=$1 AND name=$2 AND hidden_at IS NULL`,
			c.Tenant, c.Name, c.Owner, c.Epoch+1, c.LeaseUntil.UnixMilli(), remote.ID, remote.Name, string(c.Status), c.StateVersion)
		if err != nil {
			return err
		}
		st, err := integrationByName(ctx, tx, c.Tenant, c.Name, "")
		out = Claim{st}
		return err
	})
	if err != nil {
		return c, fmt.Errorf("replace the remote account of integration %q: %w", c.Name, err)
	}
	return out, s.mergePeople(ctx, c.Tenant)
}

// factTables hold rows keyed by (tenant, source), in the order of purging.
var factTables = []string{"membership", "assignment", "usage_day", "usage_last", "account", "directory_group", "plan", "discovered_app",
	"spend_transaction", "spend_vendor", "reported_contract", "person_review", "person_field", "person_source", "stream_state"}

// PurgeHidden erases the rows of every Integration whose time has come, in any
// tenant, and returns how many Integrations went.
func (s *Store) PurgeHidden(ctx context.Context) (int, error) {
	due, err := collect(ctx, s.reads, scanIntegrationRows, `SELECT `+integrationColumns+` FROM integration_state
		WHERE hidden_at IS NOT NULL AND purge_at <= $1 ORDER BY purge_at LIMIT 100`, s.now())
	if err != nil {
		return 0, fmt.Errorf("find what is to be purged: %w", err)
	}
	for n, st := range due {
		if err := s.purgeSource(ctx, st); err != nil {
			return n, fmt.Errorf("purge the rows of integration %q: %w", st.Name, err)
		}
	}
	return len(due), nil
}

// purgeSource erases rows in the order that lets a crash start it again: the
// row that names the source goes last.
func (s *Store) purgeSource(ctx context.Context, st IntegrationState) error {
	if err := s.dropStages(ctx, Claim{st}, ""); err != nil {
		return err
	}
	for _, t := range factTables {
		if err := s.write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM `+t+` WHERE tenant=$1 AND source=$2`, st.Tenant, st.Source)
			return err
		}); err != nil {
			return err
		}
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		nobody := ` AND NOT EXISTS (SELECT 1 FROM person_source ps WHERE ps.tenant=$1 AND ps.person_id = `
		for _, q := range []string{
			`DELETE FROM person_identifier WHERE tenant=$1` + nobody + `person_identifier.person_id)`,
			`DELETE FROM person_mail WHERE tenant=$1` + nobody + `person_mail.person_id)`,
			`DELETE FROM person WHERE tenant=$1` + nobody + `person.id)`,
		} {
			if _, err := tx.ExecContext(ctx, q, st.Tenant); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM integration_state WHERE tenant=$1 AND id=$2`, st.Tenant, st.Source); err != nil {
			return err
		}
		if err := s.purgeCredentials(ctx, tx, st.Tenant, st.Name); err != nil {
			return err
		}
		return s.appendAudit(ctx, tx, st.Tenant, model.AuditRecord{Actor: "seatkeeper", ActorKind: model.ActorSystem, Action: "integration.purge",
			ObjectKind: "Integration", ObjectName: st.Name, Reason: "disconnected, and its time to be restored is over", Result: "done"})
	})
}
