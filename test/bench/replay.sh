#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# replay.sh TRACE...: replays each trace, with large and with small blocks (see
# test/bench/replay/replay.c), and sums up how the page cache stands against S3-FIFO by pages.
# SIZES="20 40" chooses the sizes, in percent of the trace's pages; BLOCKS=0 leaves out what it
# costs to take blocks, which takes longest. GUARANTEE=8 asks instead what a guarantee of an eighth
# of the cache costs, idle and on loan, and sums up over all traces.
set -euo pipefail

output=$(mktemp "$BUILD/test/replay.XXXXXX") # of this run's own: there may be another one
trap 'rm -f "$output"' EXIT

read -ra sizes <<<"${SIZES:-}"
options=()
[ "${BLOCKS:-1}" != 0 ] || options=(-q)
[ -z "${GUARANTEE:-}" ] || options=(-g "$GUARANTEE")

replay() {
	"$BUILD/test/replay_small" "${options[@]}" "$1" "${sizes[@]}"
	"$BUILD/test/replay" "${options[@]}" "$1" "${sizes[@]}"
}

if [ -n "${GUARANTEE:-}" ]; then
	for trace in "$@"; do
		replay "$trace"
	done | tee "$output"
	awk '
		/^result: loan / {
			for (i = 1; i <= NF; i++) {
				split($i, field, "=")
				value[field[1]] = field[2]
			}
			bound += value["bound"]
			saved += value["saved"]
			if (cells++ == 0 || value["saved"] < worst)
				worst = value["saved"]
		}
		END {
			if (cells > 0)
				printf "result: loan_summary part=%s cells=%d mean_bound=%+.2f mean_saved=%+.2f worst_saved=%+.2f\n",
					value["part"], cells, bound / cells, saved / cells, worst
		}' "$output"
	exit
fi

for trace in "$@"; do
	replay "$trace" | tee "$output"
	awk '
		/^result: replay / {
			for (i = 1; i <= NF; i++) {
				split($i, field, "=")
				value[field[1]] = field[2]
			}
			difference = value["miss"] - value["s3fifo"]
			sum += difference
			if (cells++ == 0 || difference > worst)
				worst = difference
		}
		END {
			if (cells > 0)
				printf "result: summary trace=%s cells=%d mean_vs_s3fifo=%+.2f worst_vs_s3fifo=%+.2f\n", value["trace"],
					cells, sum / cells, worst
		}' "$output"
done
