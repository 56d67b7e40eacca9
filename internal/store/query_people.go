// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
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

// PersonView is a human being, merged from all connected sources.
type PersonView struct {
	ID             string          `json:"id"`
	APIID          int64           `json:"apiID"`
	EmployeeID     string          `json:"employeeID,omitempty"`
	Email          string          `json:"email"`
	DisplayName    string          `json:"displayName"`
	GivenName      string          `json:"givenName,omitempty"`
	FamilyName     string          `json:"familyName,omitempty"`
	Title          string          `json:"title,omitempty"`
	Department     string          `json:"department,omitempty"`
	Division       string          `json:"division,omitempty"`
	CostCenter     string          `json:"costCenter,omitempty"`
	Location       string          `json:"location,omitempty"`
	TimeZone       string          `json:"timeZone,omitempty"`
	EmploymentType string          `json:"employmentType,omitempty"`
	ManagerID      string          `json:"managerID,omitempty"`
	ManagerEmail   string          `json:"managerEmail,omitempty"`
	StartDate      model.Date      `json:"startDate,omitempty"`
	EndDate        model.Date      `json:"endDate,omitempty"`
	Lifecycle      model.Lifecycle `json:"lifecycle"` // empty: no source states it
	// Period counts the employments: it goes up when who has left is here again.
	Period      int64          `json:"-"`
	PhotoURL    string         `json:"photoURL,omitempty"`
	Custom      map[string]any `json:"custom,omitempty"`
	FirstSeenAt time.Time      `json:"firstSeenAt"`
	ChangedAt   time.Time      `json:"changedAt"`
	// Sources is filled in by Person, not by lists.
	Sources []PersonOrigin `json:"sources,omitempty"`
}

// PersonOrigin is one source's record of a person.
type PersonOrigin struct {
	Integration string          `json:"integration"`
	Stream      string          `json:"stream"`
	ExternalID  string          `json:"externalID"`
	Email       string          `json:"email,omitempty"`
	Lifecycle   model.Lifecycle `json:"lifecycle,omitempty"`
	FirstSeenAt time.Time       `json:"firstSeenAt"`
	RemovedAt   *time.Time      `json:"removedAt,omitempty"`
}

const personViewColumns = `p.id, p.api_id, p.employee_id, p.email, p.display_name, p.given_name, p.family_name, p.title, p.department, p.division,
	p.cost_center, p.location, p.time_zone, p.employment_type, p.manager_id,
	coalesce((SELECT m.email FROM person m WHERE m.tenant=p.tenant AND m.id=p.manager_id AND p.manager_id <> ''), p.manager_email),
	p.start_date, p.end_date, p.lifecycle, p.period, p.photo_url, p.custom, p.first_seen_at, p.changed_at`

func scanPerson(r scanner) (p PersonView, err error) {
	var custom string
	var first, changed int64
	err = r.Scan(&p.ID, &p.APIID, &p.EmployeeID, &p.Email, &p.DisplayName, &p.GivenName, &p.FamilyName, &p.Title, &p.Department, &p.Division,
		&p.CostCenter, &p.Location, &p.TimeZone, &p.EmploymentType, &p.ManagerID, &p.ManagerEmail, &p.StartDate, &p.EndDate, &p.Lifecycle, &p.Period,
		&p.PhotoURL, &custom, &first, &changed)
	if err != nil {
		return p, err
	}
	p.FirstSeenAt, p.ChangedAt = fromMillis(first), fromMillis(changed)
	return p, unmarshalText(custom, &p.Custom)
}

func unmarshalText(text string, into any) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), into)
}

// PeopleQuery selects people; empty fields do not restrict.
type PeopleQuery struct {
	Page
	Search      string // in name and e-mail
	Lifecycle   []string
	Department  string
	Integration string // listed by this source now
	ManagerID   string
	EmployeeID  string
}

