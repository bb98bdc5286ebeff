#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs the image in QEMU, for `make run`. Ends with 0 only if the machine switched itself off.
#
#   MEM=4G         RAM of the machine
#   SMP=2          CPUs
#   MACHINE=q35    QEMU's machine: q35 or pc
#   SCENARIO=      what to run; capture where nothing is said
#   LOOPS=         of the scenario
#   DEVICES=       what the machine has: data (a disk of 1.5 x MEM with the numbered pages of the test pattern), digitizer (an NVMe
#                  disk of 1 GB that plays one), slow (a third disk), edu (QEMU's example of a PCI device); a program's app.mk
#                  says what it needs, and has edu where it says nothing
#   DISK=          a raw image as data disk instead of the test pattern; it is not changed, unless
#   DISK_WRITE=1   DISK= keeps what the machine writes to it
#   DISK_MBPS=     MB a second that data disk and digitizer do each, read or written; empty or 0: as fast as the host is
#   SLOW_IOPS=     requests a second of the slow disk, which is attached where this is given, too; 5
#   TRACE=         lines "R <page>" and "W <page>", gzip'd or not, for the scenario replay: attached as a read-only disk, and the
#                  data disk, without DISK=, is a blank one that has all of these pages
#   ACCEL=         tcg or kvm; kvm where the CPU and /dev/kvm allow it
#   CPU=           QEMU's CPU model; max, or host with kvm
#   SCREEN=        QEMU's display: none, or gtk to see it
#   TIMEOUT=       seconds after which the machine is stopped, which is a failure; 0: never
#   OPTIONS=       more words for the image's command line
#   QEMU_ARGS=     more arguments for QEMU
#   OVMF=          the UEFI firmware
#   QEMU=10        QEMU 10 from Debian's backports, fetched into BUILD by boot/qemu10.sh, instead of the QEMU that is installed
#
# From make come BUILD, where the image and the disks are, IMAGE, its name, and TOOLS, where
# make_pattern is.
set -euo pipefail

build=${BUILD:-build}
tools=${TOOLS:-$build}
image=${IMAGE:-weir}
mem=${MEM:-4G}
smp=${SMP:-2}
machine=${MACHINE:-q35}
digitizer_mib=1024
slow_mib=128
memory_least_mib=256
qemu=qemu-system-x86_64

fail() {
	echo "run: $*" >&2
	exit 1
}

# mebibytes SIZE: 4G, 512M, 512
mebibytes() {
	local number=${1%[GgMm]*}
	[[ $number =~ ^[1-9][0-9]{0,8}$ && $1 =~ ^[0-9]+([GgMm][Bb]?)?$ ]] || fail "MEM=$1 is not a size like 4G or 512M"
	case $1 in
	*[Gg]*) echo $((number * 1024)) ;;
	*) echo "$number" ;;
	esac
}

firmware_find() {
	local file
	if [ -n "${OVMF:-}" ]; then
		[ -f "$OVMF" ] && [ -r "$OVMF" ] || fail "cannot read OVMF=$OVMF, which is to be a UEFI firmware"
		echo "$OVMF"
		return
	fi
	for file in /usr/share/ovmf/OVMF.fd /usr/share/qemu/OVMF.fd /usr/share/edk2/x64/OVMF.4m.fd \
		/usr/share/edk2/ovmf/OVMF_CODE.fd /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_CODE.fd; do
		if [ -r "$file" ]; then
			echo "$file"
			return
		fi
	done
	fail "no UEFI firmware (OVMF) found; say where it is with OVMF=file"
}

