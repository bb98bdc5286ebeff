#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What firmware and signers want of the image's PE header: no section is writable and executable,
# the image says that it can do without such ones, and shim finds what it is.
set -euo pipefail
export LC_ALL=C
efi=${1:-${BUILD:-build}/weir.efi}

fail() {
	echo "$efi: $*"
	exit 1
}

headers=$(objdump -p "$efi")
grep -q 'NX_COMPAT' <<<"$headers" || fail "is not marked as NX_COMPAT"
# The sections' flags are in objdump's second line for each: code that is not read-only is writable.
objdump -h "$efi" | awk '/^ +[0-9]+ / { name = $2 } /CODE/ && !/READONLY/ { print name; bad = 1 } END { exit bad }' ||
	fail "has code that is writable"
objdump -s -j .sbat "$efi" | grep -q 'sbat,1' || fail "has no section .sbat"
