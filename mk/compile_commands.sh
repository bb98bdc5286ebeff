#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# compile_commands.sh FILE: from what `make -n` would run, on standard input, a compilation database
# for editors and clang's tools. Of a file that is compiled in several ways the first one counts.
set -euo pipefail

DIRECTORY=$PWD perl -ne '
	BEGIN { print "[" }
	next unless / -c (\S+\.[cS]) -o \S+$/ && !$seen{$1}++;
	my $file = $1;
	s/.* && //;
	chomp;
	my @values = ($ENV{DIRECTORY}, $file, $_);
	s/(["\\])/\\$1/g for @values;
	printf qq(%s\n{ "directory": "%s", "file": "%s", "command": "%s" }), $count++ ? "," : "", @values;
	END { print "\n]\n" }
' >"$1.new"
mv "$1.new" "$1"
