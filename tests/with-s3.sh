#!/usr/bin/env bash
# Runs a command with a temporary S3 server: tests/with-s3.sh COMMAND…
#
# The server (moto) listens on a free port and stores everything in memory. Its URL is passed to the command in
# GUILDHALL_TEST_S3. Exits with 77 if moto is not installed.
set -euo pipefail

if command -v moto_server >/dev/null && moto_server --help >/dev/null 2>&1; then
    server=(moto_server)
elif command -v python3 >/dev/null && python3 -c 'import moto.server, flask' >/dev/null 2>&1; then
    server=(python3 -m moto.server)
else
    exit 77
fi

log=$(mktemp "${TMPDIR:-/tmp}/guildhall-s3.XXXXXX")
pid=
stop() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    rm -f "$log"
}
trap stop EXIT
trap 'exit 130' INT TERM

is_listening() {
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}

# Another process may take the port first; then try the next one.
for _ in 1 2 3 4 5; do
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    "${server[@]}" -H 127.0.0.1 -p "$port" >"$log" 2>&1 &
    pid=$!
    for _ in $(seq 300); do
        if ! kill -0 "$pid" 2>/dev/null; then
            pid=
            break
        fi
        if is_listening; then break 2; fi
        sleep 0.1
    done
    [ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; pid=; }
done
[ -n "$pid" ] || { cat "$log" >&2; exit 1; }

export GUILDHALL_TEST_S3="http://127.0.0.1:$port"
status=0
"$@" || status=$?
exit "$status"
