#!/usr/bin/env bash
# Runs every fuzz target of the module for FUZZTIME.
set -euo pipefail
export CGO_ENABLED=0
cd "$(dirname "$0")/.."
time=${FUZZTIME:-20s}
grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do
  grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/func //' | while read -r target; do
    echo "$dir $target"
    go test "$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$time"
  done
done
