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

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// MaxAppAccounts bounds the accounts of an app that a run knows.
const MaxAppAccounts = 500

// AppChange is what is told with an event of an Application.
type AppChange struct {
	State string `json:"state,omitempty"` // of StateChanged: now
	Was   string `json:"was,omitempty"`   // and before
	// SpendWas is what a year did cost, in whole units of Currency; nil: unknown.
	SpendWas *int64 `json:"spendWas,omitempty"`
	Currency string `json:"currency,omitempty"`
}

// appChanges are what happened to an Application between two looks at it. What is
// known of it for the first time has not happened. It is pure.
func appChanges(was, now model.AppFacts) map[model.EventKind]AppChange {
	out := map[model.EventKind]AppChange{}
	if was.State != now.State {
		out[model.EventAppStateChanged] = AppChange{State: now.State, Was: was.State}
	}
	// Whose accounts are listed for the first time, or in whose first listing at an
	// identity provider it is not, is where it always was.
	if now.Missing() && !was.Missing() && was.InIDP != nil && was.Connected {
		out[model.EventAppNotInIDP] = AppChange{}
	}
	same := was.Spend == nil && now.Spend == nil || was.Spend != nil && now.Spend != nil && *was.Spend == *now.Spend
	if !same || !slices.Equal(was.Terms, now.Terms) {
		c := AppChange{}
		if was.Spend != nil {
			units := was.Spend.Units()
			c.SpendWas, c.Currency = &units, was.Spend.Currency
		}
		out[model.EventAppSpendChanged] = c
	}
	return out
}

// appChanged tells what happened to an Application since it was recorded last.
func (s *Store) appChanged(ctx context.Context, tx *sql.Tx, tenant model.TenantID, now model.AppFacts) error {
	var text string
	err := tx.QueryRowContext(ctx, `SELECT facts FROM declared_app WHERE tenant=$1 AND name=$2`+s.dialect.forUpdate, tenant, now.Name).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) || err == nil && text == "" {
		return nil // seen for the first time
	}
	var was model.AppFacts
	if err == nil {
		err = json.Unmarshal([]byte(text), &was)
	}
	if err != nil {
		return err
	}
	for kind, change := range appChanges(was, now) {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		payload, err := json.Marshal(change)
		if err != nil {
			return err
		}
		if err := s.appendEvent(ctx, tx, tenant, id.String(), model.Event{Kind: kind, Subject: now.Name, Payload: payload}, 0); err != nil {
			return err
		}
	}
	return nil
}

// App returns what is known of an app by the name of its Application, or by
// "INTEGRATION/ID" of what discovered it; ErrNotFound if nothing is. One that
// somebody declared is that Application.
func (s *Store) App(ctx context.Context, tenant model.TenantID, name string) (model.AppFacts, error) {
	integration, id, discovered := strings.Cut(name, "/")
	if discovered {
		return s.discoveredApp(ctx, tenant, integration, id)
	}
	declared, err := s.DeclaredApps(ctx, tenant)
	if err != nil {
		return model.AppFacts{}, err
	}
	i := slices.IndexFunc(declared, func(a DeclaredApp) bool { return a.Name == name })
	if i < 0 {
		return model.AppFacts{}, fmt.Errorf("application %w", ErrNotFound)
	}
	return s.declaredFacts(ctx, tenant, declared[i])
}

// summary is what the row of an Application holds. What its controller has not
// looked at in this version is known in part.
func (d DeclaredApp) summary() model.AppFacts {
	out := d.Facts
	out.Name, out.DisplayName, out.Declared, out.Users, out.Sources = d.Name, cmp.Or(out.DisplayName, d.Title, d.Name), true, d.Users, d.Sources
	return out
}

// declaredFacts adds to an Application what its row does not hold.
func (s *Store) declaredFacts(ctx context.Context, tenant model.TenantID, d DeclaredApp) (model.AppFacts, error) {
	out := d.summary()
	all, err := s.Contracts(ctx, tenant)
	if err != nil {
		return out, err
	}
	for _, c := range all {
		if c.App == d.Name {
			out.Contracts = append(out.Contracts, c.ContractFacts)
		}
	}
	if len(d.Sources) > 0 {
		out.Accounts, out.MoreAccounts, err = s.appAccounts(ctx, tenant, []AccountQuery{{Integrations: d.Sources, App: "-"}})
	}
	return out, err
}

