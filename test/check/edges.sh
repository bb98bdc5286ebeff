#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Which folder may include which headers: edges.txt names them, all others are denied. Prints each
# #include that is not allowed as FILE:LINE: RULE: TEXT, and fails if there is one.
set -euo pipefail
export LC_ALL=C

table=test/check/edges.txt
git ls-files -co --exclude-standard | sort -u | awk -v table="$table" '
function folder_of(path) {
	return sub(/\/[^\/]*$/, "", path) ? path : "."
}
function wrong(why) {
	printf "%s:%d: %s: %s\n", file, line, why, text
	failed = 1
}
# The pattern as a regular expression; a star in <> may stand for folders.
function expression(pattern) {
	gsub(/[.+]/, "[&]", pattern)
	gsub(/\*/, pattern ~ /^</ ? ".*" : "[^/]*", pattern)
	return "^" pattern "$"
}
function read_table(   number, row, words, count, i) {
	while ((getline row < table) > 0) {
		number++
		if (row ~ /^(#|$)/)
			continue
		count = split(row, words, /:? +|:$/)
		if (!(words[1] in place))
			place[words[1]] = table ":" number
		for (i = 2; i <= count; i++)
			if (words[i] != "")
				allowed[words[1], ++patterns[words[1]]] = expression(words[i])
	}
	if (!number)
		print table ": there is no table"
	failed = !number
}
function has_pattern(place, name,   i) {
	for (i = 1; i <= patterns[place]; i++)
		if (name ~ allowed[place, i])
			return 1
	return 0
}
function is_allowed(folder, name) {
	return has_pattern(folder, name) || has_pattern(file, name)
}
function check(folder,   name) {
	if (text !~ /^[ \t]*(#|%:)[ \t]*include[ \t]*("[^"]+"|<[^>]+>)[ \t]*(\/\/.*|\/\*.*\*\/[ \t]*)?$/) {
		wrong("an include names one header, on one line")
		return
	}
	name = text
	sub(/^[^"<]*/, "", name)
	if (name ~ /^</) {
		sub(/>.*/, ">", name)
		if (substr(name, 2, length(name) - 2) in headers)
			wrong("a header of the tree stands in quotes")
		else if (name !~ /^<(stdatomic|stdarg|stdbool|stddef|stdint|limits|cpuid|immintrin)[.]h>$/ && !is_allowed(folder, name))
			wrong(folder " may not include " name ", by " place[folder])
		return
	}
	sub(/^"/, "", name)
	sub(/".*/, "", name)
	if (name ~ /(^|\/)[.][.]?(\/|$)|\/\/|^\//)
		wrong("the name of a header has no path like this")
	else if (!((folder "/" name) in files && name !~ /\//) && !is_allowed(folder, name))
		wrong(folder " may not include " name ", by " place[folder])
}
BEGIN { read_table() }
{ files[$0] = 1 }
/[.](c|h|S|cc|cpp|hh|hpp|inc|lds)$/ { sources[++count] = $0 }
/[.](h|hh|hpp|inc)$/ { headers[$0] = 1; name = $0; if (sub(/^(src|test)\//, "", name)) headers[name] = 1 }
END {
	for (i = 1; i <= count; i++) {
		file = sources[i]
		folder = folder_of(file)
		used[folder] = used[file] = 1
		text = ""
		line = 0
		if (!(folder in place)) {
			line = 1
			wrong("the folder " folder " has no line in " table)
			continue
		}
		while ((getline text < file) > 0) {
			line++
			if (text ~ /^[ \t]*(#|%:)[ \t]*(include|import)/ || text ~ /^[ \t]*[.](include|incbin)[ \t]/)
				check(folder)
		}
		close(file)
	}
	for (folder in place)
		if (!(folder in used)) {
			print place[folder] ": there is no source in " folder
			failed = 1
		}
	exit failed
}
'
