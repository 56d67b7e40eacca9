// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"strconv"
	"strings"
)

const (
	rowsPerInsert   = 50
	maxPlaceholders = 30000 // below the limits of both databases
)

// insertRows inserts rows into "table (columns)", many per statement.
func insertRows(ctx context.Context, q querier, into string, rows [][]any, suffix string) error {
	if len(rows) == 0 {
		return nil
	}
	per := min(rowsPerInsert, maxPlaceholders/len(rows[0]))
	args := make([]any, 0, per*len(rows[0]))
	query, queryRows := "", 0
	for len(rows) > 0 {
		n := min(per, len(rows))
		if n != queryRows {
			query, queryRows = "INSERT INTO "+into+" VALUES "+rowPlaceholders(n, len(rows[0]))+suffix, n
		}
		args = args[:0]
		for _, r := range rows[:n] {
			args = append(args, r...)
		}
		if _, err := q.ExecContext(ctx, query, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// rowPlaceholders returns "($1,$2),($3,$4)" for two rows of two columns.
func rowPlaceholders(rows, cols int) string {
	var b strings.Builder
	b.Grow(rows * cols * 6)
	n := 0
	for r := range rows {
		if r > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for c := range cols {
			if c > 0 {
				b.WriteByte(',')
			}
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// inList returns "$a,$b,…" for values that follow the args there are, and all
// args together.
func inList[T any](args []any, values []T) (string, []any) {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		args = append(args, v)
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(len(args)))
	}
	if b.Len() == 0 {
		return "NULL", args
	}
	return b.String(), args
}
