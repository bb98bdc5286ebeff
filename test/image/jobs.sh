#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What a person types: `make run`, with short jobs. Writes TAP; the output of each job is in
# $BUILD/test/image/NAME.job.
set -uo pipefail

export BUILD=${BUILD:-build} MAKE=${MAKE:-make}
accelerator=${ACCEL:-tcg}
work=$BUILD/test/image
mkdir -p "$work"

# job NAME SECONDS VARIABLE=VALUE...: runs it; afterwards $status and $result, the line that begins
# with "result:", tell.
job() {
	name=$1
	timeout "$2" "$MAKE" --no-print-directory BUILD="$BUILD" ACCEL="$accelerator" run "${@:3}" </dev/null >"$work/$name.job" 2>&1
	status=$?
	result=$(tr -d '\r' <"$work/$name.job" | grep '^result: ' | tail -1)
}

# verdict CONDITION: prints the job's TAP line. The condition is given as a command; an unclean end
# fails in any case.
verdict() {
	if [ "$status" -eq 0 ] && "$@"; then
		echo "ok - job $name: $result"
	else
		echo "not ok - job $name: status $status, ${result:-no result}"
		tr -d '\r' <"$work/$name.job" | tail -40 | sed 's/^/#   /'
	fi
}

# verdict_refused TEXT: the TAP line of a job that has to fail and to say so.
verdict_refused() {
	if [ "$status" -ne 0 ] && [ "$status" -ne 124 ] && grep -qF "$1" "$work/$name.job"; then
		echo "ok - job $name: $1"
	else
		echo "not ok - job $name: status $status, and not \"$1\""
		tr -d '\r' <"$work/$name.job" | tail -40 | sed 's/^/#   /'
	fi
}

# The number behind KEY= in the result line.
value_of() {
	sed -n "s/.* $1=\([0-9.]*\).*/\1/p" <<<"$result"
}

capture_is_good() {
	[ "$(value_of failures)" = 0 ] && [ "$(value_of bad_pages)" = 0 ] && [ "$(value_of loops)" = "$1" ] &&
		awk -v lost="$(value_of lost_bytes)" -v gained="$(value_of gained_bytes)" \
			'BEGIN { exit !(gained > 0 && lost <= 1.1 * gained) }'
}

# The scenarios about taking memory, in one boot: each has to keep its promises, and those named by
# counts of bytes its bars, too.
scenario_is_good() {
	case $1 in
	churn | crowd | volumes) [ "$(value_of failures)" = 0 ] && [ "$(value_of missed)" = 0 ] ;;
	*) [ "$(value_of failures)" = 0 ] && [ "$(value_of bad_pages)" = 0 ] ;;
	esac
}

scenarios() { # NAME...
	local scenario
	job scenarios 400 MEM=512M SCENARIO=all OPTIONS="short=1 only=$(tr ' ' , <<<"$*")"
	verdict [ "$(value_of scenarios)" = $# ]
	for scenario; do
		name=scenarios:$scenario
		result=$(tr -d '\r' <"$work/scenarios.job" | grep "^result: $scenario " | tail -1)
		if scenario_is_good "$scenario"; then echo "ok - job $name: $result"; else echo "not ok - job $name: ${result:-no result}"; fi
	done
}

crc_is() {
	grep -q "crc32c=\(0x\)\?$1\b" <<<"$result"
}

# Both disks, all of the bytes, and no page that is not what was written.
stream_is_good() {
	[ "$(grep -c "^result: stream disk=.* bytes=$1 rounds=1 bad_pages=0" "$work/$name.job")" = 2 ] &&
		awk -v read="$(value_of read_ratio)" -v write="$(value_of write_ratio)" 'BEGIN { exit !(read > 0 && write > 0) }'
}

# Counts of one task, so the machine's mood does not matter much. An exact LRU loses ten points on
# these references.
scan_is_good() {
	[ "$(value_of bad_pages)" = 0 ] && [ "$(value_of scanned_bytes)" -ge "$1" ] &&
		awk -v before="$(value_of hot_hit_before)" -v lost="$(value_of lost_points)" \
			'BEGIN { exit !(before > 0.99 && lost <= 2) }'
}

# 2000 pages all over a large disk, written, read, and read again: a third of the references has to
# miss, and no other.
trace_text() {
	awk 'BEGIN {
		for (turn = 0; turn < 3; turn++) {
			page = 1
			for (i = 0; i < 2000; i++) {
				page = (page * 16807) % 2147483647
				print turn == 0 ? "W" : "R", page % 9000011
			}
		}
	}'
}

replay_is_good() {
	[ "$(value_of references)" = 6000 ] && [ "$(value_of writes)" = 2000 ] && [ "$(value_of bad_pages)" = 0 ] &&
		awk -v miss="$(value_of miss)" 'BEGIN { exit !(miss > 33 && miss < 33.34) }'
}

