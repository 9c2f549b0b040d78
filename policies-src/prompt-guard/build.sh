#!/bin/sh
# Builds prompt-guard into a folder: build.sh FOLDER writes FOLDER/policy.wasm, the same bytes wherever it runs.
set -eu

[ $# -eq 1 ] || { echo "usage: build.sh FOLDER" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/../sdk/rust/build.sh" "$here" "$1"
