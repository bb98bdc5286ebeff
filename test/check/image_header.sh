#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What firmware and signers want of the image's PE header: no section is writable and executable,
# the image says that it can do without such ones, and shim finds what it is. And what no emulator
# shows: a shadow stack that firmware left on is off before the kernel changes stacks.
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

# CR4.CET is bit 23; a call is the first that needs the new stack.
entry=$(objdump -d --no-show-raw-insn --disassemble=kernel_entry "${efi%.efi}.elf" | sed '/call/,$d')
grep -q 'btr *$0x17,%rax' <<<"$entry" && grep -q 'mov *%rax,%cr4' <<<"$entry" ||
	fail "does not turn off shadow stacks where the kernel begins"
