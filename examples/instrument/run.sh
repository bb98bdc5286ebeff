#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# run.sh [VARIABLE=VALUE...]: starts the card, and beside it the machine with the program: MEM=2G,
# OPTIONS="buffers=256 rounds=2", DISK= (instead of a blank one of 4 GB), APP= (another program for
# the card), BUILD=, and what else `make run` knows. Names of files are relative to Weir's folder,
# as for make. What a run leaves behind is the image in BUILD.
set -euo pipefail

cd "${WEIR:-$(dirname "$0")/../..}"
mem=2G
app=examples/instrument
build=build
disk=
qemu_args=
rest=()
for word; do
	case $word in
	MEM=*) mem=${word#*=} ;;
	APP=*) app=${word#*=} ;;
	BUILD=*) build=${word#*=} ;;
	DISK=*) disk=${word#*=} ;;
	QEMU_ARGS=*) qemu_args=${word#*=} ;;
	*=*) rest+=("$word") ;;
	*) echo "run.sh: \"$word\" is not VARIABLE=VALUE" >&2 && exit 2 ;;
	esac
done
case $mem in
*G) mib=$((${mem%G} * 1024)) ;;
*M) mib=${mem%M} ;;
*) echo "run.sh: MEM=$mem is not a size like 2G or 512M" >&2 && exit 2 ;;
esac
# q35 has this much of its memory below 4 GB.
low_mib=$((mib < 2816 ? mib : 2048))

mk/build_folder.sh claim "$build"
mkdir -p "$build/host"
cc -std=gnu11 -O2 -Wall -Wextra -Werror -I. examples/instrument/host/card.c -o "$build/host/card"
work=$(mktemp -d "$build/card.XXXXXX")
card=
trap '[ -z "$card" ] || kill "$card" 2>/dev/null || true; rm -rf "$work"' EXIT
truncate -s ${mib}M "$work/ram"
[ -n "$disk" ] || { disk=$work/disk.img && truncate -s 4G "$disk"; }
"$build/host/card" "$work/socket" "$work/ram" $low_mib >"$work/card.output" &
card=$!
until grep -q ready "$work/card.output" && [ -S "$work/socket" ]; do
	kill -0 $card 2>/dev/null || { echo "run.sh: the card has ended" >&2 && exit 1; }
	sleep 0.05
done
make --no-print-directory run APP="$app" BUILD="$build" MEM="$mem" DISK="$disk" "${rest[@]}" \
	QEMU_ARGS="-object memory-backend-file,id=ram,share=on,mem-path=$work/ram,size=${mib}M -machine memory-backend=ram \
-chardev socket,id=card,path=$work/socket -device ivshmem-doorbell,chardev=card,vectors=1 $qemu_args"
