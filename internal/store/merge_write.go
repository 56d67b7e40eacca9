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

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// mergedColumns are the columns of person that come from fields.
var mergedColumns = slices.Sorted(maps.Keys(fieldNames))

// writePeople merges the touched people anew, writes those that differ with
// their events, and returns the addresses whose owner changed.
func (m *merger) writePeople(ctx context.Context, touched []string) (mails []string, err error) {
	if m.people, err = m.loadPeople(ctx, touched); err != nil {
		return nil, err
	}
	var rows [][]any
	var fresh []string
	batch := uuid.Must(uuid.NewV7()).String()
	var events [][]any
	now := m.s.now()
	for _, id := range touched {
		before := m.people[id]
		was := model.Lifecycle("")
		if before != nil {
			was = before.lifecycle
		} else {
			fresh = append(fresh, id)
		}
		after := m.rules.merge(m.rows[id], was)
		after.period = periodOf(before, after.lifecycle)
		changed := changedFields(before, after)
		if before != nil && len(changed) == 0 && before.hidden == after.hidden {
			continue
		}
		rows = append(rows, m.personRow(id, after, now))
		payload, err := eventPayload(after, was, changed)
		if err != nil {
			return nil, err
		}
		for _, kind := range personEvents(before, after, changed) {
			events = append(events, []any{m.tenant, fmt.Sprintf("%s:%d", batch, len(events)+1), string(kind), id, m.rows[id][0].source, m.initial[id], payload, now})
		}
	}
	if err := m.numberPeople(ctx, rows, fresh); err != nil {
		return nil, err
	}
	if err := m.upsertPeople(ctx, rows); err != nil {
		return nil, err
	}
	if err := m.s.insertRows(ctx, m.tx, `trigger_event (tenant, id, kind, subject, source, initial, payload, created_at)`, events, ""); err != nil {
		return nil, fmt.Errorf("events of people: %w", err)
	}
	return m.writeIdentifiers(ctx, touched)
}

// FirstPeriod is the number of a person's first employment.
const FirstPeriod = 1

// NextPeriod counts the employments of a person: who is no longer past is in the
// next one.
func NextPeriod(period int64, was, now model.Lifecycle) int64 {
	if was == model.LifecyclePast && now != model.LifecyclePast {
		return period + 1
	}
	return period
}

func periodOf(before *mergedPerson, now model.Lifecycle) int64 {
	if before == nil {
		return FirstPeriod
	}
	return NextPeriod(before.period, before.lifecycle, now)
}

func eventPayload(p mergedPerson, was model.Lifecycle, changed []string) (string, error) {
	b, err := json.Marshal(map[string]any{"changed": changed, "lifecycle": p.lifecycle, "was": was, "period": p.period, "startDate": p.fields["start_date"], "endDate": p.fields["end_date"]})
	return string(b), err
}

