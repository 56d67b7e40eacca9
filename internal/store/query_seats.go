// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// AppRef is an app as an Integration knows it that discovered it.
type AppRef struct{ Integration, AppExternalID string }

// SeatFilter selects seats; empty fields do not restrict.
type SeatFilter struct {
	Integrations []string
	Plans        []string // keys or names
	PaidOnly     bool
	States       []string
	PersonID     string
	Search       string // in the account's user name, name and e-mail
	// UnusedSince restricts to seats of accounts whose source reports activity
	// and saw none since.
	UnusedSince *time.Time
	// KnownAs adds what other sources have seen of use: the same person signing
	// on through an identity provider, or seen by a browser extension. It says by
	// what they know the app whose seats an Integration has.
	KnownAs map[string]model.AppIdentity
	// Account restricts to the seats of one account.
	Account string
}

// seatRow is a seat with what is needed to look up its use and to page.
type seatRow struct {
	model.Seat
	source           int64
	stream, holder   string
	personKey        string
	personExternalID string
}

const seatsPerPage = 2000

// Seats calls fn for every seat that the filter selects, in the order of their
// keys; an error from fn ends it. It reads in pages, so fn may be slow and may
// write.
func (s *Store) Seats(ctx context.Context, tenant model.TenantID, f SeatFilter, fn func(model.Seat) error) error {
	usage, err := s.newSeatUsage(ctx, tenant, f.KnownAs)
	if err != nil {
		return fmt.Errorf("read usage: %w", err)
	}
	next := ""
	for {
		rows, cursor, err := s.seatPage(ctx, tenant, f, next, seatsPerPage)
		if err != nil {
			return fmt.Errorf("read seats: %w", err)
		}
		if err := usage.fill(ctx, rows); err != nil {
			return fmt.Errorf("read usage: %w", err)
		}
		for _, r := range rows {
			if err := fn(r.Seat); err != nil {
				return err
			}
		}
		if next = cursor; next == "" {
			return nil
		}
	}
}

// ListSeats returns one page of seats and the cursor of the next.
func (s *Store) ListSeats(ctx context.Context, tenant model.TenantID, f SeatFilter, p Page) ([]model.Seat, string, error) {
	usage, err := s.newSeatUsage(ctx, tenant, f.KnownAs)
	if err != nil {
		return nil, "", fmt.Errorf("list seats: %w", err)
	}
	rows, next, err := s.seatPage(ctx, tenant, f, p.Cursor, clampLimit(p.Limit))
	if err != nil {
		return nil, "", fmt.Errorf("list seats: %w", err)
	}
	if err := usage.fill(ctx, rows); err != nil {
		return nil, "", fmt.Errorf("list seats: %w", err)
	}
	seats := make([]model.Seat, len(rows))
	for i, r := range rows {
		seats[i] = r.Seat
	}
	return seats, next, nil
}

// seatAccount joins the one account that a seat belongs to; where two streams
// list the same account, the first by name counts.
const seatAccount = ` LEFT JOIN account a ON a.tenant=s.tenant AND a.source=s.source AND a.app_external_id='' AND a.external_id=s.account_external_id
		AND s.account_external_id <> '' AND a.removed_at IS NULL
		AND NOT EXISTS (SELECT 1 FROM account b WHERE b.tenant=a.tenant AND b.source=a.source AND b.app_external_id='' AND b.external_id=a.external_id
			AND b.removed_at IS NULL AND b.stream < a.stream)
	LEFT JOIN person p ON p.tenant=a.tenant AND p.id=a.person_id AND NOT p.hidden `

