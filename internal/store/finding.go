// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// findingBatch bounds one write transaction, so that others get their turn.
const findingBatch = 2000

// ReplaceFindings makes the findings of a policy equal to the sequence, and
// writes only those that differ. Memory grows by 24 bytes per stored finding.
// A sequence that ends in an error changes what it gave and removes nothing.
func (s *Store) ReplaceFindings(ctx context.Context, tenant model.TenantID, policy string, findings iter.Seq2[model.Finding, error]) (changed int64, err error) {
	have, err := s.findingHashes(ctx, tenant, policy)
	if err != nil {
		return 0, err
	}
	seen := make(map[[16]byte]struct{}, len(have))
	var batch []model.Finding
	flush := func() error {
		n, err := s.upsertFindings(ctx, tenant, policy, batch)
		changed += n
		batch = batch[:0]
		return err
	}
	for f, err := range findings {
		if err != nil {
			return changed, err
		}
		key := findingKey(f.Key())
		seen[key] = struct{}{}
		if hash, ok := have[key]; ok && hash == findingHash(f) {
			continue
		}
		if batch = append(batch, f); len(batch) >= findingBatch {
			if err := flush(); err != nil {
				return changed, err
			}
		}
	}
	if err := flush(); err != nil {
		return changed, err
	}
	gone := 0
	for key := range have {
		if _, ok := seen[key]; !ok {
			gone++
		}
	}
	if gone > 0 {
		n, err := s.removeFindings(ctx, tenant, policy, seen)
		changed += n
		if err != nil {
			return changed, err
		}
	}
	if changed == 0 {
		return 0, nil
	}
	return changed, s.write(ctx, func(tx *sql.Tx) error { return s.scanNow(ctx, tx, tenant, triggerLicense) })
}

func findingKey(k model.SeatKey) (out [16]byte) {
	sum := sha256.Sum256([]byte(k.Integration + "\x00" + k.AccountID + "\x00" + k.PlanKey))
	copy(out[:], sum[:])
	return out
}

