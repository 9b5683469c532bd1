#!/usr/bin/env bash
# Builds the controller image: one static binary on an empty base.
#
#   hack/image.sh NAME:TAG
set -euo pipefail
cd "$(dirname "$0")/.."
image=${1:?usage: hack/image.sh NAME:TAG}
command -v docker >/dev/null || { echo "image: docker is needed to build $image" >&2; exit 1; }

# An empty base has no C library, so the binary must not need one.
target=$(uname -m)-unknown-linux-musl
rustup target list --installed | grep -qx "$target" || {
  echo "image: the Rust target $target is missing: rustup target add $target" >&2
  exit 1
}
cargo build --profile dist --target "$target" -p wva-controller
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp "target/$target/dist/wva-controller" "$context/"
cat > "$context/Dockerfile" <<'DOCKERFILE'
FROM scratch
COPY wva-controller /wva-controller
USER 65532:65532
ENTRYPOINT ["/wva-controller"]
DOCKERFILE
docker build -t "$image" "$context"
