// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
)

const (
	rowsPerInsert   = 50
	maxPlaceholders = 30000 // below the limits of both databases
)

// insertRows inserts rows into "table (columns)", many per statement.
func (s *Store) insertRows(ctx context.Context, q querier, into string, rows [][]any, suffix string) error {
	if len(rows) == 0 {
		return nil
	}
	per := min(rowsPerInsert, maxPlaceholders/len(rows[0]))
	args := make([]any, 0, per*len(rows[0]))
	exec := func(n int) execFunc {
		query := "INSERT INTO " + into + " VALUES " + s.dialect.tuples(n, len(rows[0])) + suffix
		return func(args ...any) (sql.Result, error) { return q.ExecContext(ctx, query, args...) }
	}
	many := exec(per)
	if p, ok := q.(preparer); ok && len(rows) >= 4*per {
		st, err := p.PrepareContext(ctx, "INSERT INTO "+into+" VALUES "+s.dialect.tuples(per, len(rows[0]))+suffix)
		if err != nil {
			return err
		}
		defer func() { _ = st.Close() }()
		many = func(args ...any) (sql.Result, error) { return st.ExecContext(ctx, args...) }
	}
	for len(rows) > 0 {
		n, run := min(per, len(rows)), many
		if n < per {
			run = exec(n)
		}
		args = args[:0]
		for _, r := range rows[:n] {
			args = append(args, r...)
		}
		if _, err := run(args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

type (
	execFunc func(args ...any) (sql.Result, error)
	preparer interface {
		PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	}
)

// tuples returns "($1,$2),($3,$4)" for two rows of two columns. On SQLite the
// placeholders are plain question marks: it looks a numbered one up by name,
// one by one, which makes long statements quadratic.
func (d dialect) tuples(rows, cols int) string {
	if d.name == sqlite.name {
		row := "(" + strings.TrimSuffix(strings.Repeat("?,", cols), ",") + ")"
		return strings.TrimSuffix(strings.Repeat(row+",", rows), ",")
	}
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

// listChunk bounds IN lists, for the reason that tuples gives.
const listChunk = 200

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

// inList is the function inList with plain question marks on SQLite, see
// tuples. Every numbered placeholder of the statement must come before the list.
func (d dialect) inList(args []any, values []string) (string, []any) {
	if d.name != sqlite.name || len(values) == 0 {
		return inList(args, values)
	}
	for _, v := range values {
		args = append(args, v)
	}
	return strings.TrimSuffix(strings.Repeat("?,", len(values)), ","), args
}
