// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package govern

import (
	"context"
	"errors"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Backend gives the controllers of LicensePolicy and Contract what they need of
// the store, by namespace.
type Backend struct{ Store *store.Store }

// Integrations returns the connected Integrations of the namespace by name.
func (b Backend) Integrations(ctx context.Context, namespace string) (map[string]store.IntegrationState, error) {
	tenant, err := b.Store.EnsureTenant(ctx, namespace)
	if err != nil {
		return nil, err
	}
	list, err := b.Store.ListIntegrations(ctx, tenant)
	if err != nil {
		return nil, err
	}
	out := make(map[string]store.IntegrationState, len(list))
	for _, st := range list {
		out[st.Name] = st
	}
	return out, nil
}

// Plans returns the plans that Integrations report, with their seats.
func (b Backend) Plans(ctx context.Context, namespace string, integrations []string) ([]store.PlanRollup, error) {
	tenant, err := b.Store.EnsureTenant(ctx, namespace)
	if err != nil {
		return nil, err
	}
	r, err := b.Store.AppRollup(ctx, tenant, integrations)
	return r.Plans, err
}

// Groups returns the groups of an Integration of this id or name, and how many
// it lists in all.
func (b Backend) Groups(ctx context.Context, namespace, integration, ref string) (found []model.DirectoryGroup, listed int64, err error) {
	tenant, err := b.Store.EnsureTenant(ctx, namespace)
	if err != nil {
		return nil, 0, err
	}
	return b.Store.DirectoryGroups(ctx, tenant, integration, ref)
}

// Put records what a policy says and returns how it stands.
func (b Backend) Put(ctx context.Context, namespace string, p store.PolicyState) (store.PolicyState, error) {
	tenant, err := b.Store.EnsureTenant(ctx, namespace)
	if err != nil {
		return p, err
	}
	if err := b.Store.UpsertPolicy(ctx, tenant, p); err != nil {
		return p, err
	}
	return b.Store.Policy(ctx, tenant, p.Policy)
}

// Remove forgets a policy that is gone; its ledger, keeps and runs stay.
func (b Backend) Remove(ctx context.Context, namespace, name string) error {
	tenant, err := b.Store.TenantByNamespace(ctx, namespace)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return b.Store.RemovePolicy(ctx, tenant, name)
}

// Evaluate judges the seats of a policy and acts as far as the request lets it.
func (b Backend) Evaluate(ctx context.Context, namespace string, req Request) (Result, error) {
	tenant, err := b.Store.EnsureTenant(ctx, namespace)
	if err != nil {
		return Result{}, err
	}
	return Evaluate(ctx, b.Store, tenant, req)
}

// Acted records up to which scheduled instant runs were started.
func (b Backend) Acted(ctx context.Context, namespace, name string, at time.Time) error {
	tenant, err := b.Store.EnsureTenant(ctx, namespace)
	if err != nil {
		return err
	}
	return b.Store.SetPolicyActed(ctx, tenant, name, at)
}

// Release lets the set that the policy's guard holds pass, if it has this
// digest; false if it has not.
func (b Backend) Release(ctx context.Context, namespace, name, digest string, by model.Actor) (bool, error) {
	tenant, err := b.Store.EnsureTenant(ctx, namespace)
	if err != nil {
		return false, err
	}
	return b.Store.ReleaseHeld(ctx, tenant, store.PolicyHold(name), digest, by, "released by annotation of the LicensePolicy")
}

// Outcomes returns what became of the policy's runs, and its ledger's totals.
func (b Backend) Outcomes(ctx context.Context, namespace, name string) (store.RunCounts, []store.LedgerTotal, error) {
	tenant, err := b.Store.EnsureTenant(ctx, namespace)
	if err != nil {
		return store.RunCounts{}, nil, err
	}
	runs, err := b.Store.CountRuns(ctx, tenant, "LicensePolicy", name)
	if err != nil {
		return runs, nil, err
	}
	totals, err := b.Store.LedgerTotals(ctx, tenant, store.LedgerQuery{Policy: name})
	return runs, totals, err
}

// PlanUse is how many seats of one plan of one Integration are in use.
type PlanUse struct {
	Integration, Key, Name          string
	Assigned, Used, Unused, Unknown int64
}

// Use returns the use of each plan, as a policy found it; without a policy
// about a plan its seats are unknown.
func (b Backend) Use(ctx context.Context, namespace string, integrations []string) ([]PlanUse, error) {
	tenant, err := b.Store.EnsureTenant(ctx, namespace)
	if err != nil {
		return nil, err
	}
	rollup, err := b.Store.AppRollup(ctx, tenant, integrations)
	if err != nil {
		return nil, err
	}
	counts, err := b.Store.CountFindings(ctx, tenant, integrations)
	if err != nil {
		return nil, err
	}
	out := make([]PlanUse, 0, len(rollup.Plans))
	for _, p := range rollup.Plans {
		out = append(out, planUse(p, counts))
	}
	return out, nil
}

// planUse takes the first policy by name that judged the plan. A seat that an
// exemption or protection covers is counted as unknown: nobody asked whether
// it is in use.
func planUse(p store.PlanRollup, counts []store.FindingCount) PlanUse {
	u := PlanUse{Integration: p.Integration, Key: p.Key, Name: p.Name, Assigned: p.Assigned}
	judge := ""
	for _, c := range counts {
		if c.Integration != p.Integration || c.PlanKey != p.Key || (judge != "" && c.Policy != judge) {
			continue
		}
		judge = c.Policy
		switch c.Class {
		case model.SeatActive:
			u.Used += c.Count
		case model.SeatInactive, model.SeatInFlight, model.SeatHeld:
			u.Unused += c.Count
		}
	}
	u.Unknown = max(0, u.Assigned-u.Used-u.Unused)
	return u
}

// DeclareContract records a Contract for the runs about it.
func (b Backend) DeclareContract(ctx context.Context, namespace string, c model.ContractFacts) error {
	tenant, err := b.Store.EnsureTenant(ctx, namespace)
	if err != nil {
		return err
	}
	return b.Store.PutDeclaredContract(ctx, tenant, c)
}

// ForgetContract forgets a Contract that is gone.
func (b Backend) ForgetContract(ctx context.Context, namespace, name string) error {
	tenant, err := b.Store.TenantByNamespace(ctx, namespace)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return b.Store.RemoveDeclaredContract(ctx, tenant, name)
}

// BookRealised books that a Contract buys fewer seats than the one before.
func (b Backend) BookRealised(ctx context.Context, namespace, app, from, to, line string, fewer int64, annual model.Money) error {
	tenant, err := b.Store.EnsureTenant(ctx, namespace)
	if err != nil {
		return err
	}
	_, err = b.Store.BookRealised(ctx, tenant, app, from, to, line, fewer, annual)
	return err
}

// Released names the policies whose held set was released and that have not
// looked at it since, as namespace and name.
func (b Backend) Released(ctx context.Context) ([][2]string, error) {
	return b.Store.ReleasedPolicies(ctx)
}
