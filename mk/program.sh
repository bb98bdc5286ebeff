#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# program.sh folder FOLDER LINK: prints a name of the program's folder that make can bear: its own,
# or, if that has blanks or signs that make or a shell reads, that of a link to it.
#
# program.sh sources FOLDER: prints the C and assembler files in it, relative to it. Left out are
# hidden folders, folders that builds made, and folders named host, whose programs run elsewhere.
set -euo pipefail

plain='^[A-Za-z0-9_./+@-]+$'

folder() {
	local program=${1/#\~\//$HOME/} link=$2
	while [[ $program == ?*/ ]]; do
		program=${program%/}
	done
	if [ ! -d "$program" ]; then
		echo "There is no folder APP=$program; \`make new APP=folder\` makes a program to begin with"
		exit 1
	fi
	if [[ ! $program =~ $plain ]]; then
		ln -sfn "$(realpath "$program")" "$link"
		program=$link
	fi
	echo "$program"
}

sources() {
	local file
	cd "$1"
	find -L . \( -name '.?*' -o -name host -o -exec test -e '{}/.weir-build' \; \) -type d -prune \
		-o -type f \( -name '*.c' -o -name '*.S' \) -print | LC_ALL=C sort | while read -r file; do
		if [[ ! $file =~ $plain ]]; then
			echo "${file#./}: the names of sources have letters, digits and _ . + @ - only; please rename it"
			exit 1
		fi
		echo "${file#./}"
	done
}

"$@"
