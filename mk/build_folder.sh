#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# build_folder.sh claim|clean FOLDER: a build writes only into a folder that it made, or found empty
# but for builds, and marks that as its own. clean removes what builds made there, and the folder
# with it unless something else is in it; no other folder.
set -euo pipefail

action=$1 folder=$2
mark=$folder/.weir-build
# What a build makes at the top of its folder, as patterns; builds within it are folders with a mark
# of their own.
made=(image program host weir weir.efi weir.elf weir.iso weir.img weir_test.efi weir_test.elf weir_test.iso weir_test.img
	make_pattern make_trace 'data-*M.img' digitizer.img slow.img 'run.??????' 'card.??????' debug.log test lint fuzz model long
	qemu10)

# A folder is free when all that is in it are folders of other builds, as build is after
# BUILD=build/other.
only_builds() {
	local entry
	[ -d "$folder" ] && [ -r "$folder" ] || return 1
	while read -r entry; do
		[ -z "$entry" ] || [ -e "$folder/$entry/.weir-build" ] || return 1
	done <<<"$(ls -A "$folder")"
}

claim() {
	if [[ ! $folder =~ ^[A-Za-z0-9_./+@~-]+$ ]]; then
		echo "BUILD=$folder: the name of that folder has letters, digits and . / _ + @ - only"
		exit 1
	fi
	[ ! -e "$mark" ] || return 0
	if [ -e "$folder" ] && ! only_builds; then
		echo "BUILD=$folder has other things in it, and \`make clean\` will not tell them apart. Choose a folder that is new" \
			"or empty; or, if a build made all of that: touch $mark"
		exit 1
	fi
	mkdir -p "$folder"
	: >"$mark"
}

clean() {
	local pattern entry
	[ -e "$folder" ] || return 0
	if [ ! -e "$mark" ]; then
		echo "clean: no build of Weir made $folder; nothing was removed" >&2
		exit 1
	fi
	for pattern in "${made[@]}"; do
		while read -r entry; do
			rm -rf -- "$entry"
		done < <(compgen -G "$folder/$pattern")
	done
	for entry in "$folder"/*/; do
		[ -L "${entry%/}" ] || [ ! -e "$entry.weir-build" ] || "$0" clean "${entry%/}"
	done
	rm -f "$mark"
	rmdir "$folder" 2>/dev/null && return
	: >"$mark"
	echo "clean: left in $folder, since no build made it: $(ls -A "$folder" | grep -vx .weir-build | tr '\n' ' ')"
}

"$action"
