#!/usr/bin/env bash
# Runs fuzz targets, each for FUZZTIME (20s). FUZZ=pattern chooses packages.
# Packages that import the SDK are left out unless FUZZ_SDK=1: instrumenting it takes a quarter of an hour for each.
# Their seeds, and thousands of arbitrary inputs from printed seeds (testutil/wire), are part of every `make test`.
set -euo pipefail
export CGO_ENABLED=0
cd "$(dirname "$0")/.."
time=${FUZZTIME:-20s}
targets=0
for dir in $(git ls-files '*_test.go' | xargs grep -lE '^func Fuzz' | xargs -n1 dirname | sort -u | grep -E "${FUZZ:-.}"); do
  if [ "${FUZZ_SDK:-0}" != 1 ] && go list -deps -test "./$dir" | grep -q '^github.com/cosmos/cosmos-sdk/'; then
    echo "$dir imports the SDK: left out (FUZZ_SDK=1)"
    continue
  fi
  for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/func //'); do
    echo "$dir $target"
    go test "./$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$time"
    targets=$((targets + 1))
  done
done
echo "$targets targets, nothing found"
