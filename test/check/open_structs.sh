#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Of the lines of members.pl, sorted: those that reach into another folder's struct, as PLACE: WHAT,
# once for each line of code and struct. A line of open_structs.txt whose struct no header of its
# folder defines is one, too.
set -euo pipefail

list=test/check/open_structs.txt
awk -F '\t' -v list="$list" '
	function folder(path) {
		sub(/:.*/, "", path)
		sub(/^\.\//, "", path)
		sub(/\/[^\/]*$/, "", path)
		return match(path, /^src\/(heap|pagecache)\//) ? substr(path, 1, RLENGTH - 1) : path
	}
	BEGIN {
		while ((getline line < list) > 0)
			if (line !~ /^(#|$)/)
				open[line] = 1
	}
	$1 !~ /^src\/main\.c:/ && folder($2) ~ /^(src|app)/ && folder($1) != folder($2) && !((folder($2) " " $3) in open) &&
		!((folder($2) " *") in open) && !(($1 " " $3) in seen) {
		seen[$1 " " $3] = 1
		print $1 ": reaches " $4 " of struct " $3 " in " $2
	}'
grep -nvE '^(#|$)' "$list" | while IFS=' :' read -r line folder name; do
	[ "$name" = "*" ] || grep -qsrE "^struct $name \{" --include="*.h" "$folder" ||
		echo "$list:$line: no header of $folder defines struct $name"
done
