#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# run.sh [PART...]: what takes too long for `make test`, for `make test-long PARTS="takes fuzz"`;
# all parts where none is named. Results are TAP lines in $BUILD/long/results.tap, outputs beside
# it; the last line counts them. All of it takes at most 3 hours on 2 cores without KVM.
#
#   takes      100 million takes and gives of the guarantee by 4 threads, within what each reserved
#   fuzz       each fuzz target for FUZZ_SECONDS, 600 if not told otherwise
#   scenarios  all scenarios about taking memory at full size
#   burst      contiguity under bursts of unmovable blocks: scenario and host test of millions of steps
#   hammer     ten minutes of the heap under everything at once
#   crash      100,000 crashes, with another seed than `make test` has
#   holds      the longest sections under locks, on a machine of 1 TB
#   machines   the image on all machines of test/image/machines.txt, and their table in docs/HARDWARE.md;
#              and what takes a hand at the machine (test/image/signals.sh)
#   model      the states of a page, in all interleavings of three actors
set -uo pipefail

export BUILD=${BUILD:-build} MAKE=${MAKE:-make}
accelerator=${ACCEL:-tcg}
work=$BUILD/long
results=$work/results.tap
all=(takes fuzz scenarios burst hammer crash holds machines model)
[ $# -gt 0 ] || set -- "${all[@]}"
for part; do
	[[ " ${all[*]} " == *" $part "* ]] || {
		echo "test-long: there is no part \"$part\"; PARTS is some of: ${all[*]}" >&2
		exit 2
	}
done
mkdir -p "$work"
: >"$results"

make_quietly() {
	"$MAKE" --no-print-directory BUILD="$BUILD" "$@"
}

# verdict NAME OUTPUT COMMAND...: the TAP line of what has ended; the end of its output, where the
# command fails.
verdict() {
	local name=$1 output=$2
	shift 2
	if "$@"; then
		echo "ok - $name"
	else
		echo "not ok - $name"
		tr -d '\r' <"$output" | tail -40 | sed 's/^/#   /'
	fi | tee -a "$results"
}

# step NAME SECONDS COMMAND...: passes when the command ends with 0 in that time.
step() {
	local name=$1 seconds=$2 output=$work/${1// /-}.output status
	shift 2
	timeout "$seconds" "$@" </dev/null >"$output" 2>&1
	status=$?
	verdict "$name" "$output" [ $status -eq 0 ]
}

# Each result line of a scenario: nothing failed, nothing missed, no page was wrong, and no more was
# lost than gained.
results_are_good() { # OUTPUT
	tr -d '\r' <"$1" | awk '
		/^result: / && !/ way=(drop|lru) / {
			seen++
			for (i = 2; i <= NF; i++) {
				split($i, pair, "=")
				if ((pair[1] == "failures" || pair[1] == "missed" || pair[1] == "bad_pages" || pair[1] == "refused") &&
				    pair[2] != 0 || pair[1] == "lost_per_gained" && pair[2] > 1.02) {
					print "# " $2 ": " $i > "/dev/stderr"
					bad = 1
				}
			}
		}
		END { exit !(seen > 0 && !bad) }'
}

# scenario NAME SECONDS VARIABLE=VALUE...
scenario() {
	local name=$1 seconds=$2 output=$work/${1// /-}.output status
	shift 2
	timeout "$seconds" "$MAKE" --no-print-directory BUILD="$BUILD" ACCEL="$accelerator" run "$@" </dev/null >"$output" 2>&1
	status=$?
	verdict "$name" "$output" eval "[ $status -eq 0 ] && results_are_good '$output'"
}

part_takes() {
	make_quietly "$BUILD/test/optimized_test_guarantee_accounts" >"$work/build.output" 2>&1
	CK_DEFAULT_TIMEOUT=3600 HOST_TEST_ONLY=threads GUARANTEE_ROUNDS=100000000 \
		step "100 million takes and gives" 3600 "$BUILD/test/optimized_test_guarantee_accounts"
}

part_fuzz() {
	step "fuzz" 7200 "$MAKE" --no-print-directory BUILD="$BUILD" FUZZ_SECONDS="${FUZZ_SECONDS:-600}" fuzz
}

part_scenarios() {
	scenario "all scenarios" 5400 SCENARIO=all SMP=4
}

part_burst() {
	scenario "burst" 1800 SCENARIO=burst
	step "burst, host" 1800 test/long/burst.sh
}

part_hammer() {
	scenario "hammer" 1200 SCENARIO=hammer SMP=8 MEM=512M OPTIONS="seconds=600"
}

part_crash() {
	step "crash" 3600 test/image/crash.sh 100000 7
}

part_holds() {
	step "holds" 3600 "$MAKE" --no-print-directory BUILD="$BUILD" bench-holds
}

# Results of its own, one for each machine.
part_machines() {
	{
		test/image/machines.sh
		test/image/signals.sh
	} 2>&1 | tee "$work/machines.output"
	grep -E '^(not )?ok\b' "$work/machines.output" >>"$results" || echo "not ok - machines: no results" | tee -a "$results"
}

part_model() {
	step "page states of three actors" 1800 test/model/run.sh long
}

for part; do
	start=$SECONDS
	"part_$part"
	echo "# $part: $((SECONDS - start)) s"
done
passed=$(grep -cE '^ok\b' "$results")
failed=$(grep -cE '^not ok\b' "$results")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
