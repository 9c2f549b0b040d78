#!/bin/sh
# Builds tool-gate into a folder: build.sh FOLDER writes FOLDER/policy.wasm, the same bytes wherever it runs.
set -eu

[ $# -eq 1 ] || { echo "usage: build.sh FOLDER" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
into=$(cd "$1" && pwd)

missing() { echo "tool-gate: $1 is missing: apt-get install --no-install-recommends $2" >&2; exit 1; }
[ -x /usr/bin/clang-22 ] || missing /usr/bin/clang-22 clang-22
[ -x /usr/bin/wasm-ld-22 ] || missing /usr/bin/wasm-ld-22 lld-22
[ -f /usr/include/wasm32-wasi/string.h ] || missing "the headers of a C library for wasm" wasi-libc
[ -f /usr/include/msgpuck.h ] || missing /usr/include/msgpuck.h libmsgpuck-dev

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/include"
cp /usr/include/msgpuck.h "$work/include" # not -I/usr/include: that lets the host's headers in
cp "$here"/src/*.[ch] "$work"

# No C library is linked, only its headers are read (src/string.c says why), and -DNDEBUG keeps assert out. 16 KiB of stack
# (nothing here recurses) at the bottom of the memory, so that running over it traps. Names are relative to the folder of
# the build, so that the module does not depend on it.
cd "$work"
/usr/bin/clang-22 --target=wasm32-wasi -Wno-deprecated -std=c11 -Wall -Wextra -Wno-unused-parameter \
  -O2 -flto -mbulk-memory -msimd128 -DNDEBUG -ffile-prefix-map="$work"=. -Iinclude -isystem /usr/include/wasm32-wasi \
  -nostdlib -Wl,--no-entry -Wl,-z,stack-size=16384 -Wl,--stack-first -Wl,--gc-sections -Wl,--strip-all \
  ./*.c -o policy.wasm
cp policy.wasm "$into/policy.wasm.part"
mv "$into/policy.wasm.part" "$into/policy.wasm"
