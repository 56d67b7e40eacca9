#!/usr/bin/env bash
# Copyright The Seatkeeper Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Looks with axe-core in a headless Chromium at every page that the gateway
# shows to people. It needs npm, and Chromium as $CHROMIUM or /usr/bin/chromium
# (Debian: apt-get install chromium). A11Y_MODULES is where axe-core is kept.
set -euo pipefail
cd "$(dirname "$0")/.."
modules=${A11Y_MODULES:-$PWD/bin/a11y}
browser=${CHROMIUM:-/usr/bin/chromium}
[ -x "$browser" ] || { echo "a11y: no Chromium at $browser; install it, or set CHROMIUM" >&2; exit 1; }
command -v npm >/dev/null || { echo "a11y: npm is missing" >&2; exit 1; }
if [ ! -d "$modules/node_modules/axe-core" ]; then
  npm install --silent --no-fund --no-audit --prefix "$modules" axe-core@4.14.1 playwright-core@1.65.1
fi
pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT
SEATKEEPER_A11Y_PAGES=$pages go test -count=1 -run 'PagesOfEveryKind|Delegation|FaultsAreSaid' ./internal/gateway/answer ./internal/gateway/delegate >/dev/null
A11Y_MODULES=$modules/node_modules CHROMIUM=$browser node hack/a11y/check.mjs "$pages"
