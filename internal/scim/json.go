// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// ParseJSON reads a body that is one JSON object: map[string]any, []any, string,
// json.Number, bool and nil. Names that stand twice in one object, more of them
// than MaxJSONNames, nesting below MaxJSONDepth, text that is not UTF-8 and
// anything after the object are refused with a 400 invalidSyntax, more than
// MaxJSONValues in all with a 413. How large a body may be is for the caller to
// bound.
func ParseJSON(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, badRequest(InvalidSyntax, "The body is not UTF-8.")
	}
	// The decoder's tokens alone would let some malformed text pass.
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, badRequest(InvalidSyntax, "The body is not one JSON object: see byte %d.", syntax.Offset)
		}
		return nil, badRequest(InvalidSyntax, "The body is not one JSON object.")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	r := reader{Decoder: dec}
	v, err := r.value(0)
	if err != nil {
		if e, ok := AsError(err); ok {
			return nil, e
		}
		return nil, badRequest(InvalidSyntax, "The body is not one JSON object.")
	}
	doc, ok := v.(map[string]any)
	if !ok {
		return nil, badRequest(InvalidSyntax, "The body is JSON, but not an object.")
	}
	return doc, nil
}

// reader counts what it reads: a value takes many times the memory of its text.
type reader struct {
	*json.Decoder
	values int
}

// value reads the next value; depth is that of what is around it.
func (r *reader) value(depth int) (any, error) {
	if r.values++; r.values > MaxJSONValues {
		return nil, tooLarge("The body has more than %d values: send several smaller ones.", MaxJSONValues)
	}
	tok, err := r.Token()
	if err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return tok, nil
	}
	if depth++; depth > MaxJSONDepth {
		return nil, badRequest(InvalidSyntax, "The body nests deeper than %d.", MaxJSONDepth)
	}
	if delim == '[' {
		return r.array(depth)
	}
	return r.object(depth)
}

func (r *reader) array(depth int) (any, error) {
	out := []any{}
	for r.More() {
		v, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := r.Token()
	return out, err
}

func (r *reader) object(depth int) (any, error) {
	out := map[string]any{}
	for r.More() {
		tok, err := r.Token()
		if err != nil {
			return nil, fmt.Errorf("reading JSON: %w", err)
		}
		name, ok := tok.(string)
		if !ok {
			return nil, badRequest(InvalidSyntax, "The body has an object whose name is no string.")
		}
		if _, twice := out[name]; twice {
			return nil, badRequest(InvalidSyntax, "The body has a name twice in one object, at byte %d.", r.InputOffset())
		}
		if len(out) == MaxJSONNames {
			return nil, badRequest(InvalidSyntax, "The body has an object of more than %d names.", MaxJSONNames)
		}
		if out[name], err = r.value(depth); err != nil {
			return nil, err
		}
	}
	_, err := r.Token()
	return out, err
}