// discoveredApp is an app that a source knows: the Application of it, or what
// sources say.
func (s *Store) discoveredApp(ctx context.Context, tenant model.TenantID, integration, id string) (model.AppFacts, error) {
	a, err := s.discovered(ctx, tenant, integration, id)
	if err != nil {
		return model.AppFacts{}, err
	}
	known := AppNames(a.DiscoveredApp)
	declared, err := s.DeclaredApps(ctx, tenant)
	if err != nil {
		return model.AppFacts{}, err
	}
	for _, d := range declared {
		if d.Claims(known, a.URL) {
			return s.declaredFacts(ctx, tenant, d)
		}
	}
	out := model.AppFacts{Name: a.Name, DisplayName: a.Name, URL: a.URL, KnownAs: model.AppIdentity{Names: known}}
	refs, err := s.AppsKnownAs(ctx, tenant, out.KnownAs)
	if err != nil {
		return out, err
	}
	own := AppRef{Integration: integration, AppExternalID: id}
	if !slices.Contains(refs, own) { // it came just now
		refs = append(refs, own)
	}
	if out.InIDP, err = s.inIDP(ctx, tenant, refs); err != nil {
		return out, err
	}
	var queries []AccountQuery
	for _, r := range refs {
		queries = append(queries, AccountQuery{Integrations: []string{r.Integration}, App: r.AppExternalID})
		out.Sources = append(out.Sources, r.Integration)
	}
	slices.Sort(out.Sources)
	out.Sources = slices.Compact(out.Sources)
	out.Accounts, out.MoreAccounts, err = s.appAccounts(ctx, tenant, queries)
	out.Users = int64(len(out.Accounts)) + out.MoreAccounts
	return out, err
}

// Claims says that an Application is the app that sources know under these names,
// or at this address.
func (d DeclaredApp) Claims(names []string, address string) bool {
	id := d.Facts.KnownAs
	if slices.ContainsFunc(names, func(n string) bool {
		return n == strings.ToLower(d.Name) || n == strings.ToLower(d.Title) || slices.Contains(id.Names, n)
	}) {
		return true
	}
	return slices.ContainsFunc(hostsOf(address), func(h string) bool { return slices.Contains(id.Domains, h) })
}

// Claims tells whose Application an app is that sources know.
type Claims struct {
	apps           []string
	byName, byHost map[string]int // by place in the list: the first one has it
}

// ClaimsOf are the claims of Applications, as claims makes them.
func ClaimsOf(declared []DeclaredApp) Claims {
	c := Claims{byName: map[string]int{}, byHost: map[string]int{}}
	put := func(in map[string]int, key string, i int) {
		if _, taken := in[key]; !taken && key != "" {
			in[key] = i
		}
	}
	for i, d := range declared {
		c.apps = append(c.apps, d.Name)
		for _, n := range append([]string{strings.ToLower(d.Name), strings.ToLower(d.Title)}, d.Facts.KnownAs.Names...) {
			put(c.byName, n, i)
		}
		for _, host := range d.Facts.KnownAs.Domains {
			put(c.byHost, host, i)
		}
	}
	return c
}

// Application names the Application of an app; empty: none claims it.
func (c Claims) Application(a model.DiscoveredApp) string {
	first := len(c.apps)
	for _, n := range AppNames(a) {
		if i, ok := c.byName[n]; ok {
			first = min(first, i)
		}
	}
	for _, h := range hostsOf(a.URL) {
		if i, ok := c.byHost[h]; ok {
			first = min(first, i)
		}
	}
	if first == len(c.apps) {
		return ""
	}
	return c.apps[first]
}

