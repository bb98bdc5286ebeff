#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Talks to the monitor on the serial line as a person would, and writes TAP. The transcript is in
# $BUILD/test/image/monitor.serial.
set -uo pipefail

export BUILD=${BUILD:-build} MAKE=${MAKE:-make}
export work=$BUILD/test/image
source test/image/machine.sh
transcript=$work/monitor.serial
seen=0 # bytes of the transcript that earlier steps have read

# heard SECONDS PATTERN: waits until the pattern is in what came since the last step.
heard() {
	local deadline=$((SECONDS + $1))
	until tail -c +$((seen + 1)) "$transcript" | tr -d '\r' | grep -qE -- "$2"; do
		[ $SECONDS -lt $deadline ] && kill -0 $machine 2>/dev/null || return 1
		sleep 0.1
	done
}

# until_complete SECONDS TEXT: waits until the text and the end of its line are in what came since
# the last step.
until_complete() {
	local deadline=$((SECONDS + $1))
	until tail -c +$((seen + 1)) "$transcript" | tr -d '\r' | tr '\n' '|' | grep -qF -- "$2|"; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.1
	done
}

# say NAME KEYS PATTERN: types, and expects an answer with the pattern, and the prompt behind it.
say() {
	seen=$(stat -c %s "$transcript")
	printf '%b' "$2" >&$keys
	if heard 20 "$3" && heard 20 'weir> $'; then
		echo "ok - monitor: $1"
	else
		echo "not ok - monitor: $1"
		tail -c +$((seen + 1)) "$transcript" | tr -d '\r' | sed 's/^/#   /'
	fi
}

mkdir -p "$work"
rm -f "$work/monitor.keys"
mkfifo "$work/monitor.keys"
exec {keys}<>"$work/monitor.keys"
if ! media_prepare >"$work/prepare.output" 2>&1; then
	echo "not ok - monitor: no image"
	exit 1
fi
mapfile -t devices < <(machine_device_arguments)
: >"$transcript"
timeout 240 qemu-system-x86_64 -accel tcg -bios "$firmware" -M q35 -smp 2 -m 512M -display none -net none -monitor none \
	-no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 -serial stdio "${devices[@]}" \
	-kernel "$BUILD/weir.efi" -append "scenario=boot monitor=1" <&$keys >"$transcript" 2>"$work/monitor.qemu" &
machine=$!

if ! heard 60 'weir> $'; then
	echo "not ok - monitor: no prompt"
	tr -d '\r' <"$transcript" | tail -40 | sed 's/^/#   /'
	kill $machine 2>/dev/null
	exit 1
fi

say "lists commands" 'help\r' '^  poweroff '
say "tells the date" 'date\r' "^$(date -u +%Y)-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9] UTC, by the firmware"
say "explains one" 'help tasks\r' '^usage: tasks'
say "completes" 'hel\t tasks\r' '^usage: tasks'
say "edits" 'elp takss\001h\005\b\bsk\x7fs\x1b[D\x1b[D\x1b[C\r' 'no such command|usage: tasks'
say "remembers" 'zzz\x15\x1b[A\x1b[A\r' '^usage: tasks'
say "explains all that begin so" 'help mem\r' '^usage: mem owners'
say "completes arguments" 'run bo\t\r' '^result: boot '
say "completes names of volumes" 'flush virti\t\r' '^flushed'
say "shows what scrolled by" 'log\r' '^result: boot '
say "says what log last takes" 'log last\r' '^No volume keeps the log: give log=VOLUME on the command line'
say "explains unknown commands" 'nonsense\r' '^Unknown command "nonsense"'
say "runs a scenario" 'run boot\r' '^result: boot '
say "cancels a line at Ctrl-C" 'flush nonsense\x03help tasks\r' '^usage: tasks'
seen=$(stat -c %s "$transcript")
printf 'run churn loops=1000000\r' >&$keys
until_complete 20 'loops=1000000' # before, Ctrl-C would be for the line
say "ends a scenario at Ctrl-C" '\x03' '^Scenario churn was ended by Ctrl-C'
say "drains" 'drain 4M\r' ' reached the block heap'
say "refuses to drain nonsense" 'drain much\r' 'usage: drain|not a'
say "shows what drivers have" 'heaps leaks\r' '^edu 00:[0-9a-f.]+ +[0-9]+ objects, [0-9]+ bytes, allocated by edu_probe\+0x'
say "shows guarded objects" 'heaps\r' '^guarded: one in [0-9]+ objects'
say "flushes a volume" 'flush virtio0\r' '^flushed'

