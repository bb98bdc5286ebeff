// SPDX-License-Identifier: BSD-2-Clause
/* One value of config.h, and some of the program's own: a number, a text, and a table. */
#pragma once

#define KERNEL_SLICE_MS 7
#define PARTS_SIZE      (3ull << 20)
#define PARTS_TEXT      "words"
#define PARTS_TABLE                                                                                                            \
	{                                                                                                                      \
		{ "one", 1 },                                                                                                  \
	}
