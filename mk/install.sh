#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# install.sh place FOLDER: fails, with a message, if that is no folder to install into.
#
# install.sh install FOLDER BUILD: puts what programs need to be built, and started in QEMU, into a
# folder of its own: headers, libraries (as built by BUILD, and by BUILD/debug with DEBUG=1), the
# wiring and config.h as source, tools, launcher, and the example that `make new` copies. The names
# are those of the source tree, so that one set of rules serves both.
set -euo pipefail

action=$1 folder=${2/#\~\//$HOME/}

fail() {
	echo "install: $*" >&2
	exit 1
}

[ -n "$folder" ] || fail "please say where: make install PREFIX=/opt/weir"
if [ -e "$folder" ] && [ ! -e "$folder/weir.mk" ] && [ -n "$(ls -A "$folder" 2>&1)" ]; then
	fail "PREFIX=$folder has other things in it; Weir gets a folder of its own, as $folder/weir"
fi
above=$folder
while [ ! -e "$above" ]; do
	above=$(dirname "$above")
done
[ -d "$above" ] && [ -w "$above" ] || fail "PREFIX=$folder: $above is no folder that you may write to"
[ "$action" = install ] || exit 0
build=$3

# copy FOLDER FILE...: to the same name there, or into FOLDER.
copy() {
	local to=$1 file
	shift
	mkdir -p "$to"
	for file; do
		install -D -m "$([ -x "$file" ] && echo 755 || echo 644)" "$file" "$to/${flat:-$(dirname "$file")}/$(basename "$file")"
	done
}

rm -rf "${folder:?}"/{app,boot,docs,examples,lib,lib-debug,mk,src,test,tools}
mapfile -t files < <(find src -name '*.h'; find boot mk docs examples/hello -type f ! -name '*.c')
copy "$folder" LICENSE README.md weir.mk config.h app/app.h app/scenario.h test/image/image_test.h src/main.c \
	examples/hello/hello.c examples/hello/test/test_hello.c "${files[@]}"
flat=. copy "$folder/lib" "$build"/image/lib{weir,program}.a
flat=. copy "$folder/lib-debug" "$build"/debug/image/lib{weir,program}.a
flat=. copy "$folder/tools" "$build"/make_{pattern,trace}
cat <<END
Weir is in $folder. $(printf %q "$(realpath "$folder")")/mk/new.sh FOLDER makes a program to begin with, or a program's Makefile says

    WEIR = $(realpath "$folder" | sed 's/ /\\ /g')
    include \$(WEIR)/weir.mk
END
