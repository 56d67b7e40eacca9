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
	"iter"
	"strings"
)

// jsonItems yields the elements of the array at a path of a JSON text; no path
// is the text itself. The text must be whole: a body that breaks off behind the
// array's last element is a failure, not an end.
func jsonItems(b *boundedReader, path []string, other map[string]any) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		w := &jsonWalk{b: b, dec: json.NewDecoder(b), other: other, yield: yield}
		w.dec.UseNumber()
		err := w.value(path)
		if err == nil {
			if _, err = w.dec.Token(); errors.Is(err, io.EOF) {
				return
			}
			err = errTrailing
		}
		if !errors.Is(err, errEnough) {
			yield(nil, jsonError(err))
		}
	}
}

// jsonError hides the text that encoding/json quotes in its errors.
func jsonError(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("no JSON at byte %d", syntax.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends before it is complete")
	}
	return err
}

type jsonWalk struct {
	b     *boundedReader
	dec   *json.Decoder
	other map[string]any
	size  int64 // of what is kept in other
	yield func(any, error) bool
}

// value reads the value at path, whose next token is to come.
func (w *jsonWalk) value(path []string) error {
	w.b.next()
	tok, err := w.dec.Token()
	if err != nil {
		return err
	}
	if len(path) == 0 {
		if tok != json.Delim('[') {
			return errors.New("what should be the list of records is none")
		}
		return w.array()
	}
	if tok != json.Delim('{') {
		return fmt.Errorf("there is no object with the member %s", path[0])
	}
	found := false
	for w.dec.More() {
		w.b.next()
		tok, err := w.dec.Token()
		if err != nil {
			return err
		}
		name, _ := tok.(string)
		if name == path[0] {
			if found {
				return fmt.Errorf("it has the member %s twice", name)
			}
			found = true
			if err := w.value(path[1:]); err != nil {
				return err
			}
			continue
		}
		if err := w.keep(name); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("it has no member %s", path[0])
	}
	_, err = w.dec.Token()
	return err
}

func (w *jsonWalk) keep(name string) error {
	from := w.dec.InputOffset()
	var v any
	if err := w.dec.Decode(&v); err != nil {
		return err
	}
	if w.size += w.dec.InputOffset() - from + int64(len(name)); w.size > maxOtherBytes {
		return fmt.Errorf("what surrounds the records has more than %d MiB", maxOtherBytes>>20)
	}
	if w.other != nil {
		w.other[name] = plain(v)
	}
	return nil
}

func (w *jsonWalk) array() error {
	for w.dec.More() {
		w.b.next()
		var v any
		if err := w.dec.Decode(&v); err != nil {
			return err
		}
		if !w.yield(plain(v), nil) {
			return errEnough
		}
	}
	_, err := w.dec.Token()
	return err
}

// ndjsonItems yields one record a line; empty lines are none.
func ndjsonItems(b *boundedReader) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		r := bufio.NewReaderSize(b, 64<<10)
		var long []byte
		for n := 1; ; n++ {
			b.next()
			line, err := r.ReadSlice('\n')
			for errors.Is(err, bufio.ErrBufferFull) {
				if long = append(long, line...); len(long) > maxItemBytes {
					err = errItemTooLong
					break
				}
				line, err = r.ReadSlice('\n')
			}
			if len(long) > 0 {
				line = append(long, line...)
				long = long[:0]
			}
			if err != nil && !errors.Is(err, io.EOF) {
				yield(nil, err)
				return
			}
			if n == 1 {
				line = bytes.TrimPrefix(line, []byte("\uFEFF"))
			}
			if line = bytes.TrimSpace(line); len(line) > 0 {
				v, bad := decodeJSON(line)
				if bad != nil {
					yield(nil, fmt.Errorf("line %d: %w", n, jsonError(bad)))
					return
				}
				if !yield(v, nil) {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
}

// cleaned makes text what SQL can hold.
func cleaned(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
