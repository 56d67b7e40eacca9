// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// SeatVerdict is a seat with the verdict of one policy; without a policy that
// covers it, Finding has no Policy and no Class.
type SeatVerdict struct {
	model.Finding
	Holder      string // the account's name, else its user name or key
	Email       string // the person's; else what the account gives
	PersonName  string
	Department  string
	PlanName    string
	Paid        bool
	State       model.AssignmentState
	AccountKind model.AccountKind

	source         int64
	stream, holder string
}

// VerdictQuery selects seats; empty fields do not restrict.
type VerdictQuery struct {
	Page
	Policy      string
	Integration string
	Classes     []string
	Uses        []string // Active, Inactive, Unknown: whatever a policy makes of it
	PersonID    string
	Unpaid      bool // also seats that cost nothing
}

// SeatVerdicts returns seats with what policies say of them, and the cursor of
// the next page. A seat that two policies cover appears twice.
func (s *Store) SeatVerdicts(ctx context.Context, tenant model.TenantID, q VerdictQuery) ([]SeatVerdict, string, error) {
	c := where(tenant, "s.tenant = $1 AND s.removed_at IS NULL")
	key, err := parseCursor(q.Cursor, 5)
	if err != nil {
		return nil, "", err
	}
	if key != nil {
		source, err := strconv.ParseInt(key[0], 10, 64)
		if err != nil {
			return nil, "", ErrCursor
		}
		c.add("(s.source, s.stream, s.holder, s.plan_key, coalesce(f.policy, '')) > (?, ?, ?, ?, ?)", source, key[1], key[2], key[3], key[4])
	}
	c.equal("f.policy", q.Policy)
	c.equal("i.name", q.Integration)
	c.in("f.class", q.Classes)
	c.in("f.used", q.Uses)
	c.equal("a.person_id", q.PersonID)
	if !q.Unpaid {
		c.where = append(c.where, "s.paid")
	}
	limit := clampLimit(q.Limit)
	rows, err := collect(ctx, s.reads, scanVerdict, fmt.Sprintf(`SELECT s.source, s.stream, s.holder, i.name, s.account_external_id, s.plan_key, `+planName+`, s.paid, s.state,
		coalesce(a.username, ''), coalesce(a.display_name, ''), coalesce(a.person_key, s.person_key), coalesce(a.kind, ''),
		coalesce(p.id, ''), coalesce(p.display_name, ''), coalesce(p.email, ''), coalesce(p.department, ''),
		coalesce(f.policy, ''), coalesce(f.class, ''), coalesce(f.used, ''), coalesce(f.reason, ''), coalesce(f.since, ''), coalesce(f.evidence, '{}'), f.annual_minor, coalesce(f.currency, '')
		FROM assignment s`+connected("s")+seatAccount+`
		LEFT JOIN finding f ON f.tenant=s.tenant AND f.integration=i.name AND f.account=s.account_external_id AND f.plan=s.plan_key
		WHERE %s ORDER BY s.source, s.stream, s.holder, s.plan_key, coalesce(f.policy, '') LIMIT %d`, c, limit+1), c.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list seats: %w", err)
	}
	rows, next := page(rows, limit, func(v SeatVerdict) string {
		return cursor(strconv.FormatInt(v.source, 10), v.stream, v.holder, v.PlanKey, v.Policy)
	})
	return rows, next, nil
}

func scanVerdict(r *sql.Rows) (v SeatVerdict, err error) {
	var username, display, personKey, personEmail, evidence, currency string
	var minor sql.NullInt64
	err = r.Scan(&v.source, &v.stream, &v.holder, &v.Integration, &v.AccountID, &v.PlanKey, &v.PlanName, &v.Paid, &v.State,
		&username, &display, &personKey, &v.AccountKind, &v.PersonID, &v.PersonName, &personEmail, &v.Department,
		&v.Policy, &v.Class, &v.Use, &v.Reason, &v.Since, &evidence, &minor, &currency)
	if err != nil {
		return v, err
	}
	if minor.Valid {
		v.Annual = &model.Money{Minor: minor.Int64, Currency: currency}
	}
	v.Holder = firstText(display, v.PersonName, username, personKey, v.holder)
	v.Email = firstText(personEmail, personKey)
	return v, unmarshalText(evidence, &v.Evidence)
}

func firstText(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}
