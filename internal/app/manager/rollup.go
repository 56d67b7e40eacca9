// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/controllers/application"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/schedule"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// rollupWindow is the time without use after which the roll-up of an
// Application counts a seat as unused; a LicensePolicy has its own.
const rollupWindow = 90

// defaultSignals are trusted unless a policy says otherwise.
var defaultSignals = []string{"activity", "login"}

// listPage is how many rows are read at a time.
const listPage = 1000

// applications is the Application controller's backend.
type applications struct {
	*catalog
	store *store.Store
	clock clock.PassiveClock
}

var _ application.Backend = (*applications)(nil)

// Recommend implements application.Backend.
func (b *applications) Recommend(domains []string) string {
	for _, name := range connectors.Names() {
		m, err := connectors.Builtin(name)
		if err == nil && slices.ContainsFunc(m.Domains(), func(d string) bool { return slices.Contains(domains, d) }) {
			return name
		}
	}
	return ""
}

// Declare implements application.Backend.
func (b *applications) Declare(ctx context.Context, namespace string, d application.Declared) error {
	tenant, err := b.store.EnsureTenant(ctx, namespace)
	if err != nil {
		return err
	}
	return b.store.PutDeclaredApp(ctx, tenant, store.DeclaredApp(d))
}

// Forget implements application.Backend.
func (b *applications) Forget(ctx context.Context, namespace, name string) error {
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return b.store.RemoveDeclaredApp(ctx, tenant, name)
}

// RollUp implements application.Backend.
func (b *applications) RollUp(ctx context.Context, namespace string, q application.Query) (application.RollUp, error) {
	var out application.RollUp
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if errors.Is(err, store.ErrNotFound) {
		out.Today = model.DateOf(b.clock.Now(), time.UTC)
		return out, nil
	}
	if err != nil {
		return out, err
	}
	facts, err := b.store.TenantFacts(ctx, tenant)
	if err != nil {
		return out, err
	}
	zone, err := schedule.Zone(facts.TimeZone)
	if err != nil {
		zone = time.UTC // the Organization's own condition says so
	}
	out.Today = model.DateOf(b.clock.Now(), zone)
	matches, err := b.store.AppsKnownAs(ctx, tenant, q.KnownAs)
	if err != nil || len(matches)+len(q.Integrations) == 0 {
		return out, err
	}
	states, err := b.store.ListIntegrations(ctx, tenant)
	if err != nil {
		return out, err
	}
	out.Sources, out.InIDP = sourcesOf(q.Integrations, matches, states)
	out.IDPKnown = slices.ContainsFunc(states, func(st store.IntegrationState) bool { return st.FirstSyncedAt != nil && isIDP(st) })
	if len(q.Integrations) == 0 {
		return out, nil
	}
	rules, err := rulesOf(states, q.Integrations, zone)
	if err != nil {
		return out, err
	}
	if out.Users, err = b.users(ctx, tenant, q.Integrations, rules); err != nil {
		return out, err
	}
	out.Plans, err = b.plans(ctx, tenant, q, rules)
	return out, err
}

// sourcesOf returns the Integrations that know an app, and whether an identity
// provider is among those that discovered it.
func sourcesOf(own []string, matches []store.AppRef, states []store.IntegrationState) (sources []string, inIDP bool) {
	knows := map[string]bool{}
	for _, m := range matches {
		knows[m.Integration] = true
	}
	for _, st := range states {
		inIDP = inIDP || (knows[st.Name] && isIDP(st))
	}
	sources = slices.AppendSeq(slices.Clone(own), maps.Keys(knows))
	slices.Sort(sources)
	return slices.Compact(sources), inIDP
}

// rulesOf judge use alone: nobody is exempt from being counted.
func rulesOf(states []store.IntegrationState, integrations []string, zone *time.Location) (*policy.Compiled, error) {
	r := policy.Rules{
		InactiveAfterDays: rollupWindow, NeverUsedAfterDays: rollupWindow, Signals: defaultSignals, Zone: zone.String(),
		Sources: map[string]policy.Source{},
	}
	for _, st := range states {
		if !slices.Contains(integrations, st.Name) {
			continue
		}
		src := policy.Source{StaleAfter: max(24*time.Hour, 3*st.Interval)}
		if st.FirstSyncedAt != nil {
			src.FirstSyncedAt = *st.FirstSyncedAt
		}
		r.Sources[st.Name] = src
	}
	compiled, err := policy.Compile(r)
	if err != nil {
		return nil, fmt.Errorf("compile the rules of the roll-up: %w", err)
	}
	return compiled, nil
}

