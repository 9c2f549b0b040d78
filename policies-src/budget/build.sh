#!/bin/sh
# Builds budget into a folder: build.sh FOLDER writes FOLDER/policy.wasm, the same bytes wherever it runs.
set -eu

[ $# -eq 1 ] || { echo "usage: build.sh FOLDER" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
into=$(cd "$1" && pwd)

python=${WASMGUARD_TOOLCHAINS:-/opt/wasmguard-toolchains}/bin/python
[ -x "$python" ] || { echo "budget: Zig is missing: run policies-src/install-toolchains.sh" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/cache"
cp -R "$here/src" "$here/../sdk/zig" "$work"

cd "$work"
export ZIG_GLOBAL_CACHE_DIR="$work/cache" ZIG_LOCAL_CACHE_DIR="$work/cache"

# The shared reader and writer have tests of their own, which run on this machine.
"$python" -m ziglang test zig/msgpack.zig 2>test.log || { cat test.log >&2; exit 1; }

# ReleaseSafe keeps every check of bounds and overflows: each ends in a trap. 16 KiB of stack (nothing here recurses) at
# the bottom of the memory, so that running over it traps, too. Names are relative to the folder of the build.
"$python" -m ziglang build-exe -target wasm32-freestanding -O ReleaseSafe -fstrip -fno-entry --stack 16384 \
  --export=wasmguard_abi_1 --export=wasmguard_alloc --export=wasmguard_evaluate \
  --dep wasmguard -Mroot=src/policy.zig -Mwasmguard=zig/wasmguard.zig -femit-bin=policy.wasm
cp policy.wasm "$into/policy.wasm.part"
mv "$into/policy.wasm.part" "$into/policy.wasm"
