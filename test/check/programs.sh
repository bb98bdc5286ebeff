#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Programs in folders of their own are built, started and tested, by the tree and by an
# installation, from a path with blanks in it. Writes TAP. What each step printed is in
# $BUILD/test/programs.
set -uo pipefail

export BUILD=${BUILD:-build} MAKE=${MAKE:-make}
work=$BUILD/test/programs
place="$work/a place"
weir="$place/weir here"
accelerator=${ACCEL:-tcg}

# step NAME PATTERN COMMAND...: passes when the command succeeds and prints the pattern; a name that
# begins with "refused" when it fails, and prints it.
step() {
	local name=$1 pattern=$2 output=$work/${1//[ :]/-}.output status=0 expected=0
	shift 2
	[[ $name != refused* ]] || expected=1
	"$@" </dev/null >"$output" 2>&1 || status=1
	if [ $status -eq $expected ] && grep -qE -- "$pattern" "$output"; then
		echo "ok - programs: $name"
	else
		echo "not ok - programs: $name: status $status, expected $expected and \"$pattern\""
		tail -30 "$output" | sed 's/^/#   /'
	fi
}

# What was on the command line of the make above is not for programs of others.
tree() { # FOLDER GOAL VARIABLE=VALUE...
	timeout 120 env -u MAKEFLAGS "$MAKE" --no-print-directory BUILD="$work/tree" LIBRARY="$BUILD/image" ACCEL="$accelerator" APP="$1" "${@:2}"
}

installed() { # FOLDER GOAL VARIABLE=VALUE...
	timeout 120 env -u MAKEFLAGS "$MAKE" --no-print-directory -C "$1" ACCEL="$accelerator" "${@:2}"
}

fixture() { # FOLDER
	cp -R test/program "$1"
	mkdir "$1/host" "$1/.hidden"
	echo "#error not for the image" | tee "$1/host/tool.c" >"$1/.hidden/old.c"
	gcc -c -O2 -ffreestanding -fpie -Isrc "$1/library/library.c" -o "$1/library/library.o" &&
		ar rcs "$1/library/libparts.a" "$1/library/library.o"
}

parts='^result: main assembler=42 library=7 cards=1 text=words flag=1 more=0'

by_the_tree() {
	local program="$place/by the tree"
	fixture "$program" || return
	step "tree: runs" "$parts" tree "$program" run
	step "tree: config has what is changed" '^KERNEL_SLICE_MS +7 +weir_config.h' cat "$work/tree--runs.output"
	step "tree: config has a number" '^PARTS_SIZE +3145728 +weir_config.h' cat "$work/tree--runs.output"
	step "tree: config has a text" '^PARTS_TEXT +words' cat "$work/tree--runs.output"
	step "tree: config has a table" '^PARTS_TABLE +.*"one", 1' cat "$work/tree--runs.output"
	step "tree: its command" '^the command of a program' cat "$work/tree--runs.output"
	step "tree: its tests, and no others" '^2 passed, 0 failed' tree "$program" test
	step "tree: media" 'weir.img' tree "$program" iso img COMMAND_LINE=scenario=second
	step "tree: the command line goes before its files" ' text=other flag=2 more=3' \
		tree "$program" run CONFIG='-DPARTS_TEXT=\"other\" -DKERNEL_SLICE_MS=9' PARTS_FLAG=2 OPTIONS=more=3
	step "tree: config has what the command line says" '^KERNEL_SLICE_MS +9 +CONFIG=' cat "$work/tree--the-command-line-goes-before-its-files.output"
	step "refused: another scenario's failure" 'Scenario second failed' tree "$program" run SCENARIO=second
	step "refused: an option" 'no option mor=; the nearest one is more=' tree "$program" run OPTIONS=mor=1
	echo '#define KERNEL_SLICE_MSS 5' >>"$program/weir_config.h"
	step "refused: a slip in weir_config.h" 'KERNEL_SLICE_MSS is none .* nearest one is KERNEL_SLICE_MS' tree "$program" all
	mkdir "$program/sub folder"
	touch "$program/sub folder/x.c"
	step "refused: a blank within" 'sub folder/x.c: the names of sources' tree "$program" all
}

# A program that is one function, and its test.
alone() {
	local program="$place/alone"
	mkdir "$program"
	cat >"$program/alone.c" <<-'END'
		#include "app/app.h"
		#include "runtime/base/log.h"
		#include "runtime/kernel/power.h"

		void app_main(const struct app_environment *environment)
		{
			print("alone with \"%s\"\n", environment->command_line);
			power_exit(0);
		}
	END
	cat >"$program/test_alone.c" <<-'END'
		#include "test/image/image_test.h"

		IMAGE_TEST(alone)
		{
			expect(test->environment);
		}
	END
	step "tree: a program with its own app_main" '^alone with' tree "$program" run MEM=512M
	step "tree: its test" '^1 passed, 0 failed' tree "$program" test MEM=512M
}

by_an_installation() {
	local program="$place/by an installation"
	fixture "$program" || return
	cat >"$program/Makefile" <<-END
		# Five lines, with this one.
		WEIR = $(realpath "$weir" | sed 's/ /\\ /g')
		APP = .

		include \$(WEIR)/weir.mk
	END
	step "installation: runs" "$parts" installed "$program" run
	step "installation: its tests, and no others" '^2 passed, 0 failed' installed "$program" test
	step "installation: needs no checkout" '^main.c.d is free of it$' \
		bash -c "cd '$program/build/image' && ! grep -rl --include='*.d' '$PWD/src' . && ls src/main.c.d && echo main.c.d is free of it"
	step "installation: debug checks" 'EFI' installed "$program" all DEBUG=1 BUILD=debug
	step "refused: a variable" 'no variable SCENARO; the nearest one is SCENARIO' installed "$program" run SCENARO=x
	installed "$program" clean >"$work/clean.output" 2>&1
	step "installation: cleans" '^gone$' bash -c "[ ! -e '$program/build' ] && echo gone"
}

from_the_template() {
	step "new: from the tree" 'make run' "$MAKE" --no-print-directory new APP="$place/new tree"
	step "new: tests itself" '^1 passed, 0 failed' tree "$place/new tree" test
	step "new: from an installation" 'make run' "$weir/mk/new.sh" "$place/new"
	step "new: runs" 'Hello from a program of your own' installed "$place/new" run
	step "refused: new where something is" 'there already' "$MAKE" --no-print-directory new APP="$place/new"
}

# A copy of the tree below a blank, as a user has who cloned it there: the example, which starts a
# card beside the machine.
example_below_a_blank() {
	local copy="$place/tree here"
	mkdir "$copy"
	git ls-files -z | xargs -0 cp --parents -t "$copy"
	step "the instrument, below a blank" '^result: instrument round=2 .* bad_samples=0 failed=no' \
		timeout 120 env -u MAKEFLAGS "$copy/examples/instrument/run.sh" MEM=512M OPTIONS=buffers=16 ACCEL="$accelerator" \
		LIBRARY="$(realpath --relative-to="$copy" "$BUILD/image")"
	step "refused: a misspelt option of the instrument" 'no option bufers=; the nearest one is buffers=' \
		timeout 120 env -u MAKEFLAGS "$copy/examples/instrument/run.sh" MEM=512M OPTIONS=bufers=16 ACCEL="$accelerator" \
		LIBRARY="$(realpath --relative-to="$copy" "$BUILD/image")"
	rm -rf "$copy"
}

# What the installation says of a Makefile is taken as it is, blanks included.
by_what_install_says() {
	mkdir "$place/told"
	sed -n 's/^    //p' "$work/install.output" >"$place/told/Makefile"
	step "installation: what it says of a Makefile" 'build and start it in QEMU' installed "$place/told" help
}

rm -rf "$work"
mkdir -p "$place"
step "install" 'Weir is in' env -u MAKEFLAGS "$MAKE" --no-print-directory -j"$(nproc)" BUILD="$BUILD" install PREFIX="$weir"
by_an_installation &
by_the_tree
alone
from_the_template
by_what_install_says
example_below_a_blank
wait