// changedFields names the fields that differ, as people call them.
func changedFields(before *mergedPerson, after mergedPerson) []string {
	if before == nil {
		return []string{}
	}
	out := []string{}
	for column, name := range fieldNames {
		if before.fields[column] != after.fields[column] && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if before.custom != after.custom {
		out = append(out, "custom")
	}
	if before.lifecycle != after.lifecycle {
		out = append(out, "lifecycle")
	}
	slices.Sort(out)
	return out
}

func (m *merger) loadPeople(ctx context.Context, ids []string) (map[string]*mergedPerson, error) {
	out := map[string]*mergedPerson{}
	for chunk := range slices.Chunk(ids, listChunk) {
		list, args := m.s.dialect.inList([]any{m.tenant}, chunk)
		_, err := collect(ctx, m.tx, func(r *sql.Rows) (struct{}, error) {
			p := &mergedPerson{fields: map[string]string{}}
			var id string
			values := make([]string, len(mergedColumns))
			dest := []any{&id, &p.custom, &p.lifecycle, &p.period, &p.managerSource, &p.hidden}
			for i := range values {
				dest = append(dest, &values[i])
			}
			if err := r.Scan(dest...); err != nil {
				return struct{}{}, err
			}
			for i, c := range mergedColumns {
				if values[i] != "" {
					p.fields[c] = values[i]
				}
			}
			out[id] = p
			return struct{}{}, nil
		}, `SELECT id, custom, lifecycle, period, manager_source, hidden, `+strings.Join(mergedColumns, ", ")+` FROM person WHERE tenant=$1 AND id IN (`+list+`)`, args...)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// personRow has the values of personColumns; the api id is filled in later for
// new people and ignored for known ones.
func (m *merger) personRow(id string, p mergedPerson, now int64) []any {
	row := []any{m.tenant, id, int64(0), p.custom, string(p.lifecycle), p.period, p.managerSource, p.hidden, now, now}
	for _, c := range mergedColumns {
		row = append(row, p.fields[c])
	}
	return row
}

var personColumns = append([]string{"tenant", "id", "api_id", "custom", "lifecycle", "period", "manager_source", "hidden", "first_seen_at", "changed_at"}, mergedColumns...)

func (m *merger) numberPeople(ctx context.Context, rows [][]any, fresh []string) error {
	if len(fresh) == 0 {
		return nil
	}
	next, err := nextID(ctx, m.tx, m.tenant, "api.person", int64(len(fresh)))
	if err != nil {
		return err
	}
	for _, row := range rows {
		if _, found := slices.BinarySearch(fresh, row[1].(string)); found {
			row[2] = next
			next++
		}
	}
	return nil
}

func (m *merger) upsertPeople(ctx context.Context, rows [][]any) error {
	// Known people go in one by one with an update: an insert that conflicts
	// would still need a free api id.
	var known, fresh [][]any
	for _, row := range rows {
		if row[2] == int64(0) {
			known = append(known, row)
		} else {
			fresh = append(fresh, row)
		}
	}
	into := "person (" + strings.Join(personColumns, ", ") + ")"
	if err := m.s.insertRows(ctx, m.tx, into, fresh, ""); err != nil {
		return fmt.Errorf("add people: %w", err)
	}
	for _, row := range known {
		assign := make([]string, 0, len(personColumns))
		args := []any{row[0], row[1]}
		for i, c := range personColumns {
			if c == "tenant" || c == "id" || c == "api_id" || c == "first_seen_at" {
				continue
			}
			args = append(args, row[i])
			assign = append(assign, fmt.Sprintf("%s = $%d", c, len(args)))
		}
		if _, err := m.tx.ExecContext(ctx, `UPDATE person SET `+strings.Join(assign, ", ")+` WHERE tenant=$1 AND id=$2`, args...); err != nil {
			return fmt.Errorf("update people: %w", err)
		}
	}
	return nil
}

// writeIdentifiers stores what the people are recognised by, and returns the
// addresses that now stand for somebody else, or for nobody.
func (m *merger) writeIdentifiers(ctx context.Context, people []string) ([]string, error) {
	have, mails := map[personIdentifier]bool{}, map[string]bool{}
	for chunk := range slices.Chunk(people, listChunk) {
		list, args := m.s.dialect.inList([]any{m.tenant}, chunk)
		_, err := collect(ctx, m.tx, func(r *sql.Rows) (struct{}, error) {
			var p personIdentifier
			var contested bool
			err := r.Scan(&p.kind, &p.value, &p.person, &contested)
			have[p] = true
			if contested {
				mails[p.value] = true // whose it is depends on who is still listed
			}
			return struct{}{}, err
		}, `SELECT kind, value, person_id, kind='email' AND EXISTS (SELECT 1 FROM person_identifier o WHERE o.tenant=pi.tenant AND o.kind=pi.kind AND o.value=pi.value AND o.person_id <> pi.person_id)
			FROM person_identifier pi WHERE tenant=$1 AND person_id IN (`+list+`)`, args...)
		if err != nil {
			return nil, err
		}
	}
	note := func(p personIdentifier) {
		if p.mail() {
			mails[p.value] = true
		}
	}
	var add [][]any
	for _, id := range people {
		for ident := range identifiers(m.rows[id]) {
			p := personIdentifier{ident, id}
			if !have[p] {
				add = append(add, []any{m.tenant, p.kind, p.value, p.person})
				note(p)
			}
			delete(have, p)
		}
	}
	for p := range have { // what no row says any more
		note(p)
		if _, err := m.tx.ExecContext(ctx, `DELETE FROM person_identifier WHERE tenant=$1 AND kind=$2 AND value=$3 AND person_id=$4`, m.tenant, p.kind, p.value, p.person); err != nil {
			return nil, fmt.Errorf("forget an identifier: %w", err)
		}
	}
	if err := m.s.insertRows(ctx, m.tx, "person_identifier (tenant, kind, value, person_id)", add, ""); err != nil {
		return nil, fmt.Errorf("store identifiers: %w", err)
	}
	return m.writeMails(ctx, slices.Sorted(maps.Keys(mails)))
}

// writeMails stores whom each address stands for: the one person who has it as
// e-mail, or of several the one whom a source lists now, else the one who has it as alias, else the one user over SCIM who says
// so, else nobody.
func (m *merger) writeMails(ctx context.Context, mails []string) (changed []string, err error) {
	for chunk := range slices.Chunk(mails, listChunk) {
		list, args := m.s.dialect.inList([]any{m.tenant}, chunk)
		owners := map[identifier][]string{}
		found, err := collect(ctx, m.tx, scanIdentifier, `SELECT kind, value, person_id FROM person_identifier
			WHERE tenant=$1 AND kind IN ('email','alias','scim-alias') AND value IN (`+list+`)`, args...)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			owners[f.identifier] = append(owners[f.identifier], f.person)
		}
		have := map[string]string{}
		_, err = collect(ctx, m.tx, func(r *sql.Rows) (struct{}, error) {
			var mail, person string
			err := r.Scan(&mail, &person)
			have[mail] = person
			return struct{}{}, err
		}, `SELECT mail, person_id FROM person_mail WHERE tenant=$1 AND mail IN (`+list+`)`, args...)
		if err != nil {
			return nil, err
		}
		listed, err := m.listed(ctx, owners)
		if err != nil {
			return nil, err
		}
		var add [][]any
		var gone []string
		for _, mail := range chunk {
			since := int64(0)
			if of := owners[identifier{identEmail, mail}]; len(of) > 1 {
				// The address was given to somebody else, who does not inherit.
				owners[identifier{identEmail, mail}] = slices.DeleteFunc(slices.Clone(of), func(id string) bool { return !listed[id] })
				if since = m.s.now(); len(owners[identifier{identEmail, mail}]) == 0 {
					owners[identifier{identEmail, mail}] = of
				}
			}
			owner := soleOwner(owners[identifier{identEmail, mail}], owners[identifier{identAlias, mail}], owners[identifier{identClaimedAlias, mail}])
			if owner == have[mail] {
				continue
			}
			changed = append(changed, mail)
			if owner == "" {
				gone = append(gone, mail)
			} else {
				add = append(add, []any{m.tenant, mail, owner, since})
			}
		}
		if len(gone) > 0 {
			list, args := m.s.dialect.inList([]any{m.tenant}, gone)
			if _, err := m.tx.ExecContext(ctx, `DELETE FROM person_mail WHERE tenant=$1 AND mail IN (`+list+`)`, args...); err != nil {
				return nil, fmt.Errorf("forget addresses: %w", err)
			}
		}
		if err := m.s.insertRows(ctx, m.tx, "person_mail (tenant, mail, person_id, since)", add, " ON CONFLICT (tenant, mail) DO UPDATE SET person_id = excluded.person_id, since = excluded.since"); err != nil {
			return nil, fmt.Errorf("store addresses: %w", err)
		}
	}
	return changed, nil
}

// listed returns which of those who have an e-mail in common a source lists now.
func (m *merger) listed(ctx context.Context, owners map[identifier][]string) (map[string]bool, error) {
	var ids []string
	for ident, of := range owners {
		if ident.kind == identEmail && len(of) > 1 {
			ids = append(ids, of...)
		}
	}
	out := map[string]bool{}
	for chunk := range slices.Chunk(ids, listChunk) {
		list, args := inList([]any{m.tenant}, chunk)
		found, err := collect(ctx, m.tx, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) },
			`SELECT DISTINCT person_id FROM person_source WHERE tenant=$1 AND removed_at IS NULL AND person_id IN (`+list+`)`, args...)
		if err != nil {
			return nil, fmt.Errorf("look up who is listed: %w", err)
		}
		for _, id := range found {
			out[id] = true
		}
	}
	return out, nil
}

