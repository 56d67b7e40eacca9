// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"os"
	"strconv"
	"testing"
)

// benchRowsEnv sets the size of benchmarks over rows.
const benchRowsEnv = "SEATKEEPER_BENCH_ROWS"

// BenchRows returns SEATKEEPER_BENCH_ROWS, by default few enough for a quick
// look. docs/benchmarks.md has the sizes that the goals are stated for.
func BenchRows(b *testing.B) int {
	b.Helper()
	text := os.Getenv(benchRowsEnv)
	if text == "" {
		return 100_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1000 {
		b.Fatalf("%s=%q: want a number from 1000", benchRowsEnv, text)
	}
	return n
}
