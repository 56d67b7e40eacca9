// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// syncSCIMPerson makes the row of people of a user say what the user says, and
// merges it, in the transaction of the write. It returns whom it describes.
//
// The row's lifecycle is what counts where SCIM is the lifecycle source
// (decision 4). Who is active works here at once; who no longer is waits as a
// leaver until the guard has seen the whole set: see SettleSCIMLeavers.
func (s *Store) syncSCIMPerson(ctx context.Context, tx *sql.Tx, t *SCIMTx, w SCIMWritten) (string, error) {
	have, err := scimPersonRow(ctx, tx, t.tenant, w.ID)
	if err != nil {
		return "", err
	}
	active := isActive(w.Attributes)
	gone := w.Outcome == SCIMDeleted
	name := scimText(mustResolve("userName").Leaf(), scimString(w.Attributes, "userName"))
	p := personOfSCIM{lifecycle: have.lifecycle}
	switch here := have.lifecycle == model.LifecycleCurrent; {
	case active && !gone:
		p.lifecycle = model.LifecycleCurrent
		err = s.forgetLeaver(ctx, tx, t.tenant, w, name)
	case here && (!gone || t.Facts.LifecycleSCIM):
		err = s.noteLeaver(ctx, tx, t.tenant, w.ID, name)
		p.waits = gone
	case gone:
		// Who has left already goes on counting against the guard.
		_, err = tx.ExecContext(ctx, `DELETE FROM scim_leaver WHERE tenant=$1 AND user_id=$2 AND passed_at IS NULL`, t.tenant, w.ID)
	}
	if err != nil {
		return "", err
	}
	p.removed = gone && !p.waits
	if err := s.putSCIMPerson(ctx, tx, t, w, p, have); err != nil {
		return "", err
	}
	person, err := s.mergeRow(ctx, tx, t.tenant, scimSource, w.ID)
	if person == "" {
		person = have.person
	}
	return person, err
}

// personOfSCIM is what becomes of a user's row of people.
type personOfSCIM struct {
	lifecycle model.Lifecycle
	removed   bool
	waits     bool // deleted, and a leaver that the guard has not let go yet
}

// scimRow is a user's row of people as it is.
type scimRow struct {
	known     bool
	lifecycle model.Lifecycle
	hash, aux int64
	removed   bool
	person    string
}

func scimPersonRow(ctx context.Context, q querier, tenant model.TenantID, id string) (r scimRow, err error) {
	err = q.QueryRowContext(ctx, `SELECT lifecycle, row_hash, aux_hash, removed_at IS NOT NULL, person_id FROM person_source
		WHERE tenant=$1 AND source=$2 AND stream=$3 AND external_id=$4`, tenant, scimSource, scimStream, id).Scan(&r.lifecycle, &r.hash, &r.aux, &r.removed, &r.person)
	if errors.Is(err, sql.ErrNoRows) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read the person of a SCIM user: %w", err)
	}
	r.known = true
	return r, nil
}

// putSCIMPerson writes the row if it differs, and marks it to be merged. That the
// number of a user is put right does not make them somebody else.
func (s *Store) putSCIMPerson(ctx context.Context, tx *sql.Tx, t *SCIMTx, w SCIMWritten, p personOfSCIM, have scimRow) error {
	person := scimPerson(t.Facts, w.SCIMResource, p.lifecycle)
	values := peopleFact.values(model.Record{Person: &person})
	for i, v := range values {
		if text, ok := v.(string); ok {
			values[i] = cleanText(text)
		}
	}
	hash, aux, _ := peopleFact.hashes(values, nil)
	if have.known && have.hash == hash && have.aux == aux && have.removed == p.removed {
		return nil
	}
	now := s.now()
	var removed any
	if p.removed {
		removed = now
	}
	cols := peopleFact.all()
	args := append([]any{t.tenant, scimSource, scimStream, hash, aux, now, removed}, values...)
	places, set := make([]string, len(cols)), make([]string, len(cols))
	for i, c := range cols {
		places[i] = fmt.Sprintf("$%d", 8+i)
		set[i] = c.name + "=excluded." + c.name
	}
	dirty, err := s.firstCycle(ctx, tx, t.tenant, !have.known)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO person_source (tenant, source, stream, row_hash, aux_hash, first_seen_at, observed_since, changed_at, removed_at, dirty, `+
		names("", cols)+`) VALUES ($1,$2,$3,$4,$5,$6,$6,$6,$7,`+fmt.Sprint(dirty)+`,`+strings.Join(places, ",")+`)
		ON CONFLICT (tenant, source, external_id, stream) DO UPDATE SET row_hash=excluded.row_hash, aux_hash=excluded.aux_hash,
		changed_at=excluded.changed_at, removed_at=excluded.removed_at, dirty=excluded.dirty, linked_employee_id='', `+strings.Join(set, ", "), args...)
	if err != nil {
		return fmt.Errorf("store the person of a SCIM user: %w", err)
	}
	return nil
}

// FirstCycleQuiet is for how long nobody was added when the first cycle of an
// identity provider is over.
const FirstCycleQuiet = 10 * time.Minute

// firstCycle returns the mark of a row that is written now. In the first cycle
// the whole company is added, and nobody of them joins that day.
func (s *Store) firstCycle(ctx context.Context, tx *sql.Tx, tenant model.TenantID, added bool) (dirty int, err error) {
	var last int64
	var over bool
	now := s.now()
	err = tx.QueryRowContext(ctx, `SELECT last_added_at, over FROM scim_first_cycle WHERE tenant=$1`, tenant).Scan(&last, &over)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		_, err = tx.ExecContext(ctx, `INSERT INTO scim_first_cycle (tenant, last_added_at) VALUES ($1,$2)`, tenant, now)
		dirty = 2
	case err != nil || over:
		dirty = 1
	case now-last >= FirstCycleQuiet.Milliseconds():
		_, err = tx.ExecContext(ctx, `UPDATE scim_first_cycle SET over=TRUE WHERE tenant=$1`, tenant)
		dirty = 1
	default:
		dirty = 2
		if added {
			_, err = tx.ExecContext(ctx, `UPDATE scim_first_cycle SET last_added_at=$2 WHERE tenant=$1`, tenant, now)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("tell the first cycle of SCIM: %w", err)
	}
	return dirty, nil
}

// noteLeaver records since when a user is no longer active.
func (s *Store) noteLeaver(ctx context.Context, tx *sql.Tx, tenant model.TenantID, id, name string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO scim_leaver (tenant, user_id, user_name, since) VALUES ($1,$2,$3,$4) ON CONFLICT (tenant, user_id) DO NOTHING`,
		tenant, id, name, s.now())
	if err != nil {
		return fmt.Errorf("note a leaver: %w", err)
	}
	return nil
}
