# SPDX-License-Identifier: BSD-2-Clause
# Tables, as docs/BENCHMARKS.md has them, and result lines, from the figures that run.sh has collected: lines of workload, allocator,
# key, value.
#
# result: heap workload=W allocator=A ns_min= ns_median= instructions=     for each call, without the harness
# result: heap workload=producer_consumer allocator=A ns_min= ns_median=   for each object, without the harness
# result: heap workload=two_threads allocator=A ns_min= ns_median= speed=  for each call; speed: of two that share nothing, 1: as quick
# result: heap workload=blocks_... allocator=A empty= back=                in percent, see memory.c; back: Weir only
# result: heap workload=overhead_... allocator=A taken= resident=          for each live byte
# result: heap workload=W allocator=A not_measured                         it is not installed, or cannot do it
# A dash: there is no such figure.

{
	measured[$1]++
	measured[$2]++
	measured[$1, $2]++
	n = ++values[$1, $2, $3]
	value[$1, $2, $3, n] = $4
}

# The values of a key in ascending order are sorted[1..n]; returns n.
function sort_values(workload, name, key,    n, i, j, moved) {
	n = values[workload, name, key] + 0
	for (i = 1; i <= n; i++) {
		moved = value[workload, name, key, i]
		for (j = i; j > 1 && sorted[j - 1] > moved; j--)
			sorted[j] = sorted[j - 1]
		sorted[j] = moved
	}
	return n
}

function least(workload, name, key) {
	return sort_values(workload, name, key) ? sorted[1] : ""
}

function median(workload, name, key,    n) {
	n = sort_values(workload, name, key)
	return n ? (sorted[int((n + 1) / 2)] + sorted[int(n / 2) + 1]) / 2 : ""
}

# The figure less that of the harness, which is nothing where the harness was not measured.
function net(figure, harness) {
	return figure == "" ? "" : figure - harness
}

function shown(figure, digits) {
	return figure == "" ? "-" : sprintf("%.*f", digits, figure)
}

# What stands in a cell and in the result line.
function outcome(workload, i, cell, text) {
	cells[i] = measured[workload, names[i]] ? cell : measured[names[i]] ? "-" : "not measured"
	if (!measured[workload, names[i]])
		text = "not_measured"
	if (measured[workload])
		results[++result_count] = sprintf("result: heap workload=%s allocator=%s %s", workload, names[i], text)
}

function row(text, cells, width,    i) {
	if (text != "" && !measured[text])
		return
	printf "| %-17s |", text
	for (i = 1; i <= name_count; i++)
		printf " %*s |", width, cells[i]
	print ""
}

function title(text, width,    i) {
	printf "\n%s\n\n", text
	row("", names, width)
	printf "|---|"
	for (i = 1; i <= name_count; i++)
		printf "---|"
	print ""
}

function row_of_calls(workload, instructions,    i, name, low, middle, counts) {
	for (i = 1; i <= name_count; i++) {
		name = names[i]
		low = shown(net(least(workload, name, "ns"), least(workload, "none", "ns")), 1)
		middle = shown(net(median(workload, name, "ns"), median(workload, "none", "ns")), 1)
		counts = shown(net(least(workload, name, "instructions"), least(workload, "none", "instructions")), 1)
		outcome(workload, i, low " / " middle (instructions ? " / " counts : ""),
			"ns_min=" low " ns_median=" middle (instructions ? " instructions=" counts : ""))
	}
	row(workload, cells, 24)
}

# The harness is that of random replacement by one thread.
function row_of_two(    i, name, low, middle, apart, speed, harness) {
	harness = least("replace", "none", "ns")
	for (i = 1; i <= name_count; i++) {
		name = names[i]
		low = net(least("two_threads", name, "ns"), harness)
		middle = net(median("two_threads", name, "ns"), harness)
		apart = net(least("two_threads", name, "apart_ns"), harness)
		speed = shown(low == "" ? "" : apart / low, 2)
		outcome("two_threads", i, shown(low, 1) " / " shown(middle, 1) ", " speed,
			"ns_min=" shown(low, 1) " ns_median=" shown(middle, 1) " speed=" speed)
	}
	row("two_threads", cells, 24)
}

function row_of_memory(workload, first, second, digits,    i, one, other) {
	for (i = 1; i <= name_count; i++) {
		one = shown(least(workload, names[i], first), digits)
		other = shown(least(workload, names[i], second), digits)
		outcome(workload, i, one " / " other, first "=" one " " second "=" other)
	}
	row(workload, cells, 14)
}

END {
	name_count = split(allocators, names, " ")
	counted_count = split(counted, counted_names, " ")

	title("a call: ns least / median / instructions, without the harness", 24)
	for (w = 1; w <= counted_count; w++)
		row_of_calls(counted_names[w], 1)
	title("ns least / median of an object that is passed on; of a call by one of two threads, and the speed of two that share nothing", 24)
	row_of_calls("producer_consumer", 0)
	row_of_two()
	title("2 MB: % empty, by addresses / given back, by the heap's own account", 14)
	row_of_memory("blocks_4k", "empty", "back", 1)
	row_of_memory("blocks_mixed", "empty", "back", 1)
	title("memory for each live byte: taken / resident", 14)
	row_of_memory("overhead_100k", "taken", "resident", 3)
	row_of_memory("overhead_1m", "taken", "resident", 3)
	print ""
	for (r = 1; r <= result_count; r++)
		print results[r]
}
