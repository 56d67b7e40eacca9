// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

const (
	// MaxUpload is the size of the greatest file that can be imported.
	MaxUpload   = 64 << 20
	uploadChunk = 1 << 20
	uploadsKept = 2
)

// ErrUploadTooLarge reports a file beyond MaxUpload.
var ErrUploadTooLarge = fmt.Errorf("the file is larger than %d MiB: split it, or connect the source itself", MaxUpload>>20)

// Upload is a file that somebody imported for an Integration.
type Upload struct {
	ID          string    `json:"id"`
	Integration string    `json:"integration"`
	Name        string    `json:"name"`
	Size        int64     `json:"size"`
	Digest      string    `json:"digest"` // sha256:…
	State       string    `json:"state"`  // new, accepted, refused
	CreatedAt   time.Time `json:"createdAt"`
}

// States of an upload.
const (
	UploadNew      = "new"
	UploadAccepted = "accepted"
	UploadRefused  = "refused"
)

// PutUpload stores a file for the Integration, makes the Integration due if it
// is connected, and drops all but the last two files. A file beyond MaxUpload
// leaves nothing behind.
func (s *Store) PutUpload(ctx context.Context, tenant model.TenantID, integration, name string, r io.Reader) (Upload, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Upload{}, fmt.Errorf("upload id: %w", err)
	}
	u := Upload{ID: id.String(), Integration: integration, Name: name, State: UploadNew}
	if err := s.putChunks(ctx, tenant, &u, r); err != nil {
		// Chunks without their upload are out of reach; the next upload drops
		// them if this does not.
		_ = s.dropUpload(context.WithoutCancel(ctx), tenant, u.ID)
		return Upload{}, fmt.Errorf("store upload %q: %w", name, err)
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		now := s.now()
		u.CreatedAt = fromMillis(now)
		_, err := tx.ExecContext(ctx, `INSERT INTO upload (tenant, id, integration, name, size, digest, state, created_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
			tenant, u.ID, u.Integration, u.Name, u.Size, u.Digest, u.State, now)
		if err != nil {
			return err
		}
		if err := dropOldUploads(ctx, tx, tenant, integration, now); err != nil {
			return err
		}
		return s.makeDue(ctx, tx, tenant, integration)
	})
	if err != nil {
		return Upload{}, fmt.Errorf("store upload %q: %w", name, err)
	}
	return u, nil
}

// dropOldUploads keeps the last two files of the Integration, and drops chunks
// whose upload was never finished.
func dropOldUploads(ctx context.Context, q querier, tenant model.TenantID, integration string, now int64) error {
	old := fmt.Sprintf(`SELECT id FROM upload WHERE tenant=$1 AND integration=$2 AND id NOT IN (SELECT id FROM (SELECT id FROM upload
		WHERE tenant=$1 AND integration=$2 ORDER BY created_at DESC, id DESC LIMIT %d) kept)`, uploadsKept)
	if _, err := q.ExecContext(ctx, `DELETE FROM upload_chunk WHERE tenant=$1 AND upload_id IN (`+old+`)`, tenant, integration); err != nil {
		return err
	}
	if _, err := q.ExecContext(ctx, `DELETE FROM upload WHERE tenant=$1 AND id IN (`+old+`)`, tenant, integration); err != nil {
		return err
	}
	// Chunks of an upload that runs beside this one are young.
	_, err := q.ExecContext(ctx, `DELETE FROM upload_chunk WHERE tenant=$1 AND created_at < $2 AND upload_id NOT IN (SELECT id FROM upload WHERE tenant=$1)`,
		tenant, now-time.Hour.Milliseconds())
	return err
}

func (s *Store) putChunks(ctx context.Context, tenant model.TenantID, u *Upload, r io.Reader) error {
	sum := sha256.New()
	buf := make([]byte, uploadChunk)
	for n := 0; ; n++ {
		size, err := io.ReadFull(r, buf)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("read the file: %w", err)
		}
		last := err != nil
		if u.Size += int64(size); u.Size > MaxUpload {
			return ErrUploadTooLarge
		}
		_, _ = sum.Write(buf[:size])
		if size > 0 {
			err := s.write(ctx, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, `INSERT INTO upload_chunk (tenant, upload_id, n, bytes, created_at) VALUES ($1,$2,$3,$4,$5)`, tenant, u.ID, n, buf[:size], s.now())
				return err
			})
			if err != nil {
				return err
			}
		}
		if last {
			u.Digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
			return nil
		}
	}
}

func (s *Store) dropUpload(ctx context.Context, tenant model.TenantID, id string) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM upload_chunk WHERE tenant=$1 AND upload_id=$2`, tenant, id)
		return err
	})
}