// ListPeople returns people by e-mail, and the cursor of the next page.
func (s *Store) ListPeople(ctx context.Context, tenant model.TenantID, q PeopleQuery) ([]PersonView, string, error) {
	c := where(tenant, "p.tenant = $1 AND NOT p.hidden")
	key, err := parseCursor(q.Cursor, 2)
	if err != nil {
		return nil, "", err
	}
	if key != nil {
		c.add("(p.email, p.id) > (?, ?)", key[0], key[1])
	}
	c.contains(q.Search, "p.email", "p.display_name")
	c.in("p.lifecycle", q.Lifecycle)
	c.equal("p.department", q.Department)
	c.equal("p.manager_id", q.ManagerID)
	c.equal("p.employee_id", q.EmployeeID)
	if q.Integration != "" {
		c.add(`EXISTS (SELECT 1 FROM person_source ps`+connected("ps")+`WHERE ps.tenant=p.tenant AND ps.person_id=p.id AND ps.removed_at IS NULL AND i.name = ?)`, q.Integration)
	}
	limit := clampLimit(q.Limit)
	rows, err := collect(ctx, s.reads, func(r *sql.Rows) (PersonView, error) { return scanPerson(r) }, fmt.Sprintf(`SELECT `+personViewColumns+`
		FROM person p WHERE %s ORDER BY p.email, p.id LIMIT %d`, c, limit+1), c.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list people: %w", err)
	}
	rows, next := page(rows, limit, func(p PersonView) string { return cursor(p.Email, p.ID) })
	return rows, next, nil
}

// Person returns one person with what each source says, or ErrNotFound.
func (s *Store) Person(ctx context.Context, tenant model.TenantID, id string) (PersonView, error) {
	return s.person(ctx, tenant, `p.id = $2`, id)
}

// PersonByEmail returns the one person whom an address stands for, or
// ErrNotFound; an address that several people have stands for nobody.
func (s *Store) PersonByEmail(ctx context.Context, tenant model.TenantID, email string) (PersonView, error) {
	return s.person(ctx, tenant, `p.id = (SELECT pm.person_id FROM person_mail pm WHERE pm.tenant=$1 AND pm.mail=$2)`, strings.ToLower(strings.TrimSpace(email)))
}

func (s *Store) person(ctx context.Context, tenant model.TenantID, condition, value string) (PersonView, error) {
	p, err := scanPerson(s.reads.QueryRowContext(ctx, `SELECT `+personViewColumns+` FROM person p WHERE p.tenant=$1 AND NOT p.hidden AND `+condition, tenant, value))
	if errors.Is(err, sql.ErrNoRows) {
		return p, fmt.Errorf("person %w", ErrNotFound)
	}
	if err != nil {
		return p, fmt.Errorf("read a person: %w", err)
	}
	p.Sources, err = collect(ctx, s.reads, func(r *sql.Rows) (o PersonOrigin, err error) {
		var first int64
		var removed sql.NullInt64
		err = r.Scan(&o.Integration, &o.Stream, &o.ExternalID, &o.Email, &o.Lifecycle, &first, &removed)
		o.FirstSeenAt, o.RemovedAt = fromMillis(first), nullTime(removed)
		return o, err
	}, `SELECT `+sourceName("ps")+` AS name, ps.stream, ps.external_id, ps.email, ps.lifecycle, ps.first_seen_at, ps.removed_at FROM person_source ps`+known("ps")+`
		WHERE ps.tenant=$1 AND ps.person_id=$2 AND `+seen("ps")+` ORDER BY name, ps.stream, ps.external_id`, tenant, p.ID)
	return p, err
}

// PeopleCounts returns the number of people by lifecycle; the empty key counts
// those whose lifecycle no source states.
func (s *Store) PeopleCounts(ctx context.Context, tenant model.TenantID) (map[model.Lifecycle]int64, error) {
	out := map[model.Lifecycle]int64{}
	_, err := collect(ctx, s.reads, func(r *sql.Rows) (struct{}, error) {
		var l model.Lifecycle
		var n int64
		err := r.Scan(&l, &n)
		out[l] = n
		return struct{}{}, err
	}, `SELECT lifecycle, count(*) FROM person WHERE tenant=$1 AND NOT hidden GROUP BY lifecycle`, tenant)
	return out, err
}

// PersonReview is a record that might describe several people, and was
// therefore merged with nobody.
type PersonReview struct {
	Integration string    `json:"integration"`
	ExternalID  string    `json:"externalID"`
	Email       string    `json:"email"`
	DisplayName string    `json:"displayName"`
	Reason      string    `json:"reason"`
	Candidates  []string  `json:"candidates"` // person ids
	CreatedAt   time.Time `json:"createdAt"`
}

