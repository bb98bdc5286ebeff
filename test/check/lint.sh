#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# lint.sh FILE FLAGS...: clang-tidy and cppcheck on one C file; silent when both are content.
set -uo pipefail

file=$1
shift
status=0
echo "  LINT $file"

tidy=$(clang-tidy --quiet "$file" -- "$@" 2>&1) || status=1
# What is left besides findings is a count of warnings in system headers.
grep -qE '(warning|error):' <<<"$tidy" && status=1
[ $status -eq 0 ] || printf '%s\n' "$tidy"

cppcheck --quiet --std=c11 --language=c --error-exitcode=1 --inline-suppr --enable=warning,performance,portability \
	--suppressions-list=test/check/cppcheck.txt -Isrc -Itest -I. "$file" || status=1
exit $status
