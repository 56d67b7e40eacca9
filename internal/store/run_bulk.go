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
func placeholders(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(from + i))
	}
	return b.String()
}

// bulkRows is how many rows one statement carries: few enough to stay under
// SQLite's limit of 32,766 parameters.
const bulkRows = 200

// bulk runs head + VALUES rows + tail, at most bulkRows rows at a time, and
// returns the rows affected. types, when not nil, cast the first row, for
// statements whose VALUES list is not an INSERT's.
func bulk(ctx context.Context, tx *sql.Tx, head, tail string, types []string, rows [][]any) (int64, error) {
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
				p := "$" + strconv.Itoa(len(args))
				if i == 0 && types != nil {
					p = "CAST(" + p + " AS " + types[j] + ")"
				}
				b.WriteString(p)
			}
			b.WriteByte(')')
		}
		b.WriteString(tail)
		res, err := tx.ExecContext(ctx, b.String(), args...)
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
