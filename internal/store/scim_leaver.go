// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Times of the guard of leavers. An identity provider disables one by one, so
// a set is looked at once no more has come for LeaversQuiet, or the oldest has
// waited for LeaversPatience; who left within leaverWindow counts with it.
const (
	LeaversQuiet    = 2 * time.Minute
	LeaversPatience = 10 * time.Minute
	leaverWindow    = 24 * time.Hour
)

// SCIMLeaversHold is the subject of the hold of those who would leave.
func SCIMLeaversHold() HoldSubject {
	return HoldSubject{Kind: HoldShrink, SubjectKind: "Organization", SubjectName: SCIMSource + "/leavers"}
}

// leavers is what the guard decides on.
type leavers struct {
	waiting        int64
	oldest, newest time.Time
	// passed left within the window; working work here, the waiting included.
	passed, working int64
	released        bool // a person has released exactly the waiting
}

type leaverVerdict int

const (
	leaversWait leaverVerdict = iota
	leaversHeld
	leaversPass
)

// judge decides on those who wait. Too many are held at once, however quiet it
// is: more may come, and no fewer.
func (l leavers) judge(g model.Guard, now time.Time) leaverVerdict {
	switch {
	case l.waiting == 0:
		return leaversWait
	case l.released:
		return leaversPass
	case l.waiting+l.passed > l.allowed(g):
		return leaversHeld
	case now.Sub(l.newest) >= LeaversQuiet || now.Sub(l.oldest) >= LeaversPatience:
		return leaversPass
	}
	return leaversWait
}

func (l leavers) allowed(g model.Guard) int64 { return g.Allowed(l.working + l.passed) }

// SCIMLeaverTenants lists the tenants that SettleSCIMLeavers may change
// something in.
func (s *Store) SCIMLeaverTenants(ctx context.Context) ([]Tenant, error) {
	type candidate struct {
		Tenant
		facts                  string
		waiting, ended, passed bool
	}
	deleted := `NOT EXISTS (SELECT 1 FROM scim_user u WHERE u.tenant=l.tenant AND u.id=l.user_id)
		AND EXISTS (SELECT 1 FROM person_source ps WHERE ps.tenant=l.tenant AND ps.source=$2 AND ps.external_id=l.user_id AND ps.removed_at IS NULL)`
	all, err := collect(ctx, s.reads, func(r *sql.Rows) (c candidate, err error) {
		return c, r.Scan(&c.ID, &c.Namespace, &c.facts, &c.waiting, &c.ended, &c.passed)
	}, `SELECT t.id, t.namespace, f.facts,
		EXISTS (SELECT 1 FROM scim_leaver l WHERE l.tenant=t.id AND l.passed_at IS NULL AND NOT l.protected),
		EXISTS (SELECT 1 FROM scim_leaver l WHERE l.tenant=t.id AND l.passed_at IS NULL AND `+deleted+`),
		EXISTS (SELECT 1 FROM scim_leaver l WHERE l.tenant=t.id AND l.passed_at IS NOT NULL AND (l.passed_at < $1 OR `+deleted+`))
		FROM tenant t JOIN tenant_facts f ON f.tenant=t.id WHERE t.id IN (SELECT tenant FROM scim_leaver) ORDER BY t.namespace`,
		s.now()-leaverWindow.Milliseconds(), scimSource)
	if err != nil {
		return nil, fmt.Errorf("look for people who left over SCIM: %w", err)
	}
	var out []Tenant
	for _, c := range all {
		var f TenantFacts
		if err := json.Unmarshal([]byte(c.facts), &f); err != nil {
			return nil, fmt.Errorf("read the facts of tenant %d: %w", c.ID, err)
		}
		if f.SCIM.Enabled && (c.passed || f.LifecycleSCIM && c.waiting || !f.LifecycleSCIM && c.ended) {
			out = append(out, c.Tenant)
		}
	}
	return out, nil
}

