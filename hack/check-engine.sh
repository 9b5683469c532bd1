#!/usr/bin/env bash
# The decision core is pure because it cannot be otherwise: its normal dependencies are compared with a list.
set -euo pipefail
cd "$(dirname "$0")/.."
allowed=hack/engine-dependencies.txt
actual=$(cargo tree -p wva-engine -e normal --prefix none --format '{p}' | awk '{ print $1 }' | sort -u)
if ! diff -u "$allowed" <(echo "$actual"); then
  echo "wva-engine's dependencies differ from $allowed: the core takes no dependency that does input or output" >&2
  exit 1
fi
