#!/usr/bin/env bash
# setup.sh run|debug|test|peers: installs what is missing on this machine to build and run the image, or to debug or test it as well,
# or the other allocators that `make bench-heap` measures.
# As root, or with sudo that asks nothing; else it prints the command to type. On other systems than Debian and its like it
# prints what is missing.
set -euo pipefail

goal=${1:-run}
export PATH=$PATH:/usr/sbin:/sbin

# What is looked for, and Debian's package that has it: a command, or a pattern of files, with a slash in its name.
needs() {
	if [ "$goal" = peers ]; then
		cat <<-'LIST'
			/usr/lib/*/libmimalloc.so            libmimalloc-dev
			/usr/lib/*/libjemalloc.so            libjemalloc-dev
			/usr/lib/*/libtcmalloc_minimal.so    libgoogle-perftools-dev
		LIST
		return
	fi
	cat <<-'LIST'
		gcc                                  gcc
		ld                                   binutils
		/usr/include/errno.h                 libc6-dev
		git                                  git
		/usr/include/efi/efi.h               gnu-efi
		/usr/lib/crt0-efi-x86_64.o           gnu-efi
		qemu-system-x86_64                   qemu-system-x86
		/usr/share/ovmf/OVMF.fd              ovmf
		xorriso                              xorriso
		mcopy                                mtools
		mkfs.fat                             dosfstools
		sgdisk                               gdisk
	LIST
	[ "$goal" != debug ] || echo "gdb gdb"
	[ "$goal" = test ] || return 0
	cat <<-'LIST'
		/usr/include/check.h                 check
		pkg-config                           pkg-config
		clang                                clang
		/usr/lib/llvm-*/lib/clang/*/lib/*/libclang_rt.fuzzer*.a  libclang-rt-dev
		clang-format                         clang-format
		clang-tidy                           clang-tidy
		cppcheck                             cppcheck
		mke2fs                               e2fsprogs
		spin                                 spin
		valgrind                             valgrind
		/usr/include/zlib.h                  zlib1g-dev
	LIST
}

packages=()
while read -r need package; do
	case $need in
	/*) compgen -G "$need" >/dev/null && continue ;;
	*) command -v "$need" >/dev/null && continue ;;
	esac
	[[ " ${packages[*]} " == *" $package "* ]] || packages+=("$package")
done < <(needs)
[ ${#packages[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "setup: please install what Debian calls: ${packages[*]}" >&2
	exit 1
fi
install=(apt-get install -y --no-install-recommends "${packages[@]}")
if [ "$(id -u)" -eq 0 ]; then
	root=(env)
elif sudo -n true 2>/dev/null; then
	root=(sudo -n)
else
	echo "setup: missing: ${packages[*]}. Please type:" >&2
	echo "    sudo ${install[*]}" >&2
	exit 1
fi
echo "Installing: ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
"${root[@]}" "${install[@]}" >/dev/null 2>&1 || {
	"${root[@]}" apt-get update
	"${root[@]}" "${install[@]}"
}
