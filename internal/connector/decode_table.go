// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"bufio"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/transform"
)

// csvItems yields each row as a map from the header's names to text. A row of
// another length than the header would shift its values into wrong columns: the
// answer fails as a whole.
func csvItems(b *boundedReader, delimiter rune) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		buffered := bufio.NewReader(b)
		if mark, err := buffered.Peek(3); err == nil && string(mark) == "\uFEFF" {
			_, _ = buffered.Discard(3) // just peeked at
		}
		r := csv.NewReader(buffered)
		r.ReuseRecord = true
		if delimiter != 0 {
			r.Comma = delimiter
		}
		row, err := r.Read()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("it has no header")
			}
			yield(nil, csvError(err))
			return
		}
		header, err := csvHeader(row)
		if err != nil {
			yield(nil, err)
			return
		}
		for {
			b.next()
			row, err := r.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, csvError(err))
				return
			}
			item := make(map[string]any, len(header))
			for i, name := range header {
				if name != "" {
					item[name] = cleaned(row[i])
				}
			}
			if !yield(item, nil) {
				return
			}
		}
	}
}

func csvHeader(row []string) ([]string, error) {
	if len(row) > maxCSVColumns {
		return nil, fmt.Errorf("the header has %d columns; at most %d are read", len(row), maxCSVColumns)
	}
	header := make([]string, len(row))
	seen := map[string]bool{}
	for i, name := range row {
		name = strings.TrimSpace(cleaned(name))
		if name != "" && seen[name] {
			return nil, fmt.Errorf("columns %d and another have the same name", i+1)
		}
		seen[name] = true
		header[i] = name
	}
	if len(seen) == 1 && seen[""] {
		return nil, errors.New("the header names no column")
	}
	return header, nil
}

func csvError(err error) error {
	var e *csv.ParseError
	if errors.As(err, &e) {
		return fmt.Errorf("line %d: %w", e.Line, e.Err)
	}
	return err
}

// xmlItems yields every element of the given name, written as the text has it,
// prefix and all. An element is a map: attributes as "@name", children by name,
// text beside them as "#text"; children of one name are a list if there are
// several. An element with nothing but text is that text, an empty one null.
func xmlItems(b *boundedReader, record string) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		w := &xmlWalk{b: b, dec: xml.NewDecoder(b), record: record}
		w.dec.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
			enc, err := ianaindex.MIME.Encoding(label)
			if err != nil || enc == nil {
				return nil, errors.New("it is in an encoding that is not known")
			}
			return transform.NewReader(in, enc.NewDecoder()), nil
		}
		if err := w.document(yield); err != nil && !errors.Is(err, errEnough) {
			yield(nil, xmlError(err))
		}
	}
}

func xmlError(err error) error {
	var e *xml.SyntaxError
	switch {
	case errors.As(err, &e):
		return fmt.Errorf("no XML at line %d", e.Line) // its message may quote the text
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends before it is complete")
	}
	return err
}

type xmlWalk struct {
	b      *boundedReader
	dec    *xml.Decoder
	record string
	nodes  int // of the record
}

func xmlName(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}

// document walks to each record. RawToken keeps prefixes as they are written
// but does not match ends with beginnings, so that is done here.
func (w *xmlWalk) document(yield func(any, error) bool) error {
	var open []string
	root := false
	for {
		w.b.next()
		tok, err := w.dec.RawToken()
		if errors.Is(err, io.EOF) && root && len(open) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			name := xmlName(t.Name)
			if len(open) == 0 && (root || strings.EqualFold(name, "html")) {
				return errors.New("it is no document of records")
			}
			root = true
			if name == w.record {
				w.nodes = 0
				v, err := w.element(t, len(open))
				if err != nil {
					return err
				}
				if _, isMap := v.(map[string]any); !isMap {
					v = map[string]any{"#text": v}
				}
				if !yield(v, nil) {
					return errEnough
				}
				continue
			}
			if open = append(open, name); len(open) > maxXMLDepth {
				return fmt.Errorf("elements are nested deeper than %d", maxXMLDepth)
			}
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1] != xmlName(t.Name) {
				return errors.New("an element ends that did not begin")
			}
			open = open[:len(open)-1]
		}
	}
}

// element reads what follows the beginning of an element up to its end.
func (w *xmlWalk) element(start xml.StartElement, depth int) (any, error) {
	if w.nodes++; w.nodes > maxXMLChildren || depth > maxXMLDepth {
		return nil, fmt.Errorf("a record has more than %d elements, or more than %d levels", maxXMLChildren, maxXMLDepth)
	}
	name := xmlName(start.Name)
	m := make(map[string]any, len(start.Attr))
	for _, a := range start.Attr {
		m["@"+xmlName(a.Name)] = cleaned(a.Value)
	}
	var text strings.Builder
	for {
		tok, err := w.dec.RawToken()
		if err != nil {
			return nil, err
		}
		switch t := tok.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.StartElement:
			child := xmlName(t.Name)
			v, err := w.element(t, depth+1)
			if err != nil {
				return nil, err
			}
			switch have, twice := m[child]; {
			case !twice:
				m[child] = v
			default:
				list, isList := have.([]any)
				if !isList {
					list = []any{have}
				}
				m[child] = append(list, v)
			}
		case xml.EndElement:
			if xmlName(t.Name) != name {
				return nil, errors.New("an element ends that did not begin")
			}
			return xmlValue(m, cleaned(strings.TrimSpace(text.String()))), nil
		}
	}
}

func xmlValue(m map[string]any, text string) any {
	switch {
	case len(m) > 0 && text == "":
		return m
	case len(m) > 0:
		m["#text"] = text
		return m
	case text != "":
		return text
	}
	return nil
}
