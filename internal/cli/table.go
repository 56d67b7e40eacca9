// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// item is one row of an answer, as the gateway sent it.
type item map[string]any

// column shows one field of an item. Path is a dotted path into the JSON.
type column struct {
	Header string
	Path   string
	Or     string             // the path shown instead where Path has nothing
	Wide   bool               // only with -o wide
	Whole  bool               // never cut: other commands take it
	Format func(v any) string // nil: text
}

// formats of -o.
const (
	formatTable = "table"
	formatWide  = "wide"
	formatJSON  = "json"
	formatYAML  = "yaml"
	formatCSV   = "csv"
	formatName  = "name"
)

func validFormat(s string) error {
	switch s {
	case formatTable, formatWide, formatJSON, formatYAML, formatCSV, formatName:
		return nil
	}
	return fmt.Errorf("-o %q: want table, wide, json, yaml, csv or name", s)
}

// list is the answer of every list endpoint.
type list struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Continue string `json:"continue,omitempty"`
		AsOf     string `json:"asOf,omitempty"`
		// Coverage comes with a view of the integrations.
		Coverage *model.Coverage `json:"coverage,omitempty"`
	} `json:"metadata"`
	Items []item `json:"items"`
}

// printList writes items in the format asked for. Data goes to out and nothing
// else does, so that a pipe gets data only.
func printList(out io.Writer, format string, l list, columns []column) error {
	if l.Items == nil {
		l.Items = []item{} // no item is an empty list, not null
	}
	switch format {
	case formatJSON, formatYAML:
		return printDocument(out, format, l)
	case formatCSV:
		return printCSV(out, l.Items, columns)
	case formatName:
		for _, it := range l.Items {
			if _, err := fmt.Fprintln(out, identity(it, columns)); err != nil {
				return err
			}
		}
		return nil
	}
	if format == formatWide {
		return printTable(out, l.Items, columns, 0)
	}
	return printTable(out, l.Items, visible(columns), tableWidth)
}

// identity is what other commands and systems call the item by.
func identity(it item, columns []column) string {
	for _, path := range []string{"id", "externalID", "accountExternalID"} {
		if v := rawText(it[path]); v != "" {
			return v
		}
	}
	return columns[0].text(it)
}

func printDocument(out io.Writer, format string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if format == formatYAML {
		if data, err = yaml.JSONToYAML(data); err != nil {
			return err
		}
		_, err = out.Write(data)
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", data)
	return err
}

// tableWidth is what a table has room for; -o wide shows everything.
const tableWidth = 80

// minCell is how short a cell may be cut and still say something.
const minCell = 8

// printTable writes a table. Cells are cut so that it is at most width columns
// wide; a width of 0 cuts nothing.
func printTable(out io.Writer, items []item, columns []column, width int) error {
	rows := make([][]string, 1, len(items)+1)
	for _, c := range columns {
		rows[0] = append(rows[0], c.Header)
	}
	for _, it := range items {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = oneLine(c.text(it))
		}
		rows = append(rows, cells)
	}
	if width > 0 {
		fit(rows, columns, width)
	}
	w := tabwriter.NewWriter(out, 0, 4, columnGap, ' ', 0)
	for _, cells := range rows {
		if _, err := fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

const columnGap = 2

// fit cuts the cells of the widest columns until the rows fit. Columns whose
// cells are typed into other commands stay whole.
func fit(rows [][]string, columns []column, width int) {
	widths := make([]int, len(columns))
	total := columnGap * (len(columns) - 1)
	for i := range columns {
		for _, cells := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(cells[i]))
		}
		total += widths[i]
	}
	for ; total > width; total-- {
		widest := -1
		for i, c := range columns {
			if !c.Whole && widths[i] > minCell && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	for _, cells := range rows {
		for i, cell := range cells {
			if text := []rune(cell); len(text) > widths[i] {
				cells[i] = string(text[:widths[i]-1]) + "…"
			}
		}
	}
}

func printCSV(out io.Writer, items []item, columns []column) error {
	w := csv.NewWriter(out)
	row := make([]string, len(columns))
	for i, c := range columns {
		row[i] = c.Path
	}
	if err := w.Write(row); err != nil {
		return err
	}
	for _, it := range items {
		for i, c := range columns {
			row[i] = spreadsheetSafe(rawText(lookup(it, c.Path)))
		}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// spreadsheetSafe keeps a spreadsheet from running a name that somebody gave
// themselves as a formula (CWE-1236). Numbers stay numbers.
func spreadsheetSafe(s string) string {
	if s == "" || !strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return s
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return s
	}
	return "'" + s
}

func visible(columns []column) []column {
	var out []column
	for _, c := range columns {
		if !c.Wide {
			out = append(out, c)
		}
	}
	return out
}

func (c column) text(it item) string {
	v := lookup(it, c.Path)
	if c.Format != nil {
		return c.Format(v)
	}
	if s := rawText(v); s != "" {
		return s
	}
	if s := rawText(lookup(it, c.Or)); s != "" {
		return s
	}
	return "-"
}

// lookup follows a dotted path; nil if a part is missing.
func lookup(it item, path string) any {
	var v any = map[string]any(it)
	for part := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[part]
	}
	return v
}

func rawText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		parts := make([]string, len(v))
		for i, p := range v {
			parts[i] = rawText(p)
		}
		return strings.Join(parts, ",")
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}

// oneLine keeps a table a table, and an escape sequence from the terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
