#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# run.sh [PATTERN]: starts the image on the machines of machines.txt whose name matches, as "pc*"
# does, and writes TAP; without a pattern, on those that are not long. What a machine printed is in
# $BUILD/test/image/NAME.serial, and its results are in NAME.tap.
set -uo pipefail

export BUILD=${BUILD:-build} MAKE=${MAKE:-make}
export work=$BUILD/test/image
source test/image/machine.sh
pattern=${1:-}
at_once=${AT_ONCE:-2}

mkdir -p "$work"
if ! media_prepare >"$work/prepare.output" 2>&1; then
	echo "not ok - image tests: no media to boot from"
	sed 's/^/#   /' "$work/prepare.output" | tail -40
	exit 1
fi

small=()
large=()
while read -r name; do
	# shellcheck disable=SC2053 # a pattern is meant
	[[ $name == ${pattern:-*} ]] || continue
	[ -n "$pattern" ] || ! machine_is "$name" long || continue
	if machine_is_large "$name"; then large+=("$name"); else small+=("$name"); fi
done < <(awk -F'|' '!/^#/ && NF { print $1 }' test/image/machines.txt)

# run_machines AT_ONCE NAME...
run_machines() {
	local at_once=$1
	shift
	[ $# -eq 0 ] || printf '%s\n' "$@" | xargs -P "$at_once" -I{} \
		bash -c 'source test/image/machine.sh; text=$(machine_run "{}"); printf "%s\n" "$text"'
}

{
	run_machines "$at_once" "${small[@]}"
	run_machines 1 "${large[@]}"
} | tee "$work/results.tap"
grep -q '^ok' "$work/results.tap" && ! grep -q '^not ok' "$work/results.tap"
