#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Presses the buttons of a machine, and breaks its hardware, as QEMU's monitor can: NMI, machine
# checks, the power button, a reset by the firmware alone, a panic before the clock runs. Writes
# TAP; what a machine printed is in $BUILD/test/image/signals-NAME.serial.
set -uo pipefail

export BUILD=${BUILD:-build} MAKE=${MAKE:-make}
export work=$BUILD/test/image
source test/image/machine.sh
seconds=${SIGNALS_SECONDS:-120} # for each step

mkdir -p "$work"
if ! "$MAKE" --no-print-directory -j"$(nproc)" BUILD="$BUILD/debug" DEBUG=1 "$BUILD/debug/weir_test.efi" \
	>"$work/prepare.output" 2>&1; then
	echo "not ok - signals: no image"
	exit 1
fi

# machine_start NAME OPTIONS QEMU-ARGUMENT...: a machine in its monitor. $hands works QEMU, $keys
# types.
machine_start() {
	local name=$1 options=$2
	transcript=$work/signals-$name.serial
	rm -f "$work"/signals.{in,out,keys}
	mkfifo "$work"/signals.{in,out,keys}
	exec {hands}<>"$work/signals.in" {answers}<>"$work/signals.out" {keys}<>"$work/signals.keys"
	: >"$transcript"
	timeout $((4 * seconds)) qemu-system-x86_64 -accel tcg -bios "$firmware" -M q35 -smp 2 -m 512M -display none -net none \
		-no-reboot -monitor "pipe:$work/signals" -serial stdio "${@:3}" -kernel "$BUILD/debug/weir_test.efi" \
		-append "$options" <&$keys >"$transcript" 2>"$work/signals-$name.qemu" &
	machine=$!
}

debug_exit=(-device "isa-debug-exit,iobase=0xf4,iosize=4")

# sees NAME PATTERN: waits until the machine has printed that.
sees() {
	local deadline=$((SECONDS + seconds))
	until tr -d '\r' <"$transcript" | grep -qE -- "$2"; do
		if [ $SECONDS -ge $deadline ] || ! kill -0 $machine 2>/dev/null; then
			# It may have printed the line with its last breath.
			tr -d '\r' <"$transcript" | grep -qE -- "$2" && break
			echo "not ok - signals: $1"
			tr -d '\r' <"$transcript" | tail -40 | awk '{ print "#   " $0 }'
			return 1
		fi
		sleep 0.2
	done
	echo "ok - signals: $1"
}

# ends NAME STATUS: the machine ends by itself, with that status.
ends() {
	wait $machine
	local status=$?
	exec {hands}>&- {answers}>&- {keys}>&-
	if [ $status -eq "$2" ]; then
		echo "ok - signals: $1"
	else
		echo "not ok - signals: $1: status $status"
		tr -d '\r' <"$transcript" | tail -20 | awk '{ print "#   " $0 }'
	fi
}

prompt='weir> $'
monitor='scenario=boot monitor=1 loglevel=debug'

# None of these machines has a disk, so the power button has nothing to flush but must not fail.
machine_start buttons "$monitor"
if sees "a machine starts" "$prompt"; then
	echo nmi >&$hands
	sees "an NMI is a warning" 'interrupt: NMI on CPU [01] without a reason \(port 0x61 reads 0x'
	echo 'mce 1 9 0x9c00000000000091 0 0x12345000 0x8c' >&$hands
	sees "a corrected error is a warning" \
		'machine check: CPU 1, bank 9: corrected memory read error on channel 1, at 0x12345000 \(status 0x9c00000000000091, misc 0x8c'
	echo system_powerdown >&$hands
	sees "the power button is seen" 'power: the power button was pressed'
else
	kill $machine
fi
ends "the power button switches off" 0

machine_start mce "$monitor" "${debug_exit[@]}"
if sees "a second machine starts" "$prompt"; then
	echo 'mce -b 1 9 0xbe00000000000091 5 0x12345000 0x8c' >&$hands
	sees "a machine check is a panic" '^panic: machine check: the hardware reports a fault of its own'
	sees "the bank is in words" "^bank 9: uncorrected memory read error on channel 1, at 0x12345000, the CPU's state is damaged"
else
	kill $machine
fi
ends "a machine check ends the machine" 3

# reason NAME WORDS: an NMI for which port 0x61 has a reason, by inject=nmi-NAME.
reason() {
	machine_start "$1" "$monitor inject=nmi-$1" "${debug_exit[@]}"
	if sees "$1: a machine starts" "$prompt"; then
		echo nmi >&$hands
		sees "$1: the NMI is a panic" "^panic: NMI: $2 \(port 0x61 reads 0x"
	else
		kill $machine
	fi
	ends "$1: the panic ends the machine" 3
}
reason serr 'a PCI device or the memory reports a system error, SERR#'
reason iochk 'a device reports an I/O channel check'

machine_start reset "$monitor inject=no-reset-register,no-reset-port,no-nmi-port"
if sees "reset: a machine starts" "$prompt"; then
	echo nmi >&$hands
	sees "an NMI without the port of reasons is a warning" 'without a reason \(port 0x61 reads 0xff\)'
	printf 'reboot\r' >&$keys
	sees "the firmware is asked" 'power: no reset by port 0xcf9; asking the firmware'
else
	kill $machine
fi
ends "the firmware resets" 0
if grep -q 'trying the keyboard' "$transcript"; then
	echo "not ok - signals: it was the keyboard controller that reset the machine"
fi

# No device that ends the emulator: the report stays on the screen, for a time that is counted in
# cycles.
machine_start early "inject=panic-before-clock"
sees "a panic before the clock" '^The machine restarts in 30 seconds'
ends "a panic before the clock restarts" 0
rm -f "$work"/signals.{in,out,keys}
