// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"bytes"
	"encoding/json"
	"errors"
)

// maxWebhookDepth bounds how deep a delivery may nest.
const maxWebhookDepth = 64

// Faults of JSON that its syntax allows.
var (
	errDuplicateKey = errors.New("an object has the same key twice")
	errTooDeep      = errors.New("it nests deeper than 64 levels")
)

var errNoJSON = errors.New("no JSON")

// decodeStrict is decodeJSON for what a stranger may have sent: a key that is
// there twice, of which signer and reader could each take another, is refused,
// and so is what nests deeply. The text must be UTF-8.
//
// Every delivery is read so before it is acknowledged, which is why encoding/json
// only sees the numbers and the strings with escapes.
func decodeStrict(raw []byte) (any, error) {
	d := strictDecoder{rest: raw}
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if d.next() != 0 || len(d.rest) > 0 {
		return nil, errTrailing
	}
	return plain(v), nil
}

// strictDecoder reads one value after the other off what is left of a text.
type strictDecoder struct{ rest []byte }

// next skips white space and returns the byte behind it, 0 at the end.
func (d *strictDecoder) next() byte {
	for i, c := range d.rest {
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			d.rest = d.rest[i:]
			return c
		}
	}
	d.rest = nil
	return 0
}

func (d *strictDecoder) value(depth int) (any, error) {
	switch c := d.next(); c {
	case '{', '[':
		if depth == maxWebhookDepth {
			return nil, errTooDeep
		}
		d.rest = d.rest[1:]
		if c == '{' {
			return d.object(depth + 1)
		}
		return d.array(depth + 1)
	case '"':
		return d.text()
	case 't':
		return true, d.word("true")
	case 'f':
		return false, d.word("false")
	case 'n':
		return nil, d.word("null")
	}
	return d.number()
}

func (d *strictDecoder) object(depth int) (any, error) {
	m := map[string]any{}
	for empty := d.next() == '}'; !empty; {
		if d.next() != '"' {
			return nil, errNoJSON
		}
		key, err := d.text()
		if err != nil {
			return nil, err
		}
		if _, twice := m[key]; twice {
			return nil, errDuplicateKey
		}
		if d.next() != ':' {
			return nil, errNoJSON
		}
		d.rest = d.rest[1:]
		if m[key], err = d.value(depth); err != nil {
			return nil, err
		}
		last, err := d.ends('}')
		if err != nil || last {
			return m, err
		}
	}
	d.rest = d.rest[1:]
	return m, nil
}

func (d *strictDecoder) array(depth int) (any, error) {
	list := []any{}
	for empty := d.next() == ']'; !empty; {
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		last, err := d.ends(']')
		if err != nil || last {
			return list, err
		}
	}
	d.rest = d.rest[1:]
	return list, nil
}

// ends reads what stands behind a member: a comma, or the closing bracket.
func (d *strictDecoder) ends(closing byte) (bool, error) {
	c := d.next()
	if c != closing && c != ',' {
		return false, errNoJSON
	}
	d.rest = d.rest[1:]
	return c == closing, nil
}

func (d *strictDecoder) word(w string) error {
	if !bytes.HasPrefix(d.rest, []byte(w)) {
		return errNoJSON
	}
	d.rest = d.rest[len(w):]
	return nil
}

// text reads a string; what is left starts with its quote.
func (d *strictDecoder) text() (string, error) {
	escaped := false
	for i := 1; i < len(d.rest); i++ {
		switch c := d.rest[i]; {
		case c == '"':
			literal := d.rest[:i+1]
			d.rest = d.rest[i+1:]
			if !escaped {
				return string(literal[1:i]), nil
			}
			var s string
			err := json.Unmarshal(literal, &s)
			return s, err
		case c == '\\':
			escaped = true
			i++ // a quote behind it is none
		case c < ' ':
			return "", errNoJSON
		}
	}
	return "", errNoJSON
}

func (d *strictDecoder) number() (json.Number, error) {
	n := 0
	for n < len(d.rest) && (d.rest[n] >= '0' && d.rest[n] <= '9' || bytes.IndexByte([]byte("+-.eE"), d.rest[n]) >= 0) {
		n++
	}
	literal := d.rest[:n]
	d.rest = d.rest[n:]
	if !json.Valid(literal) {
		return "", errNoJSON
	}
	return json.Number(literal), nil
}
