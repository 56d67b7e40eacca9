// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// provisioned is how many users of a large directory are sent as an identity
// provider does; the others are copies of one of them.
const provisioned = 1000

// seedTables are those that have rows of a user, and the person they describe.
var seedTables = []string{"scim_user", "scim_element", "person_source", "person", "person_identifier", "person_mail"}

// template is the first user whose every text says which one it is.
const template = 999_999_999

// seed copies one user, row by row, so often that there are n in all: sending a
// hundred thousand would take longer than all that is measured.
func (s *benchServer) seed(n int) {
	s.Helper()
	mark := fmt.Sprint(template - n)
	id := s.create(template - n)
	db := s.open()
	var person string
	if err := db.QueryRowContext(s.Context(), `SELECT person_id FROM person_source WHERE external_id=$1`, id).Scan(&person); err != nil {
		s.Fatal(err)
	}
	from := len(s.ids)
	people := make([]string, n-from)
	for i := range people {
		s.ids, people[i] = append(s.ids, uuid.Must(uuid.NewV7()).String()), uuid.Must(uuid.NewV7()).String()
	}
	for _, table := range seedTables {
		cols, rows := s.rowsOf(db, table, id, person, mark)
		var out [][]any
		for i := range people {
			rename := strings.NewReplacer(id, s.ids[from+i], person, people[i], mark, fmt.Sprint(from+i))
			for _, row := range rows {
				next := make([]any, len(row))
				for c, v := range row {
					switch v := v.(type) {
					case string:
						next[c] = rename.Replace(v)
					case int64:
						if next[c] = v; cols[c] == "api_id" {
							next[c] = int64(1_000_000_000 + from + i)
						}
					default:
						next[c] = v
					}
				}
				out = append(out, next)
			}
		}
		s.insert(db, table, cols, out)
	}
	if s.postgres {
		if _, err := db.ExecContext(s.Context(), `ANALYZE`); err != nil {
			s.Fatal(err)
		}
	}
}

// rowsOf returns the rows of a table that are the template's.
func (s *benchServer) rowsOf(db *sql.DB, table string, ids ...string) (cols []string, out [][]any) {
	s.Helper()
	rows, err := db.QueryContext(s.Context(), `SELECT * FROM `+table)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	if cols, err = rows.Columns(); err != nil {
		s.Fatal(err)
	}
	for rows.Next() {
		row, at := make([]any, len(cols)), make([]any, len(cols))
		for i := range row {
			at[i] = &row[i]
		}
		if err := rows.Scan(at...); err != nil {
			s.Fatal(err)
		}
		for i, v := range row {
			if b, ok := v.([]byte); ok {
				row[i] = string(b)
			}
		}
		text := fmt.Sprint(row...)
		for _, id := range ids {
			if strings.Contains(text, id) {
				out = append(out, row)
				break
			}
		}
	}
	if err := rows.Err(); err != nil || len(out) == 0 {
		s.Fatalf("%s has no row of the template: %v", table, err)
	}
	return cols, out
}

func (s *benchServer) insert(db *sql.DB, table string, cols []string, rows [][]any) {
	s.Helper()
	tx, err := db.BeginTx(s.Context(), nil)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }() // after the commit it does nothing
	for len(rows) > 0 {
		n := min(30_000/len(cols), len(rows))
		places, args := make([]string, n), make([]any, 0, n*len(cols))
		for i, row := range rows[:n] {
			of := make([]string, len(row))
			for c, v := range row {
				args = append(args, v)
				if of[c] = "?"; s.postgres { // SQLite looks for each $1 among all before it
					of[c] = fmt.Sprintf("$%d", len(args))
				}
			}
			places[i] = "(" + strings.Join(of, ",") + ")"
		}
		if _, err := tx.ExecContext(s.Context(), `INSERT INTO `+table+` (`+strings.Join(cols, ",")+`) VALUES `+strings.Join(places, ","), args...); err != nil {
			s.Fatalf("copy rows of %s: %v", table, err)
		}
		rows = rows[n:]
	}
	if err := tx.Commit(); err != nil {
		s.Fatal(err)
	}
}

// open opens the database of the store.
func (s *benchServer) open() *sql.DB {
	s.Helper()
	driver, at := "pgx", s.dsn
	if dir, ok := strings.CutPrefix(s.dsn, "sqlite:"); ok {
		driver, at = "sqlite", "file:"+dir+"/seatkeeper.db?_pragma=busy_timeout("+fmt.Sprint(time.Minute.Milliseconds())+")"
	}
	db, err := sql.Open(driver, at)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = db.Close() })
	return db
}
