// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package csvfile reads member exports as people download them from admin
// consoles, says how it understood every column, and refuses a file as a
// whole rather than guess.
package csvfile

import (
	"fmt"
	"iter"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Options say what is known of the file beforehand; everything else is found
// out from the file.
type Options struct {
	// Format is slack, google-workspace, okta, zoom or generic; "" detects it.
	Format string
	// Columns maps headers to targets such as account.email for the generic
	// format, and overrides single columns of the others. Target "-" drops a
	// column, "custom" keeps it as a custom field.
	Columns map[string]string
	// DateFormat settles dates that the column leaves ambiguous: DMY, MDY, YMD.
	DateFormat string
	// Delimiter is ",", ";" or tab; "" sniffs it.
	Delimiter string
	// Statuses maps the file's status words (lower case) to account states.
	Statuses map[string]string
}

// ColumnUnderstanding says what became of one column.
type ColumnUnderstanding struct {
	Header string
	// Target is the field it fills, such as account.lastActivityAt; "custom"
	// when it is kept as a custom field; "" when it is dropped.
	Target string
	// As says how it is read, such as "date M/D/YYYY".
	As string
}

// Result is a file that was understood and accepted as a whole.
type Result struct {
	Format    string
	Encoding  string // UTF-8, UTF-16LE, UTF-16BE, Latin-1
	Delimiter string
	Columns   []ColumnUnderstanding
	Rows      int
	Notes     []string
	// DataTypes lists what the rows yield.
	DataTypes []model.DataType

	records func(yield func(model.Record, error) bool)
	close   func() error
}

// Records yields the records in file order. It may be ranged over once or
// more, until Close.
func (r *Result) Records() iter.Seq2[model.Record, error] { return r.records }

// Close frees what the result holds on disk.
func (r *Result) Close() error {
	if r.close == nil {
		return nil
	}
	return r.close()
}

// RefusedError says why a file was refused. Row counts from 1 with the header
// as row 1; 0 concerns the whole file.
type RefusedError struct {
	Row    int
	Column string
	Reason string
	Hint   string
}

// Error implements error.
func (e *RefusedError) Error() string {
	where := "file refused"
	if e.Row > 0 {
		where = fmt.Sprintf("file refused at row %d", e.Row)
	}
	if e.Column != "" {
		where += fmt.Sprintf(", column %q", e.Column)
	}
	s := where + ": " + e.Reason
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}