// users judges every account of the app that is not gone.
func (b *applications) users(ctx context.Context, tenant model.TenantID, integrations []string, rules *policy.Compiled) (v1alpha1.UserCounts, error) {
	var n v1alpha1.UserCounts
	now := b.clock.Now()
	q := store.AccountQuery{Integrations: integrations, App: "-", Page: store.Page{Limit: listPage}}
	for {
		rows, next, err := b.store.ListAccounts(ctx, tenant, q)
		if err != nil {
			return n, err
		}
		for _, a := range rows {
			if a.Status == model.AccountDeleted {
				continue
			}
			n.Total++
			switch rules.Use(seatOf(a), now) {
			case model.SeatActive:
				n.Active++
			case model.SeatInactive:
				n.Inactive++
			default:
				n.Unknown++
			}
		}
		if next == "" {
			return n, nil
		}
		q.Cursor = next
	}
}

// seatOf lets the rules of seats judge an account.
func seatOf(a store.AccountView) model.Seat {
	return model.Seat{
		Integration: a.Integration, AccountExternalID: a.ExternalID, ObservedSince: a.ObservedSince,
		AccountKnown: true, AccountStatus: a.Status, AccountKind: a.Kind, AccountCreatedAt: a.CreatedAt, AccountObservedSince: a.ObservedSince,
		ActivityReported: a.ActivityReported, LastActivityAt: a.LastActivityAt, LastActivitySource: a.LastActivitySource,
		AccountsSyncedAt: a.SyncedAt, SeatsSyncedAt: a.SyncedAt, ActivitySyncedAt: a.ActivitySyncedAt,
	}
}

// plans counts the seats of every plan by use.
func (b *applications) plans(ctx context.Context, tenant model.TenantID, q application.Query, rules *policy.Compiled) ([]application.Plan, error) {
	rollup, err := b.store.AppRollup(ctx, tenant, q.Integrations)
	if err != nil {
		return nil, err
	}
	type key struct{ integration, plan string }
	index := map[key]int{}
	var out []application.Plan
	for _, p := range rollup.Plans {
		index[key{p.Integration, p.Key}] = len(out)
		row := application.Plan{Integration: p.Integration, Key: p.Key, Name: p.Name, Paid: p.Paid, Purchased: p.Purchased, Assigned: p.Assigned, Period: p.Period}
		if p.UnitCostMinor != nil && p.Currency != "" {
			row.Unit = &model.Money{Minor: *p.UnitCostMinor, Currency: p.Currency}
		}
		out = append(out, row)
	}
	f := store.SeatFilter{Integrations: q.Integrations, KnownAs: map[string]model.AppIdentity{}}
	for _, integration := range q.Integrations {
		f.KnownAs[integration] = q.KnownAs
	}
	now := b.clock.Now()
	err = b.store.Seats(ctx, tenant, f, func(s model.Seat) error {
		i, ok := index[key{s.Integration, s.PlanKey}]
		if !ok {
			return nil // came after the plans were counted; the next roll-up has it
		}
		switch rules.Use(s, now) {
		case model.SeatActive:
			out[i].Used++
		case model.SeatInactive:
			out[i].Unused++
		default:
			out[i].Unknown++
		}
		return nil
	})
	return out, err
}

// isIDP reports whether the connector of an Integration is one of an identity
// provider. The manifest of a Connector resource is in the spec.
func isIDP(st store.IntegrationState) bool {
	var spec struct {
		Manifest struct {
			Category string `json:"category"`
		} `json:"manifest"`
	}
	if m, err := connectors.Builtin(st.Connector); err == nil {
		return m.Category() == categoryIDP
	}
	return json.Unmarshal(st.Spec, &spec) == nil && spec.Manifest.Category == categoryIDP
}

// categoryIDP is the category of identity providers.
const categoryIDP = "idp"
