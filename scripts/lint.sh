#!/usr/bin/env bash
# Formatting, go vet, shell syntax.
set -euo pipefail
export CGO_ENABLED=0
cd "$(dirname "$0")/.."
unformatted=$(git ls-files '*.go' | grep -vE '\.pb(\.gw)?\.go$' | xargs gofmt -l)
if [ -n "$unformatted" ]; then
  echo "gofmt would change:" >&2
  echo "$unformatted" >&2
  exit 1
fi
for script in scripts/*.sh .ci/run; do bash -n "$script"; done
go vet ./...
