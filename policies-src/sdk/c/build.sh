#!/bin/sh
# Builds a policy in C: build.sh POLICY FOLDER writes FOLDER/policy.wasm, the same bytes wherever it runs. POLICY is a
# folder with a src/ that stands on this kit.
set -eu

[ $# -eq 2 ] || { echo "usage: build.sh POLICY FOLDER" >&2; exit 2; }
kit=$(cd "$(dirname "$0")" && pwd)
policy=$(cd "$1" && pwd)
name=$(basename "$policy")
mkdir -p "$2"
into=$(cd "$2" && pwd)

missing() { echo "$name: $1 is missing: apt-get install --no-install-recommends $2" >&2; exit 1; }
[ -x /usr/bin/clang-22 ] || missing /usr/bin/clang-22 clang-22
[ -x /usr/bin/wasm-ld-22 ] || missing /usr/bin/wasm-ld-22 lld-22
[ -f /usr/include/wasm32-wasi/string.h ] || missing "the headers of a C library for wasm" wasi-libc
[ -f /usr/include/msgpuck.h ] || missing /usr/include/msgpuck.h libmsgpuck-dev

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/include" "$work/kit" "$work/policy"
cp /usr/include/msgpuck.h "$work/include" # not -I/usr/include: that lets the host's headers in
cp "$kit"/*.[ch] "$work/kit"
cp "$policy"/src/*.[ch] "$work/policy"

# No C library is linked, only its headers are read (string.c says why), and -DNDEBUG keeps assert out. 16 KiB of stack
# (nothing here recurses) at the bottom of the memory, so that running over it traps. Names are relative to the folder
# of the build, so that the module does not depend on it.
cd "$work"
/usr/bin/clang-22 --target=wasm32-wasi -Wno-deprecated -std=c11 -Wall -Wextra -Wno-unused-parameter \
  -O2 -flto -mbulk-memory -msimd128 -DNDEBUG -ffile-prefix-map="$work"=. \
  -Iinclude -Ikit -isystem /usr/include/wasm32-wasi \
  -nostdlib -Wl,--no-entry -Wl,-z,stack-size=16384 -Wl,--stack-first -Wl,--gc-sections -Wl,--strip-all \
  ./policy/*.c ./kit/*.c -o policy.wasm
cp policy.wasm "$into/policy.wasm.part"
mv "$into/policy.wasm.part" "$into/policy.wasm"
