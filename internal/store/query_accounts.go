// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// AccountView is an account with where it came from and whose it is.
type AccountView struct {
	Integration string
	Stream      string
	model.Account
	PersonID    string // empty: nobody, or not known whose
	PersonEmail string
	PersonName  string
	Paid        bool // holds an active paid seat
	FirstSeenAt time.Time
	// ObservedSince is FirstSeenAt, or when it came back after it had gone.
	ObservedSince time.Time
	RemovedAt     *time.Time
	// SyncedAt is when the account was last read; zero if its stream never was
	// read to its end.
	SyncedAt time.Time
	// ActivitySyncedAt is when its last activity was last read.
	ActivitySyncedAt time.Time

	source int64
}

// AccountQuery selects accounts; empty fields do not restrict.
type AccountQuery struct {
	Page
	Integrations []string
	// App restricts to the app behind an identity provider with this id; "-" to
	// the Integrations' own apps.
	App      string
	Statuses []string
	Kind     string
	Admin    bool   // administrators only
	PersonID string // of this person
	// Known restricts to accounts whose id, or whose person's address, is among these.
	Known []string
	// Unlinked restricts to accounts of nobody known.
	Unlinked bool
	Search   string // in user name, display name and e-mail
	// UnusedSince restricts to accounts whose last activity, as their source
	// reports it, is before; those never seen active included.
	UnusedSince    *time.Time
	IncludeRemoved bool
}

// ListAccounts returns accounts in the order of their keys, and the cursor of
// the next page.
func (s *Store) ListAccounts(ctx context.Context, tenant model.TenantID, q AccountQuery) ([]AccountView, string, error) {
	c := where(tenant, "a.tenant = $1")
	key, err := parseCursor(q.Cursor, 4)
	if err != nil {
		return nil, "", err
	}
	if key != nil {
		source, err := strconv.ParseInt(key[0], 10, 64)
		if err != nil {
			return nil, "", ErrCursor
		}
		c.add("(a.source, a.app_external_id, a.external_id, a.stream) > (?, ?, ?, ?)", source, key[1], key[2], key[3])
	}
	c.in("i.name", q.Integrations)
	if q.App == "-" {
		c.where = append(c.where, "a.app_external_id = ''")
	} else {
		c.equal("a.app_external_id", q.App)
	}
	c.in("a.status", q.Statuses)
	c.equal("a.kind", q.Kind)
	c.equal("a.person_id", q.PersonID)
	if len(q.Known) > 0 {
		mails := make([]string, len(q.Known))
		for i, k := range q.Known {
			mails[i] = strings.ToLower(k)
		}
		var ids, keys string
		ids, c.args = inList(c.args, q.Known)
		keys, c.args = inList(c.args, mails)
		c.where = append(c.where, "(a.external_id IN ("+ids+") OR a.person_key IN ("+keys+"))")
	}
	if q.Unlinked {
		c.where = append(c.where, "a.person_id = ''")
	}
	if q.Admin {
		c.where = append(c.where, "a.is_admin")
	}
	if !q.IncludeRemoved {
		c.where = append(c.where, "a.removed_at IS NULL")
	}
	if q.UnusedSince != nil {
		c.add("a.activity_reported AND (a.last_activity_at IS NULL OR a.last_activity_at < ?)", q.UnusedSince.UnixMilli())
	}
	c.contains(q.Search, "a.username", "a.display_name", "a.person_key")
	limit := clampLimit(q.Limit)
	rows, err := collect(ctx, s.reads, scanAccount, fmt.Sprintf(`SELECT i.name, a.source, a.stream, a.app_external_id, a.external_id, a.person_key, a.person_external_id,
		a.username, a.display_name, a.status, a.raw_status, a.kind, a.role, a.is_admin, a.mfa, a.granted_via, a.created_at, a.activity_reported,
		a.last_activity_at, a.last_activity_source, a.custom, a.person_id, coalesce(p.email, ''), coalesce(p.display_name, ''), a.paid,
		a.first_seen_at, a.observed_since, a.removed_at, `+seenAt("a", "sa")+`, `+activitySeenAt("a", "sa")+`
		FROM account a`+connected("a")+`LEFT JOIN stream_state sa ON sa.tenant=a.tenant AND sa.source=a.source AND sa.stream=a.stream
		LEFT JOIN person p ON p.tenant=a.tenant AND p.id=a.person_id AND NOT p.hidden
		WHERE %s ORDER BY a.source, a.app_external_id, a.external_id, a.stream LIMIT %d`, c, limit+1), c.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list accounts: %w", err)
	}
	rows, next := page(rows, limit, func(a AccountView) string {
		return cursor(strconv.FormatInt(a.source, 10), a.AppExternalID, a.ExternalID, a.Stream)
	})
	return rows, next, nil
}

