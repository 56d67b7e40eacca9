// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Kinds of hold.
const (
	HoldShrink = "shrink" // a sync would remove too much
	HoldPolicy = "policy" // a policy would act on too much
	// HoldWorkflow: a Workflow would start too many runs.
	HoldWorkflow = "workflow"
	// HoldRemovals: the runs of a Workflow would take access from too many accounts.
	HoldRemovals = "removals"
)

// HoldSubject says what is held: one current hold exists per subject.
type HoldSubject struct {
	Kind        string // HoldShrink, HoldPolicy, HoldWorkflow or HoldRemovals
	SubjectKind string // "Integration", "LicensePolicy"
	SubjectName string // "okta/users": integration and stream; or the policy's name
}

func (s HoldSubject) String() string {
	return s.Kind + " hold of " + s.SubjectKind + " " + s.SubjectName
}

// Hold is a set that a guard holds back until a person releases exactly it.
type Hold struct {
	ID string
	HoldSubject
	Digest                string
	Count, Total, Allowed int64
	Reason                string
	CreatedAt             time.Time
	ReleasedAt            *time.Time
	ReleasedBy            string
}

// HoldItem is one member of a held set. Item identifies it within the set;
// Label is what people read.
type HoldItem struct{ Item, Label, Detail string }

// DigestError says that the set held now is not the one to be released.
type DigestError struct {
	Subject    HoldSubject
	Have, Want string
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("%s is for set %s, not %s: list it again and release what you see", e.Subject, e.Have, e.Want)
}

// PutHold holds a set back. The same set again leaves the hold as it is, its
// release included; another set supersedes it. h.Digest is computed from items.
func (s *Store) PutHold(ctx context.Context, tenant model.TenantID, h Hold, items []HoldItem) (Hold, error) {
	var out Hold
	err := s.write(ctx, func(tx *sql.Tx) (err error) {
		out, err = s.putHold(ctx, tx, tenant, h, items)
		return err
	})
	if err != nil {
		return Hold{}, fmt.Errorf("record the %s: %w", h.HoldSubject, err)
	}
	return out, nil
}

