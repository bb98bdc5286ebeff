#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# Reads names of files, and prints PLACE: WORDS for each riddle in the comments and strings of C files and in the text of documents.
# Code in documents counts as text. A riddle is
#   a pronoun that names nobody: nobody, somebody, anybody, everybody, no one, someone, anyone, whoever, whomever, and whatever,
#     but not in "whatever the answer", "whatever it says"
#   he, him, his, himself
#   who without a noun before it: where a text, a sentence or a clause begins, or behind a word of @before. "who" behind a colon,
#     a bracket, or a verb ("shows who has it") is a question, and none
use strict;
use warnings;

my @before = qw(and or but nor of by to for from with than as that is are was were in on at if);
my $gap = qr/(?:[\s*\/#>]|\\n)+/;
my $before = join("|", @before);
my $riddle = qr/\b(?:nobody|somebody|anybody|everybody|no${gap}one|someone|anyone|whoever|whomever|he|him|his|himself)\b
	|\bwhatever\b(?!${gap}(?:the|a|an|its|their|it|they)\b)
	|(?:^$gap?|[.,;!?]$gap?|\b(?:$before)$gap)who\b/xi;

sub units {
	my ($name, $text) = @_;
	my @units;
	if ($name =~ /\.[chS]$/) {
		while ($text =~ m{(/\*.*?\*/)|((?://[^\n]*\n[ \t]*)+)|("(?:[^"\\\n]|\\.)*")|'(?:[^'\\]|\\.)+'}gs) {
			my $unit = $1 // $2 // $3;
			push @units, [$-[0], $unit] if defined $unit;
		}
	} else {
		while ($text =~ /\S.*?(?=\n[ \t]*\n|\z)/gs) {
			push @units, [$-[0], $&];
		}
	}
	return @units;
}

while (my $name = <STDIN>) {
	chomp $name;
	open my $in, "<", $name or die "$name: $!\n";
	my $text = do { local $/; <$in> };
	for my $unit (units($name, $text // "")) {
		my ($offset, $prose) = @$unit;
		$prose =~ s/^["\/*]+/" " x length $&/e;
		while ($prose =~ /$riddle/g) {
			my $words = $&;
			my $line = 1 + (substr($text, 0, $offset + $+[0]) =~ tr/\n//);
			$words =~ s/$gap/ /g;
			print "$name:$line: $words\n";
		}
	}
}
