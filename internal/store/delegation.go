// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// States of a Delegation.
const (
	DelegationOpen       = "open"
	DelegationSubmitted  = "submitted"
	DelegationWritten    = "written"
	DelegationRefused    = "refused"
	DelegationSuperseded = "superseded"
)

// Delegation is a link by which somebody without access to the cluster supplies
// the credential of one Integration.
type Delegation struct {
	Tenant      model.TenantID
	ID          string
	Integration string
	// IntegrationUID: an Integration that is made anew under the name is another.
	IntegrationUID string
	SecretName     string // as spec.credentialsRef named it when the link was made
	State          string
	Reason         string
	CreatedBy      string
	CreatedAt      time.Time
	ExpiresAt      time.Time
}

// ErrDelegationOver reports a link that cannot be used any more: it was used,
// has expired, was replaced by another, or its Integration is gone.
var ErrDelegationOver = errors.New("the link cannot be used any more")

// delegationName is the sealed value of what was supplied.
func delegationName(id string) string { return "delegation/" + id }

const delegationColumns = `tenant, id, integration, integration_uid, secret_name, state, reason, created_by, created_at, expires_at`

func scanDelegation(r scanner) (d Delegation, err error) {
	var created, expires int64
	err = r.Scan(&d.Tenant, &d.ID, &d.Integration, &d.IntegrationUID, &d.SecretName, &d.State, &d.Reason, &d.CreatedBy, &created, &expires)
	d.CreatedAt, d.ExpiresAt = fromMillis(created), fromMillis(expires)
	return d, err
}

// CreateDelegation makes a link and returns its token, which is stored as keyed
// digest only. An open link of the same Integration ends.
func (s *Store) CreateDelegation(ctx context.Context, k *Keyring, d Delegation) (Delegation, string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return d, "", fmt.Errorf("delegation id: %w", err)
	}
	var random [32]byte
	if _, err := rand.Read(random[:]); err != nil {
		return d, "", fmt.Errorf("delegation token: %w", err)
	}
	// The tenant in the token lets every query name it.
	token := strconv.FormatInt(int64(d.Tenant), 36) + "." + base64.RawURLEncoding.EncodeToString(random[:])
	d.ID, d.State = id.String(), DelegationOpen
	err = s.write(ctx, func(tx *sql.Tx) error {
		now := s.now()
		d.CreatedAt = fromMillis(now)
		if _, err := tx.ExecContext(ctx, `UPDATE delegation SET state=$3, ended_at=$4 WHERE tenant=$1 AND integration=$2 AND state='open'`,
			d.Tenant, d.Integration, DelegationSuperseded, now); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO delegation (tenant, id, token_digest, integration, integration_uid, secret_name, state, created_by, created_at, expires_at)
			VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`,
			d.Tenant, d.ID, k.digests(token)[0], d.Integration, d.IntegrationUID, d.SecretName, d.State, d.CreatedBy, now, d.ExpiresAt.UnixMilli())
		if err != nil {
			return err
		}
		return s.appendAudit(ctx, tx, d.Tenant, model.AuditRecord{Actor: d.CreatedBy, ActorKind: model.ActorUser, Action: "credential.delegate",
			ObjectKind: "Integration", ObjectName: d.Integration, Result: "done", Detail: map[string]string{"delegation": d.ID, "secret": d.SecretName}})
	})
	if err != nil {
		return d, "", fmt.Errorf("delegate integration %q: %w", d.Integration, err)
	}
	return d, token, nil
}

// tenantOfToken is the tenant that a token names.
func tenantOfToken(token string) (model.TenantID, bool) {
	head, _, ok := strings.Cut(token, ".")
	n, err := strconv.ParseInt(head, 36, 64)
	return model.TenantID(n), ok && err == nil && n > 0 && len(token) < 128
}

// OpenDelegation returns the delegation of a token and its Integration as long
// as the link can be used. It changes nothing. It returns ErrNotFound for a
// token that never was, and ErrDelegationOver for one that was.
func (s *Store) OpenDelegation(ctx context.Context, k *Keyring, token string) (Delegation, IntegrationState, error) {
	return s.openDelegation(ctx, s.reads, k, token, "")
}

func (s *Store) openDelegation(ctx context.Context, q querier, k *Keyring, token, lock string) (d Delegation, st IntegrationState, err error) {
	tenant, ok := tenantOfToken(token)
	if !ok {
		return d, st, fmt.Errorf("delegation: %w", ErrNotFound)
	}
	list, args := inList([]any{tenant}, k.digests(token))
	d, err = scanDelegation(q.QueryRowContext(ctx, `SELECT `+delegationColumns+` FROM delegation WHERE tenant=$1 AND token_digest IN (`+list+`)`+lock, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return d, st, fmt.Errorf("delegation: %w", ErrNotFound)
	}
	if err != nil {
		return d, st, fmt.Errorf("read a delegation: %w", err)
	}
	st, err = integrationByName(ctx, q, tenant, d.Integration, "")
	if err != nil && !errors.Is(err, ErrNotFound) {
		return d, st, err
	}
	if err != nil || d.State != DelegationOpen || d.ExpiresAt.UnixMilli() <= s.now() || st.UID != d.IntegrationUID {
		return d, st, ErrDelegationOver
	}
	return d, st, nil
}

// SubmitDelegation seals what was supplied and ends the link, both or neither.
// It returns ErrNotFound or ErrDelegationOver as OpenDelegation does.
func (s *Store) SubmitDelegation(ctx context.Context, k *Keyring, token string, values map[string]string) (d Delegation, err error) {
	plain, err := json.Marshal(values)
	if err != nil {
		return d, fmt.Errorf("encode what was supplied: %w", err)
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		if d, _, err = s.openDelegation(ctx, tx, k, token, s.dialect.forUpdate); err != nil {
			return err
		}
		name := delegationName(d.ID)
		keyID, nonce, sealed, err := k.seal(plain, sealedFor(d.Tenant, name))
		if err != nil {
			return err
		}
		now := s.now()
		if err := s.supersedeSubmitted(ctx, tx, d, now); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO sealed_secret (tenant, name, key_id, nonce, ciphertext, updated_at) VALUES ($1,$2,$3,$4,$5,$6)`,
			d.Tenant, name, keyID, nonce, sealed, now); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE delegation SET state=$3, submitted_at=$4 WHERE tenant=$1 AND id=$2`, d.Tenant, d.ID, DelegationSubmitted, now); err != nil {
			return err
		}
		d.State = DelegationSubmitted
		return s.appendAudit(ctx, tx, d.Tenant, model.AuditRecord{Actor: "delegation/" + d.ID, ActorKind: model.ActorEmployee, Action: "credential.supply",
			ObjectKind: "Integration", ObjectName: d.Integration, Reason: "by the link that " + d.CreatedBy + " made", Result: "sealed",
			Detail: map[string]string{"delegation": d.ID}})
	})
	if err != nil {
		return d, fmt.Errorf("take a delegated credential: %w", err)
	}
	return d, nil
}

// supersedeSubmitted erases what was supplied for the Integration before and is
// not written yet: written later, it would replace what is newer.
func (s *Store) supersedeSubmitted(ctx context.Context, tx *sql.Tx, d Delegation, now int64) error {
	before, err := collect(ctx, tx, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) },
		`SELECT id FROM delegation WHERE tenant=$1 AND integration=$2 AND state='submitted'`, d.Tenant, d.Integration)
	if err != nil {
		return err
	}
	for _, id := range before {
		if _, err := tx.ExecContext(ctx, `DELETE FROM sealed_secret WHERE tenant=$1 AND name=$2`, d.Tenant, delegationName(id)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE delegation SET state=$3, ended_at=$4 WHERE tenant=$1 AND id=$2`, d.Tenant, id, DelegationSuperseded, now); err != nil {
			return err
		}
	}
	return nil
}

