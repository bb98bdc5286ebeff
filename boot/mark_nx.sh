#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# mark_nx.sh EFI: says in the header of a PE file that the image works where no memory is both
# writable and executable (IMAGE_DLLCHARACTERISTICS_NX_COMPAT), which objcopy cannot. Firmware then
# gives each section the rights that it asks for, and signers ask for the mark.
set -euo pipefail

efi=$1
nx_compat=$((0x100))

# number OFFSET BYTES
number() {
	od -An "-tu$2" -j "$1" -N "$2" "$efi" | tr -d ' '
}

# The header's offset is at 60; behind its 4 bytes of signature and 20 of the COFF header, the
# optional one has the characteristics at 70. Microsoft PE format, "Optional Header".
place=$(($(number 60 4) + 24 + 70))
flags=$(($(number $place 2) | nx_compat))
# shellcheck disable=SC2059 # the format is the bytes
printf "$(printf '\\x%02x\\x%02x' $((flags & 255)) $((flags >> 8)))" |
	dd of="$efi" bs=1 seek=$place conv=notrunc status=none