// SettleSCIMLeavers lets the users go whom their identity provider has disabled
// or deleted, where SCIM is the lifecycle source and as far as the guard lets
// it; or holds them for a person to look at. While SCIM is switched off they
// wait. Who is protected stays, whatever route led here. It returns how many
// left, and the hold, if there is one.
func (s *Store) SettleSCIMLeavers(ctx context.Context, tenant model.TenantID) (left int64, held *Hold, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		left, held = 0, nil
		t, err := s.beginSCIM(ctx, tx, tenant)
		if err != nil {
			return err
		}
		if !t.Facts.SCIM.Enabled {
			return nil // whoever comes back meanwhile could not say so
		}
		if !t.Facts.LifecycleSCIM {
			return s.endDeleted(ctx, tx, tenant, true)
		}
		if err := s.endDeleted(ctx, tx, tenant, false); err != nil {
			return err
		}
		if err := t.protectLeavers(ctx, tx); err != nil {
			return err
		}
		left, held, err = s.settleLeavers(ctx, tx, tenant)
		return err
	})
	if err != nil {
		return 0, nil, fmt.Errorf("settle who left over SCIM: %w", err)
	}
	return left, held, s.mergePeople(ctx, tenant)
}

func (s *Store) settleLeavers(ctx context.Context, tx *sql.Tx, tenant model.TenantID) (int64, *Hold, error) {
	subject := SCIMLeaversHold()
	items, l, err := s.waitingLeavers(ctx, tx, tenant)
	if err != nil {
		return 0, nil, err
	}
	have, err := s.hold(ctx, tx, tenant, subject)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return 0, nil, err
	}
	ids := make([]string, len(items))
	for i, it := range items {
		ids[i] = it.Item
	}
	l.released = err == nil && have.ReleasedAt != nil && have.Digest == model.SetDigest(ids)
	switch l.judge(model.DefaultShrinkGuard, fromMillis(s.now())) {
	case leaversHeld:
		allowed := l.allowed(model.DefaultShrinkGuard)
		h, err := s.putHold(ctx, tx, tenant, Hold{HoldSubject: subject, Count: l.waiting, Total: l.working + l.passed, Allowed: allowed,
			Reason: fmt.Sprintf("%d of %d people would leave, and %d left within a day; %d may", l.waiting, l.working+l.passed, l.passed, allowed)}, items)
		return 0, &h, err
	case leaversPass:
		if err := s.letLeave(ctx, tx, tenant, ids); err != nil {
			return 0, nil, err
		}
		return l.waiting, nil, s.clearHold(ctx, tx, tenant, subject)
	}
	if err == nil { // what was held has become so few that it may go, or nobody
		return 0, nil, s.clearHold(ctx, tx, tenant, subject)
	}
	return 0, nil, nil
}

