// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// Values calls add with one value after the other.
type Values func(add func(Object) error) error

// streamed are values that are read while they are written: a group may have
// more members than fit into memory.
type streamed struct {
	list *List
	from Values
}

// Stream makes the values those of an attribute of a resource that is answered
// and nothing else. There has to be one at least.
func (l *List) Stream(r *Resource, from Values) {
	r.Attributes[l.attr.Name] = streamed{l, from}
}

// flushAt is how much is written at once.
const flushAt = 32 << 10

// stream writes values as they come.
func (w *writer) stream(s streamed) {
	glue := byte('[')
	err := s.from(func(v Object) error {
		part := s.list.projection.part(s.list.attr, s.list.named, v)
		if isEmpty(part) {
			return nil
		}
		w.buf.WriteByte(glue)
		glue = ','
		w.value(s.list.attr, part)
		if w.to != nil && w.buf.Len() > flushAt {
			w.flush()
		}
		return w.err
	})
	if glue == '[' {
		w.buf.WriteByte(glue)
	}
	w.buf.WriteByte(']')
	w.fail(err)
}

func (w *writer) fail(err error) {
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("scim: rendering a value: %w", err)
	}
}

func (w *writer) flush() {
	if w.err != nil {
		return
	}
	_, err := w.to.Write(w.buf.Bytes())
	w.buf.Reset()
	w.fail(err)
}

// WriteJSON writes what MarshalJSON returns, and keeps little of it in memory. An
// error may come after a part was written.
func (r *Resource) WriteJSON(to io.Writer) error {
	w := writer{to: to}
	r.render(&w)
	w.flush()
	return w.err
}

// WriteJSON writes a page one resource after the other.
func (l ListResponse[T]) WriteJSON(to io.Writer) error {
	all := l.Resources
	l.Resources = []T{}
	head, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("scim: rendering a page: %w", err)
	}
	if _, err := to.Write(bytes.TrimSuffix(head, []byte("]}"))); err != nil {
		return fmt.Errorf("scim: rendering a page: %w", err)
	}
	for i, e := range all {
		if i > 0 {
			if _, err := io.WriteString(to, ","); err != nil {
				return fmt.Errorf("scim: rendering a page: %w", err)
			}
		}
		if err := writeJSON(to, e); err != nil {
			return err
		}
	}
	_, err = io.WriteString(to, "]}")
	return err
}

func writeJSON(to io.Writer, v any) error {
	if s, ok := v.(interface{ WriteJSON(io.Writer) error }); ok {
		return s.WriteJSON(to)
	}
	text, err := json.Marshal(v)
	if err == nil {
		_, err = to.Write(text)
	}
	return err
}
