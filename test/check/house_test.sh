#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# house_test.sh: house.sh finds nothing in a small tree without faults, and exactly the one fault of
# each kind that is planted there.
set -euo pipefail
export LC_ALL=C

check=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree

plain_tree() {
	rm -rf "$tree"
	mkdir -p "$tree"/{src/heap,src/pagecache,test/check,docs}
	cd "$tree"
	git init -q
	cat >src/heap/dma.h <<-'END'
		#pragma once

		/* What a caller asks for, and the pool that serves it. The requester fills in the request. */
		struct dma_request {
			unsigned long bytes;
		};

		struct pool {
			struct {
				unsigned long count;
			} free;
		};

		static inline unsigned long pool_free(const struct pool *pool)
		{
			return pool->free.count;
		}
	END
	cat >src/pagecache/read.c <<-'END'
		// SPDX-License-Identifier: BSD-2-Clause
		/*
		 * Reads pages. A reader asks the pool, whatever the size, and the engineer who reads this sees
		 * which header says who may call.
		 */
		#include "heap/dma.h"

		unsigned long read_bytes(const struct pool *pool, const struct dma_request *request)
		{
			return pool_free(pool) + request->bytes;
		}
	END
	echo 'src/heap dma_request' >test/check/open_structs.txt
	cat >docs/GLOSSARY.md <<-'END'
		| word | meaning | instead of |
		|---|---|---|
		| range | consecutive blocks | `stretch`, `span_*`, `long stretch` |
		| pool | where pages come from | |
	END
}

result() {
	"$check/house.sh" list 2>&1 | tee "$work/output" | tail -1
}

clean="files_over_450=0 functions_over_60=0 function_p50=4 function_p90=4 bare_c=0 members_reached_from_outside=0 riddles=0"
clean="result: house $clean duplicate_terms=0"
failed=0

# expect NAME FIGURE=NUMBER PATTERN: of the tree as it is now; PATTERN is what an offender's line
# says.
expect() {
	local name=$1 wanted=${clean/${2%%=*}=0/$2} got
	got=$(result || true)
	[ "$2" != none ] || wanted=$clean
	if [ "$got" != "$wanted" ] || ! grep -qE -- "$3" "$work/output"; then
		echo "$name: wanted $wanted and $3, but got"
		cat "$work/output"
		failed=1
	fi
}

# As many lines of C as said, each a declaration.
filler() {
	seq -f 'extern int filler_%g;' "$1"
}

plain_tree
expect "no fault" none "^result: "

plain_tree
filler 450 >src/heap/full.h
expect "a file of 450 lines" none "^result: "
echo >>src/heap/full.h
expect "a file of 451 lines" files_over_450=1 "^src/heap/full.h: files_over_450: has 451 lines"

plain_tree
{ printf 'static inline int long_one(int first,\n\tint second)\n{\n' && seq -f '	first += %g;' 55 && printf '\treturn second;\n}\n'; } >src/heap/long.h
expect "a function of 60 lines" none "^result: "
sed -i 's/\treturn/\tfirst--;\n&/' src/heap/long.h
expect "a function of 61 lines" functions_over_60=1 "^src/heap/long.h:1: functions_over_60: long_one has 61 lines"

plain_tree
sed -i '2,5d' src/pagecache/read.c
expect "a file without a comment" bare_c=1 "^src/pagecache/read.c:1: bare_c: "
sed -i '2i /* Reads pages. */' src/pagecache/read.c
expect "a file with one line" bare_c=1 "^src/pagecache/read.c:1: bare_c: opens with one line"

plain_tree
sed -i 's/pool_free(pool)/pool->free.count/' src/pagecache/read.c
expect "a member of a struct without a name" members_reached_from_outside=1 \
	"^src/pagecache/read.c:10: members_reached_from_outside: reaches count of struct pool in src/heap/dma.h"

plain_tree
sed -i 's/struct dma_request/struct dma_wish/' src/heap/dma.h src/pagecache/read.c
expect "a member of a struct that is not open, and a list that names one that is gone" members_reached_from_outside=2 "no header of src/heap"

riddles=(
	"/* Who comes first claims it. */"
	"/* The page is pinned. Whoever has it, waits. */"
	"/* It goes to the one that asks, or who waits. */"
	"/*
	 * The lock is held by
	 * somebody. */"
	"// The CPU has his magazine."
	"static const char message[] = \"nobody can give\";"
	"/* It takes whatever is left. */"
)
for riddle in "${riddles[@]}"; do
	plain_tree
	echo "$riddle" >>src/pagecache/read.c
	expect "$riddle" riddles=1 "^src/pagecache/read.c:1[0-9]: riddles: "
done
plain_tree
printf '# Words\n\nThe cache gives, and who\nwants it takes.\n' >docs/words.md
expect "a riddle in a document" riddles=1 "^docs/words.md:4?3?: riddles: "

plain_tree
echo '/* A stretch, and another stretch, is not stretched. */' >>src/pagecache/read.c
expect "a word that the glossary replaces" duplicate_terms=1 '^src/pagecache/read.c:12: duplicate_terms: stretch, which is "range"'
plain_tree
echo 'extern int span_of;' >>src/pagecache/read.c
expect "a name that the glossary replaces" duplicate_terms=1 '^src/pagecache/read.c:12: duplicate_terms: span_\*, which is "range"'
plain_tree
echo '| pool | a second one | |' >>docs/GLOSSARY.md
expect "a word explained twice" duplicate_terms=1 "^docs/GLOSSARY.md:5: duplicate_terms: pool"

# What cannot be parsed is not passed over.
plain_tree
echo 'int broken(' >>src/pagecache/read.c
if result >/dev/null; then
	echo "a file that clang cannot parse passes" && failed=1
fi
exit $failed
