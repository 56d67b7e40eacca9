#!/bin/sh
# Copyright The Seatkeeper Authors.
# SPDX-License-Identifier: Apache-2.0
#
# One throw-away PostgreSQL server for a whole test run.
#
#   hack/test-postgres.sh start   installs Debian's postgresql if it is missing
#                                 and this is root, starts a server, and prints
#                                 the assignment that a shell evaluates
#   hack/test-postgres.sh dsn     prints the DSN of the running server
#   hack/test-postgres.sh stop    stops it and deletes its data
#
#   eval "$(hack/test-postgres.sh start)" && go test ./internal/store/...
#
# It listens on a Unix socket only. The directory is SEATKEEPER_TEST_POSTGRES_DIR,
# by default /tmp/seatkeeper-test-postgres-UID.
set -eu

dir=${SEATKEEPER_TEST_POSTGRES_DIR:-/tmp/seatkeeper-test-postgres-$(id -u)}
dsn="postgres://seatkeeper@/postgres?host=$dir"

say() { echo "test-postgres: $*" >&2; }

find_bin() {
	for d in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -rn) $(dirname "$(readlink -f "$(command -v initdb || echo /nonexistent)")"); do
		if [ -x "$d/initdb" ] && [ -x "$d/pg_ctl" ]; then
			echo "$d"
			return
		fi
	done
	return 1
}

install_postgres() {
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		say "PostgreSQL is not installed. Install it, then run this again:"
		say "  sudo apt-get update && sudo apt-get install -y postgresql"
		exit 1
	fi
	say "installing Debian's postgresql (once, about a minute)"
	mkdir -p /etc/postgresql-common
	# No server of its own: only the binaries are wanted.
	[ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
	if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postgresql; } >&2; then
		say "apt-get failed; the lines above say why. Install the package postgresql by hand."
		exit 1
	fi
}

# PostgreSQL refuses to run as root.
unprivileged() {
	if [ "$(id -u)" != 0 ]; then
		"$@"
		return
	fi
	user=postgres
	id -u "$user" >/dev/null 2>&1 || user=nobody
	chown "$user" "$dir"
	setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups env HOME="$dir" "$@"
}

running() { [ -S "$dir/.s.PGSQL.5432" ] && unprivileged "$bin/pg_ctl" -D "$dir/data" status >/dev/null 2>&1; }

case "${1:-}" in
start)
	bin=$(find_bin) || {
		install_postgres
		bin=$(find_bin) || { say "installed, but initdb is nowhere in /usr/lib/postgresql"; exit 1; }
	}
	mkdir -p "$dir"
	chmod 700 "$dir"
	cd "$dir"
	if ! running; then
		rm -rf "$dir/data"
		unprivileged "$bin/initdb" -D "$dir/data" -U seatkeeper -A trust -E UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; exit 1; }
		unprivileged "$bin/pg_ctl" -D "$dir/data" -w -t 60 -l "$dir/data/log" -o "-k $dir -c listen_addresses= -c max_connections=200" start >"$dir/start.log" 2>&1 || {
			cat "$dir/start.log" "$dir/data/log" >&2
			exit 1
		}
	fi
	echo "export SEATKEEPER_TEST_POSTGRES='$dsn'"
	;;
dsn)
	bin=$(find_bin) && cd / && [ -d "$dir" ] && running || { say "no server is running; start it with: $0 start"; exit 1; }
	echo "$dsn"
	;;
stop)
	bin=$(find_bin) || exit 0
	if [ -d "$dir" ]; then
		cd /
		if running; then
			unprivileged "$bin/pg_ctl" -D "$dir/data" -w -m fast stop >/dev/null
		fi
		rm -rf "$dir"
	fi
	;;
*)
	sed -n '5,17s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