// soleOwner returns the one owner in the first of the lists that has any.
func soleOwner(byTrust ...[]string) string {
	for _, owners := range byTrust {
		if len(owners) == 1 {
			return owners[0]
		}
		if len(owners) > 1 {
			return ""
		}
	}
	return ""
}

// relinkAccounts links the accounts that point at the batch's rows or at
// addresses whose owner changed.
func (m *merger) relinkAccounts(ctx context.Context, mails []string) error {
	relink := `UPDATE account SET person_id = ` + strings.NewReplacer("ps.source=$2", "ps.source=account.source").Replace(accountPerson("account", "account.observed_since")) + ` WHERE tenant=$1 AND `
	bySource := map[int64][]string{}
	for _, r := range m.batch {
		bySource[r.source] = append(bySource[r.source], r.externalID)
	}
	for source, ids := range bySource {
		list, args := m.s.dialect.inList([]any{m.tenant, source}, ids)
		if _, err := m.tx.ExecContext(ctx, relink+`source=$2 AND person_external_id IN (`+list+`) AND person_external_id <> ''`, args...); err != nil {
			return fmt.Errorf("link accounts by id: %w", err)
		}
	}
	for chunk := range slices.Chunk(mails, listChunk) {
		list, args := m.s.dialect.inList([]any{m.tenant}, chunk)
		if _, err := m.tx.ExecContext(ctx, relink+`person_key IN (`+list+`) AND person_key <> ''`, args...); err != nil {
			return fmt.Errorf("link accounts by address: %w", err)
		}
	}
	return nil
}

