#!/usr/bin/env bash
# The demo is cut off by Ctrl-C in the middle of its job, must leave nothing, and runs again at once. DRIVER as in demo.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
driver=${DRIVER:-container}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
[ -x build/demo ] || { echo "make demo DRIVER=$driver first" >&2; exit 2; }
set -m # a group of its own, as a terminal gives it
build/demo -driver "$driver" >"$log" 2>&1 &
demo=$!
until grep -q 'running' "$log"; do
  kill -0 "$demo" 2>/dev/null || { cat "$log"; echo "the demo ended before its job ran" >&2; exit 1; }
  sleep 0.2
done
kill -INT -- "-$demo"
wait "$demo" || true
tail -n 3 "$log"
left=$(grep -lsa "$PWD/[d]emo/" /proc/[0-9]*/cmdline || true) # the brackets keep it from finding itself
[ -z "$left" ] || { echo "processes left behind: $left" >&2; exit 1; }
! grep -q " $PWD/demo/" /proc/self/mounts || { echo "mounts left behind" >&2; exit 1; }
echo "cut off in the middle: nothing is left; again"
exec build/demo -driver "$driver"
