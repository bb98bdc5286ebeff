#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A log that survives: a machine panics on purpose, the next one reads what the first one has shown,
# panic included. On each kind of disk, for a disk as a whole and for a partition. Writes TAP. What
# the machines printed is in $BUILD/test/log.
set -uo pipefail

export BUILD=${BUILD:-build} MAKE=${MAKE:-make}
work=$BUILD/test/log
firmware=${OVMF:-/usr/share/ovmf/OVMF.fd}
block=4096
panic_blocks=8

verdict() { # NAME STATUS
	if [ "$2" -eq 0 ]; then echo "ok - log: $1"; else echo "not ok - log: $1"; fi
}

# machine NAME DISK DEVICE OPTIONS: the image with one disk, whose writes stay.
machine() {
	timeout 100 qemu-system-x86_64 -accel tcg -bios "$firmware" -M q35 -smp 2 -m 256M -display none -net none -monitor none \
		-no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 -serial "file:$work/$1.serial" \
		-drive "if=none,id=disk,format=raw,file=$2" -device "$3,drive=disk" \
		-kernel "$BUILD/weir_test.efi" -append "$4" >"$work/$1.qemu" 2>&1 </dev/null
}

is_in() { # NAME PATTERN
	tr -d '\r' <"$work/$1.serial" | grep -qE -- "$2"
}

has() { # NAME PATTERN
	! is_in "$@" || return 0
	echo "#   there is no \"$2\":"
	tr -d '\r' <"$work/$1.serial" | tail -15 | sed 's/^/#   /'
	return 1
}

# changed BEFORE AFTER: numbers of the blocks that differ.
changed() {
	cmp -l "$1" "$2" | awk -v block=$block '{ print int(($1 - 1) / block) }' | uniq
}

# Blocks of the area that is so many long, from the block FIRST on: all that may change, and what
# only a panic writes.
check_blocks() { # NAME FIRST BLOCKS
	local number in_ring=0 in_panic=0
	for number in $(changed "$work/$1.before" "$work/$1.img"); do
		if [ "$number" -lt "$2" ] || [ "$number" -ge $(($2 + $3)) ]; then
			echo "#   block $number is not of the log"
			return 1
		fi
		if [ "$number" -ge $(($2 + $3 - panic_blocks)) ]; then in_panic=$((in_panic + 1)); else in_ring=$((in_ring + 1)); fi
	done
	[ $in_ring -gt 0 ] && [ $in_panic -gt 0 ]
}

survives() { # NAME DEVICE VOLUME FIRST BLOCKS
	local image=$work/$1.img
	cp "$image" "$work/$1.before"
	machine "$1-panic" "$image" "$2" "scenario=fault fault=null log=$3"
	has "$1-panic" '^panic: page fault' && has "$1-panic" "The report is kept on $3"
	verdict "$1: a panic is kept" $?
	check_blocks "$1" "$4" "$5"
	verdict "$1: nothing but the log's blocks was written" $?
	machine "$1-next" "$image" "$2" "test=log_last* log=$3"
	has "$1-next" "log: run 2 on $3; the run before ended in a panic" && has "$1-next" '^panic: page fault' &&
		has "$1-next" 'scenario_run_fault\+0x' && has "$1-next" 'Weir .*' && has "$1-next" '^ok 1 '
	verdict "$1: the next run shows it" $?
	has "$1-next" '^ok [12] - log_last_leaves_no_program_the_volume'
	verdict "$1: the volume is the log's alone" $?
	# That was a run that ended well; what it has shown of the first one is not a part of it.
	machine "$1-after" "$image" "$2" "test=log_last* log=$3"
	has "$1-after" "log: run 3 on $3$" && has "$1-after" 'log: run 2 on' && ! is_in "$1-after" '^panic: page fault'
	verdict "$1: a run that ends well is kept, too" $?
}

refused() {
	truncate -s 16M "$work/other.img"
	printf 'data' | dd of="$work/other.img" bs=1 seek=500000 conv=notrunc status=none
	cp "$work/other.img" "$work/other.before"
	machine other "$work/other.img" virtio-blk-pci "test=log_last* log=virtio0"
	has other 'log: virtio0 has something else in its first megabyte' && cmp "$work/other.img" "$work/other.before"
}

read_only() {
	rm -f "$work/read_only.img"
	truncate -s 16M "$work/read_only.img"
	cp "$work/read_only.img" "$work/read_only.before"
	machine read_only "$work/read_only.img" virtio-blk-pci "test=log_last* log=virtio0 volumes=\"virtio0 read_only=1\""
	has read_only 'log: virtio0 cannot be used: read-only' && cmp "$work/read_only.img" "$work/read_only.before"
}

unknown() {
	machine unknown "$work/other.img" virtio-blk-pci "test=log_last* log=virtio9"
	has unknown 'log=virtio9: there is no volume of that name' && ! grep -q $'\x1b\\[3[13]m' "$work/unknown.serial"
}

colours() {
	machine colours "$work/other.img" virtio-blk-pci "test=log_last* log=virtio9 colour=1"
	tr -d '\r' <"$work/colours.serial" |
		grep -qE $'^\x1b\\[31m\\[ +[0-9.]+\\] error log=virtio9: there is no volume of that name\x1b\\[0m$' &&
		has colours '^\[ +[0-9.]+\] info  Weir'
}

mkdir -p "$work"
if ! "$MAKE" --no-print-directory -j"$(nproc)" BUILD="$BUILD" "$BUILD/weir_test.efi" >"$work/make.output" 2>&1; then
	echo "not ok - log: no image"
	exit 1
fi
for name in virtio nvme; do
	rm -f "$work/$name.img"
	truncate -s 16M "$work/$name.img"
done
survives virtio virtio-blk-pci virtio0 0 256
survives nvme nvme,serial=log nvme0n1 0 256
# A small partition at 4 MB: 512 KB are 128 blocks.
rm -f "$work/partition.img"
truncate -s 16M "$work/partition.img"
printf '\0\0\0\0\x83\0\0\0\0\x20\0\0\0\x04\0\0' | dd of="$work/partition.img" bs=1 seek=446 conv=notrunc status=none
printf '\x55\xaa' | dd of="$work/partition.img" bs=1 seek=510 conv=notrunc status=none
survives partition virtio-blk-pci virtio0p1 1024 128
refused
verdict "a volume with other data is refused, and is as it was" $?
read_only
verdict "a volume that a rule makes read-only is refused, and is as it was" $?
unknown
verdict "a volume that is not there is named" $?
colours
verdict "an error has a colour where the terminal can" $?
