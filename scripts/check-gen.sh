#!/usr/bin/env bash
# Generates again and compares: committed code must be exactly what proto/ gives.
set -euo pipefail
cd "$(dirname "$0")/.."
list() { find proto/gen x -name '*.pb.go' -o -name '*.pb.gw.go' | sort | xargs sha256sum; }
before=$(list)
bash scripts/gen-proto.sh
if [ "$before" != "$(list)" ]; then
  echo "generated code is stale: run make gen and commit" >&2
  diff <(echo "$before") <(list) >&2 || true
  exit 1
fi