// SubmittedDelegations lists what waits to be written into a Secret, of any
// tenant, by id, from behind one on: what cannot be written keeps nothing else
// from being looked at.
func (s *Store) SubmittedDelegations(ctx context.Context, after string, limit int) ([]Delegation, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (Delegation, error) { return scanDelegation(r) },
		`SELECT `+delegationColumns+` FROM delegation WHERE state='submitted' AND id > $1 ORDER BY id LIMIT $2`, after, clampLimit(limit))
}

// DelegatedCredential returns what was supplied.
func (s *Store) DelegatedCredential(ctx context.Context, k *Keyring, d Delegation) (map[string]string, error) {
	plain, err := s.Sealed(ctx, k, d.Tenant, delegationName(d.ID))
	if err != nil {
		return nil, err
	}
	var values map[string]string
	if err := json.Unmarshal(plain, &values); err != nil {
		return nil, fmt.Errorf("what was supplied to delegation %s cannot be read", d.ID) // the cause could quote it
	}
	return values, nil
}

// FinishDelegation erases what was supplied and records what became of it:
// written, or refused for a reason.
func (s *Store) FinishDelegation(ctx context.Context, d Delegation, state, reason string) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE delegation SET state=$3, reason=$4, ended_at=$5 WHERE tenant=$1 AND id=$2 AND state='submitted'`,
			d.Tenant, d.ID, state, reason, s.now())
		if err != nil {
			return err
		}
		if err := oneRow(res, ErrNotFound); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM sealed_secret WHERE tenant=$1 AND name=$2`, d.Tenant, delegationName(d.ID)); err != nil {
			return err
		}
		return s.appendAudit(ctx, tx, d.Tenant, model.AuditRecord{Actor: "seatkeeper", ActorKind: model.ActorSystem, Action: "credential.write",
			ObjectKind: "Integration", ObjectName: d.Integration, Reason: reason, Result: state, Detail: map[string]string{"delegation": d.ID, "secret": d.SecretName}})
	})
	if err != nil {
		return fmt.Errorf("finish delegation %s: %w", d.ID, err)
	}
	return nil
}

// PruneDelegations deletes links of the tenant that ended, or would have, before
// the time.
func (s *Store) PruneDelegations(ctx context.Context, tenant model.TenantID, before time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM delegation WHERE tenant=$1 AND state <> 'submitted' AND expires_at < $2`, tenant, before.UnixMilli())
		return err
	})
}
