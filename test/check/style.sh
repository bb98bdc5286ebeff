#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What clang-format and clang-tidy do not see. Prints each place and fails if there is one.
set -uo pipefail
shopt -s lastpipe # so that what `complain` finds, behind a pipe, is not forgotten

failed=0
complain() { # WHY; places on standard input
	local places
	places=$(cat)
	if [ -n "$places" ]; then
		printf '%s\n' "$places" | sed "s/\$/: $1/"
		failed=1
	fi
}
files() {
	git ls-files -co --exclude-standard -- "$@"
}

mapfile -t c_files < <(files '*.c' '*.h')
mapfile -t headers < <(files '*.h')
mapfile -t texts < <(files '*.c' '*.h' '*.S' '*.lds' '*.sh' '*.mk' '*.md' Makefile .ci/run)
mapfile -t scripts < <(files '*.sh' .ci/run)

grep -nE '\b(TODO|FIXME|XXX|HACK)\b' "${c_files[@]}" /dev/null | complain "unfinished work belongs into an issue"
grep -nE '^typedef (struct|union|enum)' "${c_files[@]}" /dev/null | complain "no typedef of a struct, union or enum"
grep -nE '^.{129,}$' "${c_files[@]}" /dev/null | cut -d: -f1,2 | complain "longer than 128 columns"
# A comment on lines of its own, but for tables and pictures, which begin with a tab or blanks.
awk -v tab="$(printf '\t')" '
	{ text = $0; while (i = index(text, tab)) text = substr(text, 1, i - 1) sprintf("%*s", 8 - (i - 1) % 8, "") substr(text, i + 1) }
	length(text) > 100 && text ~ /^ *(\* [^ ]|\/\*|\/\/)/ && text !~ /^ *\/\*.*\*\/ *[^ ]/ { print FILENAME ":" FNR }
' "${c_files[@]}" | complain "a comment longer than 100 columns"
grep -nE '^ \*[a-zA-Z]' "${c_files[@]}" /dev/null | cut -d: -f1,2 | complain "no blank behind the star of a comment"
grep -nE '[[:blank:]]$' "${texts[@]}" /dev/null | cut -d: -f1,2 | complain "blanks at the end of the line"
grep -nP '[^\x00-\x7f]' "${c_files[@]}" /dev/null | complain "not ASCII"
grep -L '^#pragma once' "${headers[@]}" /dev/null | grep -v '^/dev/null$' | complain "no #pragma once"
for script in "${scripts[@]}"; do
	[[ $(head -c 2 "$script") != '#!' || -x $script ]] || echo "$script" | complain "not executable"
	bash -n "$script" 2>&1 | complain "no valid script"
done
exit $failed
