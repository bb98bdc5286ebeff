#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What happens to a user who mistypes, has variables in the environment, presses Ctrl-C, or has no
# room: each promise of make and the launcher. Writes TAP. What each step printed is in
# $BUILD/test/first_contact.
set -uo pipefail

export BUILD=${BUILD:-build} MAKE=${MAKE:-make}
work=$BUILD/test/first_contact
own=$work/build
accelerator=${ACCEL:-tcg}

verdict() { # NAME STATUS: of a command that ought to have succeeded; what it printed is in $work/output
	if [ "$2" -eq 0 ]; then
		echo "ok - first contact: $1"
	else
		echo "not ok - first contact: $1"
		tail -20 "$work/output" | tr -d '\r' | sed 's/^/#   /'
	fi
}

check() { # NAME COMMAND...
	local name=$1
	shift
	"$@" >"$work/output" 2>&1
	verdict "$name" $?
}

# What was on the command line of the make above does not count here.
make_alone() {
	env -u MAKEFLAGS "$MAKE" --no-print-directory "$@"
}

make_own() {
	make_alone BUILD="$own" LIBRARY="$BUILD/image" ACCEL="$accelerator" "$@"
}

# refused PATTERN VARIABLE=VALUE...: `make run` fails, says so, and has not started a machine.
refused() {
	local pattern=$1
	shift
	timeout 60 "$MAKE" -s BUILD="$own" LIBRARY="$BUILD/image" run "$@" </dev/null >"$work/output" 2>&1
	[ $? -eq 2 ] && grep -qE -- "$pattern" "$work/output" && ! grep -q '^Weir' "$work/output"
	verdict "$* is refused" $?
}

mistakes() {
	unset MAKEFLAGS
	refused 'LOOPS=abc: it is a whole number' LOOPS=abc
	refused 'LOOPS=-1: it is a whole number' LOOPS=-1
	refused 'SMP=0: it is' SMP=0
	refused 'TIMEOUT=-1: it is' TIMEOUT=-1
	refused 'DEBUG=yes: it is 0 or 1' DEBUG=yes
	refused 'QEMU=9: it is 10, or nothing' QEMU=9
	refused 'no variable SCENARO; the nearest one is SCENARIO' SCENARO=boot
	refused 'there is no NOSUCHVALUE .* the nearest one is' CONFIG=-DNOSUCHVALUE=1
	refused 'no DMA_RETAIN_BYTE .* the nearest one is DMA_RETAIN_BYTES' CONFIG="-DPAGECACHE_NODES=64 -DDMA_RETAIN_BYTE=0"
	refused '-O0 is not of the form -DNAME=VALUE' CONFIG=-O0
	refused 'cannot read OVMF=/nonexistent' OVMF=/nonexistent
	refused 'cannot read DISK=/nonexistent' DISK=/nonexistent
	refused 'DISK=/ is a folder' DISK=/
	refused 'MEM=100M is too little: .* need [0-9]+ MB' MEM=100M
	refused 'MEM=much is not a size' MEM=much
	refused 'there is no toaster' DEVICES=toaster
	refused 'no folder APP=/nonexistent' APP=/nonexistent
	refused 'BUILD=a b: ' BUILD="a b"
	if [ -e "a b" ]; then echo "not ok - first contact: a refused BUILD is there"; fi
}