hammer_is_good() {
	[ "$(value_of violations)" = 0 ] && [ "$(value_of checks)" -ge 2 ] && [ "$(value_of in_handlers)" -gt 0 ] &&
		[ "$(value_of drained_bytes)" -gt 0 ]
}

# A file system with the sources in it, as real data as there is here.
checksum_image() {
	local tree=$work/tree
	rm -rf "$tree" "$work/ext4.img"
	mkdir -p "$tree"
	git ls-files -z | xargs -0 cp --parents -t "$tree"
	mke2fs -q -t ext4 -d "$tree" "$work/ext4.img" 96M >/dev/null 2>&1
	rm -rf "$tree"
}

# A disk of one's own, on a machine without the other devices: crash writes only to a disk that
# holds nothing.
disk_is_empty() {
	cmp -s "$work/own.img" <(head -c 8M /dev/zero)
}

own_disk() { # NAME VARIABLE=VALUE...
	job "$1" 120 SCENARIO=crash MEM=512M SMP=1 DEVICES=none OPTIONS="volume=virtio0 flushes=5" "${@:2}"
}

job capture 300 MEM=1G SMP=2 LOOPS=2
verdict capture_is_good 2

scenarios contiguous churn crowd storm starve volumes deadline burst

job hammer 120 MEM=512M SMP=8 SCENARIO=hammer OPTIONS="seconds=5 round_ms=1000"
verdict hammer_is_good

if checksum_image && "$MAKE" --no-print-directory BUILD="$BUILD" "$BUILD/test/crc32c"; then
	job checksum 120 SCENARIO=checksum DISK="$work/ext4.img" MEM=512M SMP=1
	verdict crc_is "$("$BUILD/test/crc32c" "$work/ext4.img")"
else
	echo "not ok - job checksum: no file system to read"
fi
# Sizes that are no whole pages, and no whole sectors.
for bytes in 999936 1000001; do
	head -c $bytes "$work/ext4.img" >"$work/odd.img"
	dd if=/dev/urandom of="$work/odd.img" bs=1 seek=$((bytes - 600)) count=600 conv=notrunc status=none
	job checksum-$bytes 120 SCENARIO=checksum DISK="$work/odd.img" MEM=256M SMP=1 DEVICES=none
	verdict crc_is "$("$BUILD/test/crc32c" "$work/odd.img")"
done
rm -f "$work/ext4.img" "$work/odd.img"

job stream 120 MEM=1G SCENARIO=stream OPTIONS="stream_bytes=64M rounds=1"
verdict stream_is_good $((64 << 20))

job scan 120 MEM=1G SCENARIO=scan OPTIONS="passes=2 warm_rounds=2"
verdict scan_is_good $((2000 << 20))

trace_text | gzip >"$work/trace.gz"
job replay 120 MEM=512M SCENARIO=replay TRACE="$work/trace.gz"
verdict replay_is_good

trace_text | "$BUILD/make_trace" "$work/short.trace" short >/dev/null
truncate -s -4K "$work/short.trace"
job replay_cut 120 MEM=1G SCENARIO=replay \
	QEMU_ARGS="-drive if=none,id=cut,format=raw,readonly=on,file=$work/short.trace -device virtio-blk-pci,drive=cut"
verdict_refused "is cut off"

job replay_foreign 120 MEM=1G SCENARIO=replay OPTIONS=trace=nvme0n1 DEVICES="data digitizer"
verdict_refused "nvme0n1 holds no trace"

job replay_missing 120 MEM=1G SCENARIO=replay
verdict_refused "No disk holds a trace"

printf 'R 1\nX 2\n' >"$work/bad.trace"
job replay_bad_line 120 SCENARIO=replay TRACE="$work/bad.trace"
verdict_refused 'line 2, "X 2", is not'
rm -f "$work/short.trace" "$work/trace.gz" "$work/bad.trace"

truncate -s 8M "$work/own.img"
own_disk disk_is_left_alone DISK="$work/own.img"
verdict disk_is_empty
own_disk disk_keeps_writes DISK="$work/own.img" DISK_WRITE=1
verdict eval '! disk_is_empty'
own_disk disk_has_kept_writes DISK="$work/own.img" DISK_WRITE=1
verdict_refused "overwrites only disks that hold nothing"
own_disk disk_write_without_disk DISK_WRITE=1
verdict_refused "DISK_WRITE=1 is for a disk of your own"
own_disk disk_write_odd DISK="$work/own.img" DISK_WRITE=yes
verdict_refused "DISK_WRITE=yes: it is 0 or 1"
rm -f "$work/own.img"
