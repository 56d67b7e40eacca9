// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// webhookSource is the source of what the webhooks of Workflows say of people
// whom nobody else knows yet. Like scimSource it is no Integration; it is
// trusted after every one.
const webhookSource int64 = 1<<31 - 2

// WebhookSource is how provenance names it.
const WebhookSource = "Webhook"

// WebhookPerson is somebody whom the webhook of a Workflow makes known.
type WebhookPerson struct {
	Workflow string
	Person   model.Person // with an ExternalID that is the same for the same body
	By       Decider
}

// AddWebhookPerson makes somebody known and returns the person's id. Said again
// it adds nobody. The record is merged as any source's is: it may turn out to
// describe somebody who is known, and then it is no new person; it returns
// ErrAmbiguousPerson if it may describe several.
func (s *Store) AddWebhookPerson(ctx context.Context, tenant model.TenantID, w WebhookPerson) (id string, err error) {
	values := peopleFact.values(model.Record{Person: &w.Person})
	for i, v := range values {
		if text, ok := v.(string); ok {
			values[i] = cleanText(text)
		}
	}
	hash, aux, _ := peopleFact.hashes(values, nil)
	err = s.write(ctx, func(tx *sql.Tx) error {
		id = ""
		if err := s.lockTenant(ctx, tx, tenant); err != nil {
			return err
		}
		err := tx.QueryRowContext(ctx, `SELECT person_id FROM person_source WHERE tenant=$1 AND source=$2 AND stream=$3 AND external_id=$4`,
			tenant, webhookSource, w.Workflow, w.Person.ExternalID).Scan(&id)
		if err == nil && id != "" {
			return nil
		}
		if errors.Is(err, sql.ErrNoRows) {
			cols := peopleFact.all()
			args := append([]any{tenant, webhookSource, w.Workflow, hash, aux, s.now()}, values...)
			places := make([]string, len(cols))
			for i := range cols {
				places[i] = fmt.Sprintf("$%d", 7+i)
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO person_source (tenant, source, stream, row_hash, aux_hash, first_seen_at, observed_since, changed_at, dirty, `+
				names("", cols)+`) VALUES ($1,$2,$3,$4,$5,$6,$6,$6,1,`+strings.Join(places, ",")+`)`, args...)
		}
		if err != nil {
			return err
		}
		if id, err = s.mergeRow(ctx, tx, tenant, webhookSource, w.Person.ExternalID); err != nil || id == "" {
			return err // without an id it waits for a review, which stays
		}
		action, rows := "person.create", 0
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM person_source WHERE tenant=$1 AND person_id=$2`, tenant, id).Scan(&rows); err != nil {
			return err
		}
		if rows > 1 { // somebody whom a source had
			action = "person.update"
		}
		return s.appendAudit(ctx, tx, tenant, model.AuditRecord{Actor: w.By.Actor, ActorKind: w.By.Kind, Action: action, ObjectKind: "Person",
			ObjectName: id, PersonID: id, Reason: w.By.Reason, Result: "done", Subject: map[string]string{"email": w.Person.Email, "name": w.Person.DisplayName}})
	})
	if err != nil {
		return "", fmt.Errorf("add the person of a webhook: %w", err)
	}
	if id == "" {
		return "", ErrAmbiguousPerson
	}
	return id, nil
}

// ErrAmbiguousPerson reports a record that may describe several people: a person
// has to decide, and it describes nobody until then.
var ErrAmbiguousPerson = errors.New("the record may describe several people")

// PersonOfSource returns whom an Integration lists under an id, as a person or as
// the owner of an account, or ErrNotFound.
func (s *Store) PersonOfSource(ctx context.Context, tenant model.TenantID, integration, externalID string) (PersonView, error) {
	return s.personOf(ctx, tenant, `SELECT ps.person_id FROM person_source ps`+connected("ps")+
		`WHERE ps.tenant=$1 AND i.name=$2 AND ps.external_id=$3 AND ps.person_id <> '' AND ps.removed_at IS NULL`, integration, externalID)
}

// PersonOfAccount returns whose an account of an Integration is, or ErrNotFound.
func (s *Store) PersonOfAccount(ctx context.Context, tenant model.TenantID, integration, account string) (PersonView, error) {
	return s.personOf(ctx, tenant, `SELECT a.person_id FROM account a`+connected("a")+
		`WHERE a.tenant=$1 AND i.name=$2 AND a.external_id=$3 AND a.app_external_id='' AND a.person_id <> ''`, integration, account)
}

// PersonOfEmployee returns the one person with an employee id, or ErrNotFound.
func (s *Store) PersonOfEmployee(ctx context.Context, tenant model.TenantID, employeeID string) (PersonView, error) {
	return s.personOf(ctx, tenant, `SELECT person_id FROM person_identifier WHERE tenant=$1 AND kind=$2 AND value=$3`, identEmployee, employeeID)
}

// personOf returns the only person that a query gives.
func (s *Store) personOf(ctx context.Context, tenant model.TenantID, query, a, b string) (PersonView, error) {
	ids, err := collect(ctx, s.reads, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) }, query+` GROUP BY 1 LIMIT 2`, tenant, a, b)
	if err != nil {
		return PersonView{}, fmt.Errorf("find a person: %w", err)
	}
	if len(ids) != 1 {
		return PersonView{}, fmt.Errorf("person %w", ErrNotFound)
	}
	return s.Person(ctx, tenant, ids[0])
}
