#!/bin/sh
# Builds workflow-log into a folder: build.sh FOLDER writes FOLDER/policy.wasm, the same bytes wherever it runs.
set -eu

[ $# -eq 1 ] || { echo "usage: build.sh FOLDER" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
into=$(cd "$1" && pwd)

tools=${WASMGUARD_TOOLCHAINS:-/opt/wasmguard-toolchains}
asc=$tools/node_modules/assemblyscript/bin/asc.js
[ -f "$asc" ] || { echo "workflow-log: AssemblyScript is missing: run policies-src/install-toolchains.sh" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/sdk" "$work/workflow-log"
cp -R "$here/../sdk/assemblyscript" "$work/sdk"
cp -R "$here/src" "$work/workflow-log"

# No memory is ever freed: every event gets a fresh instance. What would call `abort`, an import, is a trap instead.
# Names are relative to the folder of the build, so that the module does not depend on it.
cd "$work"
"$tools/bin/node" "$asc" workflow-log/src/policy.ts --outFile policy.wasm -O3 --runtime stub --use abort= --noColors
cp policy.wasm "$into/policy.wasm.part"
mv "$into/policy.wasm.part" "$into/policy.wasm"
