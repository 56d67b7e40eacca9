// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package csvfile

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// column is one column as it was understood.
type column struct {
	header string
	target string
	kind   kind
	date   *dateColumn
}

// Parse reads a whole file, decides how each column is to be read, and
// validates every row. Only then does the result yield records: a file is
// taken as a whole or refused as a whole, with a *RefusedError.
func Parse(r io.Reader, o Options) (*Result, error) {
	sp, err := newSpool(r)
	if err != nil {
		return nil, err
	}
	res, err := parse(sp, o)
	if err != nil {
		return nil, errors.Join(err, sp.close())
	}
	res.close = sp.close
	return res, nil
}

func parse(sp *spool, o Options) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	encoding, err := detectEncoding(sp)
	if err != nil {
		return nil, err
	}
	delimiter := rune(0)
	if o.Delimiter != "" {
		delimiter = []rune(o.Delimiter)[0]
	} else {
		delimiter = sniffDelimiter(sp.text(encoding))
	}
	rs, err := newRows(sp.text(encoding), delimiter)
	if err != nil {
		return nil, err
	}
	p := &parser{o: o, header: rs.header}
	if err := p.understand(); err != nil {
		return nil, err
	}
	if err := p.validate(rs); err != nil {
		return nil, err
	}
	res := &Result{
		Format: p.format.name, Encoding: encoding, Delimiter: string(delimiter), Rows: p.rows,
		Columns: p.explain(), Notes: p.notes(encoding), DataTypes: p.dataTypes(),
	}
	res.records = p.emit(func() (*rows, error) { return newRows(sp.text(encoding), delimiter) })
	return res, nil
}

func (o Options) check() error {
	if o.Format != "" && !slices.Contains(Formats(), o.Format) {
		return fmt.Errorf("format %q: want one of %s", o.Format, strings.Join(Formats(), ", "))
	}
	if !slices.Contains([]string{"", ",", ";", "\t", "|"}, o.Delimiter) {
		return fmt.Errorf("delimiter %q: want a comma, a semicolon, a tab or a bar", o.Delimiter)
	}
	if !slices.Contains([]string{"", string(orderDMY), string(orderMDY), string(orderYMD)}, o.DateFormat) {
		return fmt.Errorf("dateFormat %q: want DMY, MDY or YMD", o.DateFormat)
	}
	for h, t := range o.Columns {
		if _, ok := targets[t]; !ok && t != "custom" && t != "-" {
			return fmt.Errorf("column %q: the target %q is not one of %s", h, t, strings.Join(Targets(), ", "))
		}
	}
	for word, s := range o.Statuses {
		if !slices.Contains(accountStatuses, model.AccountStatus(s)) {
			return fmt.Errorf("status %q: %q is not one of %v", word, s, accountStatuses)
		}
	}
	return nil
}

// parser holds what is known of a file while it is read.
type parser struct {
	o       Options
	header  []string
	format  format
	columns []column
	index   map[string]int // target → column

	rows       int
	formulas   int
	blankLast  int // rows without a last activity
	unknown    map[string]int
	yieldsLic  bool
	hasAccount bool
	hasPerson  bool
}

// understand assigns a target to every column.
func (p *parser) understand() error {
	name := p.o.Format
	if name == "" {
		name = detect(p.header)
	}
	p.format = formatNamed(name)
	known := p.format.columns
	if name == "generic" {
		known = genericAccount
		if p.aboutPeople() {
			known = genericPerson
		}
	}
	p.index, p.unknown = map[string]int{}, map[string]int{}
	override := map[string]string{}
	for h, t := range p.o.Columns {
		i := slices.IndexFunc(p.header, func(x string) bool { return strings.EqualFold(x, strings.TrimSpace(h)) })
		if i < 0 {
			return &RefusedError{Row: 1, Column: h, Reason: "the column map names a column that the file does not have",
				Hint: "its columns are " + strings.Join(p.header, ", ")}
		}
		if t != "custom" && t != "-" {
			for other, u := range override {
				if u == t {
					return &RefusedError{Row: 1, Column: h, Reason: fmt.Sprintf("the column map gives %s to %q too", t, other)}
				}
			}
		}
		override[p.header[i]] = t
	}
	taken := map[string]bool{}
	for _, t := range override {
		taken[t] = true
	}
	for i, h := range p.header {
		c := column{header: h, target: "custom", kind: kindCustom}
		t, ok := override[h]
		if !ok {
			if t, ok = known[normal(h)]; ok && taken[t] {
				ok = false // the first column, or the map, has it
			}
		}
		switch {
		case ok && t == "-":
			c.target, c.kind = "", kindDrop
		case ok && t != "custom":
			c.target, c.kind = t, targets[t]
			taken[t] = true
			p.index[t] = i
		}
		if c.kind == kindStatus && name == "slack" {
			c.kind = kindRole
		}
		if c.kind == kindDate {
			c.date = &dateColumn{fixed: order(p.o.DateFormat)}
		}
		p.columns = append(p.columns, c)
	}
	for t := range p.index {
		p.hasAccount = p.hasAccount || strings.HasPrefix(t, "account.")
		p.hasPerson = p.hasPerson || strings.HasPrefix(t, "person.")
		p.yieldsLic = p.yieldsLic || strings.HasPrefix(t, "license.")
	}
	return p.needKeys()
}

