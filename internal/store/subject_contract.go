// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// KnownContract is a contract, declared or reported.
type KnownContract struct {
	model.ContractFacts
	// DatedAt is since when it is known to end when it does.
	DatedAt time.Time
}

// PutDeclaredContract records a Contract, as putDeclared does. What waits for its
// dates is looked at again if one changed.
func (s *Store) PutDeclaredContract(ctx context.Context, tenant model.TenantID, c model.ContractFacts) error {
	facts, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("record contract %q: %w", c.Name, err)
	}
	around := func(tx *sql.Tx, put func() error) error {
		var state, end, deadline string
		err := tx.QueryRowContext(ctx, `SELECT state, end_date, deadline FROM declared_contract WHERE tenant=$1 AND name=$2`+s.dialect.forUpdate, tenant, c.Name).
			Scan(&state, &end, &deadline)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		same := err == nil && state == c.State && end == string(c.End) && deadline == string(c.Deadline)
		if err := put(); err != nil || same {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE declared_contract SET dated_at=$3 WHERE tenant=$1 AND name=$2`, tenant, c.Name, s.now()); err != nil {
			return err
		}
		return s.scanNow(ctx, tx, tenant, triggerContract)
	}
	return s.replaceDeclared(ctx, tenant, declaredContracts, c.Name, around, c.App, c.State, string(c.End), string(c.Deadline), string(facts))
}

// RemoveDeclaredContract forgets a Contract that is gone.
func (s *Store) RemoveDeclaredContract(ctx context.Context, tenant model.TenantID, name string) error {
	if err := s.removeDeclared(ctx, tenant, declaredContracts, name); err != nil {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error { return s.scanNow(ctx, tx, tenant, triggerContract) })
}

// PruneDeclaredContracts forgets Contracts that were not seen since.
func (s *Store) PruneDeclaredContracts(ctx context.Context, tenant model.TenantID, since time.Time) error {
	return s.pruneDeclared(ctx, tenant, declaredContracts, since)
}

// Kinds of triggers whose facts are looked for.
const (
	triggerContract = "contract"
	triggerLicense  = "license"
)

// scanNow has the facts of the Workflows with a kind of trigger looked for now.
func (s *Store) scanNow(ctx context.Context, q querier, tenant model.TenantID, trigger string) error {
	_, err := q.ExecContext(ctx, `UPDATE workflow SET scan_at=$3 WHERE tenant=$1 AND trigger_kind=$2 AND deleted_at IS NULL AND scan_at > $3`, tenant, trigger, s.now())
	return err
}

// Contracts returns every contract of the tenant by name: those that are declared,
// and of those that sources report the ones that nobody declared. A declared one
// of the same app with the same last day is the same contract.
func (s *Store) Contracts(ctx context.Context, tenant model.TenantID) ([]KnownContract, error) {
	out, err := collect(ctx, s.reads, func(r *sql.Rows) (c KnownContract, err error) {
		var facts string
		var dated int64
		if err := r.Scan(&facts, &dated); err != nil {
			return c, err
		}
		c.DatedAt = fromMillis(dated)
		return c, json.Unmarshal([]byte(facts), &c.ContractFacts)
	}, `SELECT facts, dated_at FROM declared_contract WHERE tenant=$1 ORDER BY name`, tenant)
	if err != nil {
		return nil, fmt.Errorf("list contracts: %w", err)
	}
	apps, err := s.DeclaredApps(ctx, tenant)
	if err != nil {
		return nil, err
	}
	type term struct {
		app string
		end model.Date
	}
	declared := map[term]bool{}
	for _, c := range out {
		declared[term{c.App, c.End}] = true
	}
	for q := (SpendQuery{Page: Page{Limit: 1000}}); ; {
		rows, next, err := s.ListContracts(ctx, tenant, q)
		if err != nil {
			return nil, err
		}
		for _, v := range rows {
			if c := reported(v, apps); c.App == "" || !declared[term{c.App, c.End}] {
				out = append(out, KnownContract{ContractFacts: c, DatedAt: v.ChangedAt})
			}
		}
		if q.Cursor = next; next == "" {
			return out, nil
		}
	}
}

// reported is a contract as a source reports it.
func reported(v ContractView, apps []DeclaredApp) model.ContractFacts {
	c := model.ContractFacts{Name: v.Integration + "/" + v.ExternalID, DisplayName: v.Name, Source: v.Integration, AppTitle: v.AppHint, State: model.ContractActive,
		Start: v.Start, End: v.End, Renewal: model.RenewalNone, NoticeDays: v.NoticeDays, Owner: v.OwnerEmail, URL: v.DocumentURL}
	switch strings.ToLower(strings.TrimSpace(v.Status)) {
	case "cancelled", "canceled", "terminated":
		c.State = model.ContractCancelled
	case "draft":
		c.State = model.ContractDraft
	}
	if v.AutoRenew {
		c.Renewal = model.RenewalAuto
		if v.NoticeDays != nil && v.End != "" {
			c.Deadline = v.End.AddDays(-int(*v.NoticeDays))
		}
	}
	if v.ValueMinor != nil && v.Currency != "" {
		c.Value = &model.Money{Minor: *v.ValueMinor, Currency: v.Currency}
	}
	for _, l := range v.Lines {
		line := model.ContractFactsLine{Plan: l.PlanKey, Quantity: l.Quantity, Period: v.BillingPeriod}
		if l.UnitCostMinor != nil && v.Currency != "" {
			line.Unit = &model.Money{Minor: *l.UnitCostMinor, Currency: v.Currency}
		}
		c.Lines = append(c.Lines, line)
	}
	hint := strings.ToLower(strings.TrimSpace(v.AppHint))
	for _, d := range apps {
		if d.Claims([]string{hint}, "https://"+hint) {
			c.App, c.AppTitle = d.Name, cmp.Or(d.Title, d.Name)
			break
		}
	}
	return c
}

// Contract returns a contract by its name, or ErrNotFound.
func (s *Store) Contract(ctx context.Context, tenant model.TenantID, name string) (KnownContract, error) {
	all, err := s.Contracts(ctx, tenant)
	if err != nil {
		return KnownContract{}, err
	}
	if i := slices.IndexFunc(all, func(c KnownContract) bool { return c.Name == name }); i >= 0 {
		return all[i], nil
	}
	return KnownContract{}, fmt.Errorf("contract %w", ErrNotFound)
}

// AppOfContract returns the app that a contract is about, as far as it is known.
func (s *Store) AppOfContract(ctx context.Context, tenant model.TenantID, c model.ContractFacts) (model.AppFacts, error) {
	name := c.App
	if name == "" { // what some source discovered under the word of the contract
		refs, err := s.AppsKnownAs(ctx, tenant, model.AppIdentity{Names: []string{strings.ToLower(strings.TrimSpace(c.AppTitle))}})
		if err != nil {
			return model.AppFacts{}, err
		}
		if len(refs) > 0 {
			name = refs[0].Integration + "/" + refs[0].AppExternalID
		}
	}
	a, err := s.App(ctx, tenant, name)
	if errors.Is(err, ErrNotFound) {
		title := cmp.Or(c.AppTitle, c.App)
		a, err = model.AppFacts{Name: title, DisplayName: title}, nil
	}
	if err == nil && !slices.ContainsFunc(a.Contracts, func(o model.ContractFacts) bool { return o.Name == c.Name }) {
		a.Contracts = append(a.Contracts, c)
	}
	return a, err
}
