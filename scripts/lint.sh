#!/usr/bin/env bash
# Linters from their own module, so that their dependencies are not the project's.
set -euo pipefail
export CGO_ENABLED=0
cd "$(dirname "$0")/.."
mkdir -p build
(cd tools/lint && go build -o ../../build/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
go vet ./...
build/golangci-lint run --max-issues-per-linter 0 --max-same-issues 0 ./...
