// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// maxAnswerBytes bounds one answer, after decompression.
const maxAnswerBytes = 64 << 20

var errTrailing = errors.New("more than one JSON value")

// decodeJSON decodes one JSON value into nil, bool, int64, float64, string,
// []any and map[string]any. Integers stay exact, so that 64-bit ids survive;
// one beyond int64 stays text. NUL, which no SQL text holds, is replaced.
func decodeJSON(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errTrailing
	}
	return plain(v), nil
}

// plain normalises a decoded value in place.
func plain(v any) any {
	switch t := v.(type) {
	case json.Number:
		s := t.String()
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n
		}
		if strings.ContainsAny(s, ".eE") {
			if f, err := t.Float64(); err == nil {
				return f
			}
		}
		return s
	case string:
		if strings.IndexByte(t, 0) >= 0 {
			return strings.ReplaceAll(t, "\x00", "\uFFFD")
		}
		return t
	case []any:
		for i, e := range t {
			switch e.(type) {
			case nil, bool, int64:
			default:
				t[i] = plain(e)
			}
		}
		return t
	case map[string]any:
		for k, e := range t {
			switch s := e.(type) {
			case nil, bool, int64:
			case string:
				if strings.IndexByte(s, 0) >= 0 {
					t[k] = plain(s)
				}
			default:
				t[k] = plain(e)
			}
		}
		return t
	case int:
		return int64(t)
	case []map[string]any:
		out := make([]any, len(t))
		for i, e := range t {
			out[i] = plain(e)
		}
		return out
	case []string:
		out := make([]any, len(t))
		for i, e := range t {
			out[i] = e
		}
		return out
	}
	return v
}

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