accelerator_find() {
	if [ -n "${ACCEL:-}" ]; then
		echo "$ACCEL"
	elif grep -qwE 'vmx|svm' /proc/cpuinfo && [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
		echo kvm
	else
		echo tcg
	fi
}

has() {
	[[ " $devices " == *" $1 "* ]]
}

# patterns_make FILE MEBIBYTES SEED...: disks of numbered pages, made once, and again when the
# pattern has changed.
patterns_make() {
	local free needed=0 missing=()
	while [ $# -gt 0 ]; do
		if [ ! -e "$1" ] || [ "$tools/make_pattern" -nt "$1" ]; then
			missing+=("$1" "$2" "$3")
			needed=$((needed + $2))
		fi
		shift 3
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	free=$(df --output=avail -B 1M "$build" | tail -1)
	echo "This needs $needed MB on the disk, in $build, for the machine's disks; $free MB are free. MEM=1G needs less."
	[ "$free" -gt $((needed + 512)) ] || fail "there is too little room on the disk"
	set -- "${missing[@]}"
	while [ $# -gt 0 ]; do
		echo "Making $1 ($2 MB), once."
		rm -f "$1"
		"$tools/make_pattern" "$control/pattern.img" $(($2 * 1048576)) "$3"
		mv "$control/pattern.img" "$1"
		shift 3
	done
}

# trace_make TEXT: sets $trace, the disk with the trace, and $trace_disk, a blank one for it, which
# takes no room.
trace_make() {
	local pages name
	[ -r "$1" ] || fail "cannot read TRACE=$1"
	name=$(basename "$1")
	name=${name%%[-.]*}
	trace=$control/trace.img
	trace_disk=$control/blank.img
	pages=$(gzip -dcf <"$1" | "$tools/make_trace" "$trace" "${name//[^A-Za-z0-9_]/_}") ||
		fail "TRACE=$1 is not a trace"
	truncate -s $(((pages * 4096 + 1048575) / 1048576))M "$trace_disk" || fail "no disk can have all $pages pages of TRACE=$1"
}

terminal=0
[ -t 0 ] && [ -t 1 ] && terminal=1
if [ $terminal = 1 ]; then
	echo "To leave QEMU: poweroff in the monitor, which flushes first. Ctrl-A X ends QEMU at once, and flushes nothing."
	echo "Ctrl-C ends what runs in the machine, and not the machine."
fi

if [ "${QEMU:-}" = 10 ]; then
	"${0%/*}/qemu10.sh" "$build/qemu10"
	qemu=$build/qemu10/$qemu
fi
memory_mib=$(mebibytes "$mem")
[ "$memory_mib" -ge $memory_least_mib ] || fail "MEM=$mem is too little: firmware and image need $memory_least_mib MB"
firmware=$(firmware_find)
[[ ${SLOW_IOPS:-5} =~ ^[1-9][0-9]*$ ]] || fail "SLOW_IOPS=$SLOW_IOPS is not a number above 0"
[[ ${DISK_MBPS:-0} =~ ^[0-9]+$ ]] || fail "DISK_MBPS=$DISK_MBPS is not a number"
[ ! -d "${DISK:-}" ] || fail "DISK=$DISK is a folder; it is to be an image of a disk"
[ -z "${DISK:-}" ] || [ -r "$DISK" ] || fail "cannot read DISK=$DISK"
[[ ${DISK_WRITE:-0} = [01] ]] || fail "DISK_WRITE=$DISK_WRITE is neither 0 nor 1"
snapshot=,snapshot=on
if [ "${DISK_WRITE:-0}" = 1 ]; then
	[ -n "${DISK:-}" ] || fail "DISK_WRITE=1 is for a disk of your own: name it with DISK=; the test pattern's stays as it is"
	[ -w "$DISK" ] || fail "cannot write to DISK=$DISK"
	snapshot=
fi
devices=${DEVICES:-edu}${SLOW_IOPS:+ slow}
for device in $devices; do
	[[ $device =~ ^(data|digitizer|slow|edu|none)$ ]] || fail "DEVICES=: there is no $device; they are data, digitizer, slow, edu, or none"
done

# What was typed while nothing read it is for the machine, not for the shell behind it, however this
# ends.
typed_ahead_drop() {
	local settings
	[ $terminal = 1 ] && settings=$(stty -g) || return 0
	stty -icanon -echo min 0 time 1
	cat >/dev/null
	stty "$settings"
}

control=$(mktemp -d "$build/run.XXXXXX")
trap 'typed_ahead_drop; rm -rf "$control"' EXIT
# Without these bash waits for what runs in the foreground, and leaves without the line above.
trap 'exit 130' INT
trap 'exit 143' TERM

disk=${DISK:-}
trace=
trace_disk=
[ -z "${TRACE:-}" ] || trace_make "$TRACE"
[ -n "$disk" ] || disk=$trace_disk
digitizer=$build/digitizer.img
slow=$build/slow.img
patterns=()
if [ -z "$disk" ] && has data; then
	disk=$build/data-$((memory_mib * 3 / 2))M.img
	patterns+=("$disk" $((memory_mib * 3 / 2)) 1)
fi
! has digitizer || patterns+=("$digitizer" $digitizer_mib 2)
! has slow || patterns+=("$slow" $slow_mib 3)
patterns_make "${patterns[@]}"

accelerator=$(accelerator_find)
case $accelerator in
tcg*) cpu=${CPU:-max} ;;
*) cpu=${CPU:-host} ;;
esac
[ "$accelerator" = tcg ] && accelerator=tcg,thread=multi

options=()
[ -z "${SCENARIO:-}" ] || options+=("scenario=$SCENARIO")
[ -z "${LOOPS:-}" ] || options+=("loops=$LOOPS")
options+=("monitor=$terminal")
# Long lists stop at a page. A terminal that does not know its size has 0 lines.
if [ $terminal = 1 ] && [[ $(stty size) =~ ^([0-9]+)\  ]] && [ "${BASH_REMATCH[1]}" -gt 2 ]; then
	options+=("page=${BASH_REMATCH[1]}")
fi
# https://no-color.org
if [ $terminal = 1 ] && [ "${TERM:-dumb}" != dumb ] && [ -z "${NO_COLOR:-}" ]; then
	options+=(colour=1)
fi
# QEMU makes whole sectors of the image's last bytes; the checksum is one of the image.
if [ "${SCENARIO:-}" = checksum ] && [ -n "$disk" ] && [ $(($(stat -Lc %s "$disk") % 512)) -ne 0 ]; then
	options+=("bytes=$(stat -Lc %s "$disk")")
fi
[ -z "${OPTIONS:-}" ] || options+=("$OPTIONS")

case $firmware in
*CODE*) firmware=(-drive "if=pflash,format=raw,readonly=on,file=$firmware") ;;
*) firmware=(-bios "$firmware") ;;
esac

