// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// matter is what many audit records have in common. Its id is a digest, so that
// nobody need look whether there is one.
type matter struct {
	id      matterID
	columns []string
}

type matterID [16]byte

// matterKey names a matter of a tenant.
type matterKey struct {
	tenant model.TenantID
	id     matterID
}

const matterInsert = `INSERT INTO audit_matter (tenant, id, actor, actor_kind, action, object_kind, object_name, reason, cause, result, fields) `

// matterOf divides a record into its matter and its details.
func matterOf(r model.AuditRecord) (m matter, details []byte, err error) {
	names := slices.Sorted(maps.Keys(r.Detail))
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = r.Detail[name]
	}
	fields := []byte("[]")
	if len(names) > 0 {
		if fields, err = json.Marshal(names); err != nil {
			return m, nil, err
		}
	}
	m.columns = []string{r.Actor, string(r.ActorKind), r.Action, r.ObjectKind, r.ObjectName, r.Reason, r.Cause, r.Result, string(fields)}
	sum := sha256.Sum256(packList(m.columns))
	m.id = matterID(sum[:16])
	return m, packList(values), nil
}

func (m matter) row(tenant model.TenantID) []any {
	row := []any{tenant, m.id[:]}
	for _, v := range m.columns {
		row = append(row, v)
	}
	return row
}

// matterRows are sorted: two transactions that add the same ones wait for each
// other, in one order.
func matterRows(all map[matterKey][]any) [][]any {
	rows := make([][]any, 0, len(all))
	for _, key := range slices.SortedFunc(maps.Keys(all), func(a, b matterKey) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), bytes.Compare(a.id[:], b.id[:]))
	}) {
		rows = append(rows, all[key])
	}
	return rows
}

// detailOf is the detail of a record whose matter has such fields.
func detailOf(fields string, details []byte) (map[string]string, error) {
	var names []string
	if err := json.Unmarshal([]byte(fields), &names); err != nil {
		return nil, err
	}
	values, err := unpackList(details)
	if err != nil {
		return nil, err
	}
	if len(names) != len(values) {
		return nil, fmt.Errorf("%d values for %d fields", len(values), len(names))
	}
	if len(names) == 0 {
		return nil, nil
	}
	out := make(map[string]string, len(names))
	for i, name := range names {
		out[name] = values[i]
	}
	return out, nil
}
