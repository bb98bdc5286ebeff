#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs the workloads of test/bench/heap on Weir's heap and on other allocators, in turns, ROUNDS
# times (5), and prints tables and lines `result: heap ...`; see table.awk. For each measurement
# there is a process of its own. With figures from a busy machine, believe the least time and the
# instructions.
#
# ALLOCATORS="weir objcache glibc"   only these; any other name is a library libNAME.so to preload
# WORKLOADS="pair blocks_4k"         only these
# INSTRUCTIONS=0                     nothing is counted under valgrind
# SLICES=12                          measurements by one process
set -euo pipefail

rounds=${ROUNDS:-5}
directory=$BUILD/test
figures=$directory/heap.figures # lines: workload, allocator, key, value

allocators=(${ALLOCATORS:-weir objcache glibc mimalloc jemalloc tcmalloc})

library_path() { # ALLOCATOR
	local path name=lib$1.so
	[ "$1" != tcmalloc ] || name=libtcmalloc_minimal.so
	for path in /usr/lib/*/"$name" /usr/lib/"$name" /usr/local/lib/"$name"; do
		[ ! -e "$path" ] || { echo "$path" && return; }
	done
	return 1
}

# allocator NAME: sets `program`, and `preload` to the library if the allocator is one; fails if it
# is not there.
allocator() {
	preload=
	case $1 in
	weir | objcache | none) program=$directory/heap_$1 ;;
	*)
		program=$directory/heap_malloc
		[ "$1" = glibc ] || preload=$(library_path "$1")
		;;
	esac
}

knows() { # WORKLOAD: whether the program measures it
	grep -qE "^$1( |\$)" <<<"${workloads_of[$program]}"
}

measure() { # WORKLOAD ALLOCATOR
	LD_PRELOAD=$preload "$program" "$1" time "${SLICES:-12}" | sed "s/^/$1 $2 /" >>"$figures"
}

count() { # WORKLOAD ALLOCATOR
	LD_PRELOAD=$preload valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no \
		--toggle-collect=bench_measured "$program" "$1" count 2>&1 | awk -v prefix="$1 $2" '
		$1 == "calls" { calls = $2 }
		/Collected :/ { print prefix, "instructions", $4 / calls; found = 1 }
		END { exit !found }' >>"$figures"
}

# in_turns COMMAND WORKLOAD ALLOCATOR...: for each allocator that is there and can do it.
in_turns() {
	local command=$1 workload=$2 name
	shift 2
	for name in "$@"; do
		if allocator "$name" && knows "$workload"; then
			"$command" "$workload" "$name"
		fi
	done
}

wanted() { # WORKLOAD
	[ -z "${WORKLOADS:-}" ] || [[ " $WORKLOADS " == *" $1 "* ]]
}

declare -A workloads_of
for program in "$directory"/heap_{weir,objcache,malloc,none}; do
	workloads_of[$program]=$("$program")
done
everything=${workloads_of[$directory/heap_malloc]}
mapfile -t counted < <(sed -n 's/ counted$//p' <<<"$everything")
mapfile -t timed < <(sed -n 's/ timed$//p' <<<"$everything")
mapfile -t others < <(grep -v ' ' <<<"$everything")

: >"$figures"
for name in "${allocators[@]}"; do
	allocator "$name" || echo "$name is not installed: not measured"
done
for ((round = 1; round <= rounds; round++)); do
	echo "round $round of $rounds"
	for workload in "${counted[@]}" "${timed[@]}"; do
		if wanted "$workload"; then
			in_turns measure "$workload" "${allocators[@]}" none
		fi
	done
done
for workload in "${others[@]}"; do
	if wanted "$workload"; then
		in_turns measure "$workload" "${allocators[@]}"
	fi
done
if [ "${INSTRUCTIONS:-1}" != 0 ] && command -v valgrind >/dev/null; then
	echo "instructions"
	for workload in "${counted[@]}"; do
		if wanted "$workload"; then
			in_turns count "$workload" "${allocators[@]}" none
		fi
	done
fi
awk -f test/bench/heap/table.awk -v allocators="${allocators[*]}" -v counted="${counted[*]}" "$figures"
