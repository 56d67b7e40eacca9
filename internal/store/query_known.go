// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// maxSightings bounds how many discovered apps are grouped by known app.
const maxSightings = 50_000

// Sighting is an app as one source discovered it, and the known app that it is.
type Sighting struct {
	Integration, ExternalID string
	Name, Hint, URL         string
	Match                   model.AppMatch
	source                  int64
}

// Discovered is what the source said.
func (g Sighting) Discovered() model.DiscoveredApp {
	return model.DiscoveredApp{ExternalID: g.ExternalID, Name: g.Name, CatalogHint: g.Hint, URL: g.URL}
}

// OwnSighting is that an Integration reads the app itself.
func OwnSighting(st IntegrationState, app string) Sighting {
	return Sighting{Integration: st.Name, Name: st.Name, source: st.Source, Match: model.AppMatch{App: app, Rule: "connector " + st.Connector}}
}

// Sightings returns the discovered apps that are known ones, by known app.
func (s *Store) Sightings(ctx context.Context, tenant model.TenantID) ([]Sighting, error) {
	out, err := collect(ctx, s.reads, func(r *sql.Rows) (g Sighting, err error) {
		return g, r.Scan(&g.Integration, &g.source, &g.ExternalID, &g.Name, &g.Hint, &g.URL, &g.Match.App, &g.Match.Rule)
	}, fmt.Sprintf(`SELECT i.name, d.source, d.external_id, d.name, d.catalog_hint, d.url, d.known_app, d.known_rule
		FROM discovered_app d`+connected("d")+`WHERE d.tenant=$1 AND d.known_app <> '' AND d.removed_at IS NULL AND d.state <> 'inactive'
		ORDER BY d.known_app, i.name, d.stream, d.external_id LIMIT %d`, maxSightings), tenant)
	if err != nil {
		return nil, fmt.Errorf("list known apps: %w", err)
	}
	return out, nil
}

// sightingsPerQuery bounds a list of sightings in a statement.
const sightingsPerQuery = 5000

// UsersOf counts the people with an account in each group of sightings, and the
// accounts of nobody known.
func (s *Store) UsersOf(ctx context.Context, tenant model.TenantID, groups map[string][]Sighting) (map[string]int64, error) {
	out := map[string]int64{}
	for part := range parts(groups) {
		with, names, args := s.listed(tenant, part)
		_, err := collect(ctx, s.reads, func(r *sql.Rows) (struct{}, error) {
			var group int
			var n int64
			err := r.Scan(&group, &n)
			if err == nil {
				out[names[group]] = n
			}
			return struct{}{}, err
		}, with+`SELECT g.column1, count(DISTINCT CASE WHEN a.person_id <> '' THEN a.person_id ELSE CAST(a.source AS TEXT) || '/' || a.external_id END)`+using+`
			GROUP BY g.column1`, args...)
		if err != nil {
			return nil, fmt.Errorf("count the users of known apps: %w", err)
		}
	}
	return out, nil
}

// SharedUsers counts the people who have accounts in more than one of the groups,
// and in any. Of more than sightingsPerQuery sightings it looks at the first.
func (s *Store) SharedUsers(ctx context.Context, tenant model.TenantID, groups map[string][]Sighting) (shared, either int64, err error) {
	for part := range parts(groups) {
		with, _, args := s.listed(tenant, part)
		err = s.reads.QueryRowContext(ctx, with+`SELECT coalesce(sum(CASE WHEN n > 1 THEN 1 ELSE 0 END), 0), count(*) FROM
			(SELECT a.person_id, count(DISTINCT g.column1) AS n`+using+` AND a.person_id <> '' GROUP BY a.person_id) p`, args...).Scan(&shared, &either)
		if err != nil {
			return 0, 0, fmt.Errorf("count the users that apps share: %w", err)
		}
		break
	}
	return shared, either, nil
}

// using joins the accounts of people at listed sightings.
const using = ` FROM g JOIN account a ON a.tenant=g.column2 AND a.source=g.column3 AND a.app_external_id=g.column4
	WHERE a.removed_at IS NULL AND a.status <> 'deleted' AND a.kind = 'human'`

// parts cuts groups into sets that fit into a statement; a group stays whole
// unless it does not fit alone.
func parts(groups map[string][]Sighting) iter.Seq[map[string][]Sighting] {
	return func(yield func(map[string][]Sighting) bool) {
		part, n := map[string][]Sighting{}, 0
		for _, name := range slices.Sorted(maps.Keys(groups)) {
			list := groups[name][:min(len(groups[name]), sightingsPerQuery)]
			if n > 0 && n+len(list) > sightingsPerQuery {
				if !yield(part) {
					return
				}
				part, n = map[string][]Sighting{}, 0
			}
			part[name], n = list, n+len(list)
		}
		if n > 0 {
			yield(part)
		}
	}
}

