#!/usr/bin/env bash
# The parts of a release, each written to dist/. A workflow runs them one after the other; so may a person.
#
#   hack/release.sh check TAG     the tag, the workspace and the chart tell one version
#   hack/release.sh plugin        kubectl-wva_OS_ARCH.tar.gz for this machine, as krew takes it
#   hack/release.sh image         wva-controller_ARCH.tar for this machine
#   hack/release.sh chart         the chart, packaged, with the image of REGISTRY
#   hack/release.sh sbom          sbom.cdx.json: every crate that is linked in, with its licence
#   hack/release.sh checksums     SHA256SUMS of all of them
#   hack/release.sh push          image (one name, every architecture) and chart to REGISTRY; needs a login
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(awk -F '"' '/^version = / { print $2; exit }' Cargo.toml)
registry=${REGISTRY:-ghcr.io/llm-d}
chart=charts/workload-variant-autoscaler
dist=dist
# What people download with krew: 20 MB.
largest_plugin=20000000
mkdir -p "$dist"

fail() {
  echo "release: $*" >&2
  exit 1
}

# As images and krew name the processor.
architecture() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) fail "nothing is released for $(uname -m)" ;;
  esac
}

check() { # TAG
  local in_chart
  in_chart=$(awk '/^appVersion:/ { gsub(/["v]/, "", $2); print $2 }' $chart/Chart.yaml)
  [ "$1" = "v$version" ] || fail "the tag is $1, but the workspace is version $version; tag v$version"
  [ "$in_chart" = "$version" ] || fail "the chart's appVersion is $in_chart, but the workspace is version $version"
}

plugin() {
  local system work binary size
  system=$(uname -s | tr '[:upper:]' '[:lower:]')
  cargo build --locked --profile "${PROFILE:-dist-plugin}" -p kubectl-wva --bin kubectl-wva
  binary=target/${PROFILE:-dist-plugin}/kubectl-wva
  size=$(wc -c <"$binary")
  [ "$size" -le $largest_plugin ] || fail "$binary has $size bytes, more than the $largest_plugin promised"
  work=$(mktemp -d)
  cp "$binary" LICENSE "$work"
  tar -czf "$dist/kubectl-wva_${system}_$(architecture).tar.gz" -C "$work" kubectl-wva LICENSE
  rm -r "$work"
}

image() {
  hack/image.sh "$registry/wva-controller:$version" "$dist/wva-controller_$(architecture).tar"
}

chart() {
  local work
  work=$(mktemp -d)
  cp -r "$chart" "$work/"
  # Within a checkout the chart runs the image that `make image` writes; a released one runs the released one.
  sed -i "s#repository: localhost/wva-controller#repository: $registry/wva-controller#" "$work/$(basename $chart)/values.yaml"
  grep -q "repository: $registry/wva-controller" "$work/$(basename $chart)/values.yaml" || fail "the chart names no image to replace"
  "${HELM:-helm}" package --destination "$dist" --version "$version" --app-version "$version" "$work/$(basename $chart)"
  rm -r "$work"
}

checksums() {
  (cd "$dist" && rm -f SHA256SUMS && find . -type f -printf '%P\n' | sort | xargs sha256sum >SHA256SUMS)
}

push() {
  local archive name parts=()
  for archive in "$dist"/wva-controller_*.tar; do
    name=$registry/wva-controller:$version-$(basename "$archive" .tar | sed 's/.*_//')
    skopeo copy "oci-archive:$archive" "docker://$name"
    parts+=("$name")
  done
  docker buildx imagetools create --tag "$registry/wva-controller:$version" "${parts[@]}"
  "${HELM:-helm}" push "$dist/$(basename $chart)-$version.tgz" "oci://$registry/charts"
}

case ${1:-} in
  check) check "${2:?usage: hack/release.sh check TAG}" ;;
  plugin | image | chart | checksums | push) "$1" ;;
  sbom) python3 hack/sbom.py >"$dist/sbom.cdx.json" ;;
  *) fail "usage: hack/release.sh check TAG | plugin | image | chart | sbom | checksums | push" ;;
esac
