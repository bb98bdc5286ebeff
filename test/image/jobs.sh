#!/usr/bin/env bash
# What a person types: `make run`, with short jobs. Writes TAP; the output of each job is in $BUILD/test/image/NAME.job.
set -uo pipefail

export BUILD=${BUILD:-build} MAKE=${MAKE:-make} ACCEL=${ACCEL:-tcg}
work=$BUILD/test/image
mkdir -p "$work"

# job NAME SECONDS VARIABLE=VALUE...: runs it; afterwards $status and $result, the line that begins with "result:", tell.
job() {
	name=$1
	timeout "$2" "$MAKE" --no-print-directory BUILD="$BUILD" run "${@:3}" </dev/null >"$work/$name.job" 2>&1
	status=$?
	result=$(tr -d '\r' <"$work/$name.job" | grep '^result: ' | tail -1)
}

# verdict CONDITION: prints the job's TAP line. The condition is given as a command; an unclean end fails in any case.
verdict() {
	if [ "$status" -eq 0 ] && "$@"; then
		echo "ok - job $name: $result"
	else
		echo "not ok - job $name: status $status, ${result:-no result}"
		tr -d '\r' <"$work/$name.job" | tail -40 | sed 's/^/#   /'
	fi
}

# The number behind KEY= in the result line.
value_of() {
	sed -n "s/.* $1=\([0-9.]*\).*/\1/p" <<<"$result"
}

capture_is_good() {
	[ "$(value_of failures)" = 0 ] && [ "$(value_of bad_pages)" = 0 ] && [ "$(value_of loops)" = "$1" ] &&
		awk -v lost="$(value_of lost_bytes)" -v gained="$(value_of gained_bytes)" \
			'BEGIN { exit !(gained > 0 && lost <= 1.1 * gained) }'
}

crc_is() {
	grep -q "crc32c=\(0x\)\?$1\b" <<<"$result"
}

# A file system with the sources in it, as real data as there is here.
checksum_image() {
	local tree=$work/tree
	rm -rf "$tree" "$work/ext4.img"
	mkdir -p "$tree"
	git ls-files -z | xargs -0 cp --parents -t "$tree"
	mke2fs -q -t ext4 -d "$tree" "$work/ext4.img" 96M >/dev/null 2>&1
	rm -rf "$tree"
}

job capture 300 MEM=1G SMP=2 LOOPS=2
verdict capture_is_good 2

if checksum_image && "$MAKE" --no-print-directory BUILD="$BUILD" "$BUILD/test/crc32c"; then
	job checksum 120 SCENARIO=checksum DISK="$work/ext4.img" MEM=512M SMP=1
	verdict crc_is "$("$BUILD/test/crc32c" "$work/ext4.img")"
else
	echo "not ok - job checksum: no file system to read"
fi
rm -f "$work/ext4.img"
