#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs the bench programs given and prints a table: nanoseconds and instructions per operation.
# Instructions come from two runs of different length under callgrind, so that what happens once
# does not count.
set -euo pipefail

short=2000
long=6000

instructions() { # PROGRAM INDEX OPERATIONS
	valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no --toggle-collect=bench_measured \
		"$1" "$2" "$3" 2>&1 | awk '/Collected :/ { print $4 }'
}

printf '%-56s %12s %14s\n' bench ns/operation instructions
for program in "$@"; do
	mapfile -t lines < <("$program")
	for i in "${!lines[@]}"; do
		read -r heavy name <<<"${lines[i]}"
		ns=$("$program" "$i")
		counted=unknown
		if command -v valgrind >/dev/null; then
			a=$(instructions "$program" "$i" $((short / heavy)))
			b=$(instructions "$program" "$i" $((long / heavy)))
			counted=$(awk -v a="$a" -v b="$b" -v n=$(((long - short) / heavy)) 'BEGIN { printf "%.1f", (b - a) / n }')
		fi
		printf '%-56s %12s %14s\n' "$name" "$ns" "$counted"
	done
done
