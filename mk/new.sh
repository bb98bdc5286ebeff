#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# new.sh FOLDER: a program to begin with, a copy of the example hello, whose Makefile says where
# Weir is.
set -euo pipefail

weir=$(realpath "$(dirname "$0")/..")
folder=${1/#\~\//$HOME/}

if [ -z "$folder" ] || [ "$folder" = app ]; then
	echo "Please say where: make new APP=folder" >&2
	exit 1
fi
if [ -e "$folder" ] && { [ ! -d "$folder" ] || [ -n "$(ls -A "$folder")" ]; }; then
	echo "APP=$folder is there already; a program begins in a folder that is new or empty." >&2
	exit 1
fi
mkdir -p "$folder"
cp -R "$weir/examples/hello/." "$folder"
WEIR=${weir// /\\ } awk '/^WEIR = / { print "WEIR = " ENVIRON["WEIR"]; next } { print }' "$weir/examples/hello/Makefile" \
	>"$folder/Makefile"
# The program is its author's, and so is the choice of a licence.
find "$folder" -type f -exec sed -i '/^[/#]* SPDX-License-Identifier: /d' {} +
echo "$folder is a program: hello.c, weir_config.h, a test, a Makefile and a README. \`make run\` and \`make test\` in that folder" \
	"run and test it."
if [ -e "$weir/Makefile" ]; then
	cat <<-END
		Here do the same

		    make run APP=$(printf %q "$folder")        make test APP=$(printf %q "$folder")
	END
fi