// waitingLeavers returns who waits to leave, and the numbers around them.
func (s *Store) waitingLeavers(ctx context.Context, tx *sql.Tx, tenant model.TenantID) (items []HoldItem, l leavers, err error) {
	items, err = collect(ctx, tx, func(r *sql.Rows) (it HoldItem, err error) {
		var since int64
		err = r.Scan(&it.Item, &it.Label, &since)
		if at := fromMillis(since); err == nil {
			if l.oldest.IsZero() || at.Before(l.oldest) {
				l.oldest = at
			}
			if at.After(l.newest) {
				l.newest = at
			}
			it.Detail = "disabled or deleted over SCIM " + at.Format(time.RFC3339)
		}
		return it, err
	}, `SELECT user_id, user_name, since FROM scim_leaver WHERE tenant=$1 AND passed_at IS NULL AND NOT protected ORDER BY user_id`, tenant)
	if err != nil {
		return nil, l, err
	}
	l.waiting = int64(len(items))
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM scim_leaver WHERE tenant=$1 AND passed_at > $2`,
		tenant, s.now()-leaverWindow.Milliseconds()).Scan(&l.passed); err != nil {
		return nil, l, err
	}
	if l.waiting == 0 {
		return nil, l, nil
	}
	err = tx.QueryRowContext(ctx, `SELECT count(*) FROM person_source WHERE tenant=$1 AND source=$2 AND lifecycle=$3 AND removed_at IS NULL`,
		tenant, scimSource, model.LifecycleCurrent).Scan(&l.working)
	return items, l, err
}

// letLeave marks the people as having left; merging them makes the events.
func (s *Store) letLeave(ctx context.Context, tx *sql.Tx, tenant model.TenantID, ids []string) error {
	now := s.now()
	for from := 0; from < len(ids); from += listChunk {
		list, args := inList([]any{tenant, now}, ids[from:min(from+listChunk, len(ids))])
		if _, err := tx.ExecContext(ctx, `UPDATE scim_leaver SET passed_at=$2 WHERE tenant=$1 AND user_id IN (`+list+`)`, args...); err != nil {
			return err
		}
		list, args = inList([]any{tenant, now, scimSource, string(model.LifecyclePast)}, ids[from:min(from+listChunk, len(ids))])
		// The hash is of the row before, so that the next write of the user
		// compares anew.
		if _, err := tx.ExecContext(ctx, `UPDATE person_source SET lifecycle=$4, changed_at=$2, row_hash=0, dirty=1
			WHERE tenant=$1 AND source=$3 AND external_id IN (`+list+`)`, args...); err != nil {
			return err
		}
	}
	var audit []tenantAudit
	for chunk := range slices.Chunk(ids, listChunk) {
		list, args := inList([]any{tenant, scimSource, scimStream}, chunk)
		left, err := collect(ctx, tx, func(r *sql.Rows) (a tenantAudit, err error) {
			a = tenantAudit{tenant, model.AuditRecord{Actor: "seatkeeper", ActorKind: model.ActorSystem, Action: "scim.leavers.pass", ObjectKind: "scim.user",
				Reason: "disabled or deleted by the identity provider, which decides who works here", Result: "done"}}
			return a, r.Scan(&a.record.ObjectName, &a.record.PersonID)
		}, `SELECT external_id, person_id FROM person_source WHERE tenant=$1 AND source=$2 AND stream=$3 AND external_id IN (`+list+`) ORDER BY external_id`, args...)
		if err != nil {
			return err
		}
		audit = append(audit, left...)
	}
	return s.appendAudits(ctx, tx, audit)
}

// endDeleted ends the rows of people whose user was deleted, once they have
// left; or all of them, where SCIM no longer decides who works here.
func (s *Store) endDeleted(ctx context.Context, tx *sql.Tx, tenant model.TenantID, all bool) error {
	condition := ` AND passed_at IS NOT NULL`
	if all {
		condition = ""
	}
	gone, err := collect(ctx, tx, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) },
		`SELECT user_id FROM scim_leaver l WHERE tenant=$1`+condition+` AND NOT EXISTS (SELECT 1 FROM scim_user u WHERE u.tenant=l.tenant AND u.id=l.user_id)
		AND EXISTS (SELECT 1 FROM person_source ps WHERE ps.tenant=l.tenant AND ps.source=$2 AND ps.external_id=l.user_id AND ps.removed_at IS NULL AND ps.dirty=0)
		LIMIT 1000`, tenant, scimSource)
	if err != nil {
		return err
	}
	for from := 0; from < len(gone); from += listChunk {
		list, args := inList([]any{tenant, s.now(), scimSource}, gone[from:min(from+listChunk, len(gone))])
		if _, err := tx.ExecContext(ctx, `UPDATE person_source SET removed_at=$2, changed_at=$2, dirty=1 WHERE tenant=$1 AND source=$3 AND external_id IN (`+list+`)`, args...); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM scim_leaver WHERE tenant=$1 AND passed_at < $2`, tenant, s.now()-leaverWindow.Milliseconds())
	return err
}
