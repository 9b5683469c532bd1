#!/usr/bin/env bash
# Writes the controller image, one static binary on an empty root, as an archive. No container engine is needed.
#
#   hack/image.sh NAME:TAG ARCHIVE
#
#   kind load image-archive ARCHIVE       takes it into the nodes of a kind cluster
#   docker load -i ARCHIVE                takes it into a Docker engine, to push it
#
# PROFILE   cargo profile: dist (smallest, takes longest; the default), release or dev
set -euo pipefail
cd "$(dirname "$0")/.."
image=${1:?usage: hack/image.sh NAME:TAG ARCHIVE}
archive=${2:?usage: hack/image.sh NAME:TAG ARCHIVE}
profile=${PROFILE:-dist}

# An empty root has no C library, so the binary must not need one: it is built for musl. The TLS library holds C code.
machine=$(uname -m)
target=$machine-unknown-linux-musl
case $machine in
  x86_64) arch=amd64 ;;
  aarch64) arch=arm64 ;;
  *) echo "image: no image is made on $machine, only on x86_64 and aarch64" >&2; exit 1 ;;
esac
missing=()
[ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] || missing+=("the Rust target: rustup target add $target")
command -v "$machine-linux-musl-gcc" >/dev/null || command -v musl-gcc >/dev/null \
  || missing+=("a C compiler for musl: apt-get install musl-tools")
if [ ${#missing[@]} -gt 0 ]; then
  printf 'image: needed first is %s\n' "${missing[@]}" >&2
  exit 1
fi

cargo build --profile "$profile" --target "$target" -p wva-controller
# The folder of the profile dev has another name.
binary=${CARGO_TARGET_DIR:-target}/$target/${profile/#dev/debug}/wva-controller
cargo run --quiet -p wva-e2e --bin wva-e2e -- image --name "$image" --arch "$arch" --out "$archive" "$binary"
cat <<EOF
$image is in $archive ($(du -h "$archive" | cut -f1)). Take it where it runs:
  kind load image-archive $archive
  docker load -i $archive
EOF
