#!/usr/bin/env bash
# Runs the core of the suite on a real OpenCode 2. Where none can be had, the tests are skipped, and this says so.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
if ! OPENCODE2_BIN=$(scripts/get-opencode2.sh); then
  echo 'The tests on a real OpenCode 2 are skipped.'
  exit 0
fi
export OPENCODE2_BIN
echo "On a real OpenCode 2: $("$OPENCODE2_BIN" --version)"
npx vitest run --config vitest.opencode2.config.ts
