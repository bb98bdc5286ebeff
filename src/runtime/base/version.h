// SPDX-License-Identifier: BSD-2-Clause
/* The version of this build, from git: the last tag or commit, and whether the tree had changes. */
#pragma once

extern const char weir_version[];
