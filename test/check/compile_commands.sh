#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# compile_commands.sh: the compilation database has each C file of the image, the host tests and the
# benches, and clang's tools can use it.
set -euo pipefail
export LC_ALL=C BUILD=${BUILD:-build}

work=$BUILD/test/compile_commands
rm -rf "$work"
mkdir -p "$work"
if [ -e compile_commands.json ]; then cp -p compile_commands.json "$work/kept"; fi
${MAKE:-make} --no-print-directory BUILD="$BUILD" compile_commands.json
mv compile_commands.json "$work"
if [ -e "$work/kept" ]; then mv "$work/kept" compile_commands.json; fi

failed=0
while IFS= read -r file; do
	grep -qF "\"file\": \"$file\"" "$work/compile_commands.json" || { echo "$file is not there" && failed=1; }
done < <(git ls-files -co --exclude-standard 'src/*.[cS]' 'boot/*.c' 'app/*.c' 'test/host/*.c' 'test/image/*.c' \
	'test/scenario/*.c' 'test/fuzz/fuzz_*.c' ':(glob)test/bench/*.c' 'test/bench/replay/*.c')
for file in src/runtime/base/format.c test/host/runtime/base/test_base.c; do
	clang-tidy --quiet -p "$work" --checks='-*,misc-definitions-in-headers' "$file" 2>"$work/output" || failed=1
	! grep -E 'error|database' "$work/output" || failed=1
done
exit $failed
