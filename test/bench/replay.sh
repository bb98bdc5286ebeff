#!/usr/bin/env bash
# replay.sh TRACE...: replays each trace, with large and with small blocks (see test/bench/replay/replay.c), and sums up how the
# page cache stands against S3-FIFO by pages. SIZES="20 40" chooses the sizes, in percent of the trace's pages; BLOCKS=0 leaves
# out what it costs to take blocks, which takes longest.
set -euo pipefail

output=$(mktemp "$BUILD/test/replay.XXXXXX") # of this run's own: there may be another one
trap 'rm -f "$output"' EXIT

read -ra sizes <<<"${SIZES:-}"
quick=()
[ "${BLOCKS:-1}" != 0 ] || quick=(-q)
for trace in "$@"; do
	{
		"$BUILD/test/replay_small" "${quick[@]}" "$trace" "${sizes[@]}"
		"$BUILD/test/replay" "${quick[@]}" "$trace" "${sizes[@]}"
	} | tee "$output"
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
