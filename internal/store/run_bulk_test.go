// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"testing"
	"time"
)

// A list is one array a column, with NULL where a row has nothing, and its text
// does not depend on the rows.
func TestUnnest(t *testing.T) {
	list, args, ok := unnest(nil, [][]any{{int64(1), RunReady, nil, nil, nil}, {int64(2), "b", int64(7), nil, []byte("x")}})
	if want := "SELECT c0, c1, c2, NULL, c4 FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bytea[]) AS u(c0, c1, c2, c4)"; !ok || list != want {
		t.Fatalf("%q, %t; want %q", list, ok, want)
	}
	texts, _ := args[1].([]string)
	numbers, _ := args[2].([]*int64)
	bytes, _ := args[3].([][]byte)
	if len(args) != 4 || len(bytes) != 2 || bytes[0] != nil || string(bytes[1]) != "x" || len(texts) != 2 || texts[0] != "ready" || texts[1] != "b" || len(numbers) != 2 || numbers[0] != nil || *numbers[1] != 7 {
		t.Fatalf("args %v", args)
	}
	for name, rows := range map[string][][]any{
		"a list": {{[]string{"x"}}}, "a time": {{time.Time{}}}, "a text below a number": {{int64(1)}, {"a"}}, "only NULL": {{nil}},
	} {
		if list, _, ok := unnest(nil, rows); ok {
			t.Errorf("%s: %q; want no array", name, list)
		}
	}
}
