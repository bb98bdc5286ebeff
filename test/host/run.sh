#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# run.sh PROGRAM...: runs host tests, two at a time, and writes TAP: one line a test, whose name
# begins with $LABEL; a failed program shows its output, too.
set -uo pipefail

export label=${LABEL:-host}
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-120} CK_VERBOSITY=normal

run_one() { # PROGRAM
	local name tap output status
	name=$(basename "$1")
	tap=$1.tap
	output=$1.output
	rm -f "$tap"
	CK_TAP_LOG_FILE_NAME=$tap timeout 300 "$1" >"$output" 2>&1
	status=$?
	# libcheck numbers from 1 and gives "file:suite:test: message"; without a plan that was
	# kept, the run was cut off.
	local planned seen
	planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$tap" 2>/dev/null)
	seen=$(grep -cE '^(not )?ok ' "$tap" 2>/dev/null)
	sed -nE "s/^((not )?ok) [0-9]+ - ([^:]*:)?([^:]*:)?([^:]*): (.*)$/\1 - $label: $name: \5\t\6/p" "$tap" 2>/dev/null |
		sed -E 's/\tPassed$//; s/\t/: /'
	if [ "${planned:-none}" != "${seen:-0}" ] || { [ $status -ne 0 ] && ! grep -q '^not ok' "$tap"; }; then
		echo "not ok - $label: $name: ended with status $status after ${seen:-0} of ${planned:-?} tests"
	fi
	[ $status -eq 0 ] || sed 's/^/# /' "$output" | tail -60
}
export -f run_one

results=$(mktemp)
trap 'rm -f "$results"' EXIT
printf '%s\n' "$@" | xargs -P 2 -I{} bash -c 'text=$(run_one {}); printf "%s\n" "$text"' | tee "$results"
grep -q '^ok' "$results" && ! grep -q '^not ok' "$results"
