#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# run.sh PROGRAM: prints a line for each place that holds a lock, preemption or interrupts, the
# longest hold first. Fails if one of them is longer than BOUND instructions.
set -euo pipefail

BOUND=${BOUND:-200000}
program=$1
found=$BUILD/test/holds.found
"$program" >"$found"

# Of the functions that are inlined into each other at a place, the first one counts that is not the
# lock's own.
awk '/^hold / { print $2 }' "$found" | addr2line -a -f -i -s -e "$program" | awk '
/^0x/ { address = $1; known = 0; next }
{
	name = $1
	getline place
	sub(/ .*/, "", place)
	if (known || place ~ /^(spinlock\.h|platform_cpu\.h)/)
		next
	known = 1
	print address, name, place
}' >"$found.names"

awk -v bound="$BOUND" '
NR == FNR {
	sub(/^0x0*/, "", $1)
	name[$1] = $2
	place[$1] = $3
	next
}
/^hold / {
	lock = $5
	for (i = 6; i <= NF; i++)
		lock = lock "_" $i
	printf "result: holds site=%s lock=%s instructions=%d count=%d place=%s\n", name[$2], lock, $3, $4, place[$2]
	if (!sites++)
		longest = $3
	above += $3 > bound
	next
}
{ print }
END {
	printf "result: holds longest=%d bound=%d sites=%d above=%d\n", longest, bound, sites, above
	exit sites == 0 || above > 0
}' "$found.names" "$found"
