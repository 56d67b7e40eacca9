// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// mergeBatch is how many source rows one transaction merges into people.
var mergeBatch = 500

// MergeBeforeCommit is the failpoint before each commit of merged people.
const MergeBeforeCommit = "merge-before-commit"

// mergePeople merges every person row that a sync, a disconnect or a change of
// the tenant's facts has marked. The mark is the durable record of the work:
// after a crash the next call goes on, and no event is made twice.
func (s *Store) mergePeople(ctx context.Context, tenant model.TenantID) error {
	merged, err := s.mergeMarked(ctx, tenant)
	if err != nil || !merged {
		return err
	}
	// What has changed may settle what waits for a review.
	err = s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE person_source SET dirty=1 WHERE tenant=$1 AND dirty=0 AND person_id='' AND removed_at IS NULL
			AND external_id IN (SELECT external_id FROM person_review WHERE tenant=$1)`, tenant)
		return err
	})
	if err != nil {
		return fmt.Errorf("merge people: %w", err)
	}
	_, err = s.mergeMarked(ctx, tenant)
	return err
}

func (s *Store) mergeMarked(ctx context.Context, tenant model.TenantID) (found bool, err error) {
	for n, more := 1, true; more; n++ {
		if err := s.refreshDuring(ctx, n, "person, person_source, person_identifier, person_mail"); err != nil {
			return found, err
		}
		err := s.write(ctx, func(tx *sql.Tx) (err error) {
			m := &merger{s: s, tx: tx, tenant: tenant}
			more, err = m.run(ctx)
			found = found || len(m.batch) > 0
			failpoint.Hit(MergeBeforeCommit)
			return err
		})
		if err != nil {
			return found, fmt.Errorf("merge people: %w", err)
		}
	}
	return found, nil
}

// refreshDuring is refreshStatistics for what goes on for many batches, ever more
// rarely: before batch 3, 5, 9, 17 and so on.
func (s *Store) refreshDuring(ctx context.Context, batch int, tables string) error {
	if n := batch - 1; s.dialect.name != postgres.name || n < 2 || n&(n-1) != 0 {
		return nil
	}
	_, err := s.db.ExecContext(ctx, `ANALYZE `+tables)
	return err
}

// markSource marks the people of a source to be merged again, in the
// transaction that hides or restores it.
func markSource(ctx context.Context, q querier, tenant model.TenantID, source int64) error {
	_, err := q.ExecContext(ctx, `UPDATE person_source SET dirty=2 WHERE tenant=$1 AND source=$2`, tenant, source)
	return err
}

// merger merges one batch. Its fields are gathered first and decided on by the
// pure functions of identity.go.
type merger struct {
	s      *Store
	tx     *sql.Tx
	tenant model.TenantID

	rules   mergeRules
	batch   []*sourceRow
	rows    map[string][]*sourceRow // by person
	people  map[string]*mergedPerson
	index   map[identifier][]*candidate
	known   map[string]*candidate
	reviews []review
	initial map[string]bool // by person: nothing but first loads and configuration
	created map[string]bool
}

type review struct {
	row        *sourceRow
	reason     string
	candidates []string
}

func (m *merger) run(ctx context.Context) (more bool, err error) {
	if err := m.s.lockTenant(ctx, m.tx, m.tenant); err != nil {
		return false, err
	}
	if m.batch, err = m.sourceRows(ctx, `ps.dirty > 0 ORDER BY ps.source, ps.external_id LIMIT `+fmt.Sprint(mergeBatch)); err != nil || len(m.batch) == 0 {
		return false, err
	}
	if _, _, err := m.mergeRows(ctx); err != nil {
		return false, err
	}
	more = len(m.batch) == mergeBatch
	if !more {
		err = m.linkManagers(ctx)
	}
	return more, err
}

// lockTenant lets one transaction at a time merge people in a tenant: two could
// create the same person.
func (s *Store) lockTenant(ctx context.Context, q querier, tenant model.TenantID) error {
	var id int64
	if err := q.QueryRowContext(ctx, `SELECT id FROM tenant WHERE id=$1`+s.dialect.forUpdate, tenant).Scan(&id); err != nil {
		return fmt.Errorf("lock tenant %d: %w", tenant, err)
	}
	return nil
}

// mergeRows merges the batch, and returns the people whose rows changed and
// the addresses whose owner did.
func (m *merger) mergeRows(ctx context.Context) (touched, mails []string, err error) {
	if err := m.gather(ctx); err != nil {
		return nil, nil, err
	}
	touched = m.link()
	if err := m.writeLinks(ctx); err != nil {
		return nil, nil, err
	}
	if mails, err = m.writePeople(ctx, touched); err != nil {
		return nil, nil, err
	}
	return touched, mails, m.relinkAccounts(ctx, mails)
}

// mergeRow merges one row in the transaction that wrote it, and returns whom it
// describes: nobody yet if it waits for a review. The caller has locked the
// tenant.
func (s *Store) mergeRow(ctx context.Context, tx *sql.Tx, tenant model.TenantID, source int64, externalID string) (person string, err error) {
	m := &merger{s: s, tx: tx, tenant: tenant}
	if m.batch, err = m.sourceRows(ctx, `ps.source=$2 AND ps.external_id=$3 AND ps.dirty > 0`, source, externalID); err != nil || len(m.batch) == 0 {
		return "", err
	}
	touched, mails, err := m.mergeRows(ctx)
	if err != nil {
		return "", fmt.Errorf("merge a person: %w", err)
	}
	return m.batch[0].personID, m.linkManagersAround(ctx, touched, mails)
}

const sourceRowColumns = `ps.source, ps.stream, ps.external_id, ps.email, ps.aliases, ps.display_name, ps.given_name, ps.family_name, ps.title, ps.department,
	ps.division, ps.cost_center, ps.location, ps.time_zone, ps.employee_id, ps.employment_type, ps.manager_email, ps.manager_external_id,
	ps.start_date, ps.end_date, ps.lifecycle, ps.photo_url, ps.custom, ps.person_id, ps.linked_employee_id,
	ps.removed_at IS NOT NULL, coalesce(i.hidden_at, 0) > 0, ps.dirty`

func (m *merger) sourceRows(ctx context.Context, where string, args ...any) ([]*sourceRow, error) {
	return collect(ctx, m.tx, scanSourceRow, `SELECT `+sourceRowColumns+` FROM person_source ps
		LEFT JOIN integration_state i ON i.tenant=ps.tenant AND i.id=ps.source WHERE ps.tenant=$1 AND `+where, append([]any{m.tenant}, args...)...)
}

func scanSourceRow(rows *sql.Rows) (*sourceRow, error) {
	r := &sourceRow{fields: make(map[string]string, 20)}
	cols := []string{"display_name", "given_name", "family_name", "title", "department", "division", "cost_center", "location", "time_zone",
		"employee_id", "employment_type", "manager_email", "manager_external_id", "start_date", "end_date", "lifecycle", "photo_url"}
	values := make([]string, len(cols))
	var email, aliases string
	dest := []any{&r.source, &r.stream, &r.externalID, &email, &aliases}
	for i := range values {
		dest = append(dest, &values[i])
	}
	dest = append(dest, &r.custom, &r.personID, &r.linkedEmployeeID, &r.removed, &r.hidden, &r.dirty)
	if err := rows.Scan(dest...); err != nil {
		return nil, err
	}
	for i, c := range cols {
		r.fields[c] = values[i]
	}
	r.fields["email"] = email
	if aliases != "" {
		if err := json.Unmarshal([]byte(aliases), &r.aliases); err != nil {
			return nil, fmt.Errorf("aliases of a person of source %d: %w", r.source, err)
		}
	}
	return r, nil
}

// gather loads whom the batch's rows might describe.
func (m *merger) gather(ctx context.Context) error {
	facts, err := tenantFacts(ctx, m.tx, m.tenant)
	if err != nil {
		return err
	}
	sources := map[string]int64{}
	states, err := collect(ctx, m.tx, scanIntegrationRows, `SELECT `+integrationColumns+` FROM integration_state WHERE tenant=$1 AND hidden_at IS NULL`, m.tenant)
	if err != nil {
		return err
	}
	for _, st := range states {
		sources[st.Name] = st.Source
	}
	m.rules = newMergeRules(facts, sources)
	m.index, m.known = map[identifier][]*candidate{}, map[string]*candidate{}
	m.rows, m.initial, m.created = map[string][]*sourceRow{}, map[string]bool{}, map[string]bool{}

	values := map[string]bool{}
	ids := map[string]bool{}
	for _, r := range m.batch {
		if r.personID != "" {
			ids[r.personID] = true
		}
		for _, v := range append([]string{r.employeeID(), r.email()}, r.aliases...) {
			if v != "" {
				values[v] = true
			}
		}
	}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(values)), listChunk) {
		list, args := m.s.dialect.inList([]any{m.tenant}, chunk)
		found, err := collect(ctx, m.tx, scanIdentifier, `SELECT kind, value, person_id FROM person_identifier
			WHERE tenant=$1 AND kind IN ('employee','email','alias','scim-employee') AND value IN (`+list+`)`, args...)
		if err != nil {
			return err
		}
		for _, f := range found {
			ids[f.person] = true
		}
	}
	if err := m.loadRows(ctx, slices.Sorted(maps.Keys(ids))); err != nil {
		return err
	}
	if err := m.loadDirectoryIDs(ctx); err != nil {
		return err
	}
	for id, rows := range m.rows {
		m.remember(id, rows)
	}
	return nil
}

// loadDirectoryIDs loads what identity providers call users, where a user may be
// somebody who was one before.
func (m *merger) loadDirectoryIDs(ctx context.Context) error {
	users := map[string][]*sourceRow{}
	former := false
	for _, r := range m.batch {
		if r.source == scimSource {
			users[r.externalID] = append(users[r.externalID], r)
		}
	}
	if len(users) == 0 {
		return nil
	}
	for _, rows := range m.rows {
		for _, r := range rows {
			if r.source == scimSource && r.removed {
				users[r.externalID], former = append(users[r.externalID], r), true
			}
		}
	}
	if !former {
		return nil
	}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(users)), listChunk) {
		list, args := inList([]any{m.tenant}, chunk)
		_, err := collect(ctx, m.tx, func(r *sql.Rows) (struct{}, error) {
			var user, id string
			err := r.Scan(&user, &id)
			for _, row := range users[user] {
				row.directoryID = id
			}
			return struct{}{}, err
		}, `SELECT id, external_id FROM scim_user WHERE tenant=$1 AND external_id IS NOT NULL AND id IN (`+list+`)
			UNION ALL SELECT user_id, external_id FROM scim_former_user WHERE tenant=$1 AND user_id IN (`+list+`)`, args...)
		if err != nil {
			return fmt.Errorf("look up what identity providers call users: %w", err)
		}
	}
	return nil
}

type personIdentifier struct {
	identifier
	person string
}

func scanIdentifier(r *sql.Rows) (p personIdentifier, err error) {
	return p, r.Scan(&p.kind, &p.value, &p.person)
}

// loadRows loads all rows of the people, sharing the batch's own.
func (m *merger) loadRows(ctx context.Context, ids []string) error {
	type key struct {
		source     int64
		stream, id string
	}
	own := map[key]*sourceRow{}
	for _, r := range m.batch {
		own[key{r.source, r.stream, r.externalID}] = r
	}
	for chunk := range slices.Chunk(ids, listChunk) {
		list, args := m.s.dialect.inList([]any{m.tenant}, chunk)
		rows, err := m.sourceRows(ctx, `ps.person_id IN (`+list+`)`, args[1:]...)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if mine, ok := own[key{r.source, r.stream, r.externalID}]; ok {
				r = mine
			}
			m.rows[r.personID] = append(m.rows[r.personID], r)
		}
	}
	return nil
}

// remember makes a person findable by what its rows say of it.
func (m *merger) remember(id string, rows []*sourceRow) {
	c := m.known[id]
	if c == nil {
		c = &candidate{id: id}
		m.known[id] = c
	}
	c.employeeIDs, c.externalIDs, c.live, c.working, c.formerUsers = nil, map[int64][]string{}, false, false, nil
	for ident := range identifiers(rows) {
		if ident.kind == identEmployee || ident.kind == identClaimedEmployee {
			c.employeeIDs = append(c.employeeIDs, ident.value)
		}
		if !slices.Contains(m.index[ident], c) {
			m.index[ident] = append(m.index[ident], c)
		}
	}
	for _, r := range rows {
		switch {
		case !r.removed:
			c.live = true
			c.working = c.working || !r.hidden && r.fields["lifecycle"] != string(model.LifecyclePast)
			c.externalIDs[r.source] = append(c.externalIDs[r.source], r.externalID)
		case r.source == scimSource:
			c.formerUsers = append(c.formerUsers, r.user())
		}
	}
}

// forget drops a person from the index before its rows change.
func (m *merger) forget(id string) {
	c := m.known[id]
	for ident := range identifiers(m.rows[id]) {
		m.index[ident] = slices.DeleteFunc(m.index[ident], func(x *candidate) bool { return x == c })
	}
}

// link decides for each row of the batch whom it describes, and returns the
// people whose rows changed.
func (m *merger) link() []string {
	touched := map[string]bool{}
	mark := func(id string, r *sourceRow) {
		if !touched[id] {
			touched[id], m.initial[id] = true, true
		}
		m.initial[id] = m.initial[id] && r.dirty == 2
	}
	for _, r := range m.batch {
		if r.reused() {
			old := r.personID
			m.forget(old)
			m.rows[old] = slices.DeleteFunc(m.rows[old], func(x *sourceRow) bool { return x == r })
			r.personID = ""
			m.remember(old, m.rows[old])
			mark(old, r)
		}
		if r.personID == "" && !r.removed {
			id, reason, among := match(r, func(i identifier) []*candidate { return m.index[i] })
			if reason != "" {
				m.reviews = append(m.reviews, review{r, reason, among})
				continue
			}
			if id == "" {
				id = uuid.Must(uuid.NewV7()).String()
				m.created[id] = true
			}
			r.personID = id
			m.rows[id] = append(m.rows[id], r)
		}
		if r.personID != "" {
			r.linkedEmployeeID = or(r.employeeID(), r.linkedEmployeeID)
			m.remember(r.personID, m.rows[r.personID])
			mark(r.personID, r)
		}
	}
	return slices.Sorted(maps.Keys(touched))
}

// writeLinks stores whom the rows describe and clears their marks, and what
// waits for a review.
func (m *merger) writeLinks(ctx context.Context) error {
	row := "(CAST($%d AS BIGINT),$%d,$%d,$%d,$%d)"
	if m.s.dialect.name == sqlite.name {
		row = "(?,?,?,?,?)" // see tuples
	}
	for chunk := range slices.Chunk(m.batch, 100) {
		args := make([]any, 0, 5*len(chunk))
		tuples := make([]string, len(chunk))
		for i, r := range chunk {
			tuples[i] = row
			if n := len(args); strings.Contains(row, "%d") {
				tuples[i] = fmt.Sprintf(row, n+1, n+2, n+3, n+4, n+5)
			}
			args = append(args, r.source, r.stream, r.externalID, r.personID, r.linkedEmployeeID)
		}
		_, err := m.tx.ExecContext(ctx, fmt.Sprintf(`UPDATE person_source SET person_id = v.column4, linked_employee_id = v.column5, dirty = 0
			FROM (VALUES `+strings.Join(tuples, ",")+`) v WHERE person_source.tenant=%d
			AND person_source.source = v.column1 AND person_source.stream = v.column2 AND person_source.external_id = v.column3`, m.tenant), args...)
		if err != nil {
			return fmt.Errorf("link rows to people: %w", err)
		}
	}
	if err := m.settleReviews(ctx); err != nil {
		return err
	}
	for _, rv := range m.reviews {
		candidates, err := json.Marshal(rv.candidates)
		if err != nil {
			return err
		}
		_, err = m.tx.ExecContext(ctx, `INSERT INTO person_review (tenant, source, external_id, reason, candidates, created_at) VALUES ($1,$2,$3,$4,$5,$6)
			ON CONFLICT (tenant, source, external_id) DO UPDATE SET reason=excluded.reason, candidates=excluded.candidates`,
			m.tenant, rv.row.source, rv.row.externalID, rv.reason, string(candidates), m.s.now())
		if err != nil {
			return fmt.Errorf("ask for a review: %w", err)
		}
	}
	return nil
}

// settleReviews ends the reviews of rows that are linked, or gone, by now.
func (m *merger) settleReviews(ctx context.Context) error {
	var waiting bool
	if err := m.tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM person_review WHERE tenant=$1)`, m.tenant).Scan(&waiting); err != nil || !waiting {
		return err
	}
	_, err := m.tx.ExecContext(ctx, `DELETE FROM person_review WHERE tenant=$1 AND EXISTS (SELECT 1 FROM person_source ps
		WHERE ps.tenant=$1 AND ps.source=person_review.source AND ps.external_id=person_review.external_id AND (ps.person_id <> '' OR ps.removed_at IS NOT NULL))`, m.tenant)
	if err != nil {
		return fmt.Errorf("settle reviews: %w", err)
	}
	return nil
}
