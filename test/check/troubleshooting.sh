#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Each warning, error and panic of the image is in docs/TROUBLESHOOTING.md: the longest piece of it
# without a format is looked for.
set -euo pipefail

page=docs/TROUBLESHOOTING.md
failed=0
while IFS=: read -r file text; do
	piece=$(sed -E 's/\\"/"/g; s/(0x)?%[-0-9.*]*(l|ll|z)?[a-z]/\n/g' <<<"$text" |
		sed -E 's/^memory: +//; s/^[ :;,.()]+//; s/[ :;,(]+$//' | awk '{ if (length > length(best)) best = $0 } END { print best }')
	[ ${#piece} -ge 4 ] || continue
	grep -qF -- "$piece" "$page" || { echo "$file: \"$text\" is not explained in $page" && failed=1; }
done < <(find src -name '*.c' -print0 | xargs -0 perl -0ne \
	'while (/\b(?:platform_panic|log_error|log_warn)\(\s*"((?:[^"\\]|\\.)*)"/g) { print "$ARGV:$1\n" }')
exit $failed
