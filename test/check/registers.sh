#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# registers.sh: no code of the image uses vector registers, but that of files named *_vector.c, and
# the tests that look at them.
set -euo pipefail
export LC_ALL=C BUILD=${BUILD:-build}

status=0
while IFS= read -r object; do
	case $object in
	*_vector.c.o | */test/image/test_vectors.c.o) continue ;;
	esac
	if objdump -d --no-show-raw-insn "$object" | grep -qE '%[xyz]?mm[0-9]|%st\b'; then
		echo "${object#"$BUILD"/image/} uses vector registers, which only files named *_vector.c may"
		status=1
	fi
done < <(cat "$BUILD"/image/{library,weir,weir_test}.objects | tr ' ' '\n' | grep '\.o$' | sort -u)
exit $status
