// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/scim"
)

// TenantFacts is what the Organization says about the tenant as a whole and
// the store's merging, or a reader of the store, goes by.
type TenantFacts struct {
	// LifecycleIntegration names the only Integration whose people records set
	// a lifecycle; empty: none does.
	LifecycleIntegration string       `json:"lifecycleIntegration,omitempty"`
	LifecycleSCIM        bool         `json:"lifecycleSCIM,omitempty"`
	SourceRank           []SourceRank `json:"sourceRank,omitempty"`
	// Domains are the organisation's own; a person of another domain whose
	// lifecycle no source states is external. Empty: nobody is.
	Domains     []string `json:"domains,omitempty"`
	DisplayName string   `json:"displayName,omitempty"`
	TimeZone    string   `json:"timeZone,omitempty"`
	Currency    string   `json:"currency,omitempty"`
	// Workday is what the organisation calls a day of work.
	Workday WorkdayFacts `json:"workday,omitzero"`
	// SCIM serves identity providers.
	SCIM SCIMFacts `json:"scim,omitzero"`
	// Protected are addresses of people whom nothing may touch.
	Protected []string `json:"protected,omitempty"`
	// ProtectedAccounts are the vendor's ids, by Integration, of accounts that
	// nothing may touch, and ProtectedWhen a condition that protects others.
	ProtectedAccounts map[string][]string `json:"protectedAccounts,omitempty"`
	ProtectedWhen     string              `json:"protectedWhen,omitempty"`
	// Messengers are the Integrations through which the organisation hears news.
	Messengers []string `json:"messengers,omitempty"`
}

// WorkdayFacts is when the organisation works.
type WorkdayFacts struct {
	End string `json:"end,omitempty"` // HH:MM; empty: 18:00
	// Weekdays are worked (Mon, Tue, …; none: Monday to Friday), and Holidays are
	// not: dates, and MM-DD for every year.
	Weekdays []string `json:"weekdays,omitempty"`
	Holidays []string `json:"holidays,omitempty"`
}

// SCIMFacts is what the Organization says about identity providers.
type SCIMFacts struct {
	Enabled bool `json:"enabled,omitempty"`
	// AnyUserName lets userName be something else than an e-mail address.
	AnyUserName bool `json:"anyUserName,omitempty"`
	// Domains, where given, are the only ones of userNames.
	Domains []string `json:"domains,omitempty"`
	// Strict turns off what identity providers need beyond the protocol.
	Strict bool         `json:"strict,omitempty"`
	Roles  []TenantRole `json:"roles,omitempty"`
}

// TenantRole is a role of the tenant's members.
type TenantRole struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Admin       bool   `json:"admin,omitempty"`
}

// RoleEmployee is the role of who was given no other.
const RoleEmployee = "Employee"

// EffectiveRoles are the declared roles, or Employee and Admin where none are;
// Employee, which is never an administrator, is always among them. Of roles that
// differ in capitals only, the first counts: filters could not tell them apart.
func (f TenantFacts) EffectiveRoles() []TenantRole {
	roles := []TenantRole{{Name: RoleEmployee, Description: "Has no say in Seatkeeper."}}
	declared := f.SCIM.Roles
	if len(declared) == 0 {
		declared = []TenantRole{{Name: "Admin", Description: "Administers Seatkeeper.", Admin: true}}
	}
	for _, r := range declared {
		if r.Name == RoleEmployee {
			roles[0].Description = or(r.Description, roles[0].Description)
			continue
		}
		if !slices.ContainsFunc(roles, func(have TenantRole) bool { return scim.Fold(have.Name) == scim.Fold(r.Name) }) {
			roles = append(roles, r)
		}
	}
	return roles
}

// SourceRank orders sources for some fields of a person: the first entry that
// names the field, or "*", decides.
type SourceRank struct {
	Fields  []string `json:"fields"`
	Sources []string `json:"sources"` // Integration names, the most trusted first
}

// TenantFacts returns what SetTenantFacts stored; the zero value if nothing.
func (s *Store) TenantFacts(ctx context.Context, tenant model.TenantID) (TenantFacts, error) {
	return tenantFacts(ctx, s.reads, tenant)
}

func tenantFacts(ctx context.Context, q querier, tenant model.TenantID) (f TenantFacts, err error) {
	var raw string
	err = q.QueryRowContext(ctx, `SELECT facts FROM tenant_facts WHERE tenant=$1`, tenant).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return f, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(raw), &f)
	}
	if err != nil {
		return f, fmt.Errorf("read the tenant's facts: %w", err)
	}
	return f, nil
}

// SetTenantFacts stores the facts, and merges all people again if what people
// are merged by has changed; the events of that are initial. It writes nothing
// if nothing changed.
func (s *Store) SetTenantFacts(ctx context.Context, tenant model.TenantID, f TenantFacts) error {
	have, err := s.TenantFacts(ctx, tenant)
	if err != nil || reflect.DeepEqual(have, f) {
		return err
	}
	raw, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("write the tenant's facts: %w", err)
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO tenant_facts (tenant, facts) VALUES ($1,$2) ON CONFLICT (tenant) DO UPDATE SET facts=excluded.facts`, tenant, string(raw))
		if err == nil && !reflect.DeepEqual(have.Protected, f.Protected) {
			// Whom the list held looks different now.
			_, err = tx.ExecContext(ctx, `UPDATE scim_leaver SET protected=FALSE WHERE tenant=$1 AND protected`, tenant)
		}
		if err == nil && !sameCalendar(have, f) {
			err = s.recheckCalendar(ctx, tx, tenant)
		}
		if err != nil || sameMerging(have, f) {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE person_source SET dirty=2 WHERE tenant=$1 AND dirty=0`, tenant)
		return err
	})
	if err != nil {
		return fmt.Errorf("write the tenant's facts: %w", err)
	}
	if !sameCalendar(have, f) {
		s.wakeEngine()
	}
	return s.mergePeople(ctx, tenant)
}

func sameMerging(a, b TenantFacts) bool {
	return a.LifecycleIntegration == b.LifecycleIntegration && a.LifecycleSCIM == b.LifecycleSCIM && reflect.DeepEqual(a.SourceRank, b.SourceRank) && reflect.DeepEqual(a.Domains, b.Domains)
}
