// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// fact describes one type of record as a table: the sync stages, compares and
// applies every type with the same statements, generated from here.
type fact struct {
	typ   model.DataType
	table string
	// key identifies a row within (tenant, source, stream).
	key []column
	// cols are the other columns that the source fills.
	cols []column
	// values returns the values of key and cols, in that order.
	values func(model.Record) []any
	// paired: the key is a pair, and a source that says one half is gone, or is
	// listed anew, means every row that has it.
	paired bool
	// added, changed and removed are the events of a difference; "" is none.
	added, changed, removed model.EventKind
	// loaded replaces added in a first load.
	loaded model.EventKind
	// subject is the SQL expression of an event's subject over the delta d.
	subject string
}

// column is one column of a fact.
type column struct {
	name, sqlType string
	// aux columns change by themselves: they are compared, but make no event.
	aux bool
	// daily columns are instants compared by day, so that a row is written at
	// most once a day for them, and only ever move forward.
	daily bool
}

func text(names ...string) []column { return columns("TEXT", names...) }
func columns(sqlType string, names ...string) []column {
	out := make([]column, len(names))
	for i, n := range names {
		out[i] = column{name: n, sqlType: sqlType}
	}
	return out
}

func (f *fact) all() []column { return slices.Concat(f.key, f.cols) }

// names lists columns, each behind a prefix such as "s.".
func names(prefix string, cols []column) string {
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = prefix + c.name
	}
	return strings.Join(out, ", ")
}

// match is the join condition of two aliases over the key.
func (f *fact) match(a, b string) string {
	out := make([]string, len(f.key))
	for i, c := range f.key {
		out[i] = a + "." + c.name + " = " + b + "." + c.name
	}
	return strings.Join(out, " AND ")
}

const dayMillis = 24 * 60 * 60 * 1000

// hashes returns the row hash over identity and licence fields and the one
// over what changes by itself. Both are stable across versions and machines.
func (f *fact) hashes(values []any, buf []byte) (row, aux int64, _ []byte) {
	cols := len(f.key)
	buf = buf[:0]
	for i, c := range f.cols {
		if !c.aux {
			buf = appendHashed(buf, values[cols+i])
		}
	}
	row, split := digest64(buf), len(buf)
	for i, c := range f.cols {
		switch v := values[cols+i]; {
		case !c.aux:
		case c.daily && v != nil:
			buf = appendHashed(buf, v.(int64)/dayMillis)
		default:
			buf = appendHashed(buf, v)
		}
	}
	if len(buf) == split {
		return row, 0, buf
	}
	return row, digest64(buf[split:]), buf
}

func digest64(b []byte) int64 {
	sum := sha256.Sum256(b)
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// appendHashed appends a value so that no two lists of values look alike.
func appendHashed(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 'n')
	case string:
		b = binary.AppendUvarint(append(b, 's'), uint64(len(v)))
		return append(b, v...)
	case int64:
		return binary.AppendVarint(append(b, 'i'), v)
	case bool:
		if v {
			return append(b, 't')
		}
		return append(b, 'f')
	}
	panic(fmt.Sprintf("store: cannot hash a %T", v))
}

func optMillis(t *time.Time) any {
	if t == nil || t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func optInt(n *int64) any {
	if n == nil {
		return nil
	}
	return *n
}

func optBool(b *bool) any {
	if b == nil {
		return nil
	}
	return *b
}

// jsonText is "" for an empty value, so that no fields and no map look alike.
// What comes from a connector's mapping always marshals; what does not is left
// out rather than failing the stream.
func jsonText[M ~map[string]any | ~[]string](v M) string {
	if len(v) == 0 {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return cleanText(string(b))
}

// cleanText drops what PostgreSQL cannot store in TEXT.
func cleanText(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func or[T ~string](v, otherwise T) string {
	if v == "" {
		return string(otherwise)
	}
	return string(v)
}
