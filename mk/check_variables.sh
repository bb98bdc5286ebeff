#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# check_variables.sh KNOWN... -- NAME=VALUE...: fails, with a message, for a variable that is not
# known, or has a value that cannot be right.
set -euo pipefail

fail() {
	echo "$*"
	exit 1
}

known=()
while [ "$1" != -- ]; do
	known+=("$1")
	shift
done
shift

for given; do
	name=${given%%=*}
	value=${given#*=}
	[[ " ${known[*]} " == *" $name "* ]] ||
		fail "There is no variable $name; the nearest one is $("${0%/*}/nearest.sh" "$name" "${known[@]}"). \`make help\` lists them"
	case $name in
	DEBUG | BLOCKS | INSTRUCTIONS)
		[[ $value =~ ^[01]$ ]] || fail "$name=$value: it is 0 or 1"
		;;
	DISK_WRITE | OFFENDERS)
		[[ $value =~ ^[01]?$ ]] || fail "$name=$value: it is 0 or 1"
		;;
	SMP | LOOPS | FUZZ_SECONDS | ROUNDS | SLICES | BOUND | GDB_PORT | MEMORY_MB | SLOW_IOPS | GUARANTEE)
		[[ -z $value || $value =~ ^[1-9][0-9]{0,17}$ ]] || fail "$name=$value: it is a whole number above 0"
		;;
	TIMEOUT | DISK_MBPS)
		[[ -z $value || $value =~ ^[0-9]{1,18}$ ]] || fail "$name=$value: it is a whole number; 0: no limit"
		;;
	QEMU)
		[[ $value =~ ^(10)?$ ]] || fail "QEMU=$value: it is 10, or nothing, which is the QEMU that is installed"
		;;
	BUILD)
		[[ $value =~ ^[A-Za-z0-9_./+@~-]+$ ]] || fail "BUILD=$value: the name of that folder has letters, digits and . / _ + @ - only"
		;;
	APP)
		[ -d "$value" ] || [ ! -e "$value" ] || fail "APP=$value is not a folder"
		;;
	esac
done
