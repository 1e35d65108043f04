#!/usr/bin/env bash
# Runs a command with a temporary PostgreSQL server: tests/with-postgres.sh COMMAND…
#
# The server listens on a socket in a temporary folder, which is deleted when the command ends. Its URL is passed to the
# command in GUILDHALL_TEST_POSTGRES, and a shell command that kills and restarts it in GUILDHALL_TEST_POSTGRES_RESTART.
# Exits with 77 if PostgreSQL is not installed.
set -euo pipefail

programs=$(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | sort -V | tail -n 1 || true)
PATH="${programs:+$programs:}$PATH"
command -v initdb >/dev/null && command -v pg_ctl >/dev/null || exit 77

home=$(mktemp -d "${TMPDIR:-/tmp}/guildhall-postgres.XXXXXX")
user=()
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
    chown nobody "$home"
    user=(setpriv --reuid=nobody --clear-groups env HOME="$home" PATH="$PATH")
fi
stop() {
    "${user[@]}" pg_ctl -D "$home/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$home"
}
trap stop EXIT
trap 'exit 130' INT TERM

cd "$home"
"${user[@]}" initdb -D "$home/data" -U guildhall -E UTF8 --locale=C.UTF-8 -A trust --no-sync >"$home/log" 2>&1 ||
    { cat "$home/log" >&2; exit 1; }
# A temporary database does not need durability.
"${user[@]}" pg_ctl -D "$home/data" -l "$home/data/server.log" -w start -o "-c listen_addresses='' -k $home \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=400 -c deadlock_timeout=100ms" \
    >/dev/null || { cat "$home/data/server.log" >&2; exit 1; }
cd "$OLDPWD"

export GUILDHALL_TEST_POSTGRES_RESTART="${user[*]} pg_ctl -D $home/data -l $home/data/server.log -m immediate -w restart"
export PATH
export GUILDHALL_TEST_POSTGRES="postgres://guildhall@localhost/postgres?host=$home"
"$@"
