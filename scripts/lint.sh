#!/usr/bin/env bash
# Linters and formatting as .golangci.yml says, and shell syntax. The linter's version is pinned by tools/lint, a
# module of its own, so that its dependencies never mix with ours; it is built once into build/tools.
set -euo pipefail
export CGO_ENABLED=0
cd "$(dirname "$0")/.."
for script in scripts/*.sh .ci/run; do bash -n "$script"; done

tool=github.com/golangci/golangci-lint/v2
version=$(cd tools/lint && go list -m -f '{{.Version}}' "$tool")
lint=$PWD/build/tools/golangci-lint-$version-$(go env GOVERSION)
if [ ! -x "$lint" ]; then
  echo "building golangci-lint $version"
  mkdir -p build/tools
  (cd tools/lint && go build -ldflags '-s -w' -o "$lint.new" "$tool/cmd/golangci-lint")
  mv "$lint.new" "$lint"
fi
"$lint" run "$@"
