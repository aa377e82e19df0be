#!/usr/bin/env bash
# Generates Go code from proto/: gogoproto types for the chain (x/*/types) and light
# protobuf-go bindings for everything off the chain (proto/gen).
# Third-party definitions come from the very modules that go.mod pins, so nothing is vendored or fetched.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(mktemp -d)
work=$(mktemp -d)
trap 'rm -rf "$bin" "$work"' EXIT

# A module's folder; on a fresh machine nothing has downloaded it yet.
module() { go mod download "$1" && go list -m -f '{{.Dir}}' "$1"; }
for plugin in github.com/cosmos/gogoproto/protoc-gen-gocosmos \
  github.com/grpc-ecosystem/grpc-gateway/protoc-gen-grpc-gateway \
  google.golang.org/protobuf/cmd/protoc-gen-go; do
  (cd tools && go build -o "$bin/" "$plugin")
done
[ -x tools/node_modules/.bin/buf ] || (cd tools && npm install --no-audit --no-fund --no-package-lock >/dev/null)
export PATH="$bin:$PWD/tools/node_modules/.bin:$PATH"

# One tree with our definitions and what they import.
mkdir -p "$work/proto"
cp -r proto/nexara "$work/proto/"
cp proto/buf.yaml "$work/proto/"
sdk=$(module github.com/cosmos/cosmos-sdk)
cp -r "$sdk/proto/amino" "$sdk/proto/cosmos" "$work/proto/"
cp -r "$(module github.com/cosmos/cosmos-proto)/proto/cosmos_proto" "$work/proto/"
mkdir -p "$work/proto/gogoproto" "$work/proto/google/api"
cp "$(module github.com/cosmos/gogoproto)/gogoproto/gogo.proto" "$work/proto/gogoproto/"
gateway=$(module github.com/grpc-ecosystem/grpc-gateway)
cp "$gateway"/third_party/googleapis/google/api/{annotations,http}.proto "$work/proto/google/api/"
chmod -R u+w "$work"

cat > "$work/gogo.yaml" <<'Y'
version: v1
plugins:
  - name: gocosmos
    out: out
    opt: plugins=grpc,Mgoogle/protobuf/any.proto=github.com/cosmos/gogoproto/types/any
  - name: grpc-gateway
    out: out
    opt: logtostderr=true,allow_colon_final_segments=true
Y

own=github.com/nexara/nexara
gen=$own/proto/gen
cat > "$work/light.yaml" <<Y
version: v1
plugins:
  - name: go
    out: out
    opt:
      - module=$own
$(for m in nexcore tasks reputation; do
    for f in proto/nexara/$m/v1/*.proto; do
      echo "      - Mnexara/$m/v1/$(basename "$f")=$gen/nexara/$m/v1;${m}v1"
    done
  done)
      - Mamino/amino.proto=cosmossdk.io/api/amino
      - Mcosmos_proto/cosmos.proto=github.com/cosmos/cosmos-proto
      - Mcosmos/msg/v1/msg.proto=cosmossdk.io/api/cosmos/msg/v1
      - Mcosmos/base/query/v1beta1/pagination.proto=cosmossdk.io/api/cosmos/base/query/v1beta1
      - Mgogoproto/gogo.proto=github.com/cosmos/gogoproto/gogoproto
      - Mgoogle/api/annotations.proto=google.golang.org/genproto/googleapis/api/annotations
      - Mgoogle/api/http.proto=google.golang.org/genproto/googleapis/api/annotations
Y

(cd "$work/proto" && buf lint --path nexara)
(cd "$work" && buf generate proto --template gogo.yaml --path proto/nexara)
rm -f x/*/types/*.pb.go x/*/types/*.pb.gw.go
cp -r "$work/out/$own/." .
rm -rf "$work/out" proto/gen
(cd "$work" && buf generate proto --template light.yaml --path proto/nexara)
cp -r "$work/out/." .
gofmt -w x/*/types/*.pb.go x/*/types/*.pb.gw.go
echo "generated: $(ls x/*/types/*.pb.go | wc -l) chain files, $(find proto/gen -name '*.go' | wc -l) light files"
