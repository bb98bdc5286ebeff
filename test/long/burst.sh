#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# burst.sh: 200 bursts of unmovable blocks in machines of 4, 16 and 256 GB
# (test/host/heap/reclaim/test_bursts.c), millions of steps. Ends with 0 if every region of
# unmovable blocks stayed as short as it has to be, and every request for 1 GB that can be served
# was.
set -euo pipefail

export CK_DEFAULT_TIMEOUT=1700
build=${BUILD:-build}
${MAKE:-make} --no-print-directory BUILD="$build" "$build/test/test_bursts"
for gb in 4 16 256; do
	WEIR_BURST_GB=$gb WEIR_BURSTS=200 "$build/test/test_bursts"
done
