#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# run.sh [long | longest]: has spin look at every interleaving of the model of a page (page.pml): two
# actors with one operation each on a disk that may fail; `long`: three on one that does not, too;
# `longest`: and two with two operations each. Then leaves out, one after the other, what the model has a
# BREAK_ for: each must be found, by two actors or by three. Some minutes, and up to 2.5 GB of
# memory, which is the limit unless MEMORY_MB says otherwise.
set -uo pipefail

model=$PWD/test/model/page.pml
build=${BUILD:-build}/model
mkdir -p "$build"
cd "$build" || exit 1

runs=("-DACTORS=2")
[ $# -eq 0 ] || runs+=("-DACTORS=3 -DFAILURES=0")
[ "${1:-}" != longest ] || runs+=("-DACTORS=2 -DROUNDS=2")

# check OPTIMIZATION DEFINITIONS...: prints what was found; true if nothing was wrong and all was
# seen.
check() {
	local optimization=$1
	shift
	rm -f pan.* page.pml.trail
	spin -a "$@" "$model" >spin.output 2>&1 || { cat spin.output; return 1; }
	cc "$optimization" -w -DSAFETY -DCOLLAPSE -DNOFAIR -DMEMLIM="${MEMORY_MB:-3000}" -o pan pan.c || return 1
	./pan -m100000 -n >pan.output 2>&1
	grep -E '^pan:1|errors:|states, stored|reached|too small' pan.output
	grep -q 'errors: 0' pan.output && ! grep -qE 'Search not completed|search depth too small|memory limit' pan.output
}

failed=0
for definitions in "${runs[@]}"; do
	echo "$definitions"
	# shellcheck disable=SC2086 # several words
	check -O2 $definitions || failed=1
done
for rule in $(grep -oE 'BREAK_[A-Z_]*[A-Z]' "$model" | sort -u); do
	echo "-D$rule"
	if check -O0 -DACTORS=2 "-D$rule=1" && check -O0 -DACTORS=3 -DFAILURES=0 "-D$rule=1"; then
		echo "$rule: not found"
		failed=1
	elif ! grep -qE '^pan:1: (assertion violated|invalid end state)' pan.output; then
		failed=1
	fi
done
exit $failed
