// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// seatUsage looks up the latest use of pages of seats.
type seatUsage struct {
	s        *Store
	tenant   model.TenantID
	from     []usageElsewhere
	coverage map[int64][]model.UsageCoverage // by source
	names    map[int64]string
}

type usageRef struct {
	source int64
	app    string
}

// usageElsewhere is an app as another source knows it.
type usageElsewhere struct {
	usageRef
	seats    map[string]bool       // whose they are, by Integration
	seen     bool                  // any use of it at all
	coverage []model.UsageCoverage // of the source
}

func (s *Store) newSeatUsage(ctx context.Context, tenant model.TenantID, knownAs map[string]model.AppIdentity) (*seatUsage, error) {
	u := &seatUsage{s: s, tenant: tenant, coverage: map[int64][]model.UsageCoverage{}, names: map[int64]string{}}
	states, err := s.ListIntegrations(ctx, tenant)
	if err != nil {
		return nil, err
	}
	for _, st := range states {
		u.names[st.Source] = st.Name
	}
	_, err = collect(ctx, s.reads, func(r *sql.Rows) (struct{}, error) {
		var source, from, until, done int64
		var c model.UsageCoverage
		err := r.Scan(&source, &c.Stream, &from, &until, &c.ActivityReported, &done)
		c.Integration = u.names[source]
		c.From, c.Until, c.SyncedAt = fromMillis(from), fromMillis(until), fromMillis(done)
		u.coverage[source] = append(u.coverage[source], c)
		return struct{}{}, err
	}, `SELECT source, stream, covers_from, covers_until, activity_reported, coalesce(completed_at, 0) FROM stream_state
		WHERE tenant=$1 AND covers_from IS NOT NULL ORDER BY source, stream`, tenant)
	if err != nil {
		return nil, err
	}
	refs, err := s.knownAs(ctx, tenant, states, knownAs)
	if err != nil {
		return nil, err
	}
	return u, u.lookElsewhere(ctx, states, refs)
}

// lookElsewhere prepares the look at what other sources know of the apps, by
// the Integration whose seats it concerns. Most know an app and have seen no
// use of it: they cost one statement a source, not some for every page.
func (u *seatUsage) lookElsewhere(ctx context.Context, states []IntegrationState, refs map[string][]AppRef) error {
	seats := map[AppRef]map[string]bool{}
	apps := map[string][]string{}
	for integration, list := range refs {
		for _, ref := range list {
			if seats[ref] == nil {
				seats[ref] = map[string]bool{}
				apps[ref.Integration] = append(apps[ref.Integration], ref.AppExternalID)
			}
			seats[ref][integration] = true
		}
	}
	for _, st := range states {
		slices.Sort(apps[st.Name])
		seen, err := u.seenAt(ctx, st.Source, apps[st.Name])
		if err != nil {
			return err
		}
		for _, app := range apps[st.Name] {
			at := usageElsewhere{usageRef: usageRef{st.Source, app}, seats: seats[AppRef{st.Name, app}], seen: seen[app]}
			if at.coverage, err = u.coverageOf(ctx, at); err != nil {
				return err
			}
			u.from = append(u.from, at)
		}
	}
	return nil
}

