#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# machines.sh [PATTERN]: all machines of machines.txt, or those whose name matches, for
# `make test-machines`; some 40 minutes on 2 cores without KVM. The last line counts them, and their
# table goes into docs/HARDWARE.md. Machines that want QEMU 10 get it by boot/qemu10.sh, and are
# skipped where that fails; with QEMU=10 all run on it.
#
#   machines.sh table   only writes the table, by what the last runs left in $BUILD/test/image, or,
#                       where a machine left nothing, by what the table had
#   machines.sh check   fails if the table has other machines than machines.txt, or that has other columns
set -uo pipefail

export BUILD=${BUILD:-build} MAKE=${MAKE:-make}
work=$BUILD/test/image
page=docs/HARDWARE.md
mkdir -p "$work"

# The machine's results in a word or two: the first that failed, if one did.
result() { # NAME
	local tap=$work/$1.tap
	if [ ! -s "$tap" ]; then
		awk -F' [|] ' -v row="| $1" '$1 == row { sub(/ [|]$/, "", $NF); found = $NF } END { print found ? found : "not run" }' "$page"
	elif grep -q '^# skipped' "$tap"; then
		echo "skipped"
	elif grep -q '^not ok' "$tap"; then
		grep -m 1 '^not ok' "$tap" | sed -E 's/^not ok - [^:]*:? */**fails:** /; s/[|]/\\|/g'
	elif grep -qE '^ok - [^:]*: [0-9]+ CPU.*disks$' "$tap"; then
		sed -nE '1s/^ok - [^:]*: //p' "$tap"
	else
		echo "passes"
	fi
}

# "NAME<tab>RESULT" for each machine.
results() {
	local name
	while read -r name; do
		printf '%s\t%s\n' "$name" "$(result "$name")"
	done < <(awk -F'|' '!/^#/ && NF { print $1 }' test/image/machines.txt)
}

# The table, from machines.txt and the results on standard input. Of QEMU's arguments it has chip,
# CPUs and memory, and the devices without what only links them to one another.
table() {
	awk -F'\t' '
		function trim(text) { gsub(/^[ \t]+|[ \t]+$/, "", text); return text }
		function device(text) {
			gsub(/,(drive|serial|id|chassis|chassis_nr|addr|memdev|iothread|nsid|multifunction)=[^, ]*/, "", text)
			return text
		}
		# Adds to what else the machine has; the same again only counts.
		function add(text) {
			if (text != last)
				more = more ", " text
			else if (sub(/ x [0-9]+$/, " x " ++same, more) == 0)
				more = more " x " same
			if (text != last) same = 1
			last = text
		}
		function describe(text, options, words, count, i, word, value) {
			chip = cpu = "qemu64"; cpus = 1; memory = more = last = ""
			count = split(text, words, " ")
			for (i = 1; i <= count; i++) {
				word = words[i]; value = words[i + 1]
				if (word == "-M") chip = value
				else if (word == "-cpu") cpu = value
				else if (word == "-smp") cpus = value
				else if (word == "-m") memory = value
				else if (word == "-device") add(device(value))
				else if (word == "-numa") add("NUMA node")
				else if (word ~ /^-(vga|rtc|serial)$/) add(substr(word, 2) " " value)
				else if (word == "-drive" && match(value, /OVMF_CODE[^,]*/)) add(substr(value, RSTART, RLENGTH))
				else continue
				i++
			}
			if (options)
				add("`" options "`")
			return sprintf("`%s` | `%s` x %s | %s | %s", chip, cpu, cpus, memory, substr(more, 3))
		}
		FNR == NR { result[$1] = $2; next }
		/^## / {
			printf "\n### %s\n\n", substr($0, 4)
			print "| machine | started from | chip | CPUs | memory | besides | result |\n|---|---|---|---|---|---|---|"
		}
		/^#/ || !NF { next }
		{
			split($0, column, "|")
			name = trim(column[1])
			printf "| %s | %s | %s | %s |\n", name, trim(column[4]), describe(column[6], trim(column[5])), result[name]
		}
	' - test/image/machines.txt
}

# Puts standard input between the two marks of the page.
page_write() {
	awk -v begin='<!-- test/image/machines.sh writes this -->' -v end='<!-- to here -->' '
		FNR == NR { text = text $0 "\n"; next }
		$0 == end { inside = 0 }
		!inside
		$0 == begin { inside = 1; printf "%s\n", text }
	' - "$page" >"$page.new"
	mv "$page.new" "$page"
}

# The rows on standard input, without their results.
rows() {
	sed -nE 's/^(\| .*)\| [^|]* \|$/\1/p'
}

case ${1:-} in
table)
	results | table | page_write
	exit
	;;
check)
	awk -F'|' '!/^#/ && NF && NF != 6 && NF != 7 { print "machines.txt: not six or seven columns: " $0; bad = 1 } END { exit bad }' test/image/machines.txt || exit
	diff <(sed -n '/^<!-- test/,$p' "$page" | rows) <(results | table | rows) && exit
	echo "$page and test/image/machines.txt have different machines; test/image/machines.sh table writes that page"
	exit 1
	;;
esac
boot/qemu10.sh "$BUILD/qemu10" >"$work/qemu10.output" 2>&1 || tail -1 "$work/qemu10.output" | sed 's/^/# /'
[ $# -gt 0 ] || rm -f "$work"/*.tap
test/image/run.sh "${1:-*}"
results | table | page_write
passed=$(grep -cE '^ok\b' "$work/results.tap")
failed=$(grep -cE '^not ok\b' "$work/results.tap")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
