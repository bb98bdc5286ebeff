#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# edges_test.sh: edges.sh passes a copy of the tree, and fails for each wrong include that is
# planted there, alone, with its line and the rule.
set -euo pipefail
export LC_ALL=C

check=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git ls-files -co --exclude-standard -z | xargs -0 ls -d 2>/dev/null | tar -cf - -T - | tar -xf - -C "$work"
cd "$work"
git init -q
failed=0

report() {
	echo "$1"
	cat output
	failed=1
}

printf '/output\n/kept\n' >.git/info/exclude
"$check/edges.sh" >output 2>&1 || { cat output && exit 1; }

# planted FILE TEXT RULE: one line at the end of the file is the only fault, and is named with the
# rule.
planted() {
	local file=$1 line
	if [ -e "$file" ]; then
		cp "$file" kept
	else
		rm -f kept
		mkdir -p "$(dirname "$file")"
	fi
	printf '%s\n' "$2" >>"$file"
	line=$(wc -l <"$file")
	if "$check/edges.sh" >output 2>&1; then
		report "$file: $2 passes"
	elif [ "$(wc -l <output)" -ne 1 ] || ! grep -qE "^$file:($line|1): .*$3" output; then
		report "$file:$line: $2 fails for another reason than $3:"
	fi
	if [ -e kept ]; then cp kept "$file"; else rm "$file"; fi
}

planted src/runtime/base/list.h '#include "runtime/kernel/task.h"' 'src/runtime/base may not include runtime/kernel/task.h, by test/check/edges.txt:[0-9]+'
planted src/runtime/x86_64/paging.c '#include "runtime/kernel/task.h"' 'src/runtime/x86_64 may not include'
planted src/runtime/console/console.c '#include "runtime/kernel/task.h"' 'src/runtime/console may not include'
planted src/runtime/kernel/task.c '#include "heap/memory.h"' 'src/runtime/kernel may not include heap/memory.h'
planted src/runtime/kernel/task.c '#include "runtime/console/console.h"' 'src/runtime/kernel may not include runtime/console/console.h'
planted src/heap/block/block_heap.c '#include "heap/object/objcache.h"' 'src/heap/block may not include heap/object/objcache.h'
planted src/heap/object/objcache.c '#include "heap/reclaim/guarantee.h"' 'src/heap/object may not include heap/reclaim/guarantee.h'
planted src/heap/reclaim/reclaim.c '#include "heap/memory.h"' 'src/heap/reclaim may not include heap/memory.h'
planted src/heap/memory.c '#include "pagecache/volume.h"' 'src/heap may not include pagecache/volume.h'
planted src/pagecache/volume.c '#include "drivers/driver.h"' 'src/pagecache may not include drivers/driver.h'
planted src/pagecache/volume.c '#include "heap/object/objcache_internal.h"' 'src/pagecache may not include heap/object/objcache_internal.h'
planted src/pagecache/writeback/flush.c '#include "pagecache/eviction/evict.h"' 'src/pagecache/writeback may not include pagecache/eviction/evict.h'
planted src/drivers/nvme/nvme.c '#include "pagecache/volume.h"' 'src/drivers/nvme may not include pagecache/volume.h'
planted app/app.c '#include "drivers/nvme/nvme.h"' 'app may not include drivers/nvme/nvme.h'
planted app/app.c '#include "heap/block/block_heap.h"' 'app may not include heap/block/block_heap.h'
planted app/app.c '#include "pagecache/page/page.h"' 'app may not include pagecache/page/page.h'
planted app/app.c '#include "config.h"' 'app may not include config.h'
planted src/rules.c '#include "config.h"' 'src may not include config.h'
planted src/heap/memory.c '#include "../pagecache/volume.h"' 'no path like this'
planted src/heap/memory.c '# include <pagecache/volume.h> // not seen?' 'stands in quotes'
planted src/heap/memory.c '#include <stdio.h>' 'src/heap may not include <stdio.h>'
planted src/heap/memory.c '#include HEADER' 'names one header'
planted src/runtime/x86_64/trampoline.S '	.include "boot/weir.lds"' 'names one header'
planted boot/loader.c '#include "heap/memory.h"' 'boot may not include heap/memory.h'
planted src/net/tcp.c '#include "runtime/base/list.h"' 'the folder src/net has no line'
planted src/heap/nowhere/map.h '#pragma once' 'the folder src/heap/nowhere has no line'
planted test/host/new/test_new.c '#include "heap/memory.h"' 'the folder test/host/new has no line'
planted src/heap/memory.h '#include "memory_internals.h"' 'src/heap may not include memory_internals.h'

# A line of the table for a folder that has gone, and a tree without a table.
echo 'src/gone: runtime/base/*' >>test/check/edges.txt
! "$check/edges.sh" >output 2>&1 && grep -q '^test/check/edges.txt:[0-9]*: there is no source in src/gone' output || report "src/gone has gone:"
rm test/check/edges.txt
! "$check/edges.sh" >output 2>&1 || report "a tree without a table passes:"
exit $failed