func (p *parser) aboutPeople() bool {
	for _, t := range p.o.Columns {
		if strings.HasPrefix(t, "account.") {
			return false
		}
		if strings.HasPrefix(t, "person.") {
			return true
		}
	}
	return slices.ContainsFunc(p.header, func(h string) bool { return slices.Contains(personMarks, normal(h)) })
}

func (p *parser) has(target string) bool {
	_, ok := p.index[target]
	return ok
}

func (p *parser) needKeys() error {
	hint := "map columns with columns: {\"<header>\": <target>}; the headers are " + strings.Join(p.header, ", ")
	switch {
	case !p.hasAccount && !p.hasPerson:
		return &RefusedError{Row: 1, Reason: "no column is understood", Hint: hint}
	case p.hasAccount && !p.has("account.externalId") && !p.has("account.email") && !p.has("account.username"):
		return &RefusedError{Row: 1, Reason: "no column tells accounts apart", Hint: "one must fill account.externalId, account.email or account.username; " + hint}
	case p.hasPerson && !p.has("person.email") && !p.has("account.email"):
		return &RefusedError{Row: 1, Reason: "no column has the e-mail address of the person", Hint: "one must fill person.email; " + hint}
	case p.yieldsLic && !p.hasAccount:
		return &RefusedError{Row: 1, Reason: "licences without accounts", Hint: "one column must fill account.email or account.externalId"}
	}
	return nil
}

// validate is the first pass: dates are settled, keys compared, cells checked.
func (p *parser) validate(rs *rows) error {
	keys := map[[16]byte]int{}
	var cells []string
	for {
		var err error
		cells, err = rs.record(cells)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		p.rows++
		for i := range p.columns {
			if refused := p.observe(rs.row, &p.columns[i], cells[i]); refused != nil {
				return refused
			}
		}
		key, refused := p.key(rs.row, cells)
		if refused != nil {
			return refused
		}
		sum := sha256.Sum256([]byte(key))
		if first, twice := keys[[16]byte(sum[:16])]; twice {
			return &RefusedError{Row: rs.row, Column: p.keyColumn(), Reason: fmt.Sprintf("the same key as in row %d", first),
				Hint: "every account or person must be listed once"}
		}
		keys[[16]byte(sum[:16])] = rs.row
		// Whatever building the records would refuse is refused now.
		if _, refused := p.build(rs.row, cells, true); refused != nil {
			return refused
		}
	}
	if p.rows == 0 {
		return &RefusedError{Reason: "the file has a header and no rows", Hint: "an empty export is more likely a mistake than a fact"}
	}
	for i := range p.columns {
		if d := p.columns[i].date; d != nil {
			if refused := d.settle(); refused != nil {
				refused.Column = p.columns[i].header
				return refused
			}
		}
	}
	return nil
}

const maxCellBytes = 32 << 10

