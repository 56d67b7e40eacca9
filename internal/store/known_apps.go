// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// maxKnownAs bounds as what one app may be known.
const maxKnownAs = 1000

// knownAge bounds how long AppsKnownAs answers without looking whether anything
// changed. What decides about seats looks always.
const knownAge = 2 * time.Second

// knownApps finds what sources discovered, by tenant.
type knownApps struct {
	mu      sync.Mutex
	tenants map[model.TenantID]*tenantApps
}

// tenantApps is one tenant's part. Thousands of Applications share one reading
// of it.
type tenantApps struct {
	mu      sync.Mutex
	version string // of the data that it was made from
	at      time.Time
	byName  map[string][]AppRef
	byHost  map[string][]AppRef
	// kinds of use that each stream has shown of an app, read when asked for.
	kinds map[usageRef]map[string][]string
}

func (k *knownApps) of(tenant model.TenantID) *tenantApps {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.tenants == nil {
		k.tenants = map[model.TenantID]*tenantApps{}
	}
	if k.tenants[tenant] == nil {
		k.tenants[tenant] = &tenantApps{}
	}
	return k.tenants[tenant]
}

// AppsKnownAs returns what connected Integrations discovered under the names or
// domains of an app. The use of seats is looked up for exactly these.
func (s *Store) AppsKnownAs(ctx context.Context, tenant model.TenantID, id model.AppIdentity) ([]AppRef, error) {
	t := s.known.of(tenant)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at.IsZero() || s.clock.Since(t.at) >= knownAge {
		states, err := s.ListIntegrations(ctx, tenant)
		if err != nil {
			return nil, err
		}
		if err := t.refresh(ctx, s, tenant, states); err != nil {
			return nil, err
		}
	}
	return t.find(id), nil
}

// knownAs does for each identity, by the Integration whose seats it concerns,
// what AppsKnownAs does for one, as of the states that were just read.
func (s *Store) knownAs(ctx context.Context, tenant model.TenantID, states []IntegrationState, of map[string]model.AppIdentity) (map[string][]AppRef, error) {
	if len(of) == 0 {
		return nil, nil
	}
	t := s.known.of(tenant)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx, s, tenant, states); err != nil {
		return nil, err
	}
	out := make(map[string][]AppRef, len(of))
	for integration, id := range of {
		out[integration] = t.find(id)
	}
	return out, nil
}

func (t *tenantApps) find(id model.AppIdentity) []AppRef {
	var out []AppRef
	seen := map[AppRef]bool{}
	add := func(list []AppRef) {
		for _, ref := range list {
			if !seen[ref] && len(out) < maxKnownAs {
				seen[ref] = true
				out = append(out, ref)
			}
		}
	}
	for _, n := range id.Names {
		add(t.byName[n])
	}
	for _, d := range id.Domains {
		add(t.byHost[d])
	}
	return out
}

// refresh reads the tenant's apps again if the data of any source changed.
func (t *tenantApps) refresh(ctx context.Context, s *Store, tenant model.TenantID, states []IntegrationState) error {
	var version strings.Builder
	names := make(map[int64]string, len(states))
	for _, st := range states {
		fmt.Fprintf(&version, "%s %d %d\n", st.Name, st.Source, st.DataVersion)
		names[st.Source] = st.Name
	}
	if !t.at.IsZero() && t.version == version.String() {
		t.at = s.clock.Now()
		return nil
	}
	byName, byHost := map[string][]AppRef{}, map[string][]AppRef{}
	_, err := collect(ctx, s.reads, func(r *sql.Rows) (struct{}, error) {
		var source int64
		var ref AppRef
		var name, hint, address string
		err := r.Scan(&source, &ref.AppExternalID, &name, &hint, &address)
		if ref.Integration = names[source]; ref.Integration == "" {
			return struct{}{}, err // connected since
		}
		for _, n := range []string{name, hint} {
			n = strings.ToLower(strings.TrimSpace(n))
			if have := byName[n]; n != "" && (len(have) == 0 || have[len(have)-1] != ref) {
				byName[n] = append(have, ref)
			}
		}
		for _, host := range hostsOf(address) {
			byHost[host] = append(byHost[host], ref)
		}
		return struct{}{}, err
	}, `SELECT source, external_id, name, catalog_hint, url FROM discovered_app WHERE tenant=$1 AND removed_at IS NULL ORDER BY source, stream, external_id`, tenant)
	if err != nil {
		return fmt.Errorf("read discovered apps: %w", err)
	}
	t.byName, t.byHost, t.version, t.at = byName, byHost, version.String(), s.clock.Now()
	t.kinds = map[usageRef]map[string][]string{}
	return nil
}

// kindsAt returns the kinds of use of an app that each stream of a source has
// shown, by stream. It may lack what came just now: then a feed proves less.
func (s *Store) kindsAt(ctx context.Context, tenant model.TenantID, ref usageRef) (map[string][]string, error) {
	t := s.known.of(tenant)
	t.mu.Lock()
	defer t.mu.Unlock()
	if have, ok := t.kinds[ref]; ok {
		return have, nil
	}
	kinds := map[string][]string{}
	_, err := collect(ctx, s.reads, func(r *sql.Rows) (struct{}, error) {
		var stream, kind string
		err := r.Scan(&stream, &kind)
		kinds[stream] = append(kinds[stream], kind)
		return struct{}{}, err
	}, `SELECT DISTINCT stream, kind FROM usage_last WHERE tenant=$1 AND source=$2 AND app_external_id=$3 ORDER BY stream, kind`, tenant, ref.source, ref.app)
	if err == nil {
		t.kinds[ref] = kinds
	}
	return kinds, err
}

// hostsOf returns the host of a URL and every domain above it: an app at
// acme.slack.com is the app of slack.com.
func hostsOf(raw string) []string {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return nil
	}
	labels := strings.Split(strings.ToLower(u.Hostname()), ".")
	var out []string
	for i := range len(labels) - 1 {
		out = append(out, strings.Join(labels[i:], "."))
	}
	return out
}
