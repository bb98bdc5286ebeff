#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# config.sh CONFIG FOLDER CONFIG_H [WEIR_CONFIG_H]: makes two headers in the folder, and leaves them
# alone where nothing changes.
#
#   program_config.h  what goes before config.h: the program's weir_config.h, and the values in CONFIG, words -DNAME=VALUE
#   config_values.h   the names of all of them, and where each value comes from, for the monitor's `config`
#
# A name in CONFIG that neither file has, and one in weir_config.h that looks like a slip of the
# pen, is an error.
set -euo pipefail

config=$1 folder=$2 weir=$3 program=${4:-}
here=${0%/*}

fail() {
	echo "$*" >&2
	exit 1
}

# defined FILE: "NAME VALUE" for each macro with a value.
defined() {
	sed -nE 's/^[ \t]*#[ \t]*define[ \t]+([A-Za-z_][A-Za-z0-9_]*)[ \t]+(.*)$/\1 \2/p' "$1" | awk '!seen[$1]++'
}

# replace FILE: with standard input, if that is something else.
replace() {
	cat >"$1.new"
	if cmp -s "$1.new" "$1"; then rm "$1.new"; else mv "$1.new" "$1"; fi
}

# values OVERRIDDEN...: numbers and strings are shown by their value, tables as they are written.
values() {
	awk -v overridden=" $* " -v program="$([ -z "$program" ] || defined "$program" | awk '{ printf " %s ", $1 }')" '{
		from = index(overridden, " " $1 " ") ? "CONFIG=" : index(program, " " $1 " ") ? "weir_config.h" : "config.h"
		print (/^[^ ]+ *(\{|\\|.*\\$)/ ? "CONFIG_TEXT(" : "CONFIG_VALUE(") $1 ", \"" from "\")"
	}'
}

ours=$(defined "$weir")
theirs=$([ -z "$program" ] || defined "$program" | awk 'NR == FNR { ours[$1]; next } !($1 in ours)' <(printf '%s\n' "$ours") -)
mapfile -t names < <(printf '%s\n' "$ours" "$theirs" | awk 'NF { print $1 }')

while read -r name _; do
	[ -n "$name" ] || continue
	near=$("$here/nearest.sh" "$name" $(awk '{ print $1 }' <<<"$ours"))
	[ "$("$here/nearest.sh" -d "$name" "$near")" -gt 2 ] ||
		fail "$program: $name is none of Weir's values; the nearest one is $near. Choose a name for your own that is less like it."
done <<<"$theirs"

overrides= overridden=()
while read -r word; do
	[ -n "$word" ] || continue
	[[ $word =~ ^-D([A-Za-z_][A-Za-z0-9_]*)=(.+)$ ]] || fail "CONFIG: $word is not of the form -DNAME=VALUE."
	name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
	[[ " ${names[*]} " == *" $name "* ]] ||
		fail "CONFIG: there is no $name in config.h${program:+ or weir_config.h}; the nearest one is $("$here/nearest.sh" "$name" "${names[@]}")."
	overridden+=("$name")
	overrides+=$(printf '\n#undef %s\n#define %s %s' "$name" "$name" "$value")
done < <(xargs -n 1 printf '%s\n' <<<"$config")

mkdir -p "$folder"
replace "$folder/program_config.h" <<END
/* Made by a build: the program's own values, and those of the command line. */
#pragma once
${program:+#include \"weir_config.h\"}$overrides
END
printf '%s\n%s\n' "$ours" "$theirs" | awk NF | values "${overridden[@]}" | replace "$folder/config_values.h"