func (s *Store) putHold(ctx context.Context, q querier, tenant model.TenantID, h Hold, items []HoldItem) (Hold, error) {
	keys := make([]string, len(items))
	for i, it := range items {
		keys[i] = it.Item
	}
	h.Digest = model.SetDigest(keys)
	have, err := s.hold(ctx, q, tenant, h.HoldSubject)
	switch {
	case err == nil && have.Digest == h.Digest:
		return have, nil
	case err != nil && !errors.Is(err, ErrNotFound):
		return Hold{}, err
	}
	if err := s.clearHold(ctx, q, tenant, h.HoldSubject); err != nil {
		return Hold{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Hold{}, fmt.Errorf("hold id: %w", err)
	}
	now := s.now()
	h.ID, h.CreatedAt, h.ReleasedAt, h.ReleasedBy = id.String(), fromMillis(now), nil, ""
	_, err = q.ExecContext(ctx, `INSERT INTO guard_hold (tenant, id, kind, subject_kind, subject_name, digest, count, total, allowed, reason, created_at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)`, tenant, h.ID, h.Kind, h.SubjectKind, h.SubjectName, h.Digest, h.Count, h.Total, h.Allowed, h.Reason, now)
	if err != nil {
		return Hold{}, err
	}
	rows := make([][]any, len(items))
	for i, it := range items {
		rows[i] = []any{tenant, h.ID, it.Item, cleanText(it.Label), cleanText(it.Detail)}
	}
	return h, s.insertRows(ctx, q, "guard_hold_item (tenant, hold_id, item, label, detail)", rows, " ON CONFLICT DO NOTHING")
}

// ClearHold ends the subject's hold, because what it held back is no longer
// so. Without one it does nothing.
func (s *Store) ClearHold(ctx context.Context, tenant model.TenantID, subject HoldSubject) error {
	if _, err := s.Hold(ctx, tenant, subject); errors.Is(err, ErrNotFound) {
		return nil
	}
	return s.write(ctx, func(tx *sql.Tx) error { return s.clearHold(ctx, tx, tenant, subject) })
}

// clearHold ends the current hold. The members of a set that was released stay,
// as evidence of what somebody let pass; of one that nobody let pass only the
// digest and the count do.
func (s *Store) clearHold(ctx context.Context, q querier, tenant model.TenantID, subject HoldSubject) error {
	_, err := q.ExecContext(ctx, `DELETE FROM guard_hold_item WHERE tenant=$1 AND hold_id IN (SELECT id FROM guard_hold
		WHERE tenant=$1 AND kind=$2 AND subject_kind=$3 AND subject_name=$4 AND superseded_at IS NULL AND released_at IS NULL)`,
		tenant, subject.Kind, subject.SubjectKind, subject.SubjectName)
	if err != nil {
		return err
	}
	_, err = q.ExecContext(ctx, `UPDATE guard_hold SET superseded_at=$5 WHERE tenant=$1 AND kind=$2 AND subject_kind=$3 AND subject_name=$4 AND superseded_at IS NULL`,
		tenant, subject.Kind, subject.SubjectKind, subject.SubjectName, s.now())
	return err
}

// Hold returns the subject's current hold, released or not, or ErrNotFound.
func (s *Store) Hold(ctx context.Context, tenant model.TenantID, subject HoldSubject) (Hold, error) {
	return s.hold(ctx, s.reads, tenant, subject)
}

const holdColumns = `id, kind, subject_kind, subject_name, digest, count, total, allowed, reason, created_at, released_at, released_by`

func (s *Store) hold(ctx context.Context, q querier, tenant model.TenantID, subject HoldSubject) (Hold, error) {
	h, err := scanHold(q.QueryRowContext(ctx, `SELECT `+holdColumns+` FROM guard_hold
		WHERE tenant=$1 AND kind=$2 AND subject_kind=$3 AND subject_name=$4 AND superseded_at IS NULL`,
		tenant, subject.Kind, subject.SubjectKind, subject.SubjectName))
	if errors.Is(err, sql.ErrNoRows) {
		return h, fmt.Errorf("%s: %w", subject, ErrNotFound)
	}
	return h, err
}

func scanHold(r scanner) (h Hold, err error) {
	var created int64
	var released sql.NullInt64
	err = r.Scan(&h.ID, &h.Kind, &h.SubjectKind, &h.SubjectName, &h.Digest, &h.Count, &h.Total, &h.Allowed, &h.Reason, &created, &released, &h.ReleasedBy)
	h.CreatedAt, h.ReleasedAt = fromMillis(created), nullTime(released)
	return h, err
}

// ListHolds returns the current holds of the tenant that wait for a release,
// by subject.
func (s *Store) ListHolds(ctx context.Context, tenant model.TenantID) ([]Hold, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (Hold, error) { return scanHold(r) }, `SELECT `+holdColumns+` FROM guard_hold
		WHERE tenant=$1 AND superseded_at IS NULL AND released_at IS NULL ORDER BY kind, subject_kind, subject_name`, tenant)
}

// HoldItems returns members of a held set by item; after is the last item of
// the previous page.
func (s *Store) HoldItems(ctx context.Context, tenant model.TenantID, holdID, after string, limit int) ([]HoldItem, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (it HoldItem, err error) {
		return it, r.Scan(&it.Item, &it.Label, &it.Detail)
	}, `SELECT item, label, detail FROM guard_hold_item WHERE tenant=$1 AND hold_id=$2 AND item > $3 ORDER BY item LIMIT $4`,
		tenant, holdID, after, clampLimit(limit))
}

// ReleasedItems returns the members of the set that a person released, and nothing
// where none is released.
func (s *Store) ReleasedItems(ctx context.Context, tenant model.TenantID, subject HoldSubject) (map[string]bool, error) {
	hold, err := s.Hold(ctx, tenant, subject)
	if errors.Is(err, ErrNotFound) || (err == nil && hold.ReleasedAt == nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the hold: %w", err)
	}
	out := map[string]bool{}
	for after := ""; ; {
		items, err := s.HoldItems(ctx, tenant, hold.ID, after, 1000)
		if err != nil {
			return nil, fmt.Errorf("read the held set: %w", err)
		}
		for _, it := range items {
			out[it.Item], after = true, it.Item
		}
		if len(items) < 1000 {
			return out, nil
		}
	}
}

