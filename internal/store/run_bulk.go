// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seatkeeper/seatkeeper/internal/model"
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

// freshPlan has PostgreSQL plan a statement for the tables as they are. It keeps
// the plan of a prepared one: made while a table was empty, that reads all of it
// for each run of the thousands that then arrive, until the next ANALYZE.
const freshPlan = pgx.QueryExecModeCacheDescribe

// byKeys selects the rows of a table whose key is among ids. PostgreSQL, where
// its statistics are old or missing, would rather read all rows of the tenant;
// here it has no choice but to look each id up, and locks in their order.
func (d dialect) byKeys(columns, from, key, more string, tenant model.TenantID, ids []string) (string, []any) {
	alias := key[:strings.IndexByte(key, '.')]
	if d.name == postgres.name {
		return "SELECT " + columns + " FROM unnest($2::text[]) AS k(id) CROSS JOIN LATERAL (SELECT * FROM " + from + " WHERE " + alias + ".tenant = $1 AND " + key + " = k.id" +
			more + " OFFSET 0) AS " + alias, []any{freshPlan, tenant, ids}
	}
	args := make([]any, 0, len(ids)+1)
	args = append(args, tenant)
	for _, id := range ids {
		args = append(args, id)
	}
	return "SELECT " + columns + " FROM " + from + " WHERE " + alias + ".tenant = ? AND " + key + " IN (" + d.placeholders(2, len(ids)) + ")" + more, args
}

// located joins a table to the rows v, which name tenant and id of rows that
// the transaction has locked. PostgreSQL finds them as byKeys does.
func (d dialect) located(v, table string) string {
	if d.name == postgres.name {
		return v + " CROSS JOIN LATERAL (SELECT t.ctid AS place FROM " + table + " t WHERE t.tenant = " + v + ".tenant AND t.id = " + v + ".id OFFSET 0) AS k WHERE " + table + ".ctid = k.place"
	}
	return v + " WHERE " + table + ".tenant = " + v + ".tenant AND " + table + ".id = " + v + ".id"
}

// param is the i-th parameter of a statement that uses each once, in order.
// SQLite looks a name such as $7 up among all names, so that long statements
// cost the square of their length; ? has no name.
func (d dialect) param(i int) string {
	if d.name == sqlite.name {
		return "?"
	}
	return "$" + strconv.Itoa(i)
}

// bulk runs head + "VALUES " + rows + tail, at most bulkRows rows at a time, and
// returns the rows affected. types, when not nil, are those of the columns, for
// statements whose VALUES list is not an INSERT's.
func (s *Store) bulk(ctx context.Context, q querier, head, tail string, types []string, rows [][]any) (int64, error) {
	var total int64
	for len(rows) > 0 {
		n := min(len(rows), bulkRows)
		list, args, ok := "", []any(nil), false
		if s.dialect.name == postgres.name {
			if list, args, ok = unnest(types, rows[:n]); types != nil {
				args = append([]any{freshPlan}, args...)
			}
		}
		if !ok {
			list, args = s.values(types, rows[:n])
		}
		res, err := q.ExecContext(ctx, head+list+tail, args...)
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

// values is a VALUES list. The first row is cast to types, if there are any.
func (s *Store) values(types []string, rows [][]any) (string, []any) {
	var b strings.Builder
	b.WriteString("VALUES ")
	args := make([]any, 0, len(rows)*len(rows[0]))
	for i, row := range rows {
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
	return b.String(), args
}

// unnest is a VALUES list on PostgreSQL as one array for each column. The text
// is the same for any number of rows, so that it is parsed once a connection;
// a list of hundreds of rows takes longer to parse than to run. ok is false for
// values that it has no array of.
func unnest(types []string, rows [][]any) (list string, args []any, ok bool) {
	var fields, arrays, names []string
	for j := range rows[0] {
		array, kind, ok := columnOf(rows, j)
		if !ok {
			return "", nil, false
		}
		if array == nil { // nothing but NULL
			field := "NULL"
			if types != nil {
				field = "CAST(NULL AS " + types[j] + ")"
			}
			fields = append(fields, field)
			continue
		}
		args = append(args, array)
		name := "c" + strconv.Itoa(j)
		fields, names = append(fields, name), append(names, name)
		arrays = append(arrays, "$"+strconv.Itoa(len(args))+"::"+kind+"[]")
	}
	return "SELECT " + strings.Join(fields, ", ") + " FROM unnest(" + strings.Join(arrays, ", ") + ") AS u(" + strings.Join(names, ", ") + ")", args, len(args) > 0
}

// columnOf is a column of rows as an array that PostgreSQL takes, and its type;
// nil for one that has nothing but NULL.
func columnOf(rows [][]any, j int) (array any, kind string, ok bool) {
	for _, row := range rows {
		switch reflect.ValueOf(row[j]).Kind() {
		case reflect.Invalid:
			continue
		case reflect.Int, reflect.Int32, reflect.Int64:
			array, ok = arrayOf(rows, j, func(value any) (int64, bool) {
				if n, ok := value.(int64); ok {
					return n, true
				}
				v := reflect.ValueOf(value)
				if !v.CanInt() {
					return 0, false
				}
				return v.Int(), true
			})
			return array, "bigint", ok
		case reflect.String:
			array, ok = arrayOf(rows, j, func(value any) (string, bool) {
				if text, ok := value.(string); ok {
					return text, true
				}
				v := reflect.ValueOf(value)
				return v.String(), v.Kind() == reflect.String
			})
			return array, "text", ok
		case reflect.Slice:
			array, ok := bytesOf(rows, j)
			return array, "bytea", ok
		case reflect.Bool:
			array, ok = arrayOf(rows, j, func(value any) (bool, bool) {
				v := reflect.ValueOf(value)
				return v.Kind() == reflect.Bool && v.Bool(), v.Kind() == reflect.Bool
			})
			return array, "boolean", ok
		}
		return nil, "", false
	}
	return nil, "", true
}

// arrayOf is a column with NULL where a row has nothing. A column that has
// none is a list of plain values, which the driver writes without reflection.
func arrayOf[T any](rows [][]any, j int, of func(any) (T, bool)) (any, bool) {
	all, null := make([]T, len(rows)), false
	for i, row := range rows {
		if row[j] == nil {
			null = true
			continue
		}
		var ok bool
		if all[i], ok = of(row[j]); !ok {
			return nil, false
		}
	}
	if !null {
		return all, true
	}
	out := make([]*T, len(rows))
	for i, row := range rows {
		if row[j] != nil {
			out[i] = &all[i]
		}
	}
	return out, true
}

// bytesOf is a column of bytes.
func bytesOf(rows [][]any, j int) ([][]byte, bool) {
	out := make([][]byte, len(rows))
	for i, row := range rows {
		if row[j] == nil {
			continue
		}
		var ok bool
		if out[i], ok = row[j].([]byte); !ok {
			return nil, false
		}
	}
	return out, true
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
