#!/usr/bin/env bash
# A real job from wallet to payout on this machine. DRIVER=container (default) or wasm.
set -euo pipefail
export CGO_ENABLED=0
cd "$(dirname "$0")/.."
driver=${DRIVER:-container}
case $driver in
container)
  bash scripts/deps.sh
  bash scripts/build-image.sh examples/digits/image
  ;;
wasm)
  (cd examples/wordcount && GOOS=wasip1 GOARCH=wasm go build -ldflags='-s -w' -o wordcount.wasm .)
  ;;
*)
  echo "DRIVER is container or wasm, not $driver" >&2
  exit 2
  ;;
esac
make --no-print-directory build
go build -o build/demo ./scripts/demo
if [ "$driver" = container ]; then
  exec bash scripts/own-mounts.sh build/demo -driver "$driver"
fi
exec build/demo -driver "$driver"
