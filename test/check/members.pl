#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Reads clang's tree of one file (-ast-dump), and prints for each member that is reached from another file than the one that declares
# it: PLACE, the declaring file, the struct, the member; with tabs between them. A struct without a name counts to the one around it.
use strict;
use warnings;

my ($file, $line, $whole) = ("", 0);
my (%member, @struct);
while (<STDIN>) {
	/^([ |`-]*)(\w+) (0x[0-9a-f]+)(.*)/ or next;
	$whole ||= $2 eq "TranslationUnitDecl";
	my ($depth, $kind, $address, $rest) = (length $1, $2, $3, $4);
	# A place names only what has changed since the last one.
	if ($rest =~ /<(.*?)>(?: ([^ ]*?:\d+(?::\d+)?))?/) {
		for my $place (split(/, /, defined $2 ? "$1, $2" : $1)) {
			if ($place =~ /^line:(\d+):\d+$/) {
				$line = $1;
			} elsif ($place !~ /^col:/ && $place =~ /^(.+):(\d+):\d+$/) {
				($file, $line) = ($1, $2);
			}
		}
	}
	if ($kind eq "RecordDecl") {
		$#struct = $depth;
		$struct[$depth] = $rest =~ /(?:struct|union) (\w+) definition/ ? $1 : undef;
	} elsif ($kind eq "FieldDecl") {
		my ($owner) = grep { defined } @struct[0 .. $depth - 1];
		$member{$address} = [$file, $owner // "?"];
	} elsif ($kind eq "MemberExpr" && $rest =~ /(?:->|\.)(\w+) (0x[0-9a-f]+)$/ && $member{$2}) {
		my ($from, $owner) = @{$member{$2}};
		print join("\t", "$file:$line", $from, $owner, $1), "\n" if $from ne $file;
	}
}
$whole or die "that is not clang's tree\n";
