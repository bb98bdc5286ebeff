// SPDX-License-Identifier: BSD-2-Clause
/*
 * The version of this build, as 0.2.0+1a2b3c4: the newest one in CHANGELOG.md, and the commit, with
 * -dirty if the tree had changes.
 */
#pragma once

extern const char weir_version[];
