#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# documents.sh FLAGS...: compiles each piece of C in docs that begins with an #include, as part of
# the image would be.
set -euo pipefail

work=${BUILD:-build}/test/documents
rm -rf "$work"
mkdir -p "$work"
for page in docs/*.md docs/api/*.md; do
	awk -v base="$work/$(basename "$page" .md)" '
		/^```/ { inside = $0 == "```c" && !inside; begins = inside; if (file) close(file); file = ""; next }
		begins { begins = 0; if (/^#include/) file = base "." ++count ".c" }
		file { print > file }' "$page"
done
pieces=("$work"/*.c)
[ -e "${pieces[0]}" ] || { echo "docs: no code found" >&2 && exit 1; }
failed=0
for piece in "${pieces[@]}"; do
	"${CC:-gcc}" "$@" -fsyntax-only "$piece" || failed=1
done
exit $failed
