#!/usr/bin/env bash
# The pages that newcomers look for are there and stay readable: README and CONTRIBUTING without long lines, CONTRIBUTING on
# one page, a CHANGELOG that knows the version, and every page of docs/ saying in its first lines whom it is for.
set -euo pipefail
cd "$(dirname "$0")/.."
faults=0
fault() {
  echo "$1" >&2
  faults=$((faults + 1))
}
for page in README.md CONTRIBUTING.md CHANGELOG.md SECURITY.md; do
  [ -f "$page" ] || { fault "$page is missing"; continue; }
  # Rows of tables cannot be broken.
  long=$(awk 'length($0) > 120 && !/^\|/ { print FNR }' "$page" | paste -sd ' ')
  [ -z "$long" ] || fault "$page: lines longer than 120 characters: $long"
done
lines=$(wc -l <CONTRIBUTING.md)
[ "$lines" -le 70 ] || fault "CONTRIBUTING.md has $lines lines; 70 are a page"
version=$(awk -F '"' '/^version = / { print $2; exit }' Cargo.toml)
grep -q "^## $version" CHANGELOG.md || fault "CHANGELOG.md has no section for $version"
for page in docs/*.md; do
  head -n 6 "$page" | grep -q '^\*\*For:\*\* .' || fault "$page does not begin with whom it is for (**For:** …)"
  grep -q "(docs/$(basename "$page"))" README.md || fault "README.md does not lead to $page"
done
# A link to a file of the repository leads somewhere.
for page in README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md docs/*.md; do
  while read -r target; do
    [ -e "$(dirname "$page")/$target" ] || fault "$page leads to $target, which is not there"
  done < <(grep -oE '\]\([^)#]+' "$page" | cut -c3- | grep -vE '^[a-z]+:' | sort -u)
done
exit "$((faults > 0))"
