#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# build.sh VARIABLE=VALUE...: the image builds with these, in a directory of its own.
set -euo pipefail
directory=$BUILD/variant-$(echo "$*" | tr -c 'a-zA-Z0-9\n' -)
exec "${MAKE:-make}" --no-print-directory -j"$(nproc)" "$@" BUILD="$directory" "$directory/weir.efi"