const managerOf = `coalesce(
	(SELECT min(ps.person_id) FROM person_source ps WHERE ps.tenant=person.tenant AND ps.source=person.manager_source
		AND ps.external_id=person.manager_external_id AND person.manager_external_id <> '' AND ps.person_id <> ''),
	(SELECT pm.person_id FROM person_mail pm WHERE pm.tenant=person.tenant AND pm.mail=person.manager_email AND person.manager_email <> ''), '')`

// linkManagers comes last, when everybody who may be a manager is known.
func (m *merger) linkManagers(ctx context.Context) error {
	_, err := m.tx.ExecContext(ctx, `UPDATE person SET manager_id = `+managerOf+` WHERE tenant=$1 AND manager_id <> `+managerOf, m.tenant)
	if err != nil {
		return fmt.Errorf("link managers: %w", err)
	}
	return nil
}

// linkManagersAround is linkManagers for a few people: theirs, and those whose
// manager they may be.
func (m *merger) linkManagersAround(ctx context.Context, people, mails []string) error {
	for _, of := range []struct {
		condition string
		values    []string
	}{
		{"id IN (%s)", people},
		{"manager_email <> '' AND manager_email IN (%s)", mails},
		{"manager_external_id <> '' AND (manager_source, manager_external_id) IN (SELECT ps.source, ps.external_id FROM person_source ps WHERE ps.tenant=$1 AND ps.person_id <> '' AND ps.person_id IN (%s))", people},
	} {
		for chunk := range slices.Chunk(of.values, listChunk) {
			list, args := inList([]any{m.tenant}, chunk)
			_, err := m.tx.ExecContext(ctx, `UPDATE person SET manager_id = `+managerOf+` WHERE tenant=$1 AND `+fmt.Sprintf(of.condition, list)+` AND manager_id <> `+managerOf, args...)
			if err != nil {
				return fmt.Errorf("link managers: %w", err)
			}
		}
	}
	return nil
}