// findingHash covers what makes a finding another one. The evidence of an
// Active or Unknown seat moves with every use and is left out.
func findingHash(f model.Finding) int64 {
	var b strings.Builder
	for _, v := range []string{f.PersonID, string(f.Class), string(f.Use), f.Reason, string(f.Since)} {
		b.WriteString(v)
		b.WriteByte(0)
	}
	if f.Annual != nil {
		fmt.Fprintf(&b, "%d %s", f.Annual.Minor, f.Annual.Currency)
	}
	b.WriteByte(0)
	if f.Class != model.SeatActive && f.Class != model.SeatUnknown && f.Evidence.LastUsed != nil {
		fmt.Fprintf(&b, "%d %s", f.Evidence.LastUsed.UnixMilli(), f.Evidence.Source)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

func (s *Store) findingHashes(ctx context.Context, tenant model.TenantID, policy string) (map[[16]byte]int64, error) {
	rows, err := s.reads.QueryContext(ctx, `SELECT integration, account, plan, row_hash FROM finding WHERE tenant = $1 AND policy = $2`, tenant, policy)
	if err != nil {
		return nil, fmt.Errorf("read findings of %q: %w", policy, err)
	}
	defer func() { _ = rows.Close() }()
	out := map[[16]byte]int64{}
	for rows.Next() {
		var k model.SeatKey
		var hash int64
		if err := rows.Scan(&k.Integration, &k.AccountID, &k.PlanKey, &hash); err != nil {
			return nil, err
		}
		out[findingKey(k)] = hash
	}
	return out, rows.Err()
}

func (s *Store) upsertFindings(ctx context.Context, tenant model.TenantID, policy string, batch []model.Finding) (int64, error) {
	if len(batch) == 0 {
		return 0, nil
	}
	now := s.now()
	rows := make([][]any, len(batch))
	for i, f := range batch {
		evidence, err := json.Marshal(f.Evidence)
		if err != nil {
			return 0, err
		}
		if f.Class == model.SeatActive {
			evidence = []byte("{}")
		}
		var minor any
		currency := ""
		if f.Annual != nil {
			minor, currency = f.Annual.Minor, f.Annual.Currency
		}
		rows[i] = []any{tenant, policy, f.Integration, f.AccountID, f.PlanKey, f.PersonID, f.Class, f.Use, f.Reason, string(f.Since), string(evidence),
			minor, currency, findingHash(f), now}
	}
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := s.bulk(ctx, tx, `INSERT INTO finding (tenant, policy, integration, account, plan, person_id, class, used, reason, since, evidence, annual_minor,
			currency, row_hash, changed_at) `,
			` ON CONFLICT (tenant, policy, integration, account, plan) DO UPDATE SET person_id = excluded.person_id, class = excluded.class, used = excluded.used,
			reason = excluded.reason, since = excluded.since, evidence = excluded.evidence, annual_minor = excluded.annual_minor,
			currency = excluded.currency, row_hash = excluded.row_hash, changed_at = excluded.changed_at`, nil, rows)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("write findings of %q: %w", policy, err)
	}
	return int64(len(batch)), nil
}

// removeFindings drops the findings of seats that were not seen.
func (s *Store) removeFindings(ctx context.Context, tenant model.TenantID, policy string, seen map[[16]byte]struct{}) (int64, error) {
	keys, err := collect(ctx, s.reads, func(r *sql.Rows) (k model.SeatKey, err error) {
		return k, r.Scan(&k.Integration, &k.AccountID, &k.PlanKey)
	}, `SELECT integration, account, plan FROM finding WHERE tenant = $1 AND policy = $2`, tenant, policy)
	if err != nil {
		return 0, fmt.Errorf("read findings of %q: %w", policy, err)
	}
	var gone []model.SeatKey
	for _, k := range keys {
		if _, ok := seen[findingKey(k)]; !ok {
			gone = append(gone, k)
		}
	}
	for begin := 0; begin < len(gone); begin += findingBatch {
		part := gone[begin:min(begin+findingBatch, len(gone))]
		err := s.write(ctx, func(tx *sql.Tx) error {
			for _, k := range part {
				if _, err := tx.ExecContext(ctx, `DELETE FROM finding WHERE tenant = $1 AND policy = $2 AND integration = $3 AND account = $4 AND plan = $5`,
					tenant, policy, k.Integration, k.AccountID, k.PlanKey); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return int64(begin), fmt.Errorf("remove findings of %q: %w", policy, err)
		}
	}
	return int64(len(gone)), nil
}

// FindingQuery selects findings of a tenant.
type FindingQuery struct {
	Policy, Integration, PersonID string
	Classes                       []model.SeatClass
	Seat                          *model.SeatKey // this one alone
	After                         *FindingCursor
	Limit                         int // 0 is 100, at most 1000
}

// FindingCursor is the place of a finding in the order of Findings.
type FindingCursor struct{ Policy, Integration, AccountID, PlanKey string }

// Findings returns findings by policy and seat.
func (s *Store) Findings(ctx context.Context, tenant model.TenantID, q FindingQuery) ([]model.Finding, error) {
	where, args := []string{"tenant = $1"}, []any{tenant}
	arg := func(v any) string { args = append(args, v); return fmt.Sprintf("$%d", len(args)) }
	if q.Policy != "" {
		where = append(where, "policy = "+arg(q.Policy))
	}
	if q.Integration != "" {
		where = append(where, "integration = "+arg(q.Integration))
	}
	if q.PersonID != "" {
		where = append(where, "person_id = "+arg(q.PersonID))
	}
	if len(q.Classes) > 0 {
		in := make([]string, len(q.Classes))
		for i, c := range q.Classes {
			in[i] = arg(c)
		}
		where = append(where, "class IN ("+strings.Join(in, ", ")+")")
	}
	if k := q.Seat; k != nil {
		where = append(where, fmt.Sprintf("(integration, account, plan) = (%s, %s, %s)", arg(k.Integration), arg(k.AccountID), arg(k.PlanKey)))
	}
	if a := q.After; a != nil {
		where = append(where, fmt.Sprintf("(policy, integration, account, plan) > (%s, %s, %s, %s)", arg(a.Policy), arg(a.Integration), arg(a.AccountID), arg(a.PlanKey)))
	}
	return collect(ctx, s.reads, scanFinding, `SELECT policy, integration, account, plan, person_id, class, used, reason, since, evidence, annual_minor, currency
		FROM finding WHERE `+strings.Join(where, " AND ")+` ORDER BY policy, integration, account, plan LIMIT `+arg(clampLimit(q.Limit)), args...)
}

func scanFinding(r *sql.Rows) (f model.Finding, err error) {
	var evidence, currency string
	var minor sql.NullInt64
	if err = r.Scan(&f.Policy, &f.Integration, &f.AccountID, &f.PlanKey, &f.PersonID, &f.Class, &f.Use, &f.Reason, &f.Since, &evidence, &minor, &currency); err != nil {
		return f, err
	}
	if minor.Valid {
		f.Annual = &model.Money{Minor: minor.Int64, Currency: currency}
	}
	return f, json.Unmarshal([]byte(evidence), &f.Evidence)
}

// FindingCount counts the findings of one policy on one plan by class.
type FindingCount struct {
	Policy, Integration, PlanKey string
	Class                        model.SeatClass
	Count                        int64
}

// CountFindings counts the findings of the tenant on seats of Integrations.
func (s *Store) CountFindings(ctx context.Context, tenant model.TenantID, integrations []string) ([]FindingCount, error) {
	if len(integrations) == 0 {
		return nil, nil
	}
	list, args := inList([]any{tenant}, integrations)
	out, err := collect(ctx, s.reads, func(r *sql.Rows) (c FindingCount, err error) {
		return c, r.Scan(&c.Policy, &c.Integration, &c.PlanKey, &c.Class, &c.Count)
	}, `SELECT policy, integration, plan, class, count(*) FROM finding WHERE tenant = $1 AND integration IN (`+list+`)
		GROUP BY policy, integration, plan, class ORDER BY policy, integration, plan, class`, args...)
	if err != nil {
		return nil, fmt.Errorf("count findings: %w", err)
	}
	return out, nil
}
