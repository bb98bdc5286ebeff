#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# All checks and tests, for `make test`. Results are TAP lines in $BUILD/test/results.tap; the last
# line of the output counts them. What fails does not keep the rest from running.
set -uo pipefail

export BUILD=${BUILD:-build} CC=${CC:-gcc} MAKE=${MAKE:-make}
results=$BUILD/test/results.tap
mkdir -p "$BUILD/test"
: >"$results"

make_quietly() {
	"$MAKE" --no-print-directory BUILD="$BUILD" CC="$CC" "$@"
}

record() {
	tee -a "$results"
}

# step NAME COMMAND...: one check, which passes when the command succeeds; its output is shown when
# it does not.
step() {
	local name=$1 output=$BUILD/test/${1// /-}.output start=$SECONDS
	shift
	if "$@" >"$output" 2>&1; then
		echo "ok - $name" | record
	else
		{
			echo "not ok - $name"
			grep -vE "^  [A-Z]+ +" "$output" | tail -80 | sed 's/^/# /'
		} | record
	fi
	echo "# $name: $((SECONDS - start)) s"
}

# tap NAME COMMAND...: a command that writes TAP lines itself. One that ends early, or without a
# single result, has failed.
tap() {
	local name=$1 output=$BUILD/test/${1// /-}.output start=$SECONDS status
	shift
	"$@" 2>&1 | tee "$output"
	status=${PIPESTATUS[0]}
	cat "$output" >>"$results"
	if ! grep -qE '^(not )?ok\b' "$output"; then
		echo "not ok - $name: no results (status $status)" | record
	elif [ "$status" -ne 0 ] && ! grep -q '^not ok\b' "$output"; then
		echo "not ok - $name: ended with status $status" | record
	fi
	echo "# $name: $((SECONDS - start)) s"
}

# side_by_side LINE...: checks that keep one CPU busy each, two at a time; what one of them prints
# stays together.
side_by_side() {
	printf '%s\0' "$@" | xargs -0 -P 2 -I{} bash -c 'text=$({} 2>&1); printf "%s\n" "$text"'
}

example() {
	step "the example $1" "examples/$1/test.sh" BUILD="$BUILD/$1" LIBRARY="$BUILD/image"
}

export results
export -f make_quietly record step tap example

step "format" make_quietly check-format
step "edges" make_quietly check-edges
step "wrong edges are denied" test/check/edges_test.sh
step "style" make_quietly check-style
step "each source file says its licence" test/check/spdx.sh
step "the house is measured rightly" test/check/house_test.sh
step "what a monitor shows is judged rightly" test/image/machine_monitor_test.sh
step "HARDWARE.md has each machine" test/image/machines.sh check
step "headers as C++20" test/check/headers.sh
step "each message is explained" test/check/troubleshooting.sh
step "code in the documents" make_quietly check-documents
step "how each file is compiled" test/check/compile_commands.sh
step "build the host tests" make_quietly -k -j"$(nproc)" host-test-programs
tap "host tests" make_quietly -k host-tests
step "build the host tests for data races" make_quietly -k -j"$(nproc)" SANITIZE=thread BUILD="$BUILD/thread" host-test-programs
tap "host tests for data races" make_quietly -k SANITIZE=thread BUILD="$BUILD/thread" LABEL="host, races" host-tests
step "build the fuzz targets" make_quietly -j"$(nproc)" fuzz-programs
step "build the image" make_quietly -j"$(nproc)" all iso img "$BUILD/weir_test.efi"
step "no vector registers but where a file is named for them" test/check/registers.sh
step "the image has the header that firmware wants" test/check/image_header.sh
side_by_side \
	'step "page states, all interleavings" test/model/run.sh' \
	'step "fuzz the page cache, short" test/fuzz/run.sh short "$BUILD/test/fuzz_pagecache"' \
	'step "fuzz the heap, short" test/fuzz/run.sh short "$BUILD/test/fuzz_heap"' \
	'step "fuzz DMA requests, short" test/fuzz/run.sh short "$BUILD/test/fuzz_dma"' \
	'step "fuzz partition tables, short" test/fuzz/run.sh short "$BUILD/test/fuzz_partition"' \
	'step "fuzz memory maps, drivers and ACPI tables, short" test/fuzz/run.sh short "$BUILD"/test/fuzz_{memory_map,nvme,virtio,edu,acpi}' \
	'step "heap bench, short" test/bench/heap/short.sh' \
	'step "build the image with clang" test/check/build.sh CC=clang' \
	'step "build the image with debug checks" make_quietly -j"$(nproc)" DEBUG=1 BUILD="$BUILD/debug" all' \
	'step "the same commit gives the same bytes" test/check/reproducible.sh' \
	'step "lint" make_quietly lint'
tap "image tests" test/image/run.sh
side_by_side \
	'tap "jobs" test/image/jobs.sh' \
	'tap "crash" test/image/crash.sh; tap "programs" test/check/programs.sh; tap "first contact" test/check/first_contact.sh' \
	'tap "monitor" test/image/monitor.sh; tap "log" test/image/log.sh' \
	'example instrument; example recorder' \
	'tap "values of config.h" test/check/config.sh'

passed=$(grep -cE '^ok\b' "$results")
failed=$(grep -cE '^not ok\b' "$results")
if [ "$failed" -ne 0 ]; then
	echo "Failed:"
	grep -E '^not ok\b' "$results"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