// seenAt returns those of a source's apps that it has seen any use of.
func (u *seatUsage) seenAt(ctx context.Context, source int64, apps []string) (map[string]bool, error) {
	seen := map[string]bool{}
	for chunk := range slices.Chunk(apps, listChunk) {
		list, args := inList([]any{u.tenant, source}, chunk)
		_, err := collect(ctx, u.s.reads, func(r *sql.Rows) (struct{}, error) {
			var app string
			err := r.Scan(&app)
			seen[app] = true
			return struct{}{}, err
		}, `SELECT d.external_id FROM discovered_app d WHERE d.tenant=$1 AND d.source=$2 AND d.external_id IN (`+list+`)
			AND EXISTS (SELECT 1 FROM usage_last l WHERE l.tenant=d.tenant AND l.source=d.source AND l.app_external_id=d.external_id)`, args...)
		if err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// coverageOf is the coverage of the app's source with the kinds of use that it
// has shown of the app.
func (u *seatUsage) coverageOf(ctx context.Context, at usageElsewhere) ([]model.UsageCoverage, error) {
	out := slices.Clone(u.coverage[at.source])
	if !at.seen || len(out) == 0 {
		return out, nil
	}
	kinds, err := u.s.kindsAt(ctx, u.tenant, at.usageRef)
	for i := range out {
		out[i].Kinds = kinds[out[i].Stream]
	}
	return out, err
}

// fill adds use and coverage to the seats.
func (u *seatUsage) fill(ctx context.Context, rows []*seatRow) error {
	bySource := map[int64][]*seatRow{}
	for _, r := range rows {
		bySource[r.source] = append(bySource[r.source], r)
		r.UsageCoverage = slices.Clone(u.coverage[r.source])
	}
	for source, seats := range bySource {
		subjects := map[string][]*seatRow{}
		for _, r := range seats {
			for _, subject := range ownSubjects(r) {
				subjects[subject] = append(subjects[subject], r)
			}
		}
		if err := u.lookUp(ctx, usageRef{source, ""}, subjects); err != nil {
			return err
		}
	}
	for _, at := range u.from {
		var theirs []*seatRow
		for _, r := range rows {
			if !at.seats[r.Integration] {
				continue
			}
			theirs = append(theirs, r)
			if r.PersonID != "" {
				r.UsageCoverage = append(r.UsageCoverage, at.coverage...)
			}
		}
		if !at.seen || len(theirs) == 0 {
			continue
		}
		subjects, err := u.subjectsAt(ctx, at.usageRef, theirs)
		if err != nil {
			return err
		}
		if err := u.lookUp(ctx, at.usageRef, subjects); err != nil {
			return err
		}
	}
	return nil
}

// ownSubjects are the names under which the seat's own source may report use.
func ownSubjects(r *seatRow) []string {
	var out []string
	if r.AccountExternalID != "" {
		out = append(out, usageByAccount+r.AccountExternalID)
	}
	if r.personExternalID != "" {
		out = append(out, usageByPerson+r.personExternalID)
	}
	if r.personKey != "" {
		out = append(out, usageByMail+r.personKey)
	}
	return out
}

// subjectsAt are the names under which another source may report use by the
// seats' people.
func (u *seatUsage) subjectsAt(ctx context.Context, ref usageRef, rows []*seatRow) (map[string][]*seatRow, error) {
	byPerson := map[string][]*seatRow{}
	var people []string
	subjects := map[string][]*seatRow{}
	for _, r := range rows {
		switch {
		case r.PersonID != "":
			if byPerson[r.PersonID] == nil {
				people = append(people, r.PersonID)
			}
			byPerson[r.PersonID] = append(byPerson[r.PersonID], r)
		case strings.Contains(r.personKey, "@"):
			// Nobody says who it is, but the address is the same.
			subjects[usageByMail+r.personKey] = append(subjects[usageByMail+r.personKey], r)
		}
	}
	for chunk := range slices.Chunk(people, listChunk) {
		list, args := inList([]any{u.tenant, ref.source, ref.app}, chunk)
		_, err := collect(ctx, u.s.reads, func(r *sql.Rows) (struct{}, error) {
			var subject, person string
			err := r.Scan(&subject, &person)
			subjects[subject] = append(subjects[subject], byPerson[person]...)
			return struct{}{}, err
		}, `SELECT 'account:' || external_id, person_id FROM account
				WHERE tenant=$1 AND source=$2 AND app_external_id IN ('', $3) AND removed_at IS NULL AND person_id IN (`+list+`)
			UNION SELECT 'person:' || external_id, person_id FROM person_source WHERE tenant=$1 AND source=$2 AND removed_at IS NULL AND person_id IN (`+list+`)
			UNION SELECT 'mail:' || mail, person_id FROM person_mail WHERE tenant=$1 AND person_id IN (`+list+`)`, args...)
		if err != nil {
			return nil, err
		}
	}
	return subjects, nil
}

// lookUp adds the latest use of each subject at ref to its seats.
func (u *seatUsage) lookUp(ctx context.Context, ref usageRef, subjects map[string][]*seatRow) error {
	if len(subjects) == 0 {
		return nil
	}
	all := make([]string, 0, len(subjects))
	for subject := range subjects {
		all = append(all, subject)
	}
	slices.Sort(all)
	for chunk := range slices.Chunk(all, listChunk) {
		list, args := inList([]any{u.tenant, ref.source, ref.app}, chunk)
		_, err := collect(ctx, u.s.reads, func(r *sql.Rows) (struct{}, error) {
			var subject string
			var at int64
			use := model.SeatUsage{Integration: u.names[ref.source]}
			err := r.Scan(&subject, &use.Kind, &use.Source, &at)
			use.LastAt = fromMillis(at)
			for _, row := range subjects[subject] {
				row.Usage = addUsage(row.Usage, use)
			}
			return struct{}{}, err
		}, `SELECT subject, kind, origin, last_at FROM usage_last WHERE tenant=$1 AND source=$2 AND app_external_id=$3 AND subject IN (`+list+`)
			ORDER BY kind, origin, subject`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// addUsage keeps the latest use of each kind and source.
func addUsage(have []model.SeatUsage, use model.SeatUsage) []model.SeatUsage {
	for i, h := range have {
		if h.Integration == use.Integration && h.Kind == use.Kind && h.Source == use.Source {
			if use.LastAt.After(h.LastAt) {
				have[i] = use
			}
			return have
		}
	}
	return append(have, use)
}
