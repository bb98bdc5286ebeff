// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reports of a volume: when a request has failed, what the volume holds back, and which of its
 * pages cannot be given, and why; when a flush has failed, what is not on the disk.
 */
#pragma once

#include "heap/reclaim/cleaner.h"

struct volume;

/* For the volume's cleaner of clean pages, see cleaner.h. */
uint64_t volume_held_back(struct cleaner *cleaner);
void volume_explain(struct cleaner *cleaner, struct phys_addr lowest, struct phys_addr highest);

/* True: pages of the volume are mapped, and the log says where. */
bool volume_report_mapped(struct volume *volume);

/*
 * Logs what is dirty, written and not flushed, or lost; after a timeout the mappings, too. Where
 * platform_may_sleep().
 */
void volume_report_unflushed(struct volume *volume, status_t status);
