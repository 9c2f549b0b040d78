#!/bin/sh
# Installs the compilers that the committed binaries were built with, on Debian 12, as root.
#
# From Debian those of packages.txt; Zig and AssemblyScript, with the Node.js that it runs on, from their own registries
# (toolchains/) into $WASMGUARD_TOOLCHAINS, by default /opt/wasmguard-toolchains. A Debian version that the archive no
# longer has is replaced by the current one, with a warning: then a rebuild may give other bytes than those in build/.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
into=${WASMGUARD_TOOLCHAINS:-/opt/wasmguard-toolchains}
command -v apt-get >/dev/null || { echo "install-toolchains: apt-get is missing: this is for Debian" >&2; exit 1; }

apt-get update
wanted=
python3 -c 'import ensurepip, venv' 2>/dev/null || wanted=python3-venv
while IFS='=' read -r name version; do
  [ -n "$name" ] || continue
  if [ "$(dpkg-query --show --showformat='${Version}' "$name" 2>/dev/null)" = "$version" ]; then
    continue
  elif apt-cache madison "$name" | awk -F ' *[|] *' -v version="$version" '$2 == version { found = 1 } END { exit !found }'
  then
    wanted="$wanted $name=$version"
  else
    echo "install-toolchains: warning: $name $version is gone: taking the current version" >&2
    wanted="$wanted $name"
  fi
done < "$here/packages.txt"

# shellcheck disable=SC2086 # a list of words
[ -z "$wanted" ] || apt-get install --yes --no-install-recommends $wanted

# The lists are copied last: where they are, everything in them is.
if ! cmp -s "$here/toolchains/requirements.txt" "$into/requirements.txt"; then
  python3 -m venv --clear "$into"
  "$into/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/toolchains/requirements.txt"
  cp "$here/toolchains/requirements.txt" "$into"
fi
if ! cmp -s "$here/toolchains/package-lock.json" "$into/package-lock.json"; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cp "$here/toolchains/package.json" "$here/toolchains/package-lock.json" "$work"
  PATH="$into/bin:$PATH" npm ci --prefix "$work" --ignore-scripts --no-audit --no-fund --loglevel=error
  rm -rf "$into/node_modules"
  mv "$work/node_modules" "$into"
  cp "$here/toolchains/package-lock.json" "$into"
fi
