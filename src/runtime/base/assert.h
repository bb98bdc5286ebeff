// SPDX-License-Identifier: BSD-2-Clause
/*
 * assert() is for what cannot happen; it has no side effect and is never a user's or a device's
 * mistake. On in every build. debug_assert() is for checks that cost; on in debug builds
 * (WEIR_DEBUG).
 */
#pragma once

#include "platform.h"

#undef assert
#define assert(condition)                                                                                                      \
	((condition) ? (void)0 : platform_panic("%s:%d: %s: assertion failed: %s", __FILE__, __LINE__, __func__, #condition))

#ifdef WEIR_DEBUG
#define debug_assert(condition) assert(condition)
#else
#define debug_assert(condition) ((void)sizeof(condition))
#endif
