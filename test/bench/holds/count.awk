# SPDX-License-Identifier: BSD-2-Clause
# Has a program count its own instructions: takes what the compiler wrote and begins each basic block with an instruction that
# adds the number of its instructions to r15, which the compiler leaves alone (-ffixed-r15). lea changes no flags, so it may
# stand anywhere.
function block_end() {
	if (count > 0)
		printf "\tleaq\t%d(%%r15), %%r15\n%s", count, block
	count = 0
	block = ""
}
/^(\.L)?[0-9]+:/ || /^[A-Za-z_][A-Za-z_0-9.$]*:/ {
	block_end()
	print
	next
}
/^\t[a-z]/ {
	count++
	block = block $0 "\n"
	if ($1 ~ /^(j|ret)/)
		block_end()
	next
}
{
	if (count > 0)
		block = block $0 "\n"
	else
		print
}
END {
	block_end()
}
