#!/usr/bin/env bash
# Every test. Packages run one at a time where they start daemons, so that two cores are enough.
# NEXARA_REQUIRE_CONTAINERS=1 makes missing container support a failure instead of a skip.
set -euo pipefail
export CGO_ENABLED=0
cd "$(dirname "$0")/.."
# The stories with real processes use the binaries of `make build`.
export NEXARA_BIN=${NEXARA_BIN:-$PWD/build}
go build ./...
# The stories run programs that the test cache does not know: they run anew each time.
stories=github.com/nexara/nexara/testutil/scenario
go list ./... | grep -vx "$stories" | xargs go test -p 1 -timeout 40m ${TESTFLAGS:-}
exec go test -count=1 -timeout 40m ${TESTFLAGS:-} "$stories"
