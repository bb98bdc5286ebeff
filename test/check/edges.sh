#!/usr/bin/env bash
# Which room may include which. Prints each #include that is not allowed and fails if there is one.
set -euo pipefail

git ls-files -co --exclude-standard 'src/*.[chS]' 'boot/*.[chS]' 'app/*.[chS]' 'test/*.[chS]' | xargs awk '
function room_of(path) {
	if (match(path, /^src\/runtime\/[a-z0-9_]+\//))
		return substr(path, 13, RLENGTH - 13)
	if (path ~ /^src\/[a-z]+\//)
		return substr(path, 5, index(substr(path, 5), "/") - 1)
	if (path == "src/main.c")
		return "wiring"
	return substr(path, 1, index(path, "/") - 1)
}
BEGIN {
	allowed["base"] = " base "
	allowed["x86_64"] = " base x86_64 "
	allowed["kernel"] = " base x86_64 kernel "
	allowed["heap"] = " base heap "
	allowed["pagecache"] = " base heap pagecache "
	allowed["drivers"] = " base heap kernel drivers "
	allowed["boot"] = " base boot "
}
FNR == 1 { room = room_of(FILENAME) }
/^[ \t]*#[ \t]*include[ \t]*"/ {
	name = $0
	sub(/^[^"]*"/, "", name)
	sub(/".*$/, "", name)
	if (name == "config.h") {
		if (room == "wiring")
			next
		wrong("only src/main.c reads config.h")
	} else if (name !~ /\//) {
		next # the same directory
	} else if (name ~ /^\.\.?\//) {
		wrong("relative path")
	} else {
		target = room_of("src/" name)
		if (name ~ /^(boot|app|test)\//)
			target = room_of(name)
		if ((room in allowed) && !index(allowed[room], " " target " "))
			wrong(room " must not know " target)
	}
}
# The C library exists on the host only; the image has its own few functions.
/^[ \t]*#[ \t]*include[ \t]*</ && room != "test" && room != "boot" {
	if ($0 !~ /<(stdatomic|stdarg|stdbool|stddef|stdint|limits|cpuid|immintrin)\.h>/)
		wrong("not a header of a freestanding compiler")
}
function wrong(why) {
	printf "%s:%d: %s: %s\n", FILENAME, FNR, why, $0
	failed = 1
}
END { exit failed }
'
