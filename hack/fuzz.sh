#!/usr/bin/env bash
# Copyright The Seatkeeper Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Runs every fuzz target with the number of inputs given (default 20000x). go
# test fuzzes one target of one package at a time, hence the loop.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-20000x}
n=0
while IFS=: read -r file _ decl; do
  name=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]+).*/\1/' <<<"$decl")
  go test "./$(dirname "$file")" -run '^$' -fuzz "^${name}\$" -fuzztime "$time"
  n=$((n + 1))
done < <(grep -rnE '^func Fuzz[A-Za-z0-9_]+\(' --include='*_test.go' . | sed 's|^\./||' | sort)
[ "$n" -gt 0 ] || { echo "fuzz: no fuzz target found" >&2; exit 1; }
echo "fuzzed $n targets with $time inputs each"
