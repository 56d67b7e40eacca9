#!/usr/bin/env bash
# Copyright The Seatkeeper Authors.
# SPDX-License-Identifier: Apache-2.0
#
# `make up`: examine the machine, build what is missing, then hand over to
# `seatkeeper up`. Says what it does, how long that takes, and something at
# least every ten seconds.
set -euo pipefail
cd "$(dirname "$0")/.."

state=.state down='' base=() args=()
while [ $# -gt 0 ]; do
  case $1 in
    --state-dir) state=$2; shift 2 ;;
    --down) down=1; shift ;;
    --port-base) base=(--port-base "$2"); args+=(--port-base "$2"); shift 2 ;;
    *) args+=("$1"); shift ;;
  esac
done

if [ -n "$down" ]; then
  [ -x bin/seatkeeper ] || { echo "nothing to stop: bin/seatkeeper is not built"; exit 0; }
  exec bin/seatkeeper down --state-dir "$state"
fi

mkdir -p "$state/logs"
log=$state/logs/build.log

fail() { # step, what to do next
  printf 'make up failed in step "%s"\n  log:  %s\n  next: %s\n' "$1" "$log" "$2" >&2
  tail -n 15 "$log" | sed 's/^/  | /' >&2
  exit 1
}

# step NAME ESTIMATE NEXT COMMAND… runs the command into the log.
step() {
  local name=$1 estimate=$2 next=$3 start=$SECONDS said=$SECONDS pid
  shift 3
  printf '%s (about %s)\n' "$name" "$estimate"
  "$@" >"$log" 2>&1 &
  pid=$!
  trap 'kill "$pid" 2>/dev/null; exit 130' INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    sleep 1
    # By the clock: on a busy machine a second's sleep takes longer than one.
    if [ $((SECONDS - said)) -ge 8 ] && kill -0 "$pid" 2>/dev/null; then
      printf '%s … %d s\n' "$name" $((SECONDS - start))
      said=$SECONDS
    fi
  done
  wait "$pid" || fail "$name" "$next"
  trap - INT TERM
  printf '%s done in %d s\n' "$name" $((SECONDS - start))
}

command -v go >/dev/null || {
  echo 'make up needs Go 1.26 or newer: install it from https://go.dev/dl and put it in PATH' >&2
  exit 1
}
echo 'build 1/3: examine this machine'
if ! go run ./hack/preflight --state-dir "$state" "${base[@]}" 2>"$log"; then
  echo 'this machine is not ready:' >&2
  cat "$log" >&2
  echo '  next: mend the above, then run make up again' >&2
  exit 1
fi
if make --no-print-directory -q "$PWD/bin/localcluster" 2>/dev/null; then
  echo 'build 2/3: control plane is built'
else
  step 'build 2/3: control plane' '5 minutes on 2 cold cores, seconds later' 'make localcluster' make localcluster
fi
step 'build 3/3: manager, gateway, CLI' '3 minutes on 2 cold cores, seconds later' 'make build' make build
exec bin/seatkeeper up --state-dir "$state" "${args[@]}"
