#!/bin/sh
# Installs the compilers that the committed binaries were built with, on Debian 12, as root.
#
# From Debian those of packages.txt; the others (Zig, AssemblyScript, the makers of components, Node.js, Go, OPA) from
# their own registries (toolchains/) into $WASMGUARD_TOOLCHAINS, by default /opt/wasmguard-toolchains. A Debian version
# that the archive no longer has is replaced by the current one, with a warning: then a rebuild may give other bytes than
# those in build/. What is there already is left alone, so this may be run again.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
into=${WASMGUARD_TOOLCHAINS:-/opt/wasmguard-toolchains}
command -v apt-get >/dev/null || { echo "install-toolchains: apt-get is missing: this is for Debian" >&2; exit 1; }

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT # Go closes what it has fetched to writing
pinned() { sed -n "s/^$1=//p" "$here/toolchains/go.txt"; }

# A Go that is there may stay if it knows `go:wasmexport` (1.24): what a policy's go.mod names, it fetches by itself.
suits() {
  go version 2>/dev/null | awk '{ split(substr($3, 3), part, "."); new = part[1] > 1 || part[2] + 0 >= 24 } END { exit !new }'
}

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
(PATH="$into/bin:$PATH" && command -v go >/dev/null) || wanted="$wanted golang-go" # 1.19 can fetch another; see below

# shellcheck disable=SC2086 # a list of words
[ -z "$wanted" ] || apt-get install --yes --no-install-recommends $wanted

# The lists are copied last: where they are, everything in them is.
if ! cmp -s "$here/toolchains/requirements.txt" "$into/requirements.txt"; then
  python3 -m venv --clear "$into"
  "$into/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/toolchains/requirements.txt"
  cp "$here/toolchains/requirements.txt" "$into"
fi
export PATH="$into/bin:$PATH"
if ! cmp -s "$here/toolchains/package-lock.json" "$into/package-lock.json"; then
  mkdir "$work/npm"
  cp "$here/toolchains/package.json" "$here/toolchains/package-lock.json" "$work/npm"
  # Not `npm ci`: it wants the list to name the packages of every other platform, too.
  npm install --prefix "$work/npm" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error
  rm -rf "$into/node_modules"
  mv "$work/npm/node_modules" "$into"
  cp "$here/toolchains/package-lock.json" "$into"
fi

# Go is a module of its own proxy, which any Go can fetch and check. Modules have no executable files, so they are marked.
if ! suits; then
  name=golang.org/toolchain@v0.0.1-go$(pinned go).linux-$(dpkg --print-architecture)
  mkdir "$work/fetched"
  (cd "$work/fetched" && GOPATH="$work/go" go mod download "$name")
  rm -rf "$into/go"
  cp -R "$work/go/pkg/mod/$name" "$into/go"
  chmod -R u+w "$into/go"
  chmod +x "$into"/go/bin/* "$into"/go/pkg/tool/*/*
  ln -sf ../go/bin/go "$into/bin/go"
  hash -r # this shell has seen another one
fi
if [ "$(opa version 2>/dev/null | sed -n 's/^Version: //p')" != "$(pinned opa)" ]; then
  GOPATH="$work/go" GOCACHE="$work/cache" GOBIN="$into/bin" CGO_ENABLED=0 \
    go install -trimpath "github.com/open-policy-agent/opa@v$(pinned opa)"
fi