func scanAccount(r *sql.Rows) (a AccountView, err error) {
	var created, active, removed sql.NullInt64
	var mfa sql.NullBool
	var custom string
	var first, since, synced, activitySynced int64
	err = r.Scan(&a.Integration, &a.source, &a.Stream, &a.AppExternalID, &a.ExternalID, &a.PersonKey, &a.PersonExternalID, &a.Username, &a.DisplayName,
		&a.Status, &a.RawStatus, &a.Kind, &a.Role, &a.IsAdmin, &mfa, &a.GrantedVia, &created, &a.ActivityReported, &active, &a.LastActivitySource,
		&custom, &a.PersonID, &a.PersonEmail, &a.PersonName, &a.Paid, &first, &since, &removed, &synced, &activitySynced)
	if err != nil {
		return a, err
	}
	if mfa.Valid {
		a.MFA = &mfa.Bool
	}
	a.CreatedAt, a.LastActivityAt, a.RemovedAt = nullTime(created), nullTime(active), nullTime(removed)
	a.FirstSeenAt, a.ObservedSince, a.SyncedAt, a.ActivitySyncedAt = fromMillis(first), fromMillis(since), fromMillis(synced), fromMillis(activitySynced)
	return a, unmarshalText(custom, &a.Custom)
}

// AppView is an app that a source knows of.
type AppView struct {
	Integration string // whose sync found it
	Stream      string
	APIID       int64
	model.DiscoveredApp
	Accounts    int64 // accounts behind the source that reported it
	FirstSeen   time.Time
	RemovedAt   *time.Time
	Match       model.AppMatch // the known app that it is
	sourceOfKey int64
}

// AppQuery selects discovered apps; empty fields do not restrict.
type AppQuery struct {
	Page
	Integration    string
	Search         string // in the name
	Unmatched      bool   // only what is no known app, or cannot be told
	IncludeRemoved bool
}

// ListApps returns discovered apps by source and id, and the cursor of the next
// page.
func (s *Store) ListApps(ctx context.Context, tenant model.TenantID, q AppQuery) ([]AppView, string, error) {
	c := where(tenant, "d.tenant = $1")
	key, err := parseCursor(q.Cursor, 3)
	if err != nil {
		return nil, "", err
	}
	if key != nil {
		source, err := strconv.ParseInt(key[0], 10, 64)
		if err != nil {
			return nil, "", ErrCursor
		}
		c.add("(d.source, d.stream, d.external_id) > (?, ?, ?)", source, key[1], key[2])
	}
	c.equal("i.name", q.Integration)
	c.contains(q.Search, "d.name")
	if q.Unmatched {
		c.where = append(c.where, "d.known_app = ''")
	}
	if !q.IncludeRemoved {
		c.where = append(c.where, "d.removed_at IS NULL")
	}
	limit := clampLimit(q.Limit)
	rows, err := collect(ctx, s.reads, scanApp, fmt.Sprintf(`SELECT i.name, d.source, d.stream, coalesce(d.api_id, 0), d.external_id, d.name, d.catalog_hint, d.url, d.origin,
		d.state, d.sso_mode, d.scopes, d.unverified, d.reported_first_seen_at, d.first_seen_at, d.removed_at, d.known_app, d.known_rule, d.known_among,
		(SELECT count(*) FROM account a WHERE a.tenant=d.tenant AND a.source=d.source AND a.app_external_id=d.external_id AND a.removed_at IS NULL)
		FROM discovered_app d`+connected("d")+`WHERE %s ORDER BY d.source, d.stream, d.external_id LIMIT %d`, c, limit+1), c.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list apps: %w", err)
	}
	rows, next := page(rows, limit, func(a AppView) string {
		return cursor(strconv.FormatInt(a.sourceOfKey, 10), a.Stream, a.ExternalID)
	})
	return rows, next, nil
}

func scanApp(r *sql.Rows) (a AppView, err error) {
	var reported, removed sql.NullInt64
	var scopes, among string
	var first int64
	err = r.Scan(&a.Integration, &a.sourceOfKey, &a.Stream, &a.APIID, &a.ExternalID, &a.Name, &a.CatalogHint, &a.URL, &a.Source, &a.State, &a.SSOMode,
		&scopes, &a.Unverified, &reported, &first, &removed, &a.Match.App, &a.Match.Rule, &among, &a.Accounts)
	if err != nil {
		return a, err
	}
	a.FirstSeenAt, a.FirstSeen, a.RemovedAt = nullTime(reported), fromMillis(first), nullTime(removed)
	if err := unmarshalText(among, &a.Match.Among); err != nil {
		return a, err
	}
	return a, unmarshalText(scopes, &a.Scopes)
}