func (p *parser) observe(row int, c *column, v string) *RefusedError {
	if len(v) > maxCellBytes {
		return &RefusedError{Row: row, Column: c.header, Reason: fmt.Sprintf("the cell has %d bytes; at most %d are read", len(v), maxCellBytes)}
	}
	if isFormula(v) && c.kind != kindDrop {
		p.formulas++
	}
	var refused *RefusedError
	switch c.kind {
	case kindDate:
		if !isNever(v) {
			refused = c.date.observe(row, v)
			if refused == nil && !c.date.zoneless && strings.ContainsRune(v, ':') {
				if _, zone, err := parseDate(v, orderMDY); err == nil && !zone {
					c.date.zoneless = true
				}
			}
		} else if c.target == "account.lastActivityAt" && v == "" {
			p.blankLast++
		}
	case kindBool:
		if _, ok := parseBool(v); !ok && v != "" {
			refused = &RefusedError{Row: row, Reason: fmt.Sprintf("%q is neither yes nor no", v)}
		}
	case kindEmail:
		if v != "" && !strings.Contains(v, "@") {
			refused = &RefusedError{Row: row, Reason: fmt.Sprintf("%q is no e-mail address", v)}
		}
	}
	if refused != nil {
		refused.Column = c.header
	}
	return refused
}

// key returns what must be unique among the rows.
func (p *parser) key(row int, cells []string) (string, *RefusedError) {
	for _, t := range p.keyTargets() {
		if i, ok := p.index[t]; ok && cells[i] != "" {
			return t + "\x00" + strings.ToLower(cells[i]), nil
		}
	}
	return "", &RefusedError{Row: row, Column: p.keyColumn(), Reason: "the key is missing"}
}

func (p *parser) keyTargets() []string {
	if p.hasAccount {
		return []string{"account.externalId", "account.email", "account.username"}
	}
	return []string{"person.externalId", "person.employeeId", "person.email"}
}

func (p *parser) keyColumn() string {
	for _, t := range p.keyTargets() {
		if i, ok := p.index[t]; ok {
			return p.header[i]
		}
	}
	return ""
}

// emit is the second pass.
func (p *parser) emit(open func() (*rows, error)) iter.Seq2[model.Record, error] {
	return func(yield func(model.Record, error) bool) {
		rs, err := open()
		if err != nil {
			yield(model.Record{}, err)
			return
		}
		var cells []string
		for {
			cells, err = rs.record(cells)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(model.Record{}, err)
				return
			}
			records, refused := p.build(rs.row, cells, false)
			if refused != nil {
				yield(model.Record{}, refused)
				return
			}
			for _, rec := range records {
				if !yield(rec, nil) {
					return
				}
			}
		}
	}
}

func (p *parser) explain() []ColumnUnderstanding {
	out := make([]ColumnUnderstanding, len(p.columns))
	for i, c := range p.columns {
		as := c.kind.describe()
		if c.date != nil {
			as = c.date.describe()
			if c.date.zoneless {
				as += ", times as UTC"
			}
		}
		out[i] = ColumnUnderstanding{Header: c.header, Target: c.target, As: as}
	}
	return out
}

func (p *parser) dataTypes() []model.DataType {
	var out []model.DataType
	if p.hasPerson || p.format.name == "okta" {
		out = append(out, model.DataPeople)
	}
	if p.hasAccount {
		out = append(out, model.DataAccounts)
	}
	if p.yieldsLic {
		out = append(out, model.DataAssignments)
	}
	return out
}

func (p *parser) notes(encoding string) []string {
	var out []string
	if encoding == encLatin1 {
		out = append(out, "the file is not UTF-8; it was read as Latin-1 (Windows-1252)")
	}
	if p.formulas > 0 {
		out = append(out, fmt.Sprintf("%d cells begin like a spreadsheet formula; they were kept as text", p.formulas))
	}
	var custom []string
	for _, c := range p.columns {
		if c.kind == kindCustom {
			custom = append(custom, c.header)
		}
	}
	if len(custom) > 0 {
		out = append(out, "kept as custom fields: "+strings.Join(custom, ", "))
	}
	if p.hasAccount && !p.has("account.lastActivityAt") {
		out = append(out, "no column tells the last activity: use of these accounts stays unknown")
	} else if p.blankLast > 0 {
		out = append(out, fmt.Sprintf("%d rows have no last activity; it stays unknown for them", p.blankLast))
	}
	words := make([]string, 0, len(p.unknown))
	for w, n := range p.unknown {
		words = append(words, fmt.Sprintf("%q (%d rows)", w, n))
	}
	if len(words) > 0 {
		slices.Sort(words)
		out = append(out, "status words that are not known, kept as unknown: "+strings.Join(words[:min(len(words), 10)], ", "))
	}
	return out
}
