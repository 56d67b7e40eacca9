// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// maxRecordLine bounds one line of pushed records.
const maxRecordLine = 256 << 10

// LineError says what is wrong with one line. It holds no value of the line.
type LineError struct {
	Line    int    `json:"line"`
	Field   string `json:"field,omitempty"` // empty: the line as a whole
	Message string `json:"message"`
	// fatal: where the line ends is not known, so nothing after it can be read.
	fatal bool
}

// Error implements error.
func (e *LineError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Message)
	}
	return fmt.Sprintf("line %d, field %s: %s", e.Line, e.Field, e.Message)
}

// Fatal reports whether reading cannot go on behind the line.
func (e *LineError) Fatal() bool { return e.fatal }

// RecordsEnd is what the last line of pushed records says, if there is one.
type RecordsEnd struct {
	// Complete: every record of these types that the source has was sent; of
	// all types that were sent if All.
	All   bool
	Types []model.DataType
	// Window is the time whose use was sent without a gap; nil: not stated.
	Window *Window
}

// RecordReader reads canonical records, one JSON object a line:
//
//	{"type": "Account", "externalId": "u1", "status": "active"}
//
// The fields are those of a manifest's emit. The last line may be
//
//	{"complete": true, "count": 1}
//
// with complete true or a list of types, count the number of records before it
// and, for usage, covers {from, until}. Memory is that of one line.
type RecordReader struct {
	in      *bufio.Reader
	line    int
	records int64
	end     *RecordsEnd
}

// NewRecordReader returns a reader of r.
func NewRecordReader(r io.Reader) *RecordReader {
	return &RecordReader{in: bufio.NewReaderSize(r, maxRecordLine)}
}

// Records is how many records were read.
func (p *RecordReader) Records() int64 { return p.records }

// Line is the number of the line that was read last.
func (p *RecordReader) Line() int { return p.line }

// End is what the last line said. It is empty before Next returned io.EOF, and
// if there was no such line.
func (p *RecordReader) End() RecordsEnd {
	if p.end == nil {
		return RecordsEnd{}
	}
	return *p.end
}

// Next returns the next record, io.EOF at the end, or a *LineError; reading may
// go on after one that is not fatal. Another error is the reader's own.
func (p *RecordReader) Next() (model.Record, error) {
	for {
		line, err := p.in.ReadSlice('\n')
		atEnd := errors.Is(err, io.EOF)
		if errors.Is(err, bufio.ErrBufferFull) {
			p.line++
			return model.Record{}, &LineError{Line: p.line, Message: fmt.Sprintf("longer than %d KiB", maxRecordLine>>10), fatal: true}
		}
		if err != nil && !atEnd {
			return model.Record{}, fmt.Errorf("read the records behind line %d: %w", p.line, err)
		}
		if atEnd && len(line) == 0 {
			return model.Record{}, io.EOF
		}
		p.line++
		if p.line == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		rec, isRecord, fault := p.parse(line)
		if fault != nil {
			fault.Line = p.line
			return model.Record{}, fault
		}
		if isRecord {
			p.records++
			return rec, nil
		}
	}
}

