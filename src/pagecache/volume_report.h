/* What a volume says when a request has failed: what it keeps, and which of its pages cannot be given, and why. */
#pragma once

#include "heap/cleaner.h"

/* For the volume's cleaner of clean pages, see cleaner.h. */
uint64_t volume_held_back(struct cleaner *cleaner);
void volume_explain(struct cleaner *cleaner, struct phys_addr lowest, struct phys_addr highest);
