#!/usr/bin/env bash
# The bench still measures: its own tests, and a whole comparison of a tiny tree.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for tool in rsync python3; do
    command -v $tool >/dev/null || {
        echo "SKIPPED: the bench is not tried, because there is no $tool"
        exit 77
    }
done
bench/run --check --backup "$BACKUP" --work "${TMPDIR:-/tmp}"