// ReleaseHold lets exactly the held set pass, once. It returns a *DigestError
// if the set held now is another, and ErrNotFound if nothing is held. A held
// sync is made due.
func (s *Store) ReleaseHold(ctx context.Context, tenant model.TenantID, subject HoldSubject, digest string, by model.Actor, reason string) (Hold, error) {
	var out Hold
	err := s.write(ctx, func(tx *sql.Tx) error {
		if subject.Kind == HoldWorkflow { // what it holds stays the same until it is released
			if err := s.lockTenant(ctx, tx, tenant); err != nil {
				return err
			}
		}
		if subject.Kind == HoldRemovals {
			if err := s.lockGuard(ctx, tx, tenant, subject.SubjectName); err != nil {
				return err
			}
		}
		h, err := s.hold(ctx, tx, tenant, subject)
		if err != nil {
			return err
		}
		if h.Digest != digest {
			return &DigestError{Subject: subject, Have: h.Digest, Want: digest}
		}
		out = h
		if h.ReleasedAt != nil {
			return nil
		}
		now := s.now()
		res, err := tx.ExecContext(ctx, `UPDATE guard_hold SET released_at=$3, released_by=$4 WHERE tenant=$1 AND id=$2 AND released_at IS NULL AND superseded_at IS NULL`,
			tenant, h.ID, now, by.Name)
		if err != nil {
			return err
		}
		if err := oneRow(res, fmt.Errorf("%s: %w", subject, ErrNotFound)); err != nil {
			return err
		}
		at := fromMillis(now)
		out.ReleasedAt, out.ReleasedBy = &at, by.Name
		if subject.Kind == HoldShrink && subject.SubjectKind == "Integration" {
			if err := s.makeDue(ctx, tx, tenant, integrationOf(subject)); err != nil {
				return err
			}
		}
		if subject.Kind == HoldWorkflow {
			if err := releaseStarts(ctx, tx, tenant, subject, now); err != nil {
				return err
			}
		}
		if subject.Kind == HoldRemovals {
			if err := s.releaseRemovals(ctx, tx, tenant, h); err != nil {
				return err
			}
		}
		return s.appendAudit(ctx, tx, tenant, model.AuditRecord{Actor: by.Name, ActorKind: by.Kind, Action: "guard.release", ObjectKind: subject.SubjectKind,
			ObjectName: subject.SubjectName, Reason: reason, Result: "done",
			Detail: map[string]string{"kind": subject.Kind, "digest": digest, "count": fmt.Sprint(h.Count), "total": fmt.Sprint(h.Total)}})
	})
	if err != nil {
		return Hold{}, fmt.Errorf("release: %w", err)
	}
	if subject.Kind == HoldRemovals {
		s.wakeEngine()
	}
	return out, nil
}

// ReleaseHeld is ReleaseHold for a digest that stays where it was written: it
// releases nothing, and says false, if another set is held or none.
func (s *Store) ReleaseHeld(ctx context.Context, tenant model.TenantID, subject HoldSubject, digest string, by model.Actor, reason string) (bool, error) {
	hold, err := s.Hold(ctx, tenant, subject)
	if errors.Is(err, ErrNotFound) || (err == nil && hold.Digest != digest) {
		return false, nil
	}
	if err != nil || hold.ReleasedAt != nil {
		return err == nil, err
	}
	_, err = s.ReleaseHold(ctx, tenant, subject, digest, by, reason)
	var other *DigestError
	if errors.Is(err, ErrNotFound) || errors.As(err, &other) {
		return false, nil
	}
	return err == nil, err
}

func (s *Store) makeDue(ctx context.Context, q querier, tenant model.TenantID, integration string) error {
	_, err := q.ExecContext(ctx, `UPDATE integration_state SET due_at=$3 WHERE tenant=$1 AND name=$2 AND hidden_at IS NULL`, tenant, integration, s.now())
	return err
}
