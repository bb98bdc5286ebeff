#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Each value of config.h at its extremes: a build, or a boot where the machine decides, works, or
# ends with a message that names the value and its limits. Writes TAP. What each step printed is in
# $BUILD/test/config.
set -uo pipefail

export BUILD=${BUILD:-build} MAKE=${MAKE:-make} CC=${CC:-gcc}
work=$BUILD/test/config
mkdir -p "$work"

verdict() { # NAME STATUS
	if [ "$2" -eq 0 ]; then echo "ok - config: $1"; else echo "not ok - config: $1"; fi
}

complain() {
	echo "#   $*"
	good=1
}

compile() { # NAME VALUE: the checks of config.h alone, as a build does them
	"$CC" -std=gnu11 -ffreestanding -Wall -Wextra -Wshadow -Werror -I. -Isrc "-D$1=$2" -include config.h -fsyntax-only -x c /dev/null \
		>"$work/output" 2>&1
}

# A message about NAME: the sentence of a check, or the line with its limits that the compiler
# quotes.
is_named() { # NAME
	grep -qE "error: .*\".*\b$1\b|CONFIG_RANGE(_OR_0)?\($1," "$work/output"
}

# range NAME: "LOW HIGH ZERO", as numbers; ZERO: whether it may be 0, too.
range() {
	local text
	text=$(tr -s '\n\t' '  ' <config.h | grep -oE "CONFIG_RANGE(_OR_0)?\( ?$1, [^,]+, [^,]+," | head -1)
	[[ $text =~ ^CONFIG_RANGE(_OR_0)?\(\ ?$1,\ ([^,]+),\ ([^,]+),$ ]] || return 1
	echo "$((${BASH_REMATCH[2]//ull/})) $((${BASH_REMATCH[3]//ull/})) ${BASH_REMATCH[1]:+1}"
}

# What no value may be, whatever its range.
hopeless=(-1 '1<<31' '1ll<<63' '1ull<<63' '1<<63' 1e18 1.5 18446744073709551615 99999999999999999999 '"text"' 'nonsense')

# A text is refused as a number, and no other way.
text_or_nothing() { # NAME
	local value good=0
	for value in 0 -1 1e18 nonsense; do
		! compile "$1" "$value" || complain "$1=$value is accepted"
		grep -qE "\"$1 is|CONFIG_STRING\($1," "$work/output" || complain "$1=$value: the message does not say what it is about"
	done
	compile "$1" '"text"' || complain "$1: a text is refused"
	return $good
}

extremes() { # NAME
	if grep -q "^CONFIG_STRING($1," config.h; then
		text_or_nothing "$1"
		return
	fi
	local low high zero value good=0
	read -r low high zero <<<"$(range "$1")"
	[ -n "$high" ] || { complain "it has no range"; return 1; }
	for value in "${hopeless[@]}"; do
		! compile "$1" "$value" || complain "$1=$value is accepted"
		is_named "$1" || complain "$1=$value: the message does not say what it is about"
	done
	for value in 0 1 $((low - 1)) $low $high $((high + 1)); do
		if compile "$1" "$value"; then
			[ "$value" -ge "$low" ] && [ "$value" -le "$high" ] || [[ $value$zero == 01 ]] || complain "$1=$value is accepted"
		else
			is_named "$1" || complain "$1=$value: the message does not say what it is about"
		fi
	done
	return $good
}

mapfile -t names < <(sed -nE 's/^#define ([A-Z_]+) .*/\1/p' config.h)

relations() {
	local good=0 line
	while IFS='|' read -r line pattern; do
		read -ra words <<<"$line"
		! "$CC" -std=gnu11 -I. -Isrc "${words[@]/#/-D}" -include config.h -fsyntax-only -x c /dev/null >"$work/output" 2>&1 &&
			grep -q "$pattern" "$work/output" || complain "$line: there is no \"$pattern\""
	done <<-'END'
		KERNEL_SLICE_MS=300 KERNEL_WATCHDOG_MS=2000|at least ten times KERNEL_SLICE_MS
		KERNEL_MAIN_STACK_BYTES=65537|multiple of 4096
		MEMORY_MIN_BYTES=33554432 MEMORY_LOW_BYTES=16777216|at least MEMORY_MIN_BYTES
		MEMORY_HIGH_BYTES=33554432|MEMORY_LOW_BYTES, which then must not be 0
		MEMORY_LOW_BYTES=67108864 MEMORY_HIGH_BYTES=33554432|at least MEMORY_LOW_BYTES
		HEAP_GUARD_BYTES=3145728|multiple of 2 << 20
		DMA_GUARANTEE_PIECE_BYTES=6291456|a power of two
		DMA_GUARANTEE_BYTES=2097152|at least one piece
		DMA_GUARANTEE_ADDRESS_BITS=24 DMA_GUARANTEE_PIECE_BYTES=33554432|2 to the power of DMA_GUARANTEE_ADDRESS_BITS
		MEMORY_TRACE_EVENTS=1000|a power of two
		PAGECACHE_DIRTY_BACKGROUND_PERCENT=20 PAGECACHE_DIRTY_MAX_PERCENT=20|below PAGECACHE_DIRTY_MAX_PERCENT
	END
	return $good
}

# boot NAME PATTERN STATUS MEM CONFIG: an image with these values starts, prints that, and ends as
# expected.
boot() {
	timeout 120 env -u MAKEFLAGS "$MAKE" --no-print-directory BUILD="$work/$1" LIBRARY="$BUILD/image" ACCEL="${ACCEL:-tcg}" \
		run SCENARIO=boot SMP=1 MEM="$4" CONFIG="$5" </dev/null >"$work/$1.output" 2>&1
	local status=$?
	[ $status -eq "$3" ] && tr -d '\r' <"$work/$1.output" | grep -qE "$2" && return
	tail -20 "$work/$1.output" | sed 's/^/#   /'
	return 1
}

# All values at their lowest, or highest, limits; but for those that are given.
all_at() { # low|high NAME=VALUE...
	local name low high zero given=" ${*:2}"
	for name in "${names[@]}"; do
		[[ $given != *" $name="* ]] || continue
		read -r low high zero <<<"$(range "$name")"
		[ -n "$high" ] || continue
		printf -- '-D%s ' "$name=${!1}"
	done
	[ $# -eq 1 ] || printf -- '-D%s ' "${@:2}"
}

for name in "${names[@]}"; do
	report=$(extremes "$name")
	status=$?
	[ -z "$report" ] || echo "$report"
	verdict "$name at its extremes" $status
done
relations
verdict "relations between values" $?
boot lowest 'result: boot' 0 256M "$(all_at low)"
verdict "all values at their lowest limits boot" $?
# 2 GB of memory decide about the last ones.
boot highest 'result: boot' 0 2G "$(all_at high PAGECACHE_DIRTY_BACKGROUND_PERCENT=59 DMA_GUARANTEE_ADDRESS_BITS=64 \
	MEMORY_MIN_BYTES=$((256 << 20)) MEMORY_LOW_BYTES=$((384 << 20)) MEMORY_HIGH_BYTES=$((768 << 20)) \
	PAGECACHE_KEEP_BYTES=$((192 << 20)) PAGECACHE_NODES=8388608)"
verdict "all values at their highest limits boot" $?
boot too_much 'panic: PAGECACHE_KEEP_BYTES=1099511627776 is too much for this machine: .*at most [0-9]+\. Set it in' 2 512M \
	-DPAGECACHE_KEEP_BYTES=$((1 << 40))
verdict "what the machine does not have is refused at boot" $?