func (s *Store) seatPage(ctx context.Context, tenant model.TenantID, f SeatFilter, after string, limit int) ([]*seatRow, string, error) {
	c := where(tenant, "s.tenant = $1 AND s.removed_at IS NULL")
	key, err := parseCursor(after, 4)
	if err != nil {
		return nil, "", err
	}
	if key != nil {
		source, err := strconv.ParseInt(key[0], 10, 64)
		if err != nil {
			return nil, "", ErrCursor
		}
		c.add("(s.source, s.stream, s.holder, s.plan_key) > (?, ?, ?, ?)", source, key[1], key[2], key[3])
	}
	c.in("i.name", f.Integrations)
	if len(f.Plans) > 0 {
		list, args := inList(c.args, f.Plans)
		c.args = args
		c.where = append(c.where, `(s.plan_key IN (`+list+`) OR `+planName+` IN (`+list+`))`)
	}
	c.in("s.state", f.States)
	c.equal("a.person_id", f.PersonID)
	c.equal("s.account_external_id", f.Account)
	c.contains(f.Search, "coalesce(a.username, '')", "coalesce(a.display_name, '')", "coalesce(a.person_key, s.person_key)")
	if f.PaidOnly {
		c.where = append(c.where, "s.paid")
	}
	if f.UnusedSince != nil {
		c.add("a.activity_reported AND (a.last_activity_at IS NULL OR a.last_activity_at < ?)", f.UnusedSince.UnixMilli())
	}
	rows, err := collect(ctx, s.reads, scanSeat, fmt.Sprintf(`SELECT i.name, s.source, s.stream, s.holder, s.account_external_id, s.plan_key, `+planName+`, s.paid, s.state,
		s.external_id, s.assigned_at, s.observed_since, s.person_key,
		a.external_id IS NOT NULL, coalesce(a.status, ''), coalesce(a.kind, ''), coalesce(a.is_admin, FALSE), coalesce(a.username, ''), coalesce(a.display_name, ''),
		a.created_at, coalesce(a.observed_since, 0), coalesce(a.activity_reported, FALSE), a.last_activity_at, coalesce(a.last_activity_source, ''),
		coalesce(a.person_key, ''), coalesce(a.person_external_id, ''),
		coalesce(p.id, ''), coalesce(p.display_name, ''), coalesce(p.email, ''), coalesce(p.department, ''), coalesce(p.time_zone, ''), coalesce(p.lifecycle, ''),
		coalesce(p.employment_type, ''), coalesce(p.manager_id, ''), coalesce(m.email, p.manager_email, ''),
		`+seenAt("s", "ss")+`, `+seenAt("a", "sa")+`, `+activitySeenAt("a", "sa")+`
		FROM assignment s`+connected("s")+seatAccount+`
		LEFT JOIN person m ON m.tenant=p.tenant AND m.id=p.manager_id AND p.manager_id <> ''
		LEFT JOIN stream_state ss ON ss.tenant=s.tenant AND ss.source=s.source AND ss.stream=s.stream
		LEFT JOIN stream_state sa ON sa.tenant=a.tenant AND sa.source=a.source AND sa.stream=a.stream
		WHERE %s ORDER BY s.source, s.stream, s.holder, s.plan_key LIMIT %d`, c, limit+1), c.args...)
	if err != nil {
		return nil, "", err
	}
	rows, next := page(rows, limit, func(r *seatRow) string {
		return cursor(strconv.FormatInt(r.source, 10), r.stream, r.holder, r.PlanKey)
	})
	return rows, next, nil
}

// planName is the name the seat carries, else that of its plan.
const planName = `CASE WHEN s.plan_name <> '' THEN s.plan_name ELSE coalesce((SELECT min(pl.name) FROM plan pl WHERE pl.tenant=s.tenant AND pl.source=s.source
	AND pl.plan_key=s.plan_key AND pl.removed_at IS NULL), s.plan_key) END`

func scanSeat(rows *sql.Rows) (*seatRow, error) {
	r := &seatRow{}
	var assigned, created, active sql.NullInt64
	var since, accountSince, seatsAt, accountsAt, activityAt int64
	var seatKey, personEmail string
	err := rows.Scan(&r.Integration, &r.source, &r.stream, &r.holder, &r.AccountExternalID, &r.PlanKey, &r.PlanName, &r.Paid, &r.State,
		&r.AssignmentExternalID, &assigned, &since, &seatKey,
		&r.AccountKnown, &r.AccountStatus, &r.AccountKind, &r.IsAdmin, &r.Username, &r.DisplayName,
		&created, &accountSince, &r.ActivityReported, &active, &r.LastActivitySource, &r.personKey, &r.personExternalID,
		&r.PersonID, &r.PersonName, &personEmail, &r.Department, &r.TimeZone, &r.Lifecycle, &r.EmploymentType, &r.ManagerID, &r.ManagerEmail,
		&seatsAt, &accountsAt, &activityAt)
	if err != nil {
		return nil, err
	}
	r.AssignedAt, r.AccountCreatedAt, r.LastActivityAt = nullTime(assigned), nullTime(created), nullTime(active)
	r.ObservedSince, r.AccountObservedSince = fromMillis(since), fromMillis(accountSince)
	r.SeatsSyncedAt, r.AccountsSyncedAt, r.ActivitySyncedAt = fromMillis(seatsAt), fromMillis(accountsAt), fromMillis(activityAt)
	if r.personKey == "" {
		r.personKey = seatKey
	}
	if r.Email = personEmail; r.Email == "" {
		r.Email = r.personKey
	}
	return r, nil
}
