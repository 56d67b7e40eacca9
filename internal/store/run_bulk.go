// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"
)

// placeholders returns "$from, …" for n parameters.
func placeholders(from, n int) string { return postgres.placeholders(from, n) }

// placeholders is the same for a statement whose parameters all come in order.
func (d dialect) placeholders(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(d.param(from + i))
	}
	return b.String()
}

// bulkRows is how many rows one statement carries: few enough to stay under
// SQLite's limit of 32,766 parameters.
const bulkRows = 200

// param is the i-th parameter of a statement that uses each once, in order.
// SQLite looks a name such as $7 up among all names, so that long statements
// cost the square of their length; ? has no name.
func (d dialect) param(i int) string {
	if d.name == sqlite.name {
		return "?"
	}
	return "$" + strconv.Itoa(i)
}

// bulk runs head + VALUES rows + tail, at most bulkRows rows at a time, and
// returns the rows affected. types, when not nil, cast the first row, for
// statements whose VALUES list is not an INSERT's.
func (s *Store) bulk(ctx context.Context, q querier, head, tail string, types []string, rows [][]any) (int64, error) {
	var total int64
	for len(rows) > 0 {
		n := min(len(rows), bulkRows)
		var b strings.Builder
		b.WriteString(head)
		args := make([]any, 0, n*len(rows[0]))
		for i, row := range rows[:n] {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteByte('(')
			for j, v := range row {
				if j > 0 {
					b.WriteString(", ")
				}
				args = append(args, v)
				p := s.dialect.param(len(args))
				if i == 0 && types != nil {
					p = "CAST(" + p + " AS " + types[j] + ")"
				}
				b.WriteString(p)
			}
			b.WriteByte(')')
		}
		b.WriteString(tail)
		res, err := q.ExecContext(ctx, b.String(), args...)
		if err != nil {
			return total, err
		}
		affected, err := res.RowsAffected()
		if err != nil {
			return total, err
		}
		total += affected
		rows = rows[n:]
	}
	return total, nil
}

// millis is an instant column's value; nil stays NULL.
func millis(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UnixMilli()
}

func nullTime(v sql.NullInt64) *time.Time {
	if !v.Valid {
		return nil
	}
	t := time.UnixMilli(v.Int64).UTC()
	return &t
}
