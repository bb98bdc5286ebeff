#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The small run: two rounds, every sample right.
set -euo pipefail

output=$("$(dirname "$0")/run.sh" MEM=512M OPTIONS="buffers=16 rounds=2" TIMEOUT=120 "$@" 2>&1 </dev/null) || {
	printf '%s\n' "$output" | tail -40
	exit 1
}
for round in 1 2; do
	grep -qE "^result: instrument round=$round buffers=16 .* bad_samples=0 failed=no\$" <<<"$output" || {
		printf '%s\n' "$output" | tail -40
		echo "round $round has no good result"
		exit 1
	}
done
