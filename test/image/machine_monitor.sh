# SPDX-License-Identifier: BSD-2-Clause
# The check `monitor` of machines.txt: the monitor is asked over the serial port what the machine
# has, and must show all CPUs and disks that QEMU's arguments give it. Part of machine.sh.

monitor_commands=(pci volumes poweroff)
cpus_max=64 # KERNEL_CPUS_MAX, where the build sets nothing

# What the lines of these machines attach with drive=NAME: disks with numbered pages, a disk that
# holds nothing, and the ISO. Changes go with the machine.
machine_drive_arguments() { # ISO
	local drive
	for drive in data,file="$work/data.img" digitizer,file="$work/digitizer.img" blank,file="$work/blank.img" medium,file="$1"; do
		printf '%s\n' -drive "if=none,format=raw,snapshot=on,id=$drive"
	done
}

# prompts NAME: how many the monitor has shown, if it waits behind the last one.
prompts() {
	tr -d '\r' <"$work/$1.serial" | awk '/^weir> / { count++ } { last = $0 } END { print last == "weir> " ? count : 0 }'
}

# machine_talk NAME COMMAND...: runs QEMU, types each of the commands at a prompt of its own, and
# returns QEMU's status.
machine_talk() {
	local name=$1 keys machine asked=0 status
	shift
	rm -f "$work/$name.keys"
	mkfifo "$work/$name.keys"
	exec {keys}<>"$work/$name.keys"
	"$@" -serial stdio <&$keys >"$work/$name.serial" 2>"$work/$name.qemu" &
	machine=$!
	while kill -0 $machine 2>/dev/null; do
		if [ $asked -lt ${#monitor_commands[@]} ] && [ "$(prompts "$name")" -gt $asked ]; then
			printf '%s\r' "${monitor_commands[asked++]}" >&$keys
		fi
		sleep 0.2
	done
	wait $machine
	status=$?
	exec {keys}>&-
	rm -f "$work/$name.keys"
	return $status
}

# answer NAME COMMAND: the lines that the monitor printed.
answer() {
	tr -d '\r' <"$work/$1.serial" | awk -v asked="weir> $2" '/^weir> / { shown = $0 == asked; next } shown'
}

# cpus_given NAME, disks_given NAME: by QEMU's arguments in machines.txt.
cpus_given() {
	local cpus=1 arguments
	arguments=$(machine_field "$1" 6)
	[[ ! $arguments =~ -smp\ ([0-9]+) ]] || cpus=${BASH_REMATCH[1]}
	cpus=$((cpus + $(grep -oE -- '-device [A-Za-z0-9_-]+-x86_64-cpu,' <<<"$arguments" | wc -l)))
	echo $((cpus < cpus_max ? cpus : cpus_max))
}

disks_given() {
	machine_field "$1" 6 | grep -oE -- '-device (virtio-blk|nvme)[^ ]*,drive=' | wc -l
}

machine_monitor() { # NAME STATUS
	local cpus disks functions
	cpus=$(tr -d '\r' <"$work/$1.serial" | sed -nE 's/^\[.*kernel: ([0-9]+) CPUs?, .*/\1/p' | tail -1)
	functions=$(answer "$1" pci | grep -cE '^([0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7] ')
	disks=$(answer "$1" volumes | awk 'NR > 1 && NF > 4 && !seen[$2]++ { count++ } END { print count + 0 }')
	if grep -q '^panic:' "$work/$1.serial"; then
		echo "not ok - $1: $(tr -d '\r' <"$work/$1.serial" | grep -m 1 '^panic:')"
	elif [ "$(tr -d '\r' <"$work/$1.serial" | grep -c '^weir> ')" -lt ${#monitor_commands[@]} ]; then
		echo "not ok - $1: the monitor does not answer; status $2"
	elif [ "$2" -ne 0 ]; then
		echo "not ok - $1: poweroff ended with status $2"
	elif [ "$cpus" != "$(cpus_given "$1")" ]; then
		echo "not ok - $1: ${cpus:-no} CPUs of $(cpus_given "$1")"
	elif [ "$functions" -eq 0 ]; then
		echo "not ok - $1: pci shows nothing"
	elif [ "$disks" -ne "$(disks_given "$1")" ]; then
		echo "not ok - $1: $disks disks of $(disks_given "$1")"
	else
		echo "ok - $1: $cpus CPUs, $functions PCI functions, $disks disks"
	fi
}