# Each command that needs no argument and ends nothing answers something, and the prompt comes back.
while read -r name; do
	say "$name" "$name\r" '.'
done < <(tr -d '\r' <"$transcript" | awk '
	/^  [a-z]/ && match($0, /^  [a-z]+( [a-z]+)?  /) {
		name = substr($0, 3, RLENGTH - 4)
		if (name !~ /^(poweroff|reboot|help)$/ && !known[name]++)
			print name
	}')

printf 'poweroff\r' >&$keys
wait $machine
status=$?
if [ $status -eq 0 ]; then echo "ok - monitor: poweroff"; else echo "not ok - monitor: poweroff: status $status"; fi
if tail -c +$((seen + 1)) "$transcript" | grep -E '(error|warning|memory): .*(allocated|left behind|in use)'; then
	echo "not ok - monitor: poweroff shows what looks like a leak"
else
	echo "ok - monitor: poweroff shows no leak where there is none"
fi

# The medium as it is handed out, on a machine with a foreign disk, and on one without any: the
# monitor stays open.
truncate -s 4M "$work/own.img"
boot/media.sh iso "$BUILD/weir.efi" "$work/plain.iso" "" >/dev/null || echo "not ok - monitor: no plain medium"

stays_in_monitor() { # NAME PATTERN QEMU-ARGUMENT...
	local name=$1 pattern=$2
	transcript=$work/monitor-plain.serial
	seen=0
	: >"$transcript"
	timeout 120 qemu-system-x86_64 -accel tcg -bios "$firmware" -M q35 -smp 1 -m 512M -display none -net none -monitor none \
		-no-reboot -serial stdio -cdrom "$work/plain.iso" "${@:3}" <&$keys >"$transcript" 2>"$work/monitor.qemu" &
	machine=$!
	if heard 90 'weir> $' && heard 1 "$pattern" && heard 1 'run checksum volume=NAME. reads a disk'; then
		echo "ok - monitor: $name"
	else
		echo "not ok - monitor: $name"
		tr -d '\r' <"$transcript" | tail -40 | sed 's/^/#   /'
	fi
	say "$name, and obeys" 'run boot\r' '^result: boot '
	printf 'poweroff\r' >&$keys
	wait $machine || echo "not ok - monitor: $name: poweroff: status $?"
}

stays_in_monitor "stays open on a machine without disks" '^There is no disk that Weir drives'
stays_in_monitor "stays open beside a disk of one's own" '^The disks are: virtio0 \(4 MB\)' \
	-drive "if=none,id=own,format=raw,file=$work/own.img" -device virtio-blk-pci,drive=own

# Two disks, one with partitions: rules by each kind of name, on the command line and typed.
truncate -s 64M "$work/parts.img"
sgdisk --clear --new=1:2048:+16M --change-name="1:My data" --new=2:0:+16M --change-name=2:scratch \
	--partition-guid=2:5F3B0A1C-0000-4111-8222-0123456789AB "$work/parts.img" >/dev/null || echo "not ok - monitor: no partitions"
truncate -s 32M "$work/own.img"

volumes_session() { # NAME RULES
	transcript=$work/monitor-volumes-$1.serial
	seen=0
	: >"$transcript"
	timeout 120 qemu-system-x86_64 -accel tcg -bios "$firmware" -M q35 -smp 2 -m 512M -display none -net none -monitor none \
		-no-reboot -serial stdio -kernel "$BUILD/weir.efi" -append "scenario=boot monitor=1 volumes=\"$2\"" \
		-drive "if=none,id=parts,format=raw,snapshot=on,file=$work/parts.img" \
		-device virtio-blk-pci,drive=parts,serial=PARTS-7 \
		-drive "if=none,id=own,format=raw,snapshot=on,file=$work/own.img" -device nvme,drive=own,serial=S-99 \
		<&$keys >"$transcript" 2>"$work/monitor.qemu" &
	machine=$!
	heard 90 'weir> $' || echo "not ok - monitor: volumes, $1: no prompt"
}

volumes_end() { # NAME PATTERN: ends the session, in which the pattern must not have been seen
	printf 'poweroff\r' >&$keys
	wait $machine || echo "not ok - monitor: volumes, $1: poweroff: status $?"
	if tr -d '\r' <"$transcript" | grep -E -- "$2"; then
		echo "not ok - monitor: volumes, $1: what shares sectors is not attached together"
	else
		echo "ok - monitor: volumes, $1: what shares sectors is not attached together"
	fi
}

row() { # NAME PREFERENCE CACHE_MIN RETAIN, as `volumes` shows them
	echo "^$1 .* $2 +$3 +$4\$"
}

volumes_session parts "label=scratch preference=1; serial=S-99 cache_min=16M retain=0; 'My data' preference=90; virtoi0 retain=0"
heard 1 'volumes=: there is no volume virtoi0; the nearest name is virtio0' || echo "not ok - monitor: volumes: a rule that fits none"
say "volumes by label" 'volumes\r' "$(row virtio0p2 1 '8 MB' '2 MB')"
say "volumes by a label with a blank" 'volumes\r' "$(row virtio0p1 90 '8 MB' '2 MB')"
say "volumes by serial number" 'volumes\r' "$(row nvme0n1 50 '16 MB' 0)"
say "names of volumes" 'volumes names\r' '^virtio0p2 +virtio0 +PARTS-7 +5f3b0a1c-0000-4111-8222-0123456789ab scratch$'
say "sets by GUID" 'volumes set guid=5F3B0A1C-0000-4111-8222-0123456789AB preference=7\r' '^virtio0p2: preference 7, '
say "sets all of a disk" "volumes set serial=PARTS-7 cache_min=4M\r" '^virtio0p2: preference 7, cache_min 4 MB, '
say "sets with Tab" 'volumes set nv\tret\t4M\r' '^nvme0n1: preference 50, cache_min 16 MB, retain 4 MB'
say "shows what was set" 'volumes\r' "$(row virtio0p1 90 '4 MB' '2 MB')"
say "names the nearest volume" 'volumes set nvme0n2 preference=1\r' 'there is no volume nvme0n2; the nearest name is nvme0n1'
say "names the nearest setting" 'volumes set nvme0n1 prefrence=1\r' 'there is no prefrence=; the nearest one is preference='
say "refuses too much" 'volumes set nvme0n1 cache_min=400M\r' 'all volumes together would keep 408 MB; half of the memory'
say "reads a partition" 'run checksum volume=virtio0p2\r' '^result: checksum '
volumes_end parts '^virtio0 '

volumes_session whole "virtio0 whole=1 preference=3"
say "a disk as a whole" 'volumes\r' "$(row virtio0 3 '8 MB' '2 MB')"
volumes_end whole '^virtio0p[12] '

# page_step NAME KEYS PATTERN LINES: the answer has the pattern at its end, and so many lines before
# it at most.
page_step() {
	local lines
	seen=$(stat -c %s "$transcript")
	printf '%b' "$2" >&$keys
	heard 20 "$3"
	local status=$?
	lines=$(tail -c +$((seen + 1)) "$transcript" | tr -cd '\n' | wc -c)
	if [ $status -eq 0 ] && [ "$lines" -le "$4" ]; then
		echo "ok - monitor: $1"
	else
		echo "not ok - monitor: $1: $lines lines"
		tail -c +$((seen + 1)) "$transcript" | tr -d '\r' | sed 's/^/#   /'
	fi
}

pages() {
	transcript=$work/monitor-pages.serial
	seen=0
	: >"$transcript"
	timeout 120 qemu-system-x86_64 -accel tcg -bios "$firmware" -M q35 -smp 1 -m 512M -display none -net none -monitor none \
		-no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 -serial stdio -kernel "$BUILD/weir.efi" \
		-append "scenario=boot monitor=1 page=10" <&$keys >"$transcript" 2>"$work/monitor.qemu" &
	machine=$!
	heard 90 'weir> $' || echo "not ok - monitor: no prompt"
	# The line itself, and nine of the list.
	page_step "a list stops at a page" 'help\r' '-- more: space, Enter or q --$' 10
	page_step "a line more" '\r' '-- more: space, Enter or q --$' 1
	page_step "a page more" ' ' '-- more: space, Enter or q --$' 9
	page_step "a list is left" 'q' 'weir> $' 1
	page_step "what fits is not asked about" 'date\r' 'weir> $' 2
	page_step "the history stops at a page, too" 'log\r' '-- more: space, Enter or q --$' 10
	page_step "Ctrl-C leaves the list" '\x03' 'weir> $' 1
	page_step "and not the next one" 'log\r' '-- more: space, Enter or q --$' 10
	printf 'qpoweroff\r' >&$keys
	wait $machine || echo "not ok - monitor: pages: poweroff: status $?"
}
pages
rm -f "$work/monitor.keys" "$work/plain.iso" "$work/own.img" "$work/parts.img"
