#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# nearest.sh [-d] WORD CANDIDATE...: prints the candidate that is spelled most like the word, with
# the fewest letters inserted, left out, replaced, or swapped with their neighbours; -d: how many
# these are.
wanted=found
if [ "$1" = -d ]; then
	wanted=nearest
	shift
fi
word=$1
shift
printf '%s\n' "$@" | awk -v word="$word" -v wanted="$wanted" '
	function least(a, b) { return a < b ? a : b }
	function distance(a, b,    i, j, same) {
		for (i = 0; i <= length(a); i++)
			d[i, 0] = i
		for (j = 0; j <= length(b); j++)
			d[0, j] = j
		for (i = 1; i <= length(a); i++)
			for (j = 1; j <= length(b); j++) {
				same = substr(a, i, 1) == substr(b, j, 1)
				d[i, j] = least(least(d[i - 1, j], d[i, j - 1]) + 1, d[i - 1, j - 1] + !same)
				if (i > 1 && j > 1 && substr(a, i, 1) == substr(b, j - 1, 1) && substr(a, i - 1, 1) == substr(b, j, 1))
					d[i, j] = least(d[i, j], d[i - 2, j - 2] + 1)
			}
		return d[length(a), length(b)]
	}
	{
		letters = distance(toupper(word), toupper($0))
		if (NR == 1 || letters < nearest) {
			nearest = letters
			found = $0
		}
	}
	END { if (wanted == "found") print found; else print nearest }'
