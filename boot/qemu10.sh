#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# qemu10.sh FOLDER: QEMU 10 from Debian's backports, unpacked into the folder beside the QEMU that is
# installed, with the libraries that this system lacks. Afterwards FOLDER/qemu-system-x86_64 starts
# it. Nothing outside of the folder changes: apt works with a configuration, lists and a cache of its
# own, and takes the suite of backports from where the system's own Debian packages come from. Fails,
# with the reason, where that cannot be had. What is there already stays.
set -euo pipefail

mkdir -p "$1"
folder=$(cd "$1" && pwd)
suite=bookworm-backports
packages=(qemu-system-x86 qemu-system-common qemu-system-data seabios ipxe-qemu)
apt=$folder/apt
root=$folder/root
program=$folder/qemu-system-x86_64

fail() {
	echo "qemu10: $*" >&2
	exit 1
}

# The first of the system's sources that has Debian's own packages, as "URL KEYRING".
debian_source() {
	awk '
		FNR == 1 || NF == 0 { url = key = "" }
		$1 == "URIs:" { url = $2 }
		$1 == "Signed-By:" { key = $2 }
		url ~ /\/debian\/?$/ && key { print url, key; exit }
		$1 == "deb" && match($0, /[a-z]+:\/\/[^ ]*\/debian\/? /) {
			print substr($0, RSTART, RLENGTH - 1), "/usr/share/keyrings/debian-archive-keyring.gpg"
			exit
		}' /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list /etc/apt/sources.list 2>/dev/null
}

# apt's own settings and hooks do not count, but for how it reaches the net.
configuration_make() {
	local url key suites
	read -r url key <<<"$(debian_source)"
	[ -n "${key:-}" ] || fail "no source of Debian's packages in /etc/apt"
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/nothing"
	for suites in bookworm bookworm-updates $suite; do
		echo "deb [signed-by=$key] $url $suites main"
	done >"$apt/sources.list"
	{
		apt-config dump | grep '^Acquire::' || true
		cat <<-END
			Dir::Etc::parts "$apt/nothing";
			Dir::Etc::main "/dev/null";
			Dir::Etc::preferencesparts "$apt/nothing";
			Dir::Etc::preferences "/dev/null";
			Dir::Etc::sourceparts "$apt/nothing";
			Dir::Etc::sourcelist "$apt/sources.list";
			Dir::State::Lists "$apt/lists";
			Dir::State::extended_states "$apt/extended_states";
			Dir::Cache "$apt/cache";
			Dir::Log "$apt";
			APT::Sandbox::User "root";
			APT::Update::Error-Mode "any";
			Debug::NoLocking "true";
		END
	} >"$apt/apt.conf"
}

# apt-get with that configuration. It reads what is installed, and installs nothing.
private_apt() {
	APT_CONFIG=$apt/apt.conf apt-get -q -y "$@"
}

# Downloads the packages, and what they need beyond what is installed.
packages_fetch() {
	rm -f "$apt"/cache/archives/*.deb
	private_apt update || fail "the lists of packages cannot be had"
	private_apt --download-only --no-install-recommends -t $suite install "${packages[@]}" || fail "the packages cannot be had"
}

packages_unpack() {
	local package
	rm -rf "$root.new" "$root"
	for package in "$apt"/cache/archives/*.deb; do
		dpkg -x "$package" "$root.new"
	done
	mv "$root.new" "$root"
}

# is_qemu10 PROGRAM
is_qemu10() {
	"$1" --version 2>/dev/null | grep -q 'version 1[0-9]\.'
}

# program_make LINE...: a script that starts it.
program_make() {
	printf '%s\n' '#!/bin/sh' "$@" >"$program.new"
	chmod +x "$program.new"
	is_qemu10 "$program.new" || fail "what was unpacked is no QEMU 10, or does not start: $("$program.new" --version 2>&1 | head -1)"
	mv "$program.new" "$program"
}

[ ! -x "$program" ] || exit 0
if is_qemu10 qemu-system-x86_64; then
	program_make 'exec qemu-system-x86_64 "$@"'
	exit
fi
# shellcheck disable=SC1091 # the system has it
codename=$([ ! -r /etc/os-release ] || . /etc/os-release && echo "${VERSION_CODENAME:-}")
[ "$codename $(dpkg --print-architecture 2>/dev/null)" = "bookworm amd64" ] || fail "this system is not Debian 12 for x86-64"
configuration_make
packages_fetch
packages_unpack
share=$root/usr/share
libraries=$root/usr/lib/x86_64-linux-gnu
program_make "export LD_LIBRARY_PATH='$libraries:$root/lib/x86_64-linux-gnu' QEMU_MODULE_DIR='$libraries/qemu'" \
	"exec '$root/usr/bin/qemu-system-x86_64' -L '$share/qemu' -L '$share/seabios' -L '$root/usr/lib/ipxe/qemu' \"\$@\""