// Uploads lists the files of an Integration, the newest first.
func (s *Store) Uploads(ctx context.Context, tenant model.TenantID, integration string) ([]Upload, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (u Upload, err error) {
		var created int64
		err = r.Scan(&u.ID, &u.Integration, &u.Name, &u.Size, &u.Digest, &u.State, &created)
		u.CreatedAt = fromMillis(created)
		return u, err
	}, `SELECT id, integration, name, size, digest, state, created_at FROM upload WHERE tenant=$1 AND integration=$2 ORDER BY created_at DESC, id DESC`, tenant, integration)
}

// Upload returns one file's record, or ErrNotFound.
func (s *Store) Upload(ctx context.Context, tenant model.TenantID, id string) (u Upload, err error) {
	var created int64
	err = s.reads.QueryRowContext(ctx, `SELECT id, integration, name, size, digest, state, created_at FROM upload WHERE tenant=$1 AND id=$2`, tenant, id).
		Scan(&u.ID, &u.Integration, &u.Name, &u.Size, &u.Digest, &u.State, &created)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("upload %s: %w", id, ErrNotFound)
	}
	u.CreatedAt = fromMillis(created)
	return u, err
}

// SetUploadState records what became of a file.
func (s *Store) SetUploadState(ctx context.Context, tenant model.TenantID, id, state string) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE upload SET state=$3 WHERE tenant=$1 AND id=$2`, tenant, id, state)
		if err != nil {
			return fmt.Errorf("set the state of upload %s: %w", id, err)
		}
		return oneRow(res, fmt.Errorf("upload %s: %w", id, ErrNotFound))
	})
}

// OpenUpload returns the newest file of an Integration, or ErrNotFound. The
// reader takes one chunk at a time from the store.
func (s *Store) OpenUpload(ctx context.Context, tenant model.TenantID, integration string) (Upload, io.ReadCloser, error) {
	all, err := s.Uploads(ctx, tenant, integration)
	if err != nil {
		return Upload{}, nil, fmt.Errorf("find the upload for integration %q: %w", integration, err)
	}
	if len(all) == 0 {
		return Upload{}, nil, fmt.Errorf("upload for integration %q: %w", integration, ErrNotFound)
	}
	return all[0], &uploadReader{ctx: ctx, s: s, tenant: tenant, u: all[0]}, nil
}

type uploadReader struct {
	ctx    context.Context
	s      *Store
	tenant model.TenantID
	u      Upload
	n      int
	chunk  bytes.Reader
	read   int64
}

func (r *uploadReader) Read(p []byte) (int, error) {
	if r.chunk.Len() == 0 {
		if r.read == r.u.Size {
			return 0, io.EOF
		}
		var b []byte
		err := r.s.reads.QueryRowContext(r.ctx, `SELECT bytes FROM upload_chunk WHERE tenant=$1 AND upload_id=$2 AND n=$3`, r.tenant, r.u.ID, r.n).Scan(&b)
		if err != nil {
			return 0, fmt.Errorf("read upload %q at byte %d: %w", r.u.Name, r.read, err)
		}
		r.n++
		r.chunk.Reset(b)
	}
	n, err := r.chunk.Read(p)
	r.read += int64(n)
	return n, err
}

func (r *uploadReader) Close() error { return nil }
