#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs a program's tests in QEMU, for `make test APP=folder`: with what boot/run.sh knows, for
# TIMEOUT seconds, 300 if not told otherwise. The last line counts the tests; ends with 0 only if
# there is one, and none failed.
set -uo pipefail

output=$(mktemp "$BUILD/run.XXXXXX")
trap 'rm -f "$output"' EXIT
SCENARIO=test TIMEOUT=${TIMEOUT:-300} "${ROOT:-}boot/run.sh" </dev/null 2>&1 | tee "$output"
status=${PIPESTATUS[0]}

passed=$(grep -cE '^ok\b' "$output")
failed=$(grep -cE '^not ok\b' "$output")
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
	echo "not ok - the machine ended with status $status"
	failed=1
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
