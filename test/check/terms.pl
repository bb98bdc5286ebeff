#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# terms.pl GLOSSARY: reads names of files, and prints each word that the glossary says not to use and that one of them uses, and each
# word that it explains twice. Before each, lines "at PLACE: WORD" for the places.
#
# The glossary has tables of three columns: word, meaning, and in backticks what not to say instead. A * stands for any letters.
# Words of more than one letter, _ and blanks count where they stand alone.
use strict;
use warnings;

my $glossary = shift or die "terms.pl GLOSSARY\n";
my (%instead, %explained, @twice);
open my $in, "<", $glossary or die "$glossary: $!\n";
while (<$in>) {
	my (undef, $word, $meaning, $others) = split /(?<!\\)\|/;
	next if !defined $others || $word =~ /^[\s-]*$/ || $word =~ /^\s*word\s*$/;
	$word =~ s/^\s+|\s+$//g;
	push @twice, [$word, $.] if $explained{lc $word}++;
	$instead{$1} = $word while $others =~ /`([^`]+)`/g;
}
close $in;

my (%pattern, %places);
for my $word (keys %instead) {
	(my $pattern = quotemeta $word) =~ s/\\\*/\\w*/g;
	$pattern =~ s/(\\ )+/\\s+/g;
	$pattern{$word} = qr/(?<!\w)$pattern(?!\w)/;
}
my $any = join "|", map { $pattern{$_} } sort keys %pattern;
while (my $name = <STDIN>) {
	chomp $name;
	next if $any eq "" || $name eq $glossary || $name eq "CHANGELOG.md";
	open my $file, "<", $name or die "$name: $!\n";
	my $text = do { local $/; <$file> } // "";
	next if $text !~ /$any/;
	for my $word (sort keys %pattern) {
		while ($text =~ /$pattern{$word}/g) {
			push @{$places{$word}}, "$name:" . (1 + (substr($text, 0, $-[0]) =~ tr/\n//));
		}
	}
}
for my $word (sort keys %places) {
	print "at $_: $word, which is \"$instead{$word}\"\n" for @{$places{$word}};
	print "$word\n";
}
for my $twice (@twice) {
	print "at $glossary:$twice->[1]: $twice->[0], a second time\n", "$twice->[0]\n";
}
