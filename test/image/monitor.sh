#!/usr/bin/env bash
# Talks to the monitor on the serial line as a person would, and writes TAP. The transcript is in $BUILD/test/image/monitor.serial.
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

# until_complete SECONDS TEXT: waits until the text and the end of its line are in what came since the last step.
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
say "tells the date" 'date\r' "^$(date -u +%Y)-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9] UTC, by the firmware"
say "explains all that begin so" 'help mem\r' '^usage: mem owners'
say "completes arguments" 'run bo\t\r' '^result: boot '
say "completes names of volumes" 'flush virti\t\r' '^flushed'
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
if tail -c +$((seen + 1)) "$transcript" | grep -qE 'memory: [0-9]+ bytes of the general heap are still allocated'; then
	echo "ok - monitor: poweroff says what is allocated"
else
	echo "not ok - monitor: poweroff says what is allocated"
fi

# The medium as it is handed out, on a machine with a foreign disk, and on one without any: the monitor stays open.
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
rm -f "$work/monitor.keys" "$work/plain.iso" "$work/own.img"
