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

// PolicyState is a LicensePolicy as the store knows it.
type PolicyState struct {
	Policy     string
	UID        string
	Generation int64
	App        string
	Mode       string // the effective mode
	Suspended  bool
	Rules      json.RawMessage // what internal/policy compiles; the store does not look inside
	Counts     json.RawMessage // of the last evaluation
	// DataVersion is the inventory's version that the last evaluation saw.
	DataVersion int64
	EvaluatedAt *time.Time
	// ActedAt is the scheduled instant up to which runs were started; CreatedAt
	// is when the policy was first seen.
	ActedAt   *time.Time
	CreatedAt time.Time
	// Removed says that the resource is gone; its history stays (decision 1).
	Removed bool
}

const policyColumns = `policy, uid, generation, app, mode, suspended, rules, counts, data_version, evaluated_at, acted_at, created_at, removed_at`

func scanPolicy(r scanner) (p PolicyState, err error) {
	var rules, counts string
	var evaluated, acted, removed sql.NullInt64
	var created int64
	err = r.Scan(&p.Policy, &p.UID, &p.Generation, &p.App, &p.Mode, &p.Suspended, &rules, &counts, &p.DataVersion, &evaluated, &acted, &created, &removed)
	p.Rules, p.Counts = json.RawMessage(rules), json.RawMessage(counts)
	p.EvaluatedAt, p.ActedAt, p.CreatedAt, p.Removed = nullTime(evaluated), nullTime(acted), fromMillis(created), removed.Valid
	return p, err
}

// UpsertPolicy records what a policy says, writing only if it changed. Counts
// and evaluation stay as they are. A policy that was gone is back.
func (s *Store) UpsertPolicy(ctx context.Context, tenant model.TenantID, p PolicyState) error {
	have, err := s.Policy(ctx, tenant, p.Policy)
	if err == nil && !have.Removed && have.UID == p.UID && have.Generation == p.Generation && have.App == p.App && have.Mode == p.Mode &&
		have.Suspended == p.Suspended && string(have.Rules) == string(p.Rules) {
		return nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO policy_state (tenant, policy, uid, generation, app, mode, suspended, rules, created_at)
			VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9) ON CONFLICT (tenant, policy) DO UPDATE SET uid = excluded.uid, generation = excluded.generation,
			app = excluded.app, mode = excluded.mode, suspended = excluded.suspended, rules = excluded.rules, removed_at = NULL`,
			tenant, p.Policy, p.UID, p.Generation, p.App, p.Mode, p.Suspended, string(p.Rules), s.now())
		if err != nil {
			return fmt.Errorf("record policy %q: %w", p.Policy, err)
		}
		return nil
	})
}

// Policy returns a policy, also one that is gone, or ErrNotFound.
func (s *Store) Policy(ctx context.Context, tenant model.TenantID, name string) (PolicyState, error) {
	p, err := scanPolicy(s.reads.QueryRowContext(ctx, `SELECT `+policyColumns+` FROM policy_state WHERE tenant = $1 AND policy = $2`, tenant, name))
	if errors.Is(err, sql.ErrNoRows) {
		return p, fmt.Errorf("policy %q: %w", name, ErrNotFound)
	}
	return p, err
}

// ListPolicies returns the policies that exist, by name.
func (s *Store) ListPolicies(ctx context.Context, tenant model.TenantID) ([]PolicyState, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (PolicyState, error) { return scanPolicy(r) },
		`SELECT `+policyColumns+` FROM policy_state WHERE tenant = $1 AND removed_at IS NULL ORDER BY policy`, tenant)
}

// RemovePolicy marks a policy as gone and drops its findings, prices and hold;
// keeps, runs, ledger and audit stay. Runs that wait are woken, so that open
// questions are withdrawn at once.
func (s *Store) RemovePolicy(ctx context.Context, tenant model.TenantID, name string) error {
	if p, err := s.Policy(ctx, tenant, name); errors.Is(err, ErrNotFound) || (err == nil && p.Removed) {
		return nil
	}
	err := s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE policy_state SET removed_at = $3 WHERE tenant = $1 AND policy = $2 AND removed_at IS NULL`,
			tenant, name, s.now()); err != nil {
			return fmt.Errorf("remove policy %q: %w", name, err)
		}
		for _, table := range []string{"finding", "seat_price"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE tenant = $1 AND policy = $2`, tenant, name); err != nil {
				return fmt.Errorf("remove %s of policy %q: %w", table, name, err)
			}
		}
		return s.clearHold(ctx, tx, tenant, PolicyHold(name))
	})
	if err != nil {
		return err
	}
	_, err = s.WakeRuns(ctx, tenant, "LicensePolicy", name, nil)
	return err
}

// PolicyHold names what the guard of a policy holds.
func PolicyHold(policy string) HoldSubject {
	return HoldSubject{Kind: HoldPolicy, SubjectKind: "LicensePolicy", SubjectName: policy}
}

// SetPolicyResult records what an evaluation counted, if that differs.
func (s *Store) SetPolicyResult(ctx context.Context, tenant model.TenantID, policy string, counts json.RawMessage, dataVersion int64) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE policy_state SET counts = $3, data_version = $4, evaluated_at = $5 WHERE tenant = $1 AND policy = $2`,
			tenant, policy, string(counts), dataVersion, s.now())
		if err != nil {
			return fmt.Errorf("record result of policy %q: %w", policy, err)
		}
		return nil
	})
}

