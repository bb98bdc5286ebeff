#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A second build of the image, elsewhere, has the same bytes as the first one.
set -euo pipefail
second=$BUILD/second
rm -rf "$second"
"${MAKE:-make}" --no-print-directory -j"$(nproc)" BUILD="$second" CC="$CC" "$second/weir.efi"
cmp "$BUILD/weir.efi" "$second/weir.efi"
