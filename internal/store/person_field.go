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

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Types of custom fields.
const (
	FieldText    = "text"
	FieldNumber  = "number"
	FieldBoolean = "boolean"
	FieldList    = "list"
	FieldObject  = "object"
)

// Bounds of the custom fields of one source: whoever pushes a new name with
// each record gets no more.
const (
	maxPersonFields    = 1000
	maxPersonFieldName = 255
)

// PersonField is a custom field of people that a source gives.
type PersonField struct {
	// ID is stable, and unique in the tenant.
	ID          int64
	Source      int64
	Integration string
	// Name is that in the custom fields of a person.
	Name, Type string
	// Deleted: no record has it now, or the Integration is disconnected.
	Deleted bool
}

// PersonFields lists the custom fields of people by number, those that no
// source gives any more included.
func (s *Store) PersonFields(ctx context.Context, tenant model.TenantID) ([]PersonField, error) {
	out, err := collect(ctx, s.reads, func(r *sql.Rows) (f PersonField, err error) {
		return f, r.Scan(&f.ID, &f.Source, &f.Integration, &f.Name, &f.Type, &f.Deleted)
	}, `SELECT f.id, f.source, i.name, f.name, f.type, f.deleted_at IS NOT NULL OR i.hidden_at IS NOT NULL
		FROM person_field f JOIN integration_state i ON i.tenant=f.tenant AND i.id=f.source WHERE f.tenant=$1 ORDER BY f.id`, tenant)
	if err != nil {
		return nil, fmt.Errorf("list the custom fields of people: %w", err)
	}
	return out, nil
}

// fieldTypes are the custom fields of some records with their types.
type fieldTypes map[string]string

// add notes the fields of one record. A field that is null says nothing, and
// one whose values differ in type is text.
func (f fieldTypes) add(custom string) {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(custom), &fields) != nil {
		return
	}
	for name, value := range fields {
		typ := fieldType(value)
		if typ == "" || name == "" || len(name) > maxPersonFieldName {
			continue
		}
		name = cleanText(name)
		switch have := f[name]; {
		case have == "" && len(f) < maxPersonFields:
			f[name] = typ
		case have != "" && have != typ:
			f[name] = FieldText
		}
	}
}

func fieldType(value json.RawMessage) string {
	switch value[0] {
	case 'n':
		return ""
	case 't', 'f':
		return FieldBoolean
	case '[':
		return FieldList
	case '{':
		return FieldObject
	case '"':
		return FieldText
	}
	return FieldNumber
}

// noteFields records which custom fields the source gives, after the delta d of
// people was applied. What differs may have brought new ones; only after a
// whole read can one be gone.
func (y *Sync) noteFields(ctx context.Context, d *delta, o StreamOutcome) error {
	c := y.claim
	have, err := y.store.sourceFields(ctx, c)
	if err != nil {
		return err
	}
	known := d.ops[opReturned] + d.ops[opChanged] + d.ops[opTouched] + d.ops[opRemoved]
	whole := o.Complete && !o.Incremental && (len(have) == 0 || known > 0)
	if !whole && d.maxN == 0 {
		return nil
	}
	rows, args := ` FROM `+d.table+` WHERE custom <> ''`, []any(nil)
	if whole {
		rows, args = ` FROM person_source WHERE tenant=$1 AND source=$2 AND removed_at IS NULL AND custom <> ''`, []any{c.Tenant, c.Source}
	}
	given, err := y.store.fieldsIn(ctx, `SELECT custom`+rows, args...)
	if err != nil {
		return err
	}
	var changed []PersonField
	fresh := int64(0)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		f, ok := have[name]
		typ := given[name]
		if ok && !f.Deleted && !whole && f.Type != typ {
			typ = FieldText
		}
		switch {
		case !ok && len(have)+int(fresh) >= maxPersonFields:
			continue
		case !ok:
			fresh++
		case !f.Deleted && f.Type == typ:
			continue
		}
		f.Name, f.Type, f.Deleted = name, typ, false
		changed = append(changed, f)
	}
	if whole {
		for name, f := range have {
			if given[name] == "" && !f.Deleted {
				f.Deleted = true
				changed = append(changed, f)
			}
		}
	}
	return y.store.putFields(ctx, c, changed, fresh)
}

// fieldsIn reads custom fields, one record at a time.
func (s *Store) fieldsIn(ctx context.Context, query string, args ...any) (fieldTypes, error) {
	rows, err := s.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := fieldTypes{}
	var last, custom string
	for rows.Next() {
		if err := rows.Scan(&custom); err != nil {
			return nil, err
		}
		if custom != last {
			out.add(custom)
		}
		last = custom
	}
	return out, rows.Err()
}

// sourceFields returns the fields recorded for the source, by name.
func (s *Store) sourceFields(ctx context.Context, c Claim) (map[string]PersonField, error) {
	all, err := collect(ctx, s.reads, func(r *sql.Rows) (f PersonField, err error) {
		return f, r.Scan(&f.ID, &f.Name, &f.Type, &f.Deleted)
	}, `SELECT id, name, type, deleted_at IS NOT NULL FROM person_field WHERE tenant=$1 AND source=$2`, c.Tenant, c.Source)
	if err != nil {
		return nil, err
	}
	out := make(map[string]PersonField, len(all))
	for _, f := range all {
		out[f.Name] = f
	}
	return out, nil
}

// putFields writes fields; those without a number, fresh of them, get one.
func (s *Store) putFields(ctx context.Context, c Claim, fields []PersonField, fresh int64) error {
	if len(fields) == 0 {
		return nil
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		now, next := s.now(), int64(0)
		if fresh > 0 {
			var err error
			if next, err = nextID(ctx, tx, c.Tenant, "api.personField", fresh); err != nil {
				return err
			}
		}
		for _, f := range fields {
			if f.ID == 0 {
				f.ID = next
				next++
			}
			var deleted any
			if f.Deleted {
				deleted = now
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO person_field (tenant, id, source, name, type, created_at, deleted_at) VALUES ($1,$2,$3,$4,$5,$6,$7)
				ON CONFLICT (tenant, source, name) DO UPDATE SET type=excluded.type, deleted_at=excluded.deleted_at`,
				c.Tenant, f.ID, c.Source, f.Name, f.Type, now, deleted)
			if err != nil {
				return err
			}
		}
		return s.fence(ctx, tx, c)
	})
}
