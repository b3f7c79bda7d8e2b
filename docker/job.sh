#!/usr/bin/env bash
# `strandline run` under a supervisor that starts it again when it fails. Exit code 9 says that
# another run holds the stream: starting again would fight it, so it counts as a good end.
set -uo pipefail

strandline run "$@" &
child=$!
trap 'kill -TERM "$child" 2>/dev/null' TERM INT
code=0
while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    code=$?
done
if [ "$code" -eq 9 ]; then
    echo "superseded by another run: not started again" >&2
    exit 0
fi
exit "$code"
