#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# spdx.sh [add] [PATH...]: each source file, or each below the paths, says its licence in its first
# line, or in the second one where the first names an interpreter. Prints those that do not, and
# fails; with `add`, writes the line into them.
set -euo pipefail

tag="SPDX-License-Identifier: BSD-2-Clause" # as LICENSE says
add=
if [ "${1:-}" = add ]; then
	add=1
	shift
fi
if [ $# -eq 0 ]; then set -- .; fi

failed=0
while IFS= read -r file; do
	case $file in
	*.[chS] | *.lds | *.pml | *.cc) line="// $tag" ;;
	*.sh | *.mk | *.awk | *.pl | Makefile | */Makefile | .ci/run) line="# $tag" ;;
	*) continue ;;
	esac
	[ -e "$file" ] || continue
	place=1
	if [[ $(head -c 2 "$file") == '#!' ]]; then place=2; fi
	[ "$(sed -n "${place}p" "$file")" != "$line" ] || continue
	if [ "$add" ]; then
		if [ -s "$file" ]; then sed -i "${place}i $line" "$file"; else echo "$line" >"$file"; fi
	else
		echo "$file:$place: does not say: $line"
		failed=1
	fi
done < <(git ls-files -co --exclude-standard -- "$@" | sort -u)
exit $failed
