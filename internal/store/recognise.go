// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// recogniseBatch is how many rows one transaction recognises.
const recogniseBatch = 500

// recogniseApps looks which known apps the tenant's discovered apps and vendors
// are that have changed since, or that another version of the catalogue has
// looked at. The rows themselves are the record of what is to be done, so that
// it goes on after a crash.
func (s *Store) recogniseApps(ctx context.Context, tenant model.TenantID) error {
	if s.apps == nil {
		return nil
	}
	for _, batch := range []recogniseFunc{s.recogniseDiscovered, s.recogniseVendors} {
		for _, versions := range []string{"<", ">"} { // two ranges of the index
			after := firstLook
			for n, more := 1, true; more; n++ {
				if err := s.refreshDuring(ctx, n, "discovered_app, spend_vendor"); err != nil {
					return err
				}
				from := after
				err := s.write(ctx, func(tx *sql.Tx) error {
					last, done, err := batch(ctx, tx, tenant, versions, from)
					if err != nil {
						return err
					}
					after, more = last, done == recogniseBatch
					return nil
				})
				if err != nil {
					return fmt.Errorf("recognise apps: %w", err)
				}
			}
		}
	}
	return nil
}

// lookKey is the place of a row in the index of what is to be looked at. Going on
// after it spares reading again past what was just done.
type lookKey struct {
	by         string
	source     int64
	stream, id string
}

var firstLook = lookKey{source: math.MinInt64}

// recogniseFunc recognises a batch of the rows after a key that a version of the
// catalogue before or after this one has looked at. It returns the last one and
// how many they were.
type recogniseFunc func(ctx context.Context, tx *sql.Tx, tenant model.TenantID, versions string, after lookKey) (lookKey, int, error)

// discoveredKey is one discovered app, and what it was recognised as.
type discoveredKey struct {
	lookKey
	signal model.AppSignal
	was    string
}

func (s *Store) recogniseDiscovered(ctx context.Context, tx *sql.Tx, tenant model.TenantID, versions string, after lookKey) (lookKey, int, error) {
	rows, err := collect(ctx, tx, func(r *sql.Rows) (k discoveredKey, err error) {
		var origin string
		err = r.Scan(&k.source, &k.stream, &k.id, &k.signal.Text, &k.signal.Hint, &k.signal.URL, &origin, &k.was, &k.by)
		k.signal.Kind = signalKind(origin)
		return k, err
	}, fmt.Sprintf(`SELECT source, stream, external_id, name, catalog_hint, url, origin, known_app, known_by FROM discovered_app
		WHERE tenant=$1 AND known_by %s $2 AND (known_by, source, stream, external_id) > ($3, $4, $5, $6) ORDER BY known_by, source, stream, external_id LIMIT %d`,
		versions, recogniseBatch), tenant, s.apps.Version(), after.by, after.source, after.stream, after.id)
	if err != nil || len(rows) == 0 {
		return after, 0, err
	}
	changed := map[int64]bool{}
	for _, k := range rows {
		m := s.apps.Recognise(k.signal)
		if _, err := tx.ExecContext(ctx, `UPDATE discovered_app SET known_app=$5, known_rule=$6, known_among=$7, known_by=$8
			WHERE tenant=$1 AND source=$2 AND stream=$3 AND external_id=$4`,
			tenant, k.source, k.stream, k.id, m.App, cleanText(m.Rule), jsonText(m.Among), s.apps.Version()); err != nil {
			return after, 0, err
		}
		// A sync tells of its own rows; here the catalogue has changed its mind.
		if k.by != "" && m.App != k.was {
			changed[k.source] = true
		}
	}
	for source := range changed {
		if _, err := tx.ExecContext(ctx, `UPDATE integration_state SET data_version=data_version+1 WHERE tenant=$1 AND id=$2`, tenant, source); err != nil {
			return after, 0, err
		}
	}
	return rows[len(rows)-1].lookKey, len(rows), nil
}

// originOAuth is where a source says that it knows an app from which is a grant.
const originOAuth = "oauth"

func signalKind(origin string) model.AppSignalKind {
	if origin == originOAuth {
		return model.SignalOAuth
	}
	return model.SignalSignOn
}

func (s *Store) recogniseVendors(ctx context.Context, tx *sql.Tx, tenant model.TenantID, versions string, after lookKey) (lookKey, int, error) {
	found, err := collect(ctx, tx, func(r *sql.Rows) (k lookKey, err error) { return k, r.Scan(&k.by, &k.source, &k.id) },
		fmt.Sprintf(`SELECT known_by, source, name FROM spend_vendor WHERE tenant=$1 AND known_by %s $2 AND (known_by, source, name) > ($3, $4, $5)
			ORDER BY known_by, source, name LIMIT %d`, versions, recogniseBatch), tenant, s.apps.Version(), after.by, after.source, after.id)
	if err != nil || len(found) == 0 {
		return after, 0, err
	}
	rows := make([][]any, len(found))
	for i, v := range found {
		m := s.apps.Recognise(model.AppSignal{Kind: model.SignalExpense, Text: v.id})
		rows[i] = []any{tenant, v.source, v.id, m.App, cleanText(m.Rule), jsonText(m.Among), s.apps.Version()}
	}
	return found[len(found)-1], len(found), s.insertRows(ctx, tx, `spend_vendor (tenant, source, name, known_app, known_rule, known_among, known_by)`, rows,
		` ON CONFLICT (tenant, source, name) DO UPDATE SET known_app=excluded.known_app, known_rule=excluded.known_rule, known_among=excluded.known_among, known_by=excluded.known_by`)
}

// noteVendors keeps the vendors of the transactions of a chunk.
func (a applier) noteVendors(ctx context.Context, tx *sql.Tx, from, to int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO spend_vendor (tenant, source, name)
		SELECT $1, $2, d.vendor_name FROM `+a.table+` d WHERE d.op IN (1, 2, 3) AND d.n BETWEEN $3 AND $4 GROUP BY d.vendor_name
		ON CONFLICT (tenant, source, name) DO NOTHING`, a.y.claim.Tenant, a.y.claim.Source, from, to)
	if err != nil {
		return fmt.Errorf("note vendors: %w", err)
	}
	return nil
}

// sameApp says that another row was recognised as the same known app as this one
// is, whether or not anybody has looked at it yet.
func (s *Store) sameApp(ctx context.Context, tenant model.TenantID, a AppView) ([]AppRef, error) {
	if s.apps == nil {
		return nil, nil
	}
	m := s.apps.Recognise(model.AppSignal{Kind: signalKind(a.Source), Text: a.Name, Hint: a.CatalogHint, URL: a.URL})
	if m.App == "" {
		return nil, nil
	}
	return collect(ctx, s.reads, func(r *sql.Rows) (ref AppRef, err error) { return ref, r.Scan(&ref.Integration, &ref.AppExternalID) },
		`SELECT i.name, d.external_id FROM discovered_app d`+connected("d")+`WHERE d.tenant=$1 AND d.known_app=$2 AND d.removed_at IS NULL
		ORDER BY d.first_seen_at LIMIT 100`, tenant, m.App)
}
