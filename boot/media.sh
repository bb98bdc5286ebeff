#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# media.sh iso|img EFI OUTPUT [COMMAND LINE]: makes media that UEFI firmware starts the image from.
# The command line goes into weir.cfg. The same input gives the same bytes; no root needed.
#
#   iso   for an optical drive, and for a USB stick that it is copied to with dd
#   img   a disk with a GPT
set -euo pipefail

kind=$1 efi=$2 output=$3 options=${4:-}
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0}
disk_guid=57454952-0001-4000-8000-000000000001
partition_guid=57454952-0002-4000-8000-000000000002
volume_id=57454952
first_sector=2048

work=$(mktemp -d "$output.XXXXXX")
trap 'rm -rf "$work"' EXIT

cp "$efi" "$work/bootx64.efi"
cat >"$work/weir.cfg" <<END
# Weir's command line, in as many lines as you like: key=value ...
$options
END
touch -d "@$SOURCE_DATE_EPOCH" "$work/bootx64.efi" "$work/weir.cfg"

# fat_make FILE KIBIBYTES BITS: the file system with the image.
fat_make() {
	mkfs.fat --invariant -F "$3" -s 1 -i $volume_id -n WEIR -C "$1" "$2" >/dev/null
	mmd -i "$1" ::/EFI ::/EFI/BOOT
	mcopy -m -i "$1" "$work/bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
	mcopy -m -i "$1" "$work/weir.cfg" ::/weir.cfg
}

img_make() {
	local mebibytes=40
	fat_make "$work/fat" $((mebibytes * 1024)) 32
	truncate -s $((first_sector * 512)) "$work/image"
	cat "$work/fat" >>"$work/image"
	truncate -s +1M "$work/image"
	sgdisk --clear --disk-guid=$disk_guid --new=1:$first_sector:+${mebibytes}M --typecode=1:ef00 \
		--change-name=1:weir --partition-guid=1:$partition_guid "$work/image" >/dev/null
}

# The file system is a partition behind the ISO's own, in GPT and MBR, and what El Torito names.
iso_make() {
	fat_make "$work/fat" 4096 16
	mkdir "$work/tree"
	cat >"$work/tree/README" <<-'END'
		Weir starts from here under UEFI: from an optical drive, or from a USB stick that this image was copied to.
		Its options are in weir.cfg on the second partition.
	END
	touch -d "@$SOURCE_DATE_EPOCH" "$work/tree/README" "$work/tree"
	xorriso -as mkisofs -quiet -r -V WEIR --set_all_file_dates set_to_mtime -append_partition 2 0xef "$work/fat" \
		-appended_part_as_gpt -e --interval:appended_partition_2:all:: -no-emul-boot \
		--gpt_disk_guid $disk_guid -o "$work/image" "$work/tree" 2>"$work/messages" || {
		cat "$work/messages" >&2
		return 1
	}
}

"${kind}_make"
cp --sparse=always "$work/image" "$output"
