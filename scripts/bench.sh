#!/usr/bin/env bash
# Measures the figures of docs/bench.md and prints them as JSON. BENCH=latency,wasm picks sections:
# size, latency, wasm, containers, overhead (these two need root), chain, arrays, idle, memory.
set -euo pipefail
export CGO_ENABLED=0
cd "$(dirname "$0")/.."
make --no-print-directory build >&2
go build -o build/bench ./scripts/bench
# What the container sections run: a static program that does nothing, and the tool that makes an image of it.
go build -ldflags "-s -w" -o build/noop ./scripts/bench/testdata/noop
go build -o build/ocilayout ./scripts/ocilayout
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
