#!/bin/sh
# Builds a policy in Rust: build.sh POLICY FOLDER writes FOLDER/policy.wasm, the same bytes wherever it runs. POLICY is
# the folder of a member of ../../Cargo.toml.
#
# Debian's compiler has no std for wasm, so core and alloc are built from its sources (-Zbuild-std, which a stable
# compiler lets through with RUSTC_BOOTSTRAP=1). Crates and std come from folders that Debian packages fill: no network.
set -eu

[ $# -eq 2 ] || { echo "usage: build.sh POLICY FOLDER" >&2; exit 2; }
sources=$(cd "$(dirname "$0")/../.." && pwd)
name=$(basename "$(cd "$1" && pwd)")
mkdir -p "$2"
into=$(cd "$2" && pwd)

missing() { echo "$name: $1 is missing: apt-get install --no-install-recommends $2" >&2; exit 1; }
[ -x /usr/bin/rustc ] || missing /usr/bin/rustc rustc-web
[ -x /usr/bin/cargo ] || missing /usr/bin/cargo cargo-web
crates=/usr/share/cargo/registry
rust=/usr/src/rustc-$(/usr/bin/rustc --version | cut -d' ' -f2)/library
[ -d "$rust/vendor" ] || missing "the source of core and alloc" rust-web-src
[ -x /usr/bin/wasm-ld-22 ] || missing /usr/bin/wasm-ld-22 lld-22
[ -d "$crates/rmp-0.8.11" ] || missing "the crate rmp 0.8.11" librust-rmp-dev

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/vendor" "$work/home" "$work/.cargo"
for crate in "$crates"/*; do ln -s "$crate" "$work/vendor/$(basename "$crate")"; done
for crate in "$rust"/vendor/*; do ln -s "$crate" "$work/vendor/lib-$(basename "$crate")"; done
cp "$sources/Cargo.toml" "$work"
for member in "$sources"/*/Cargo.toml "$sources"/sdk/rust/Cargo.toml; do
  folder=$work/${member#"$sources"/}
  folder=${folder%/Cargo.toml}
  mkdir -p "$folder"
  cp -R "$member" "${member%/Cargo.toml}/src" "$folder"
done

# 16 KiB of stack (nothing here recurses) leave most of the first page to the heap. The stack lies at the bottom, so
# that running over it traps. The folders of this build are named away: the module must not depend on them.
cat > "$work/.cargo/config.toml" <<CONFIG
[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "$work/vendor"
[target.wasm32-unknown-unknown]
linker = "/usr/bin/wasm-ld-22"
rustflags = [
  "-C", "link-arg=-zstack-size=16384", "-C", "link-arg=--stack-first", "-C", "target-feature=+simd128",
  "--remap-path-prefix=$work=/build", "--remap-path-prefix=$crates=/crates", "--remap-path-prefix=$rust=/rust",
]
CONFIG

cd "$work"
env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u RUSTC_WRAPPER -u CARGO_BUILD_TARGET -u CARGO_TARGET_DIR \
  CARGO_HOME="$work/home" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
  /usr/bin/cargo build --quiet --offline --release --package "$name" \
  --target wasm32-unknown-unknown -Zbuild-std=core,alloc
cp "target/wasm32-unknown-unknown/release/$(echo "$name" | tr - _).wasm" "$into/policy.wasm.part"
mv "$into/policy.wasm.part" "$into/policy.wasm"
