#!/bin/sh
# Reads the output of `nm -n` and writes the symbol table of the image in assembler: for each function its offset in the image
# and the offset of its name, in order of addresses, and the names. Without input, an empty table.
awk '
	($2 == "T" || $2 == "t") && $3 !~ /^(image_|\.)/ {
		if ($1 == last)
			next
		last = $1
		addresses = addresses "\t.long 0x" substr($1, length($1) - 7) ", " offset + 0 "\n"
		names = names "\t.asciz \"" $3 "\"\n"
		offset += length($3) + 1
		count++
	}
	END {
		print "\t.section .rodata.zsymbols, \"a\""
		print "\t.globl symbol_count, symbol_table, symbol_names"
		print "\t.hidden symbol_count, symbol_table, symbol_names"
		print "\t.balign 8"
		print "symbol_count: .quad " count + 0
		printf "symbol_table:\n%s", addresses
		printf "symbol_names:\n%s", names
		print "\t.section .note.GNU-stack, \"\", @progbits"
	}'
