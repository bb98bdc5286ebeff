#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Starts the image in QEMU, with what boot/run.sh knows, and gdb on it, at the first line of the
# kernel. The image waits for gdb before it leaves the firmware, and says where it was loaded.
# GDB_ARGS= are more arguments for gdb.
set -euo pipefail

build=${BUILD:-build}
port=${GDB_PORT:-1234}
log=$build/debug.log

OPTIONS="gdb=1 ${OPTIONS:-}" QEMU_ARGS="-gdb tcp:localhost:$port ${QEMU_ARGS:-}" TIMEOUT=0 \
	setsid "${ROOT:-}boot/run.sh" </dev/null >"$log" 2>&1 &
run=$!
trap 'kill -- -$run 2>/dev/null' EXIT

echo "What the machine prints is in $log."
for ((tenths = 0; tenths < 600; tenths++)); do
	base=$(sed -n 's/.*waiting for gdb, loaded at \(0x[0-9a-f]*\).*/\1/p' "$log")
	[ -z "$base" ] || break
	kill -0 $run 2>/dev/null || break
	sleep 0.1
done
if [ -z "$base" ]; then
	cat "$log" >&2
	exit 1
fi
# shellcheck disable=SC2086 # several words are meant
gdb -q -ex "set confirm off" -ex "symbol-file -o $base $build/${IMAGE:-weir}.elf" -ex "target remote localhost:$port" \
	-ex "set variable loader_debugger_is_there = 1" -ex "hbreak kernel_main" -ex continue ${GDB_ARGS:-}