// ListReviews returns the records that wait for a person to say who they are.
func (s *Store) ListReviews(ctx context.Context, tenant model.TenantID) ([]PersonReview, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (v PersonReview, err error) {
		var candidates string
		var created int64
		if err = r.Scan(&v.Integration, &v.ExternalID, &v.Email, &v.DisplayName, &v.Reason, &candidates, &created); err != nil {
			return v, err
		}
		v.CreatedAt = fromMillis(created)
		return v, json.Unmarshal([]byte(candidates), &v.Candidates)
	}, `SELECT `+sourceName("pr")+` AS name, pr.external_id, min(ps.email), min(ps.display_name), pr.reason, pr.candidates, pr.created_at
		FROM person_review pr`+known("pr")+`JOIN person_source ps ON ps.tenant=pr.tenant AND ps.source=pr.source AND ps.external_id=pr.external_id AND ps.removed_at IS NULL
		WHERE pr.tenant=$1 AND `+seen("pr")+` GROUP BY i.name, pr.source, pr.external_id, pr.reason, pr.candidates, pr.created_at ORDER BY name, pr.external_id`, tenant)
}

// GroupPeople returns, for the groups of these names, the ids of the people in
// each, by group name. Groups that identity providers push count as those that
// Integrations list.
func (s *Store) GroupPeople(ctx context.Context, tenant model.TenantID, groups []string) (map[string][]string, error) {
	out := map[string][]string{}
	if len(groups) == 0 {
		return out, nil
	}
	list, args := inList([]any{tenant}, groups)
	_, err := collect(ctx, s.reads, func(r *sql.Rows) (struct{}, error) {
		var group, person string
		err := r.Scan(&group, &person)
		out[group] = append(out[group], person)
		return struct{}{}, err
	}, `SELECT DISTINCT g.name, a.person_id FROM directory_group g`+connected("g")+`
		JOIN membership m ON m.tenant=g.tenant AND m.source=g.source AND m.group_external_id=g.external_id AND m.removed_at IS NULL
		JOIN account a ON a.tenant=m.tenant AND a.source=m.source AND a.app_external_id='' AND a.external_id=m.account_external_id AND a.removed_at IS NULL
		WHERE g.tenant=$1 AND g.removed_at IS NULL AND g.name IN (`+list+`) AND a.person_id <> '' ORDER BY g.name, a.person_id`, args...)
	if err == nil {
		err = s.scimGroupPeople(ctx, tenant, groups, out)
	}
	if err != nil {
		return nil, fmt.Errorf("list the people of groups: %w", err)
	}
	return out, nil
}

// maxGroupsOfPerson bounds the groups of one person.
const maxGroupsOfPerson = 1000

// PersonGroups returns the names of the groups in which a person is, sorted:
// those that Integrations list, and those that identity providers push.
func (s *Store) PersonGroups(ctx context.Context, tenant model.TenantID, person string) ([]string, error) {
	names, err := collect(ctx, s.reads, func(r *sql.Rows) (name string, err error) { return name, r.Scan(&name) }, `SELECT DISTINCT g.name FROM account a`+connected("a")+`
		JOIN membership m ON m.tenant=a.tenant AND m.source=a.source AND m.account_external_id=a.external_id AND m.removed_at IS NULL
		JOIN directory_group g ON g.tenant=m.tenant AND g.source=m.source AND g.external_id=m.group_external_id AND g.removed_at IS NULL
		WHERE a.tenant=$1 AND a.person_id=$2 AND a.app_external_id='' AND a.removed_at IS NULL
		ORDER BY 1 LIMIT $3`, tenant, person, maxGroupsOfPerson)
	if err != nil {
		return nil, fmt.Errorf("list the groups of a person: %w", err)
	}
	pushed, err := s.scimGroupsOf(ctx, tenant, person)
	if err != nil {
		return nil, fmt.Errorf("list the groups of a person: %w", err)
	}
	names = append(names, pushed...)
	slices.Sort(names)
	return slices.Compact(names), nil
}
