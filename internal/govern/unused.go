// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package govern

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/schedule"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// UnusedStore is what finding unused seats needs of the store.
type UnusedStore interface {
	Store
	ListIntegrations(ctx context.Context, tenant model.TenantID) ([]store.IntegrationState, error)
	DeclaredApps(ctx context.Context, tenant model.TenantID) ([]store.DeclaredApp, error)
	Findings(ctx context.Context, tenant model.TenantID, q store.FindingQuery) ([]model.Finding, error)
}

// Unused finds unused seats, for runs about them.
type Unused struct {
	Store UnusedStore
	Clock clock.PassiveClock
}

// unusedSignals are trusted where no policy says which are.
var unusedSignals = []string{"activity", "login"}

// Found returns the seats that a LicensePolicy found unused, after a cursor and in
// the order of their keys: Inactive alone, which is neither exempt nor protected nor
// kept, held or under way, and never unknown.
func (u Unused) Found(ctx context.Context, tenant model.TenantID, name string, after *model.SeatKey, limit int) ([]model.Finding, error) {
	q := store.FindingQuery{Policy: name, Classes: []model.SeatClass{model.SeatInactive}, Limit: limit}
	if after != nil {
		q.After = &store.FindingCursor{Policy: name, Integration: after.Integration, AccountID: after.AccountID, PlanKey: after.PlanKey}
	}
	state, err := u.Store.Policy(ctx, tenant, name)
	if err != nil || state.Suspended || state.Removed {
		return nil, err
	}
	return u.Store.Findings(ctx, tenant, q)
}

// Seat returns what Found says of one seat, if anything.
func (u Unused) Seat(ctx context.Context, tenant model.TenantID, name string, seat model.SeatKey) ([]model.Finding, error) {
	state, err := u.Store.Policy(ctx, tenant, name)
	if err != nil || state.Suspended || state.Removed {
		return nil, err
	}
	return u.Store.Findings(ctx, tenant, store.FindingQuery{Policy: name, Classes: []model.SeatClass{model.SeatInactive}, Seat: &seat})
}

// Now returns what a policy found of one seat, or without one a look at so many
// days, be it used or not.
func (u Unused) Now(ctx context.Context, tenant model.TenantID, name string, days int, seat model.SeatKey) ([]model.Finding, error) {
	if name == "" {
		return u.look(ctx, tenant, days, &seat)
	}
	state, err := u.Store.Policy(ctx, tenant, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil || state.Suspended || state.Removed {
		return nil, err
	}
	return u.Store.Findings(ctx, tenant, store.FindingQuery{Policy: name, Seat: &seat})
}

// For returns the paid seats of any app that were not used for so many days, by a
// trusted signal; seat restricts to one. The Organization's protection holds.
func (u Unused) For(ctx context.Context, tenant model.TenantID, days int, seat *model.SeatKey) ([]model.Finding, error) {
	found, err := u.look(ctx, tenant, days, seat)
	return slices.DeleteFunc(found, func(f model.Finding) bool { return f.Class != model.SeatInactive }), err
}

// look is For with seats that are used.
func (u Unused) look(ctx context.Context, tenant model.TenantID, days int, seat *model.SeatKey) ([]model.Finding, error) {
	rules, err := u.rules(ctx, tenant, days)
	if err != nil || len(rules.Sources) == 0 {
		return nil, err
	}
	facts := policy.Facts{}
	if facts.Admins, err = u.Store.Admins(ctx, tenant, filterOf(rules).Integrations); err != nil {
		return nil, err
	}
	filter := filterOf(rules)
	if seat != nil {
		if _, ok := rules.Sources[seat.Integration]; !ok {
			return nil, nil
		}
		filter = accountOf(rules, seat.Integration, seat.AccountID)
	}
	e := policy.NewEvaluator(rules, facts, u.Clock.Now())
	var out []model.Finding
	err = u.Store.Seats(ctx, tenant, filter, func(s model.Seat) error {
		f, ok := e.Seat(ctx, s)
		if ok && (seat == nil || f.Key() == *seat) {
			out = append(out, f)
		}
		return nil
	})
	slices.SortFunc(out, func(a, b model.Finding) int { return compareSeats(a.Key(), b.Key()) })
	return out, err
}

func compareSeats(a, b model.SeatKey) int {
	return strings.Compare(a.Integration+"\x00"+a.AccountID+"\x00"+a.PlanKey, b.Integration+"\x00"+b.AccountID+"\x00"+b.PlanKey)
}

// rules are those of a policy over every connected Integration, which exempts
// nobody.
func (u Unused) rules(ctx context.Context, tenant model.TenantID, days int) (*policy.Compiled, error) {
	org, err := u.Store.TenantFacts(ctx, tenant)
	if err != nil {
		return nil, err
	}
	states, err := u.Store.ListIntegrations(ctx, tenant)
	if err != nil {
		return nil, err
	}
	apps, err := u.Store.DeclaredApps(ctx, tenant)
	if err != nil {
		return nil, err
	}
	zone := org.TimeZone
	if _, err := schedule.Zone(zone); err != nil {
		zone = "UTC" // the Organization's own condition says so
	}
	r := policy.Rules{
		InactiveAfterDays: days, NeverUsedAfterDays: days, Signals: unusedSignals, HoldOnLeave: true, Zone: zone, Sources: map[string]policy.Source{},
		Protected: policy.Protected{People: org.Protected, Accounts: org.ProtectedAccounts, When: org.ProtectedWhen},
		Org:       expr.Org{DisplayName: org.DisplayName, Domains: org.Domains, TimeZone: org.TimeZone},
	}
	for _, st := range states {
		if st.FirstSyncedAt == nil {
			continue
		}
		src := policy.Source{App: st.Name, StaleAfter: max(24*time.Hour, 3*st.Interval), FirstSyncedAt: *st.FirstSyncedAt}
		if i := slices.IndexFunc(apps, func(a store.DeclaredApp) bool { return slices.Contains(a.Sources, st.Name) }); i >= 0 {
			src.App, src.KnownAs = apps[i].Name, apps[i].Facts.KnownAs
		}
		r.Sources[st.Name] = src
	}
	compiled, err := policy.Compile(r)
	if err != nil {
		return nil, fmt.Errorf("what the Organization protects: %w", err)
	}
	return compiled, nil
}
