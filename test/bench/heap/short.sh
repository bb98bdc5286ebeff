#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A short run of the heap bench, without allocators that have to be installed and without valgrind:
# each workload works, and each allocator that can do it has its figures.
set -euo pipefail

export BUILD=${BUILD:-build}
"${MAKE:-make}" --no-print-directory BUILD="$BUILD" bench-heap-programs
output=$(ROUNDS=1 SLICES=1 INSTRUCTIONS=0 ALLOCATORS="weir objcache glibc missing" test/bench/heap/run.sh)
printf '%s\n' "$output"

expect() { # COUNT PATTERN
	local count
	count=$(grep -cE "^result: heap workload=[a-z0-9_]+ allocator=$2\$" <<<"$output" || true)
	[ "$count" -eq "$1" ] || { echo "$count results instead of $1 look like: $2" && exit 1; }
}
figure='-?[0-9]+\.[0-9]+'
for allocator in weir glibc; do
	expect 6 "$allocator ns_min=$figure ns_median=$figure instructions=-"
	expect 1 "$allocator ns_min=$figure ns_median=$figure"
	expect 1 "$allocator ns_min=$figure ns_median=$figure speed=$figure"
	expect 2 "$allocator taken=$figure resident=$figure"
done
expect 2 "weir empty=$figure back=$figure"
expect 2 "glibc empty=$figure back=-"
expect 7 "objcache .*=$figure .*"
expect 5 "objcache not_measured"
expect 12 "missing not_measured"
