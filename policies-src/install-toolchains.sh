#!/bin/sh
# Installs the compilers that the committed binaries were built with (packages.txt), on Debian 12, as root.
#
# A version that the archive no longer has is replaced by the current one, with a warning: then a rebuild may give other
# bytes than those in build/.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
command -v apt-get >/dev/null || { echo "install-toolchains: apt-get is missing: this is for Debian" >&2; exit 1; }

apt-get update
wanted=
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