# QEMU lets a disk that was idle do a tenth of a second's worth at once, and nothing beyond.
throttle=
[ "${DISK_MBPS:-0}" -eq 0 ] || throttle=,throttling.bps-total=$((DISK_MBPS * 1048576))

# What is written to the disks goes to temporary files, so that each run begins with the same
# content; but for DISK_WRITE=1.
arguments=(
	-machine "$machine" -accel "$accelerator" -cpu "$cpu" -smp "$smp" -m "$memory_mib"M "${firmware[@]}"
	-kernel "$build/$image.efi" -append "${options[*]}"
	-device isa-debug-exit,iobase=0xf4,iosize=4 -net none -display "${SCREEN:-none}"
)
[ -z "$disk" ] ||
	arguments+=(-drive "if=none,id=data,format=raw$snapshot,file=${disk//,/,,}$throttle" -device virtio-blk-pci,drive=data)
! has digitizer ||
	arguments+=(-drive "if=none,id=digitizer,format=raw,snapshot=on,file=$digitizer$throttle"
		-device nvme,drive=digitizer,serial=digitizer)
! has edu || arguments+=(-device edu)
! has slow ||
	arguments+=(-drive "if=none,id=slow,format=raw,snapshot=on,file=$slow,throttling.iops-total=${SLOW_IOPS:-5}"
		-device virtio-blk-pci,drive=slow)
[ -z "$trace" ] ||
	arguments+=(-drive "if=none,id=trace,format=raw,readonly=on,file=$trace" -device virtio-blk-pci,drive=trace)
if [ $terminal = 1 ]; then
	arguments+=(-chardev stdio,id=console,mux=on,signal=off -serial chardev:console -mon chardev=console)
else
	arguments+=(-serial stdio -monitor none -no-reboot)
fi
# shellcheck disable=SC2206 # several words are meant
arguments+=(${QEMU_ARGS:-})

# QEMU ends with 0 after a reset, too; how the machine ended is told over its control protocol.
mkfifo "$control/qmp.in" "$control/qmp.out"
arguments+=(-chardev "pipe,id=qmp,path=$control/qmp" -mon chardev=qmp,mode=control)
exec {input}<>"$control/qmp.in" {output}<>"$control/qmp.out"
echo '{"execute":"qmp_capabilities"}' >&$input

export TMPDIR=$PWD/$build
[[ $build = /* ]] && TMPDIR=$build
command=(timeout --foreground --kill-after=10 "${TIMEOUT:-0}" "$qemu" "${arguments[@]}")
status=0
if [ $terminal = 1 ]; then
	"${command[@]}" || status=$?
else
	"${command[@]}" {input}>&- {output}>&- | sed -u -e 's/\r$//' -e 's/\x1b\[[0-9;=]*[A-Za-z]//g' || status=${PIPESTATUS[0]}
fi

[ $status -ne 124 ] || fail "stopped after $TIMEOUT seconds"
[ $status -eq 0 ] || fail "the machine failed (QEMU ended with status $status)"
reason=
while read -r -t 0.2 -u $output line; do
	[[ $line == *'"SHUTDOWN"'*'"reason": "'* ]] && reason=${line##*'"reason": "'} && reason=${reason%%\"*}
done
[ "$reason" = guest-shutdown ] || fail "the machine did not switch itself off ($reason)"
