#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# headers.sh: each header that a program may include compiles as C++20, alone, as it is and within
# extern "C", with debug checks and without; and each struct in them has the same size and alignment
# as in C.
set -uo pipefail

work=${BUILD:-build}/test/headers
mkdir -p "$work"
flags=(-ffreestanding -Isrc -I. -Wall -Werror)
failed=0

complain() { # WHAT, and what the compiler said on standard input
	echo "$1:"
	head -20
	failed=1
}

# The rooms' headers, but for those that only their own room includes.
mapfile -t headers < <(ls app/app.h app/scenario.h test/image/image_test.h src/runtime/base/*.h src/runtime/kernel/*.h src/runtime/console/*.h \
	src/heap/*.h src/heap/*/*.h src/block/*.h src/pagecache/*.h src/pagecache/*/*.h src/drivers/*.h src/drivers/*/*.h | grep -v _internal)

compile_alone() { # HEADER FLAG...
	local header=$1
	shift
	{ echo "#include \"${header#src/}\"" && echo 'extern "C" {' && echo '}'; } >"$work/plain.cc"
	{ echo 'extern "C" {' && echo "#include \"${header#src/}\"" && echo '}'; } >"$work/within.cc"
	g++ -std=c++20 -fsyntax-only "${flags[@]}" "$@" "$work/plain.cc" "$work/within.cc" >"$work/output" 2>&1 ||
		complain "$header does not compile as C++20 $*" <"$work/output"
}

# sizes LANGUAGE STANDARD FLAG...: the assembler's tables of sizes.
sizes() {
	local language=$1
	"${@:3:1}" -x "$language" -std="$2" "${flags[@]}" "${@:4}" -S -o - "$work/sizes.c" | grep -E '^(size_of_|[[:space:]]+\.(quad|long))'
}

for header in "${headers[@]}"; do
	compile_alone "$header"
	compile_alone "$header" -DWEIR_DEBUG -DWEIR_HOLDS
done

# The structs at the top level of a header: others are parts of these. One of them only the host
# has.
{
	printf '#include "%s"\n' "${headers[@]#src/}"
	echo '#ifdef __cplusplus'
	echo 'extern "C" {'
	echo '#endif'
	sed -nE 's/^struct ([a-z0-9_]+) \{$/\1/p' "${headers[@]}" | grep -vx platform_cpu | sort -u | while read -r name; do
		echo "extern const unsigned long size_of_$name[2];"
		echo "const unsigned long size_of_$name[2] = { sizeof(struct $name), _Alignof(struct $name) };"
	done
	echo '#ifdef __cplusplus'
	echo '}'
	echo '#endif'
} >"$work/sizes.c"
for debug in "" "-DWEIR_DEBUG -DWEIR_HOLDS"; do
	# shellcheck disable=SC2086 # several words are meant
	sizes c gnu11 gcc $debug >"$work/c.sizes" && sizes c++ c++20 g++ $debug >"$work/c++.sizes" || failed=1
	[ "$(grep -c size_of_ "$work/c.sizes")" -gt 100 ] || { echo "too few structs were found" && failed=1; }
	diff "$work/c.sizes" "$work/c++.sizes" >"$work/output" || complain "sizes differ from C's ($debug)" <"$work/output"
done
exit $failed
