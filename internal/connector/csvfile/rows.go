// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package csvfile

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of a table.
const (
	maxColumns = 400
	maxRows    = 5_000_000
)

// rows reads the records of a file one after the other.
type rows struct {
	csv    *csv.Reader
	limit  *bounded
	row    int // of the last record, the header being 1
	header []string
}

// sepLine is the hint that spreadsheet programs put before the header.
func sepLine(line string) (rune, bool) {
	line = strings.TrimRight(line, "\r\n")
	if len(line) == 5 && strings.EqualFold(line[:4], "sep=") {
		return rune(line[4]), true
	}
	return 0, false
}

func newRows(text io.Reader, delimiter rune) (*rows, error) {
	limit := &bounded{r: text}
	limit.reset()
	br := bufio.NewReader(limit)
	if first, err := br.Peek(5); err == nil {
		if _, ok := sepLine(string(first)); ok {
			if _, err := br.ReadString('\n'); err != nil {
				return nil, &RefusedError{Reason: "the file has no header"}
			}
		}
	}
	r := &rows{csv: csv.NewReader(&unwrap{r: br, delimiter: byte(delimiter), begin: true}), limit: limit}
	r.csv.Comma = delimiter
	r.csv.FieldsPerRecord = -1
	r.csv.ReuseRecord = true
	header, err := r.next()
	if errors.Is(err, io.EOF) {
		return nil, &RefusedError{Reason: "the file is empty", Hint: "export it again with a header row"}
	}
	if err != nil {
		return nil, err
	}
	for len(header) > 0 && strings.TrimSpace(header[len(header)-1]) == "" {
		header = header[:len(header)-1]
	}
	if len(header) > maxColumns {
		return nil, &RefusedError{Row: 1, Reason: fmt.Sprintf("%d columns; at most %d are read", len(header), maxColumns)}
	}
	seen := map[string]bool{}
	for i, h := range header {
		h = cell(h)
		if h == "" {
			return nil, &RefusedError{Row: 1, Reason: fmt.Sprintf("column %d has no header", i+1)}
		}
		if seen[strings.ToLower(h)] {
			return nil, &RefusedError{Row: 1, Column: h, Reason: "two columns have this header"}
		}
		seen[strings.ToLower(h)] = true
		r.header = append(r.header, h)
	}
	if len(r.header) == 0 {
		return nil, &RefusedError{Row: 1, Reason: "the header is empty"}
	}
	return r, nil
}

// next returns the next record's raw cells, valid until the call after.
func (r *rows) next() ([]string, error) {
	r.limit.reset()
	rec, err := r.csv.Read()
	r.row++
	var pe *csv.ParseError
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return rec, err
	case errors.Is(err, errRecordTooLong):
		return nil, &RefusedError{Row: r.row, Reason: "one record has more than 1 MiB", Hint: "a quote is probably not closed"}
	case errors.As(err, &pe):
		return nil, &RefusedError{Row: r.row, Reason: pe.Err.Error(), Hint: fmt.Sprintf("look at line %d of the file", pe.Line)}
	}
	return nil, fmt.Errorf("read the file: %w", err)
}

// record returns the next row that is not blank, cleaned and as long as the
// header; io.EOF at the end.
func (r *rows) record(into []string) ([]string, error) {
	for {
		raw, err := r.next()
		if err != nil {
			return nil, err
		}
		if r.row > maxRows {
			return nil, &RefusedError{Row: r.row, Reason: fmt.Sprintf("more than %d rows", maxRows)}
		}
		into = into[:0]
		blank := true
		for i, c := range raw {
			c = cell(c)
			if i >= len(r.header) {
				if c != "" {
					return nil, &RefusedError{Row: r.row, Reason: fmt.Sprintf("the row has %d cells, the header %d", len(raw), len(r.header)),
						Hint: "a cell that holds the delimiter must be quoted"}
				}
				continue
			}
			blank = blank && c == ""
			into = append(into, c)
		}
		if blank {
			continue
		}
		if len(into) < len(r.header) {
			return nil, &RefusedError{Row: r.row, Reason: fmt.Sprintf("the row has %d cells, the header %d", len(raw), len(r.header))}
		}
		return into, nil
	}
}

// cell cleans one cell: outer space goes, ="001", the spreadsheet's way to
// keep leading zeros, becomes 001. Anything else that looks like a formula
// stays the text that it is; nothing is ever evaluated.
func cell(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 3 && strings.HasPrefix(s, `="`) && strings.HasSuffix(s, `"`) && !strings.Contains(s[2:len(s)-1], `"`) {
		s = strings.TrimSpace(s[2 : len(s)-1])
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return s
}

// isFormula reports whether a spreadsheet would evaluate the cell.
func isFormula(s string) bool {
	if s == "" || !strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return false
	}
	rest := strings.TrimLeft(s, "+-")
	return strings.Trim(rest, "0123456789., ()/-") != "" || rest == ""
}

// Neutralize makes a cell safe to open in a spreadsheet: a leading apostrophe
// keeps it from being evaluated (CWE-1236). Numbers stay as they are.
func Neutralize(s string) string {
	if isFormula(s) {
		return "'" + s
	}
	return s
}

// sniffDelimiter takes the delimiter that cuts the first rows into the most
// columns, all rows alike.
func sniffDelimiter(text io.Reader) rune {
	head := make([]byte, 64<<10)
	n, _ := io.ReadFull(text, head)
	sample := string(head[:n])
	if line, rest, found := strings.Cut(sample, "\n"); found {
		if d, ok := sepLine(line); ok {
			return d
		}
		_ = rest
	}
	best, bestScore := ',', 0
	for _, d := range []rune{',', ';', '\t'} {
		r := csv.NewReader(strings.NewReader(sample))
		r.Comma, r.FieldsPerRecord, r.LazyQuotes = d, -1, true
		columns, alike := 0, 0
		for range 20 {
			rec, err := r.Read()
			if err != nil {
				break
			}
			if columns == 0 {
				columns = len(rec)
			}
			if len(rec) == columns {
				alike++
			}
		}
		if score := columns * alike; columns > 1 && score > bestScore {
			best, bestScore = d, score
		}
	}
	return best
}
