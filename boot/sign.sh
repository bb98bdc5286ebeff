#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# sign.sh EFI KEY CERT OUTPUT: signs an image for UEFI Secure Boot, with a key and a certificate in
# PEM files, and checks the signature. Firmware starts it that has the certificate in its list of
# signatures (db).
set -euo pipefail

efi=$1 key=$2 cert=$3 output=$4

fail() {
	echo "sign: $*" >&2
	exit 1
}

[ -n "$key" ] && [ -n "$cert" ] || fail "say with which key: make sign KEY=my.key CERT=my.crt (PEM files)"
[ -r "$key" ] || fail "cannot read KEY=$key"
[ -r "$cert" ] || fail "cannot read CERT=$cert"
# sbsign notes that there are gaps between sections, which there may be.
messages=$(sbsign --key "$key" --cert "$cert" --output "$output" "$efi" 2>&1) &&
	messages=$(sbverify --cert "$cert" "$output" 2>&1) || fail "$messages"
