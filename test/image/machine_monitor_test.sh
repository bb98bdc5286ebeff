#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What machine_monitor.sh makes of transcripts: of a machine with 2 CPUs and 2 disks, which shows all
# of that, and of others, of which something is missing.
set -uo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source test/image/machine_monitor.sh
failed=0

# In place of machines.txt.
machine_field() {
	echo "-M q35 -smp ${smp:-1} -device max-x86_64-cpu,socket-id=1 -device usb-storage,drive=medium -device virtio-blk-pci,drive=data
		-device nvme,id=c -device nvme-ns,bus=c,drive=digitizer"
}

transcript() {
	cat <<-'END'
		[    0.407072] info  kernel: 2 CPUs, xAPIC, timer by count
		weir> pci
		00:00.0       8086:29c0  host bridge
		00:02.0       1b36:0010  NVMe controller        nvme, 1 MSI-X interrupts
		               BAR 0: 16 KB at 0xe000000000, 64 bits
		weir> volumes
		volume           device           start        size  preference  cache_min   retain
		virtio0          virtio0              0      256 MB          50       8 MB     2 MB
		nvme0n1p1        nvme0n1          32 KB       38 KB          50       8 MB     2 MB
		nvme0n1p2        nvme0n1          70 KB        4 MB          50       8 MB     2 MB
		weir> poweroff
	END
}

# expect PATTERN STATUS SED-PROGRAM: the verdict of the transcript after this change.
expect() {
	local verdict
	transcript | sed -E "$3" >"$work/sample.serial"
	verdict=$(machine_monitor sample "$2")
	[[ $verdict =~ $1 ]] || { echo "after '$3', status $2: $verdict" && failed=1; }
}

expect '^ok - sample: 2 CPUs, 2 PCI functions, 2 disks$' 0 ''
expect '^not ok - sample: poweroff ended with status 124' 124 ''
expect '^not ok - sample: 1 CPUs of 2' 0 's/2 CPUs/1 CPUs/'
expect '^not ok - sample: no CPUs of 2' 0 '/CPUs/d'
expect '^not ok - sample: 1 disks of 2' 0 '/^virtio0/d'
expect '^not ok - sample: 1 disks of 2' 0 '/^nvme0n1p/d'
expect '^not ok - sample: pci shows nothing' 0 '/^0/d'
expect '^not ok - sample: the monitor does not answer' 124 '/^weir> volumes/,$d'
expect '^not ok - sample: the monitor does not answer' 124 '/^weir>/,$d'
expect '^not ok - sample: panic: page fault' 0 's/^.*kernel:/panic: page fault\n&/'
smp=70,sockets=70
expect '^ok - sample: 64 CPUs' 0 's/2 CPUs/64 CPUs/'
exit $failed