# Each name, with its first letter twice, is nearest to itself.
names_are_found() {
	local name names
	read -ra names <<<"$(make_alone BUILD="$own" --eval='show: ; @echo $(VARIABLES)' show)"
	[ ${#names[@]} -gt 30 ] || return 1
	for name in "${names[@]}"; do
		[ "$(mk/nearest.sh "${name:0:1}$name" "${names[@]}")" = "$name" ] || { echo "$name"; return 1; }
	done
}

# No variable has a value of the environment, neither in make nor in what it starts.
environment_is_ignored() {
	local names setting=() name
	read -ra names <<<"$(make_alone BUILD="$own" --eval='show: ; @echo $(filter-out BUILD MAKE MAKEFLAGS CURDIR,$(VARIABLES))' show)"
	for name in "${names[@]}"; do
		setting+=("$name=foreign")
	done
	env "${setting[@]}" env -u MAKEFLAGS "$MAKE" BUILD="$own" \
		--eval='show: ; $(foreach name,$(VARIABLES),$(info $(name)=$($(name))))@env' show >"$work/output" 2>&1 || return 1
	! grep foreign "$work/output"
}

build_is_not_of_the_environment() {
	BUILD=/nonexistent make_alone -n clean | grep -qx 'mk/build_folder.sh clean build'
}

clean_spares_what_it_does_not_know() {
	local folder=$work/home
	mkdir -p "$folder/image" && : >"$folder/thesis" || return 1
	! make_alone BUILD="$folder" clean || return 1
	! make_alone BUILD="$folder" -n all || return 1
	[ -e "$folder/thesis" ] && [ -e "$folder/image" ]
}

# A folder that cannot be is told at once, and not behind the two libraries.
install_asks_first() {
	local place
	for place in "" "$work" "$work/output/weir"; do
		! make_alone BUILD="$own" -n install PREFIX="$place" || return 1
	done
}

# BUILD=build/other made build; that is no reason to refuse BUILD=build, as long as only builds are
# in it.
builds_within_are_no_strangers() {
	local folder=$work/outer
	mk/build_folder.sh claim "$folder/inner" && mk/build_folder.sh claim "$folder" && [ -e "$folder/.weir-build" ] || return 1
	make_alone BUILD="$folder" clean && [ ! -e "$folder" ]
}

clean_removes_what_builds_made() {
	local folder=$work/mixed
	mkdir "$folder" && mk/build_folder.sh claim "$folder" && mk/build_folder.sh claim "$folder" || return 1
	mkdir -p "$folder/image/src" "$folder/other/image" "$folder/notes" && : >"$folder/other/.weir-build"
	: >"$folder/weir.efi"
	: >"$folder/data-96M.img"
	: >"$folder/thesis"
	make_alone BUILD="$folder" clean | grep 'left .* notes thesis' >/dev/null || return 1
	[ "$(ls "$folder" | tr '\n' ' ')" = "notes thesis " ] || return 1
	rm -r "$folder/notes" "$folder/thesis"
	make_alone BUILD="$folder" clean && [ ! -e "$folder" ]
}

# A machine that lacks everything but what setup.sh itself calls, and whose apt-get has to wait for
# its lock twice.
bare_machine() {
	local tool
	mkdir -p "$work/bin"
	for tool in bash env cat id mktemp grep rm; do
		ln -sf "$(command -v $tool)" "$work/bin/$tool"
	done
	cat >"$work/bin/apt-get" <<-END
		#!/bin/bash
		echo "\$*" >>"$work/apt.calls"
		[ \$(grep -c . "$work/apt.calls") -gt \${BUSY:-2} ] && exit
		echo "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1 (apt-get)" >&2
		exit 100
	END
	printf '#!/bin/bash\n' >"$work/bin/sleep"
	printf '#!/bin/bash\nshift\nexec "$@"\n' >"$work/bin/sudo"
	chmod +x "$work/bin/apt-get" "$work/bin/sleep" "$work/bin/sudo"
	sed 's|^export PATH=.*|export PATH='"$PWD/$work/bin"'|' boot/setup.sh >"$work/setup.sh"
	rm -f "$work/apt.calls"
}

setup_only_names() {
	bare_machine
	! bash "$work/setup.sh" name run || return 1
	! bash "$work/setup.sh" name run 2>&1 | grep -v 'missing: .*gcc.*qemu-system-x86.*`make setup` installs' || return 1
	[ ! -e "$work/apt.calls" ]
}

setup_waits_for_the_lock() {
	bare_machine
	bash "$work/setup.sh" install run >"$work/setup.output" || return 1
	[ "$(grep -c 'waiting for it' "$work/setup.output")" -eq 1 ] && [ "$(grep -c install "$work/apt.calls")" -eq 3 ]
}

setup_gives_up() {
	bare_machine
	! BUSY=1000 LOCK_TRIES=3 bash "$work/setup.sh" install run >"$work/setup.output" 2>&1 &&
		grep -q 'Could not get lock' "$work/setup.output"
}

only_those_that_run_install() {
	make_alone BUILD="$own" -n all | grep 'setup.sh name build' >/dev/null &&
		make_alone BUILD="$own" -n iso | grep 'setup.sh name media' >/dev/null &&
		make_alone BUILD="$own" -n setup | grep 'setup.sh install run' >/dev/null &&
		make_alone BUILD="$own" -n run | grep 'setup.sh install run' >/dev/null
}

await() { # SECONDS COMMAND...
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.1
	done
}

# Ctrl-C while a disk is made leaves neither that disk nor a part of it.
interrupt_leaves_nothing() {
	local maker status
	setsid env --default-signal=INT -u MAKEFLAGS "$MAKE" BUILD="$own" LIBRARY="$BUILD/image" SCENARIO=boot MEM=1G run </dev/null &
	maker=$!
	await 60 compgen -G "$own/run.*/pattern.img*" >/dev/null
	kill -INT -- -$maker
	wait $maker
	status=$?
	[ $status -ne 0 ] && ! compgen -G "$own/run.*" && ! compgen -G "$own/*.img*"
}

# terminal NAME STATUS KEYS ANSWER VARIABLE=VALUE...: on a terminal; in the monitor the keys are
# typed, and answered, then poweroff.
terminal() {
	local name=$1 expected=$2 keys=$3 answer=$4 log=$work/$1.terminal typist status
	shift 4
	rm -f "$work/keys"
	mkfifo "$work/keys"
	exec {typist}<>"$work/keys"
	: >"$log"
	timeout 120 env -u MAKEFLAGS script -qefc "$(printf '%q ' "$MAKE" -s BUILD="$own" LIBRARY="$BUILD/image" ACCEL="$accelerator" "$@" run)" "$log" \
		<&$typist >/dev/null 2>&1 &
	local machine=$!
	await 90 grep -q 'weir> ' "$log"
	printf '%s\r' "$keys" >&$typist
	await 20 grep -qE -- "$answer" "$log"
	verdict "on a terminal: $name is answered" $?
	printf 'poweroff\r' >&$typist
	wait $machine
	status=$?
	exec {typist}>&-
	cp "$log" "$work/output"
	[ $((status != 0)) -eq "$expected" ]
	verdict "on a terminal: the status after $name" $?
	tr -d '\r' <"$log" | grep -v '^Script ' | head -1 | grep 'leave QEMU: poweroff .*Ctrl-A X .*flushes nothing' >/dev/null
	verdict "on a terminal: the first line says how to leave, $name" $?
}

# A shell behind a machine that panics gets nothing of what was typed before.
panic_keeps_what_was_typed() {
	local typist command log=$work/panic.terminal
	rm -f "$work/keys"
	mkfifo "$work/keys"
	exec {typist}<>"$work/keys"
	: >"$log"
	printf -v command '%q ' "$MAKE" -s BUILD="$own" LIBRARY="$BUILD/image" ACCEL="$accelerator" SCENARIO=fault MEM=256M \
		OPTIONS=fault=typed SMP=1 DEVICES=none run
	# The shell's prompt, and what it reads within a second.
	timeout 120 env -u MAKEFLAGS script -qefc "$command; read -r -t 1 -n 100 left; echo \"left for the shell: <\$left>\"" "$log" \
		<&$typist >/dev/null 2>&1 &
	local machine=$!
	# The first one ends the machine, which takes none of them.
	await 90 grep -q '^Fault on purpose' "$log"
	printf 'rm -r something\r%.0s' {1..200} >&$typist
	wait $machine
	exec {typist}>&-
	tr -d '\r' <"$log"
	tr -d '\r' <"$log" | grep -q '^panic: a key was typed' && tr -d '\r' <"$log" | grep -qx 'left for the shell: <>'
}

rm -rf "$work"
mkdir -p "$work"
make_own -s -j"$(nproc)" all >"$work/output" 2>&1 || verdict "an image" 1
mistakes
check "each variable is nearest to itself" names_are_found
check "no variable comes from the environment" environment_is_ignored
check "BUILD does not come from the environment" build_is_not_of_the_environment
check "clean and builds leave the folders of others alone" clean_spares_what_it_does_not_know
check "install looks at PREFIX before it builds" install_asks_first
check "a build in a folder of builds" builds_within_are_no_strangers
check "clean removes what builds made, and no more" clean_removes_what_builds_made
check "setup names what is missing" setup_only_names
check "setup waits for apt's lock" setup_waits_for_the_lock
check "setup does not wait for ever" setup_gives_up
check "what only builds installs nothing" only_those_that_run_install
check "Ctrl-C leaves nothing behind" interrupt_leaves_nothing
terminal contigous 1 'run captrue' 'the nearest one is "capture"' SCENARIO=boot MEM=256M OPTIONS=contigous=1 DEVICES=none
terminal boot 0 'run boot' 'result: boot' SCENARIO=boot MEM=256M
check "after a panic, what was typed does not reach the shell" panic_keeps_what_was_typed
check "an unknown option is named" grep -q 'no option contigous=; the nearest one is contiguous=' "$work/contigous.terminal"
check "the launcher says what it needs on the disk" grep -q 'This needs 384 MB on the disk' "$work/boot.terminal"
check "the digitizer's disk is made only where it is used" [ ! -e "$own/digitizer.img" ]
rm -f "$own"/*.img