// AppNames are the names of an app by which sources are compared.
func AppNames(a model.DiscoveredApp) (out []string) {
	for _, n := range []string{a.Name, a.CatalogHint} {
		if n = strings.ToLower(strings.TrimSpace(n)); n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// discovered is one app as one source knows it.
func (s *Store) discovered(ctx context.Context, tenant model.TenantID, integration, id string) (AppView, error) {
	found, err := collect(ctx, s.reads, scanApp, `SELECT i.name, d.source, d.stream, coalesce(d.api_id, 0), d.external_id, d.name, d.catalog_hint, d.url, d.origin,
		d.state, d.sso_mode, d.scopes, d.unverified, d.reported_first_seen_at, d.first_seen_at, d.removed_at, d.known_app, d.known_rule, d.known_among, 0
		FROM discovered_app d`+connected("d")+`WHERE d.tenant=$1 AND i.name=$2 AND d.external_id=$3 AND d.removed_at IS NULL ORDER BY d.stream LIMIT 1`, tenant, integration, id)
	if err != nil {
		return AppView{}, fmt.Errorf("read a discovered app: %w", err)
	}
	if len(found) == 0 {
		return AppView{}, fmt.Errorf("app %w", ErrNotFound)
	}
	return found[0], nil
}

// KnownBefore says that a source had discovered an app of these names, or what
// is the same known app, before this one did.
func (s *Store) KnownBefore(ctx context.Context, tenant model.TenantID, integration, id string) (bool, error) {
	a, err := s.discovered(ctx, tenant, integration, id)
	if err != nil {
		return false, err
	}
	refs, err := s.AppsKnownAs(ctx, tenant, model.AppIdentity{Names: AppNames(a.DiscoveredApp)})
	if err != nil {
		return false, err
	}
	same, err := s.sameApp(ctx, tenant, a)
	if err != nil {
		return false, err
	}
	for _, r := range append(refs, same...) {
		if r == (AppRef{Integration: integration, AppExternalID: id}) {
			continue
		}
		other, err := s.discovered(ctx, tenant, r.Integration, r.AppExternalID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return false, err
		}
		if err == nil && other.FirstSeen.Before(a.FirstSeen) {
			return true, nil
		}
	}
	return false, nil
}

// originIDP is where a source says that it knows an app from which is an identity
// provider.
const originIDP = "idp"

// IDPApps returns those of the apps that an identity provider lists.
func (s *Store) IDPApps(ctx context.Context, tenant model.TenantID, refs []AppRef) (map[AppRef]model.DiscoveredApp, error) {
	out := map[AppRef]model.DiscoveredApp{}
	for part := range slices.Chunk(refs, listChunk) {
		args, ids := []any{tenant, originIDP}, []string{}
		for _, r := range part {
			ids = append(ids, r.AppExternalID)
		}
		list, args := inList(args, ids)
		_, err := collect(ctx, s.reads, func(r *sql.Rows) (struct{}, error) {
			var ref AppRef
			a := model.DiscoveredApp{Source: originIDP}
			err := r.Scan(&ref.Integration, &ref.AppExternalID, &a.Name, &a.CatalogHint, &a.URL)
			if a.ExternalID = ref.AppExternalID; slices.Contains(part, ref) {
				out[ref] = a
			}
			return struct{}{}, err
		}, `SELECT i.name, d.external_id, d.name, d.catalog_hint, d.url FROM discovered_app d`+connected("d")+
			`WHERE d.tenant=$1 AND d.origin=$2 AND d.removed_at IS NULL AND d.external_id IN (`+list+`)`, args...)
		if err != nil {
			return nil, fmt.Errorf("read the apps of identity providers: %w", err)
		}
	}
	return out, nil
}

// inIDP says whether an identity provider knows one of the apps; nil: none has told
// of its apps.
func (s *Store) inIDP(ctx context.Context, tenant model.TenantID, refs []AppRef) (*bool, error) {
	var told bool
	if err := s.reads.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM discovered_app d`+connected("d")+`WHERE d.tenant=$1 AND d.origin=$2 AND d.removed_at IS NULL)`,
		tenant, originIDP).Scan(&told); err != nil || !told {
		return nil, err
	}
	in := false
	for _, r := range refs {
		a, err := s.discovered(ctx, tenant, r.Integration, r.AppExternalID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		in = in || err == nil && a.Source == originIDP
	}
	return &in, nil
}

// present are the states of accounts that are there.
var present = []string{string(model.AccountActive), string(model.AccountInvited), string(model.AccountSuspended), string(model.AccountArchived),
	string(model.AccountDeactivated), string(model.AccountUnknown)}

// appAccounts are the accounts that queries select, one for each person where
// several sources know them, and how many there are beyond the bound.
func (s *Store) appAccounts(ctx context.Context, tenant model.TenantID, queries []AccountQuery) (out []model.AppAccount, more int64, err error) {
	seen := map[string]bool{}
	for _, q := range queries {
		for q.Statuses, q.Limit = present, 1000; ; {
			rows, next, err := s.ListAccounts(ctx, tenant, q)
			if err != nil {
				return nil, 0, err
			}
			for _, a := range rows {
				if q.App != "-" && a.PersonID != "" { // what sources know from the side is about people
					if seen[a.PersonID] {
						continue
					}
					seen[a.PersonID] = true
				}
				if len(out) == MaxAppAccounts {
					more++
					continue
				}
				mail := a.PersonEmail
				if mail == "" && strings.Contains(a.PersonKey, "@") {
					mail = a.PersonKey
				}
				out = append(out, model.AppAccount{Integration: a.Integration, ExternalID: a.ExternalID, Username: a.Username, DisplayName: a.DisplayName, Role: a.Role,
					Email: mail, Status: a.Status, Kind: a.Kind, IsAdmin: a.IsAdmin})
			}
			if q.Cursor = next; next == "" {
				break
			}
		}
	}
	return out, more, nil
}

// SeatFacts returns what is known of a seat that was found unused, and of its app:
// no more than runs about many seats of it need. ErrNotFound if the seat is gone.
func (s *Store) SeatFacts(ctx context.Context, tenant model.TenantID, f model.Finding) (model.SeatFacts, model.AppFacts, error) {
	out := model.SeatFacts{Integration: f.Integration, AccountID: f.AccountID, PlanKey: f.PlanKey, Policy: f.Policy, Reason: f.Reason, Since: f.Since,
		Evidence: f.Evidence, Annual: f.Annual}
	app := model.AppFacts{Name: f.Integration, DisplayName: f.Integration, Connected: true, Sources: []string{f.Integration}}
	seats, _, err := s.ListSeats(ctx, tenant, SeatFilter{Integrations: []string{f.Integration}, Account: f.AccountID}, Page{Limit: 1000})
	if err != nil {
		return out, app, err
	}
	i := slices.IndexFunc(seats, func(seat model.Seat) bool { return seat.PlanKey == f.PlanKey })
	if i < 0 {
		return out, app, fmt.Errorf("seat %w", ErrNotFound)
	}
	out.Username, out.PlanName = seats[i].Username, seats[i].PlanName
	declared, err := s.DeclaredApps(ctx, tenant)
	if err != nil {
		return out, app, err
	}
	for _, d := range declared {
		if slices.Contains(d.Sources, f.Integration) {
			app = d.summary()
			break
		}
	}
	return out, app, nil
}
