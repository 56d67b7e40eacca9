#!/usr/bin/env bash
# Copyright The Seatkeeper Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Runs every benchmark behind docs/benchmarks.md and prints the machine and one
# table. Progress goes to stderr, the report to stdout.
#
#   hack/bench.sh [--write] [NAME…]
#
#   --write   put the report into docs/benchmarks.md as well
#   NAME      only these: postgres sqlite growth people evaluate engine claim
#             runs lanes archived events connector csv scim webhook manager;
#             default: all
#
# Sizes, all optional:
#   SEATKEEPER_BENCH_ROWS  accounts of the store's benchmarks (1000000); people,
#                          seats and users over SCIM are a tenth
#   SEATKEEPER_BENCH_RUNS  runs of the workflow engine (ROWS / 50)
#   SEATKEEPER_BENCH_EVENTS deliveries that start runs (ROWS / 100)
#   SEATKEEPER_BENCH_LANE  seconds that a lane is watched (45)
#   SEATKEEPER_BENCH_APPS  Applications of the manager (ROWS / 100)
#   SEATKEEPER_BENCH_IDLE  seconds that the manager is watched at rest (60)
#
# PostgreSQL is the server of SEATKEEPER_TEST_POSTGRES: see `make bench`. The
# manager and the events need bin/localcluster. A benchmark that fails or is skipped is named
# at the end, and the exit code is 1.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0

write='' names=()
for arg in "$@"; do
  case $arg in
    --write) write=1 ;;
    -h | --help) sed -n '5,28s/^# \{0,1\}//p' "$0"; exit ;;
    -*) echo "bench: unknown option $arg; see: hack/bench.sh --help" >&2; exit 2 ;;
    *) names+=("$arg") ;;
  esac
done

rows=${SEATKEEPER_BENCH_ROWS:-1000000}
case $rows in
  '' | *[!0-9]*) echo "bench: SEATKEEPER_BENCH_ROWS=$rows: want a number from 10000" >&2; exit 2 ;;
esac
if [ "$rows" -lt 10000 ]; then
  echo "bench: SEATKEEPER_BENCH_ROWS=$rows: want a number from 10000" >&2
  exit 2
fi
tenth=$((rows / 10))
runs=${SEATKEEPER_BENCH_RUNS:-$((rows / 50))}
export SEATKEEPER_BENCH_RUNS=$runs SEATKEEPER_BENCH_EVENTS=${SEATKEEPER_BENCH_EVENTS:-$((rows / 100))}
export SEATKEEPER_BENCH_APPS=${SEATKEEPER_BENCH_APPS:-$((rows / 100))}

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=()
known=()

# bench NAME ROWS BENCHTIME PACKAGE PATTERN
bench() {
  local name=$1 size=$2 benchtime=$3 package=$4 pattern=$5 start=$SECONDS
  known+=("$name")
  if [ ${#names[@]} -gt 0 ] && [[ " ${names[*]} " != *" $name "* ]]; then
    return
  fi
  echo "bench: $name …" >&2
  if SEATKEEPER_BENCH_ROWS=$size go test "$package" -run '^$' -bench "$pattern" -benchtime "$benchtime" -timeout 3h >"$out/$name.log" 2>&1 &&
    ! grep -q -- '--- SKIP' "$out/$name.log" && grep -q '^Benchmark' "$out/$name.log"; then
    echo "bench: $name took $((SECONDS - start)) s" >&2
  else
    failed+=("$name")
    echo "bench: $name FAILED:" >&2
    tail -n 20 "$out/$name.log" | sed 's/^/  | /' >&2
  fi
}

bench postgres "$rows" 1x ./internal/store '^BenchmarkSyncPostgres$'
bench sqlite "$rows" 1x ./internal/store '^BenchmarkSyncSQLite$'
bench growth "$rows" 1x ./internal/store '^BenchmarkSyncGrowth$'
bench people "$rows" 1x ./internal/store '^BenchmarkMergePeople$'
bench evaluate "$tenth" 3x ./internal/govern '^BenchmarkEvaluate$'
bench engine "$rows" "${runs}x" ./internal/workflow '^BenchmarkEngine$'
bench claim "$rows" 1s ./internal/workflow '^BenchmarkClaim$'
bench archived "$rows" 1x ./internal/workflow '^BenchmarkClaimArchived$'
bench runs "$rows" 1x ./test/perf '^BenchmarkRuns$'
bench lanes "$rows" 1x ./test/perf '^BenchmarkLanes$'
bench events "$rows" 1x ./test/perf '^BenchmarkEvents$'
bench connector "$rows" 2s ./internal/connector '^Benchmark(Mapping|Read|Slack|LargeRead)$'
bench csv "$rows" 2s ./internal/connector/csvfile '^BenchmarkRows$'
bench scim "$tenth" 1x ./internal/gateway/scim '^BenchmarkSCIM$'
bench webhook "$rows" 1x ./internal/gateway/webhook '^BenchmarkAcknowledge$'
bench manager "$rows" 1x ./test/perf '^BenchmarkManager$'

for name in "${names[@]}"; do
  [[ " ${known[*]} " == *" $name "* ]] || { echo "bench: there is no benchmark $name; known: ${known[*]}" >&2; exit 2; }
done

machine() {
  local cpu memory postgres
  cpu=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)
  memory=$(awk '/^MemTotal/ {printf "%.0f", $2 / 1048576}' /proc/meminfo)
  postgres=$(for d in /usr/lib/postgresql/*/bin; do [ ! -x "$d/postgres" ] || "$d/postgres" --version; done | tail -n 1)
  echo "Machine: $(nproc) cores (${cpu:-unknown}), ${memory} GiB of memory, $(uname -sr), $(go env GOVERSION), ${postgres:-no PostgreSQL}."
  echo "Commit $(git describe --always --dirty 2>/dev/null || echo unknown), $(date -u +%Y-%m-%d), load $(cut -d' ' -f1 /proc/loadavg) at the end of the run."
}

report() {
  machine
  echo
  echo '| what | size | measured | compared with | ratio | goal | met |'
  echo '|---|---|---|---|---|---|---|'
  for name in "${known[@]}"; do
    [ ! -f "$out/$name.log" ] || awk -v name="$name" -v rows="$rows" -v tenth="$tenth" -v runs="$runs" -f hack/bench.awk "$out/$name.log"
  done
}

report >"$out/report.md"
cat "$out/report.md"
if [ -n "$write" ]; then
  awk -v report="$out/report.md" '
    /<!-- bench:begin/ { print; while ((getline line < report) > 0) print line; skip = 1 }
    /<!-- bench:end/ { skip = 0 }
    !skip' docs/benchmarks.md >"$out/page.md"
  cp "$out/page.md" docs/benchmarks.md
fi
if [ ${#failed[@]} -gt 0 ]; then
  echo "bench: not measured: ${failed[*]}" >&2
  exit 1
fi
