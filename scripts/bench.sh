#!/usr/bin/env bash
# Measures the figures of docs/bench.md and prints them as JSON. BENCH=latency,wasm picks sections.
set -euo pipefail
export CGO_ENABLED=0
cd "$(dirname "$0")/.."
make --no-print-directory build >&2
go build -o build/bench ./scripts/bench
echo '{"real":'
build/bench -only "${BENCH:-}"
if [ -z "${BENCH:-}" ]; then
  echo ', "go_benchmarks": ['
  {
    go test ./x/tasks/keeper -run '^$' -bench EndBlock -benchtime 10x
    go test ./node/driver/containerd -run '^$' -bench Overhead -benchtime 20x
  } | awk '/^Benchmark/ { gsub(/"/, ""); printf "%s\"%s\"", sep, $0; sep=",\n" }'
  echo ']'
fi
echo '}'
