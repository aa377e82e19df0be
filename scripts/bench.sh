#!/usr/bin/env bash
# Measures the figures of docs/bench.md and prints them as JSON. BENCH=latency,wasm picks sections:
# size, latency, wasm, containers, overhead (these two need root), chain, arrays, idle, memory, endblock, clearing.
# A section that fails says so in its place and does not keep the others from being printed.
# The section clearing reads public instances from BENCH_DATA (default ../shared/data) and runs dimacs-solver and
# /usr/bin/python3 with scipy as anchors (BENCH_LEMON, BENCH_PYTHON); what is not there is reported as absent.
set -euo pipefail
export CGO_ENABLED=0
cd "$(dirname "$0")/.."
go build -o build/bench ./scripts/bench
clearing=(-data "${BENCH_DATA:-../shared/data}" -lemon "${BENCH_LEMON:-dimacs-solver}" -python "${BENCH_PYTHON:-/usr/bin/python3}")
if [ "${BENCH:-}" != clearing ]; then # which runs no daemon
  make --no-print-directory build >&2
  # What the container sections run: a static program that does nothing, and the tool that makes an image of it.
  go build -ldflags "-s -w" -o build/noop ./scripts/bench/testdata/noop
  go build -o build/ocilayout ./scripts/ocilayout
fi
exec bash scripts/own-mounts.sh build/bench -only "${BENCH:-}" "${clearing[@]}"
