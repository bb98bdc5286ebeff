#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# crash.sh [CUTS [SEED]]: what a crash would leave on a disk, see test/tools/crash_replay.c. Writes
# TAP. The scenario `crash` runs on a virtio and on an NVMe disk below which QEMU records each write
# and flush. What the machines printed and the logs are in $BUILD/test/crash.
set -uo pipefail

export BUILD=${BUILD:-build} MAKE=${MAKE:-make}
cuts=${1:-10000}
seed=${2:-1}
work=$BUILD/test/crash
firmware=${OVMF:-/usr/share/ovmf/OVMF.fd}
limit=80
# Pages get old soon and are kept by nothing, so that the background writer and the drains write
# beside the flushes.
config="-DPAGECACHE_DIRTY_AGE_MS=100 -DPAGECACHE_KEEP_BYTES=0"
image=$BUILD/crash/weir_test.efi

prepare() {
	"$MAKE" --no-print-directory -j"$(nproc)" BUILD="$BUILD" "$BUILD/test/crash_replay" library &&
		"$MAKE" --no-print-directory -j"$(nproc)" BUILD="$BUILD/crash" LIBRARY="$BUILD/image" CONFIG="$config" "$image"
}

# crash_run NAME VOLUME DEVICE...: one machine. The disk takes writes slowly and flushes at once, so
# that a flush that did not wait for a write would overtake it.
crash_run() {
	local name=$1 volume=$2 disk=$work/$1.img log=$work/$1.log
	shift 2
	rm -f "$disk" "$log"
	truncate -s 8M "$disk"
	: >"$log"
	timeout $limit qemu-system-x86_64 -accel tcg -bios "$firmware" -M q35 -smp 2 -m 256M -display none -net none -monitor none \
		-no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 -serial "file:$work/$name.serial" \
		-object throttle-group,id=slow,x-iops-write=1500,x-iops-write-max=1500 \
		-blockdev "driver=file,node-name=file,filename=$disk" \
		-blockdev driver=throttle,node-name=slow,throttle-group=slow,file=file \
		-blockdev "driver=file,node-name=log,filename=$log" \
		-blockdev driver=blklogwrites,node-name=crash,log-sector-size=512,file=slow,log=log "$@" \
		-kernel "$image" -append "scenario=crash volume=$volume seed=$seed" >"$work/$name.qemu" 2>&1 </dev/null
}

# verdict NAME STATUS_EXPECTED WHAT CUTS [WAY]: replays the log; the summary is part of the line.
verdict() {
	local name=$1 expected=$2 what=$3 status
	"$BUILD/test/crash_replay" "$work/$name.log" "$work/$name.img" "$4" "$seed" "${@:5}" >"$work/$name.replay" 2>&1
	status=$?
	if [ $status -eq "$expected" ]; then
		echo "ok - crash: $name: $what: $(tail -1 "$work/$name.replay")"
	else
		echo "not ok - crash: $name: $what: status $status"
		sed 's/^/#   /' "$work/$name.replay"
	fi
}

# judge NAME STATUS: what the machine said, and what its log says.
judge() {
	local name=$1 status=$2 result
	result=$(tr -d '\r' <"$work/$name.serial" | grep '^result: crash ')
	if [ "$status" -ne 0 ] || [ -z "$result" ]; then
		echo "not ok - crash: $name: the machine ended with status $status"
		tr -d '\r' <"$work/$name.serial" | tail -20 | cat "$work/$name.qemu" - | sed 's/^/#   /'
		return
	fi
	echo "ok - crash: $name: ${result#result: crash }"
	verdict "$name" 0 "all that was flushed is there, whole" "$cuts"
	verdict "$name" 1 "a disk that forgets to flush is found out" 100 lying
	verdict "$name" 1 "torn pages are found" 100 tearing
}

mkdir -p "$work"
if ! prepare >"$work/prepare.output" 2>&1; then
	echo "not ok - crash: no image, or no tool"
	sed 's/^/#   /' "$work/prepare.output" | tail -40
	exit 1
fi
crash_run virtio virtio0 -device virtio-blk-pci,drive=crash &
virtio=$!
crash_run nvme nvme0n1 -device nvme,drive=crash,serial=crash &
nvme=$!
wait $virtio
judge virtio $?
wait $nvme
judge nvme $?
