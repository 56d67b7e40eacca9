#!/usr/bin/env bash
# Copyright The Seatkeeper Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Fails when `make generate`, gofmt or `go mod tidy` would change a committed
# file. Untracked files are compared too, so that a new generated file cannot
# be forgotten.
set -euo pipefail
cd "$(dirname "$0")/.."
unformatted=$(gofmt -l $(git ls-files '*.go'))
if [ -n "$unformatted" ]; then
  printf 'not formatted (run gofmt -w on them):\n%s\n' "$unformatted" >&2
  exit 1
fi
go mod tidy -diff
dirty=$(git status --porcelain -- api config docs charts)
if [ -n "$dirty" ]; then
  printf 'generated files differ from what is committed; run `make generate` and commit:\n%s\n' "$dirty" >&2
  git --no-pager diff --stat -- api config docs charts >&2
  exit 1
fi
echo "generated code, formatting and go.mod are as committed"
