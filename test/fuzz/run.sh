#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# run.sh short|SECONDS PROGRAM...: runs fuzz targets. For some seconds each, they go on from the
# corpus that earlier runs have left in $BUILD/fuzz; a short run is always the same one: from the
# seeds, with the same choices. What fails is kept beside the corpus, and `PROGRAM FILE` runs it
# again.
set -uo pipefail

build=${BUILD:-build}
how=$1
shift

# Inputs of a short run, which takes some ten seconds.
runs_of() {
	case $1 in
	*pagecache) echo 400 ;;
	*heap | *dma) echo 400 ;;
	*nvme | *virtio) echo 2000 ;;
	*) echo 20000 ;;
	esac
}

failed=0
for program in "$@"; do
	name=$(basename "$program")
	corpus=$build/fuzz/$name
	options=(-max_len=1600 -timeout=60 -print_final_stats=1 "-artifact_prefix=$corpus.")
	if [ "$how" = short ]; then
		corpus+=.short
		rm -rf "$corpus"
		options+=(-seed=1 "-runs=$(runs_of "$name")")
	else
		options+=("-max_total_time=$how")
	fi
	mkdir -p "$corpus"
	"$build/test/make_seeds" "$corpus" 30 || exit 1
	echo "$name: $corpus"
	"$program" "${options[@]}" "$corpus" >"$corpus.output" 2>&1 || {
		failed=1
		grep -vE '^#[0-9]+' "$corpus.output" | tail -40
	}
	grep -E '^stat::(number|average)|^Done' "$corpus.output"
done
exit $failed
