#!/usr/bin/env bash
# Copyright The Seatkeeper Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Runs every fuzz target with the number of inputs given (default 20000x). All
# targets of a package share one instrumented binary, where go test would link it
# anew for each. Inputs found before are where go test keeps them too.
set -euo pipefail
cd "$(dirname "$0")/.."
count=${1:-20000x}
module=$(go list -m)
corpus=$(go env GOCACHE)/fuzz
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
n=0 built=
while read -r dir name; do
  if [ "$dir" != "$built" ]; then
    start=$SECONDS
    go test -c -fuzz . -o "$bin/fuzz.test" "./$dir"
    printf '%s, built in %ds\n' "$dir" $((SECONDS - start))
    built=$dir
  fi
  # An input that is new is kept as it is: to make it small costs more than the
  # rest. One that fails is made small within a few seconds.
  (cd "$dir" && "$bin/fuzz.test" -test.run '^$' -test.fuzz "^${name}\$" -test.fuzztime "$count" -test.fuzzminimizetime 1000x \
    -test.fuzzcachedir "$corpus/$module/$dir" -test.timeout 0) >"$bin/log" 2>&1 || {
    cat "$bin/log"
    echo "fuzz: $name of $dir failed; the input is in $dir/testdata/fuzz/$name" >&2
    exit 1
  }
  printf '  %-26s %s\n' "$name" "$(grep -o 'elapsed.*' "$bin/log" | tail -n 1)"
  n=$((n + 1))
done < <(grep -rE '^func Fuzz[A-Za-z0-9_]+\(' --include='*_test.go' . | sed -E 's|^\./(.*)/[^/]*:func (Fuzz[A-Za-z0-9_]+).*|\1 \2|' | sort)
[ "$n" -gt 0 ] || { echo "fuzz: no fuzz target found" >&2; exit 1; }
echo "fuzzed $n targets with $count inputs each"
