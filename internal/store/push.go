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

// BusyError says that somebody syncs the Integration now.
type BusyError struct {
	Integration string
	Owner       string
	// Until is when the claim lapses, if its owner does not give it back.
	Until time.Time
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("integration %q is being synced", e.Integration)
}

// ErrSuspended reports that nothing may be synced: the Integration is suspended,
// or its spec cannot be used.
var ErrSuspended = errors.New("the Integration is suspended, or its spec has a problem")

// ClaimIntegration claims one Integration now, due or not. It returns
// ErrNotFound, ErrSuspended or a *BusyError.
func (s *Store) ClaimIntegration(ctx context.Context, tenant model.TenantID, name, owner string, lease time.Duration) (c Claim, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		st, err := integrationByName(ctx, tx, tenant, name, s.dialect.forUpdate)
		if err != nil {
			return err
		}
		now := s.now()
		switch {
		case st.Suspended:
			return ErrSuspended
		case st.LeaseUntil.UnixMilli() > now:
			return &BusyError{Integration: name, Owner: st.Owner, Until: st.LeaseUntil}
		}
		st.Owner, st.Epoch, st.LeaseUntil = owner, st.Epoch+1, fromMillis(now+lease.Milliseconds())
		c = Claim{st}
		_, err = tx.ExecContext(ctx, `UPDATE integration_state SET owner=$3, epoch=$4, lease_until=$5 WHERE tenant=$1 AND id=$2`,
			tenant, st.Source, st.Owner, st.Epoch, st.LeaseUntil.UnixMilli())
		return err
	})
	if err != nil {
		return c, fmt.Errorf("claim integration %q: %w", name, err)
	}
	return c, nil
}

// pushAnswersKept is how long the answer to a request with an Idempotency-Key
// is kept.
const pushAnswersKept = 24 * time.Hour

// PushAnswer is what a push with an Idempotency-Key was answered.
type PushAnswer struct {
	Integration, Key string
	// Digest is of everything that was sent.
	Digest string
	Answer json.RawMessage
}

// PushAnswer returns the answer kept for a key, or ErrNotFound.
func (s *Store) PushAnswer(ctx context.Context, tenant model.TenantID, integration, key string) (PushAnswer, error) {
	a := PushAnswer{Integration: integration, Key: key}
	var answer string
	err := s.reads.QueryRowContext(ctx, `SELECT digest, answer FROM push_answer WHERE tenant=$1 AND integration=$2 AND idem_key=$3 AND created_at > $4`,
		tenant, integration, key, s.now()-pushAnswersKept.Milliseconds()).Scan(&a.Digest, &answer)
	if errors.Is(err, sql.ErrNoRows) {
		return a, fmt.Errorf("answer to a push: %w", ErrNotFound)
	}
	if err != nil {
		return a, fmt.Errorf("read the answer to a push: %w", err)
	}
	a.Answer = json.RawMessage(answer)
	return a, nil
}

// PutPushAnswer keeps an answer for a day.
func (s *Store) PutPushAnswer(ctx context.Context, tenant model.TenantID, a PushAnswer) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO push_answer (tenant, integration, idem_key, digest, answer, created_at) VALUES ($1,$2,$3,$4,$5,$6)
			ON CONFLICT (tenant, integration, idem_key) DO UPDATE SET digest=excluded.digest, answer=excluded.answer, created_at=excluded.created_at`,
			tenant, a.Integration, a.Key, a.Digest, string(a.Answer), s.now())
		return err
	})
	if err != nil {
		return fmt.Errorf("keep the answer to a push: %w", err)
	}
	return nil
}

// Bounds of files sent to the REST API.
const (
	MaxAPIFile   = 3 << 20
	apiFilesKept = 50
	apiFileTime  = 24 * time.Hour
)

// APIFile is a file sent to the REST API, to be named by its number in a later
// request.
type APIFile struct {
	ID         int64
	Type, Name string
	Bytes      []byte
	CreatedBy  string
}

// PutAPIFile keeps a file for a day, and the last fifty of the tenant.
func (s *Store) PutAPIFile(ctx context.Context, tenant model.TenantID, f APIFile) (id int64, err error) {
	if len(f.Bytes) > MaxAPIFile {
		return 0, ErrUploadTooLarge
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		if id, err = nextID(ctx, tx, tenant, "api.file", 1); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO api_file (tenant, id, type, name, bytes, created_by, created_at) VALUES ($1,$2,$3,$4,$5,$6,$7)`,
			tenant, id, f.Type, f.Name, f.Bytes, f.CreatedBy, s.now())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM api_file WHERE tenant=$1 AND id <= $2`, tenant, id-apiFilesKept)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("keep a file: %w", err)
	}
	return id, nil
}

// APIFile returns a file, or ErrNotFound.
func (s *Store) APIFile(ctx context.Context, tenant model.TenantID, id int64) (APIFile, error) {
	f := APIFile{ID: id}
	err := s.reads.QueryRowContext(ctx, `SELECT type, name, bytes, created_by FROM api_file WHERE tenant=$1 AND id=$2 AND created_at > $3`,
		tenant, id, s.now()-apiFileTime.Milliseconds()).Scan(&f.Type, &f.Name, &f.Bytes, &f.CreatedBy)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("file %d: %w", id, ErrNotFound)
	}
	return f, err
}

// IntegrationByNumber returns the connected Integration with that internal id,
// by which the REST API names it, or ErrNotFound.
func (s *Store) IntegrationByNumber(ctx context.Context, tenant model.TenantID, id int64) (IntegrationState, error) {
	st, err := scanIntegration(s.reads.QueryRowContext(ctx, `SELECT `+integrationColumns+` FROM integration_state
		WHERE tenant=$1 AND id=$2 AND hidden_at IS NULL`, tenant, id))
	if errors.Is(err, sql.ErrNoRows) {
		return st, fmt.Errorf("integration number %d: %w", id, ErrNotFound)
	}
	return st, err
}

// PrunePushes deletes answers and files of the tenant whose day is over.
func (s *Store) PrunePushes(ctx context.Context, tenant model.TenantID) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		now := s.now()
		if _, err := tx.ExecContext(ctx, `DELETE FROM push_answer WHERE tenant=$1 AND created_at <= $2`, tenant, now-pushAnswersKept.Milliseconds()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM api_file WHERE tenant=$1 AND created_at <= $2`, tenant, now-apiFileTime.Milliseconds())
		return err
	})
}
