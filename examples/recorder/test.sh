#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# test.sh [VARIABLE=VALUE...]: five recordings on one disk, read back on the host: a plain one, one
# around a trigger, one on a disk that is too slow, one that is cut off by the machine's end, and
# one behind that.
set -euo pipefail

cd "$(dirname "$0")/../.."
build=build/recorder
more=("$@")
for word; do
	case $word in BUILD=*) build=${word#*=} ;; esac
done
work=$build/test
disk=$work/recordings.img
mk/build_folder.sh claim "$build"
rm -rf "$work"
mkdir -p "$work"
truncate -s 128M "$disk"
cc -std=gnu11 -O2 -I. examples/recorder/host/check.c -o "$work/check"
cc -std=gnu11 -O2 -I. -Isrc tools/recording.c src/runtime/base/crc32.c -o "$work/recording"

fail() {
	echo "recorder: $*"
	[ ! -e "$work/output" ] || tail -30 "$work/output"
	exit 1
}

# machine DRIVE_OPTIONS OPTIONS: the machine's output goes to $work/output
machine() {
	examples/instrument/run.sh "${more[@]}" APP=examples/recorder BUILD="$build" MEM=512M TIMEOUT=120 \
		OPTIONS="volume=virtio1 buffer_bytes=256K buffers=32 $2" \
		QEMU_ARGS="-drive if=none,id=recordings,format=raw,file=$disk$1 -device virtio-blk-pci,drive=recordings" \
		>"$work/output" 2>&1 </dev/null
}

# holds NUMBER PATTERN: what the samples of a recording are
holds() {
	local found
	found=$("$work/recording" extract "$1" "$disk" 2>"$work/notes" | "$work/check") || fail "recording $1 is out of order"
	grep -qE "$2" <<<"$found" || fail "recording $1: $found, and not $2"
}

if machine "" "lenght=8"; then fail "an option that is not there is taken"; fi
grep -q 'no option lenght=; the nearest one is length=' "$work/output" || fail "the misspelt option has no message"

samples=32768 # in a buffer
machine "" "rate=1000000 length=48 name=plain" || fail "the plain recording failed"
grep -q '^result: recorder recording=1 name=plain chunks=48 .* lost=0 trigger=-1 status="success"' "$work/output" ||
	fail "the plain recording has no good result"
holds 1 "^first=0 samples=$((48 * samples)) gaps=0 lost=0\$"

machine "" "rate=1000000 length=20 pre=8 triggered=1 trigger=1000000 name=triggered" || fail "the triggered recording failed"
# Sample 1000000 is in buffer 30; 8 buffers before that are there, too.
holds 2 "^first=$((22 * samples)) samples=$((20 * samples)) gaps=0 lost=0\$"
grep -q '^trigger at sample 1000000$' "$work/notes" || fail "the trigger is not where it was"

machine ",throttling.bps-write=4000000" "rate=2000000 length=60 name=slow" || fail "the recording on a slow disk failed"
holds 3 "^first=0 samples=$((60 * samples)) gaps=[1-9]"
lost=$("$work/recording" extract 3 "$disk" 2>/dev/null | "$work/check" | sed 's/.*lost=//')
grep -q "^result: .* lost=$lost " "$work/output" || fail "$lost samples are lost, and the recorder does not say so"

set -m
machine "" "rate=1000000 length=0 flush_ms=200 name=cut" &
running=$!
set +m
until grep -q '^recorder: 3 s' "$work/output"; do
	kill -0 $running 2>/dev/null || fail "the machine ended before it was cut off"
	sleep 0.1
done
kill -KILL -- -$running
wait $running 2>/dev/null || true
rm -rf "$build"/card.*
"$work/recording" list "$disk" | grep -q '^4  *cut .* not ended$' || fail "the recording that was cut off is not in the list"
holds 4 "^first=0 samples=[1-9][0-9]* gaps=0 lost=0\$"

machine "" "rate=1000000 length=8 name=after" || fail "the recording after the crash failed"
grep -qE '^4 +cut .* not ended' "$work/output" || fail "the image does not find the recording that was cut off"
holds 5 "^first=0 samples=$((8 * samples)) gaps=0 lost=0\$"
