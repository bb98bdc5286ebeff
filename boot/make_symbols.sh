#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Reads the output of `nm -n` and writes the symbol table of the image in assembler: for each
# function its offset in the image and the offset of its name, in order of addresses, and the names.
# Without input, an empty table.
awk '
	BEGIN { count = 0 }
	($2 == "T" || $2 == "t") && $3 !~ /^(image_start|image_text_start|image_text_end|ImageBase)$/ {
		if ($1 == last)
			next
		last = $1
		address[count] = substr($1, length($1) - 7)
		name[count++] = $3
	}
	END {
		print "\t.section .rodata.zsymbols, \"a\""
		print "\t.globl symbol_count, symbol_table, symbol_names"
		print "\t.hidden symbol_count, symbol_table, symbol_names"
		print "\t.balign 8"
		print "symbol_count: .quad " count
		print "symbol_table:"
		for (i = 0; i < count; i++) {
			print "\t.long 0x" address[i] ", " offset + 0
			offset += length(name[i]) + 1
		}
		print "symbol_names:"
		for (i = 0; i < count; i++)
			print "\t.asciz \"" name[i] "\""
		print "\t.section .note.GNU-stack, \"\", @progbits"
	}'