func (p *RecordReader) parse(line []byte) (rec model.Record, isRecord bool, fault *LineError) {
	if p.end != nil {
		return rec, false, &LineError{Message: "there is more behind the line that says complete"}
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil || doc == nil {
		return rec, false, &LineError{Message: "no JSON object"}
	}
	if dec.More() {
		return rec, false, &LineError{Message: "more than one JSON value; want one object a line"}
	}
	kind, isText := doc["type"].(string)
	_, typed := doc["type"]
	if _, isEnd := doc["complete"]; isEnd && !typed {
		p.end, fault = p.last(doc)
		return rec, false, fault
	}
	if !isText {
		return rec, false, &LineError{Field: "type", Message: "missing; want " + strings.Join(RecordTypes(), ", ")}
	}
	delete(doc, "type")
	rec, fault = parseRecord(kind, doc)
	return rec, fault == nil, fault
}

// RecordTypes lists the canonical record types, as emit and pushed lines name
// them.
func RecordTypes() []string { return slices.Sorted(maps.Keys(recordTypes)) }

func parseRecord(kind string, doc map[string]any) (model.Record, *LineError) {
	rt, ok := recordTypes[kind]
	if !ok {
		return model.Record{}, &LineError{Field: "type", Message: "there is no such type; want " + strings.Join(RecordTypes(), ", ")}
	}
	rec := rt.fresh()
	for _, name := range slices.Sorted(maps.Keys(rt.fields)) {
		if v := doc[name]; rt.fields[name].required && (v == nil || v == "") {
			return rec, &LineError{Field: name, Message: "required, and has no value"}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		v := plainJSON(doc[name])
		if name == "custom" && rt.custom != nil {
			custom, isMap := v.(map[string]any)
			if v != nil && !isMap {
				return rec, &LineError{Field: name, Message: "want an object"}
			}
			*rt.custom(&rec) = custom
			continue
		}
		f, known := rt.fields[name]
		if !known {
			return rec, &LineError{Field: clip(name, 64), Message: noSuchField(kind, name, rt)}
		}
		if f.want == expr.Timestamp {
			var err error
			if v, err = momentOf(v); err != nil {
				return rec, &LineError{Field: name, Message: err.Error()}
			}
		}
		if err := f.set(&rec, v); err != nil {
			return rec, &LineError{Field: name, Message: err.Error()}
		}
	}
	if rec.Account != nil {
		// null means never used; not to say it means not known (invariant 2).
		_, rec.Account.ActivityReported = doc["lastActivityAt"]
	}
	if rt.check != nil {
		if err := rt.check(&rec); err != nil {
			return rec, &LineError{Message: err.Error()}
		}
	}
	rec.Removed = rt.drop != nil && rt.drop(&rec)
	return rec, nil
}

func noSuchField(kind, name string, rt recordType) string {
	known := slices.Sorted(maps.Keys(rt.fields))
	if near := didYouMean(name, known); near != "" {
		return "unknown to " + kind + "; " + near
	}
	return "unknown to " + kind + "; it has " + strings.Join(known, ", ")
}

// momentOf reads a point in time.
func momentOf(v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("got %s, want a time such as 2026-11-20T12:00:00Z", expr.TypeName(v))
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Year() < 1970 {
		return nil, errors.New("got text that is no time, want one such as 2026-11-20T12:00:00Z")
	}
	return t, nil
}

// plainJSON turns numbers into int64 where they are whole, as expressions get
// them.
func plainJSON(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case []any:
		for i := range v {
			v[i] = plainJSON(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plainJSON(v[k])
		}
	}
	return v
}

// last reads the line that ends the records.
func (p *RecordReader) last(doc map[string]any) (*RecordsEnd, *LineError) {
	end := &RecordsEnd{}
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		v := plainJSON(doc[name])
		var err error
		switch name {
		case "complete":
			err = end.complete(v)
		case "count":
			if n, ok := v.(int64); !ok || n != p.records {
				err = fmt.Errorf("%d records came before this line; if more were sent, they were lost on the way", p.records)
			}
		case "covers":
			end.Window, err = windowOf(v)
		default:
			err = errors.New("the last line has complete, count and covers only")
		}
		if err != nil {
			return nil, &LineError{Field: clip(name, 64), Message: err.Error()}
		}
	}
	return end, nil
}

func (e *RecordsEnd) complete(v any) error {
	switch v := v.(type) {
	case bool:
		e.All = v
		return nil
	case []any:
		for _, t := range v {
			name, _ := t.(string)
			rt, ok := recordTypes[name]
			if !ok {
				return errors.New("want true, false or a list of " + strings.Join(RecordTypes(), ", "))
			}
			e.Types = append(e.Types, rt.dataType)
		}
		return nil
	}
	return fmt.Errorf("got %s, want true, false or a list of types", expr.TypeName(v))
}

func windowOf(v any) (*Window, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("want {from, until}")
	}
	from, err := momentOf(m["from"])
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	until, err := momentOf(m["until"])
	if err != nil {
		return nil, fmt.Errorf("until: %w", err)
	}
	start, okFrom := from.(time.Time)
	end, okUntil := until.(time.Time)
	if len(m) != 2 || !okFrom || !okUntil || !start.Before(end) {
		return nil, errors.New("want {from, until}, two times, the earlier first")
	}
	return &Window{Start: start.UTC(), End: end.UTC()}, nil
}
