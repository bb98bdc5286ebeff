// SPDX-License-Identifier: BSD-2-Clause
/*
 * Checks of config.h, at compile time. A value that cannot work ends the build with a sentence that
 * names it and its limits:
 *
 *   "KERNEL_SLICE_MS is 1 to 1000: while one task runs for longer, the others seem to stand still"
 *
 * Each check is a declaration. A negative number, one of 64 bits, a fraction or a text fails it; no
 * value is converted before its type is checked. What depends on the machine is checked at boot:
 * config_share_check in config_value.h.
 */
#pragma once

/* Whether the value has an integer type. */
#define CONFIG_IS_WHOLE(value)                                                                                                 \
	_Generic((value), int : 1, unsigned : 1, long : 1, unsigned long : 1, long long : 1, unsigned long long : 1,           \
		 default : 0)

/* The value, or 0 for what cannot be compared with a number. */
#define CONFIG_NUMBER(value) _Generic((value), char * : 0, float : 0, double : 0, default : (value))

/*
 * No type of the value draws a warning. The sum wraps for the largest number only, which is in no
 * range.
 */
#define CONFIG_IS_WITHIN(value, low, high)                                                                                     \
	((CONFIG_NUMBER(value) > 0 || CONFIG_NUMBER(value) == 0) && (unsigned long long)CONFIG_NUMBER(value) + 1 > (low) &&    \
	 (unsigned long long)CONFIG_NUMBER(value) <= (high))

/* The value is a whole number of [low, high]. `reason` says why, as a literal. */
#define CONFIG_RANGE(name, low, high, reason)                                                                                  \
	_Static_assert(CONFIG_IS_WHOLE(name) && CONFIG_IS_WITHIN(name, low, high), #name " is " #low " to " #high ": " reason)

/* The same, or 0. */
#define CONFIG_RANGE_OR_0(name, low, high, reason)                                                                             \
	_Static_assert(CONFIG_IS_WHOLE(name) && (CONFIG_NUMBER(name) == 0 || CONFIG_IS_WITHIN(name, low, high)),               \
		       #name " is 0, or " #low " to " #high ": " reason)

/* A relation between values, each of which has a range of its own. */
#define CONFIG_RULE(condition, reason) _Static_assert(condition, reason)

/* The value is a text. */
#define CONFIG_STRING(name, what) _Static_assert(_Generic((name), char * : 1, default : 0), #name " is " what)
