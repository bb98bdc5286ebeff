#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# setup.sh install|name GOAL: looks for what this machine lacks to reach a goal, and installs it, or
# only names it and fails.
#
#   build   an image              media   an ISO and a disk image as well       sign    all that, signed
#   run     QEMU beside the media
#   debug   gdb, too              test    what checks and tests need, too       peers   the allocators of `make bench-heap`
#
# It installs as root, or with sudo that asks nothing; else it prints the command to type. On other
# systems than Debian and its like it prints what is missing.
set -euo pipefail

way=$1
goal=$2
lock_tries=${LOCK_TRIES:-300} # two seconds each
export PATH=$PATH:/usr/sbin:/sbin

# What is looked for, and Debian's package that has it: a command, or a pattern of files, with a
# slash in its name.
needs_build() {
	cat <<-'LIST'
		gcc                                  gcc
		ld                                   binutils
		/usr/include/errno.h                 libc6-dev
		git                                  git
		/usr/include/efi/efi.h               gnu-efi
		/usr/lib/crt0-efi-x86_64.o           gnu-efi
	LIST
}

needs_media() {
	needs_build
	cat <<-'LIST'
		xorriso                              xorriso
		mcopy                                mtools
		mkfs.fat                             dosfstools
		sgdisk                               gdisk
	LIST
}

needs_sign() {
	needs_media
	echo "sbsign sbsigntool"
}

needs_run() {
	needs_media
	cat <<-'LIST'
		qemu-system-x86_64                   qemu-system-x86
		/usr/share/ovmf/OVMF.fd              ovmf
	LIST
}

needs_debug() {
	needs_run
	echo "gdb gdb"
}

needs_test() {
	needs_run
	cat <<-'LIST'
		g++                                  g++
		/usr/include/check.h                 check
		pkg-config                           pkg-config
		clang                                clang
		/usr/lib/llvm-*/lib/clang/*/lib/*/libclang_rt.fuzzer*.a  libclang-rt-dev
		clang-format                         clang-format
		clang-tidy                           clang-tidy
		cppcheck                             cppcheck
		mke2fs                               e2fsprogs
		openssl                              openssl
		sbsign                               sbsigntool
		script                               bsdutils
		spin                                 spin
		valgrind                             valgrind
		/usr/include/zlib.h                  zlib1g-dev
	LIST
}

needs_peers() {
	cat <<-'LIST'
		/usr/lib/*/libmimalloc.so            libmimalloc-dev
		/usr/lib/*/libjemalloc.so            libjemalloc-dev
		/usr/lib/*/libtcmalloc_minimal.so    libgoogle-perftools-dev
	LIST
}

packages=()
while read -r need package; do
	case $need in
	/*) compgen -G "$need" >/dev/null && continue ;;
	*) command -v "$need" >/dev/null && continue ;;
	esac
	[[ " ${packages[*]} " == *" $package "* ]] || packages+=("$package")
done < <("needs_$goal")
[ ${#packages[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "setup: please install what Debian calls: ${packages[*]}" >&2
	exit 1
fi
install=(apt-get install -y --no-install-recommends "${packages[@]}")
if [ "$way" = name ]; then
	echo "setup: missing: ${packages[*]}. \`make setup\` installs that." >&2
	exit 1
elif [ "$(id -u)" -eq 0 ]; then
	root=(env)
elif sudo -n true 2>/dev/null; then
	root=(sudo -n)
else
	echo "setup: missing: ${packages[*]}. Please type:" >&2
	echo "    sudo ${install[*]}" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# apt COMMAND...: waits as long as another program has apt's lock.
apt() {
	local try
	for ((try = 0; try < lock_tries; try++)); do
		"${root[@]}" "$@" >"$output" 2>&1 && return
		grep -qE 'Could not get lock|Unable to (acquire|lock)' "$output" || return 1
		[ $try -gt 0 ] || echo "setup: another program is installing packages and has apt's lock; waiting for it."
		sleep 2
	done
	return 1
}

echo "Installing: ${packages[*]}"
apt "${install[@]}" || { apt apt-get update && apt "${install[@]}"; } || {
	cat "$output" >&2
	exit 1
}
