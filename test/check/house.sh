#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# house.sh [list] [-- FLAGS...]: measures the tree that it stands in, and prints one line `result:
# house ...`. With `list` it first prints each offender as FILE:LINE: FIGURE: WHAT. FLAGS go to
# clang, which parses the code. Fails unless every figure below that says (0) is 0, the median is at
# most 10 and the 90th percentile at most 22.
#
# Product code is what stands in src, boot, app, examples and tools, in files *.c, *.h and *.S.
#
#   files_over_450 (0)     files of product code with more than 450 lines
#   functions_over_60 (0)  functions of product code with more than 60 lines, from the first line of the signature to the last brace
#   function_p50, _p90     median and 90th percentile of the lines of all functions in *.c of src, boot and app, counted likewise
#   bare_c (0)             files *.c of src, boot and app that do not open with a comment of two or more lines; a line SPDX may
#                          stand before it
#   members_reached_from_outside (0)
#                          lines in src and app, as clang parses them without debug checks, that reach a member of a struct which a
#                          header of another folder defines; src/heap and src/pagecache are one folder each, with what is below them;
#                          src/main.c may, and open_structs.txt names the structs for which that is meant
#   riddles                places in comments, strings and documents whose subject has no name: a bare "who", "nobody", "somebody",
#                          "whoever", "whatever" and their kin, "he" and "his"; prose.pl has the rule
#   duplicate_terms (0)    words that docs/GLOSSARY.md says not to use and that are used in code, comments or documents still, and
#                          words that it explains twice
set -euo pipefail
export LC_ALL=C
export CCACHE_DISABLE=1 # it would keep clang's tree for itself

here=$(cd "$(dirname "$0")" && pwd)
list=
flags=()
while [ $# -gt 0 ]; do
	case $1 in
	list) list=1 ;;
	--) shift && flags=("$@") && break ;;
	*) echo "house.sh: $1 is not an option" >&2 && exit 2 ;;
	esac
	shift
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

files() {
	git ls-files -co --exclude-standard -- "$@" | sort -u
}

# FIGURE: the offenders on standard input, one a line.
count() {
	cat >"$work/$1.all"
	wc -l <"$work/$1.all" >"$work/$1"
	[ -z "$list" ] || sed -E "s/^([^:]*(:[0-9]+)?): ?/\1: $1: /" "$work/$1.all"
}

figure() {
	tr -d ' ' <"$work/$1"
}

files {src,boot,app,examples,tools}/'*.[chS]' >"$work/product"
files {src,boot,app}/'*.c' >"$work/house"
files {src,app}/'*.c' >"$work/parsed"

# Lines of each file, and of each function: LENGTH FILE:LINE NAME.
xargs -r awk 'FNR == 1 && file { print lines, file } { file = FILENAME; lines = FNR } END { if (file) print lines, file }' \
	<"$work/product" >"$work/lines"
functions() {
	xargs -r awk '
		FNR == 1 { start = 0; inside = 0 }
		inside && /^}/ { print FNR - start + 1, FILENAME ":" start, name; inside = 0; start = 0; next }
		inside { next }
		/^{$/ && start { inside = 1; next }
		/^$|^[#}]|[;}]$|\*\/$|^\/\// { start = 0; next }
		!start && /^[a-z_A-Z]/ { start = FNR; name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }'
}
functions <"$work/product" >"$work/functions"
functions <"$work/house" | cut -d ' ' -f 1 | sort -n >"$work/lengths"

percentile() {
	awk -v part="$1" '{ length_of[NR] = $1 } END { print length_of[int((NR - 1) * part / 100) + 1] + 0 }' "$work/lengths"
}

# The text lines of the comment that a file opens with.
bare() {
	xargs -r awk '
		function finish() { if (file && text < 2) print file ":1: opens with " (text ? "one line" : "no comment") }
		FNR == 1 { finish(); file = FILENAME; text = 0; state = "before" }
		/SPDX-License-Identifier/ && state == "before" { next }
		state == "before" { state = /^\/\*/ ? "block" : /^\/\// ? "lines" : /^$/ ? "before" : "after" }
		state == "lines" && !/^\/\// { state = "after" }
		state == "block" || state == "lines" { if (/[A-Za-z]/) text++ }
		state == "block" && /\*\// { state = "after" }
		END { finish() }' <"$work/house"
}

# Each file is parsed by itself; what a header reaches counts once.
members() {

	export HOUSE="$here"
	xargs -r -P "$(nproc)" -I{} bash -o pipefail -c 'file=$1; shift
		clang -fsyntax-only -std=gnu11 -ffreestanding -fshort-wchar -w -Isrc -I. "$@" -Xclang -ast-dump "$file" | "$HOUSE/members.pl" \
			>"$0/$(tr / _ <<<"$file").members" || { echo "$file: cannot be parsed" >&2 && exit 255; }' \
		"$work" {} "${flags[@]}" <"$work/parsed"
	find "$work" -name '*.members' -exec cat {} + | sort -u | "$here/open_structs.sh"
}

awk '$1 > 450 { print $2 ": has " $1 " lines" }' "$work/lines" | count files_over_450
awk '$1 > 60 { print $2 ": " $3 " has " $1 " lines" }' "$work/functions" | count functions_over_60
bare | count bare_c
members >"$work/members"
count members_reached_from_outside <"$work/members"
files '*.[chS]' '*.md' | "$here/prose.pl" | count riddles
files '*.[chS]' '*.md' | "$here/terms.pl" docs/GLOSSARY.md >"$work/terms"
[ -z "$list" ] || sed -n 's/^at //p' "$work/terms" | sed -E 's/^([^:]*:[0-9]+): /\1: duplicate_terms: /'
sed '/^at /d' "$work/terms" | wc -l >"$work/duplicate_terms"

echo "result: house files_over_450=$(figure files_over_450) functions_over_60=$(figure functions_over_60)" \
	"function_p50=$(percentile 50) function_p90=$(percentile 90) bare_c=$(figure bare_c)" \
	"members_reached_from_outside=$(figure members_reached_from_outside) riddles=$(figure riddles)" \
	"duplicate_terms=$(figure duplicate_terms)"
[ "$(cat "$work"/{files_over_450,functions_over_60,bare_c,members_reached_from_outside,duplicate_terms} | tr -d ' \n')" = 00000 ] &&
	[ "$(percentile 50)" -le 10 ] && [ "$(percentile 90)" -le 22 ]