// listed is a table g: the place of a group in names, tenant, source and id of an
// app at the source. The numbers are written out, see tuples.
func (s *Store) listed(tenant model.TenantID, groups map[string][]Sighting) (with string, names []string, args []any) {
	names = slices.Sorted(maps.Keys(groups))
	var rows []string
	for i, name := range names {
		for _, g := range groups[name] {
			args = append(args, g.ExternalID)
			place := "?"
			if s.dialect.name == postgres.name {
				place = fmt.Sprintf("$%d", len(args))
			}
			rows = append(rows, fmt.Sprintf("(%d,CAST(%d AS BIGINT),CAST(%d AS BIGINT),%s)", i, tenant, g.source, place))
		}
	}
	return `WITH g AS (SELECT * FROM (VALUES ` + strings.Join(rows, ",") + `) v) `, names, args
}

// KnownSpend is what was paid to the vendors of a known app, in one currency.
type KnownSpend struct {
	App          string
	Amount       model.Money
	Transactions int64
	LastOn       model.Date
	// Integration, Vendor and Rule are of one of its vendors: the first by name.
	Integration, Vendor, Rule string
}

// KnownSpend sums the transactions since a day up, by known app and currency.
func (s *Store) KnownSpend(ctx context.Context, tenant model.TenantID, since model.Date) ([]KnownSpend, error) {
	out, err := collect(ctx, s.reads, func(r *sql.Rows) (k KnownSpend, err error) {
		return k, r.Scan(&k.App, &k.Amount.Currency, &k.Amount.Minor, &k.Transactions, &k.LastOn, &k.Integration, &k.Vendor, &k.Rule)
	}, `SELECT v.known_app, t.currency, sum(t.amount_minor), count(*), max(t.booked_on), min(i.name), min(v.name), min(v.known_rule)
		FROM spend_vendor v`+connected("v")+`JOIN spend_transaction t ON t.tenant=v.tenant AND t.source=v.source AND t.vendor_name=v.name
		WHERE v.tenant=$1 AND v.known_app <> '' AND t.removed_at IS NULL AND t.booked_on >= $2 GROUP BY v.known_app, t.currency ORDER BY v.known_app, t.currency`,
		tenant, string(since))
	if err != nil {
		return nil, fmt.Errorf("sum up the spend on known apps: %w", err)
	}
	return out, nil
}

// Vendor is whom a source says was paid, and the known app that it is.
type Vendor struct {
	Integration, Name string
	Match             model.AppMatch
	Amount            model.Money
	Transactions      int64
	LastOn            model.Date
	source            int64
}

// VendorQuery selects vendors.
type VendorQuery struct {
	Page
	Since     model.Date // paid on this day or later
	Unmatched bool       // only what is no known app, or cannot be told
}

// Vendors returns a page of the vendors that were paid, by source and name, one
// row for each currency.
func (s *Store) Vendors(ctx context.Context, tenant model.TenantID, q VendorQuery) ([]Vendor, string, error) {
	const paid = `t.tenant=v.tenant AND t.source=v.source AND t.vendor_name=v.name AND t.removed_at IS NULL AND t.booked_on >= $2`
	c := where(tenant, "v.tenant = $1")
	c.add("EXISTS (SELECT 1 FROM spend_transaction t WHERE t.tenant=v.tenant AND t.source=v.source AND t.vendor_name=v.name AND t.removed_at IS NULL AND t.booked_on >= ?)", string(q.Since))
	if q.Unmatched {
		c.where = append(c.where, "v.known_app = ''")
	}
	key, err := parseCursor(q.Cursor, 2)
	if err != nil {
		return nil, "", err
	}
	if key != nil {
		source, err := strconv.ParseInt(key[0], 10, 64)
		if err != nil {
			return nil, "", ErrCursor
		}
		c.add("(v.source, v.name) > (?, ?)", source, key[1])
	}
	limit := clampLimit(q.Limit)
	rows, err := collect(ctx, s.reads, func(r *sql.Rows) (v Vendor, err error) {
		var among string
		if err := r.Scan(&v.Integration, &v.source, &v.Name, &v.Match.App, &v.Match.Rule, &among, &v.Amount.Currency, &v.Amount.Minor, &v.Transactions, &v.LastOn); err != nil {
			return v, err
		}
		return v, unmarshalText(among, &v.Match.Among)
	}, fmt.Sprintf(`SELECT v.integration, v.source, v.name, v.known_app, v.known_rule, v.known_among, t.currency, sum(t.amount_minor), count(*), max(t.booked_on)
		FROM (SELECT i.name AS integration, v.* FROM spend_vendor v`+connected("v")+`WHERE %s ORDER BY v.source, v.name LIMIT %d) v JOIN spend_transaction t ON `+paid+`
		GROUP BY v.integration, v.source, v.name, v.known_app, v.known_rule, v.known_among, t.currency ORDER BY v.source, v.name, t.currency`, c, limit+1), c.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list vendors: %w", err)
	}
	vendors := 0
	for i, v := range rows {
		if i == 0 || v.source != rows[i-1].source || v.Name != rows[i-1].Name {
			vendors++
		}
		if vendors > limit {
			last := rows[i-1]
			return rows[:i], cursor(strconv.FormatInt(last.source, 10), last.Name), nil
		}
	}
	return rows, "", nil
}
