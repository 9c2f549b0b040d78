#!/bin/sh
# Rebuilds policies from their sources: build.sh [--into FOLDER] [POLICY ...], all of them and into build/ by default.
#
# Each gets FOLDER/POLICY/{policy.wasm, manifest.toml, sha256}. A file appears whole or not at all.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
into=$here/../build
names=
while [ $# -gt 0 ]; do
  case $1 in
  --into) into=${2:?"build: --into needs a folder"}; shift ;;
  -*) echo "usage: build.sh [--into FOLDER] [POLICY ...]" >&2; exit 2 ;;
  *) names="$names $1" ;;
  esac
  shift
done
[ -n "$names" ] || for manifest in "$here"/*/manifest.toml; do names="$names $(basename "$(dirname "$manifest")")"; done

install_file() { # FROM TO
  cp "$1" "$2.part"
  chmod 644 "$2.part"
  mv "$2.part" "$2"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$into"
for name in $names; do
  source=$here/$name
  [ -x "$source/build.sh" ] || { echo "build: \`$name\` is no policy here: no $name/build.sh" >&2; exit 2; }
  "$source/build.sh" "$work/$name"
  sha256sum "$work/$name/policy.wasm" | cut -d' ' -f1 > "$work/$name/sha256"
  mkdir -p "$into/$name"
  install_file "$work/$name/policy.wasm" "$into/$name/policy.wasm"
  install_file "$source/manifest.toml" "$into/$name/manifest.toml"
  install_file "$work/$name/sha256" "$into/$name/sha256"
  echo "$name: $(wc -c < "$into/$name/policy.wasm") bytes, sha256 $(cat "$into/$name/sha256")"
done