// SetPolicyActed records up to which scheduled instant runs were started.
func (s *Store) SetPolicyActed(ctx context.Context, tenant model.TenantID, policy string, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE policy_state SET acted_at = $3 WHERE tenant = $1 AND policy = $2`, tenant, policy, at.UnixMilli())
		if err != nil {
			return fmt.Errorf("record schedule of policy %q: %w", policy, err)
		}
		return nil
	})
}

// ReleasedPolicies names, of all tenants, the policies whose held set was
// released and not looked at since, as namespace and policy.
func (s *Store) ReleasedPolicies(ctx context.Context) ([][2]string, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (v [2]string, err error) { return v, r.Scan(&v[0], &v[1]) },
		`SELECT t.namespace, h.subject_name FROM guard_hold h JOIN tenant t ON t.id = h.tenant
		WHERE h.kind = $1 AND h.released_at IS NOT NULL AND h.superseded_at IS NULL ORDER BY 1, 2`, HoldPolicy)
}

// PolicyRuns is what the engine has under way for a policy.
type PolicyRuns struct {
	// Subjects of runs that have not ended.
	Active map[string]bool
	// StartedSince counts runs that were started within the guard's window.
	StartedSince int64
}

// PolicyRuns returns what is under way, and how much was started since.
func (s *Store) PolicyRuns(ctx context.Context, tenant model.TenantID, policy string, since time.Time) (PolicyRuns, error) {
	out := PolicyRuns{Active: map[string]bool{}}
	subjects, err := collect(ctx, s.reads, func(r *sql.Rows) (v string, err error) { return v, r.Scan(&v) },
		`SELECT subject FROM run WHERE tenant = $1 AND kind = 'LicensePolicy' AND name = $2 AND ended_at IS NULL`, tenant, policy)
	if err != nil {
		return out, fmt.Errorf("read runs of policy %q: %w", policy, err)
	}
	for _, v := range subjects {
		out.Active[v] = true
	}
	err = s.reads.QueryRowContext(ctx, `SELECT count(*) FROM run WHERE tenant = $1 AND kind = 'LicensePolicy' AND name = $2 AND created_at > $3`,
		tenant, policy, since.UnixMilli()).Scan(&out.StartedSince)
	if err != nil {
		return out, fmt.Errorf("count runs of policy %q: %w", policy, err)
	}
	return out, nil
}

// Admins returns the ids of the active administrators of Integrations.
func (s *Store) Admins(ctx context.Context, tenant model.TenantID, integrations []string) (map[string][]string, error) {
	c := where(tenant, "a.tenant = $1 AND a.is_admin AND a.removed_at IS NULL AND a.app_external_id = ''")
	c.equal("a.status", string(model.AccountActive))
	c.in("i.name", integrations)
	out := map[string][]string{}
	_, err := collect(ctx, s.reads, func(r *sql.Rows) (struct{}, error) {
		var integration, id string
		err := r.Scan(&integration, &id)
		out[integration] = append(out[integration], id)
		return struct{}{}, err
	}, `SELECT DISTINCT i.name, a.external_id FROM account a`+connected("a")+`WHERE `+c.String()+` ORDER BY i.name, a.external_id`, c.args...)
	if err != nil {
		return nil, fmt.Errorf("list administrators: %w", err)
	}
	return out, nil
}
