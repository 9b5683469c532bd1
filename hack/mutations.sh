#!/usr/bin/env bash
# Controllers with one mistake each (feature `mutations`): the isolation suites must fail for every one of them, and what
# they say is shown. Exit 0 only if all mistakes are found and none is reported where there is none.
set -euo pipefail
cd "$(dirname "$0")/.."

CARGO=${CARGO:-cargo}
out=${CARGO_TARGET_DIR:-target}
mutated=$out/mutations/wva-controller
mkdir -p "$(dirname "$mutated")"
$CARGO build --quiet -p wva-controller --bin wva-controller --features mutations
mv "$out/debug/wva-controller" "$mutated"
$CARGO build --quiet -p wva-controller --bin wva-controller

suites='binary(suites) and test(/^isolation::/)'
missed=0
# `none` is the same build without a mistake: the suites must agree with it.
for mutation in none selector ownership lease metric-label field-manager hpa-selector; do
  log=$out/mutations/$mutation.log
  status=0
  E2E_CONTROLLER=$(realpath "$mutated") WVA_MUTATION=$mutation \
    $CARGO nextest run -p wva-e2e --test-threads "${JOBS:-4}" --retries 0 -E "$suites" >"$log" 2>&1 || status=$?
  said=$(grep -A1 -m1 'panicked at' "$log" | tail -n 1 | sed 's/^ *//' | cut -c1-160 || true)
  case $mutation:$status in
    none:0) echo "no mistake     passes" ;;
    none:*) echo "no mistake     FAILS: $said (see $log)"; missed=1 ;;
    *:0) printf '%-14s NOT FOUND (see %s)\n' "$mutation" "$log"; missed=1 ;;
    # Anything but failed tests (100) says nothing about the mistake.
    *:100) printf '%-14s found: %s\n' "$mutation" "$said" ;;
    *) printf '%-14s could not be tried, exit code %s (see %s)\n' "$mutation" "$status" "$log"; missed=1 ;;
  esac
done
exit $missed
