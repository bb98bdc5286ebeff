// SPDX-License-Identifier: BSD-2-Clause
/* Requests to the disks of a fake bus, as an input describes them. Each has to end, once. */
#pragma once

#include "fake/drivers/fake_bus.h"
#include "input.h"

/*
 * Twice: probes the device, submits requests and lets it run, as the input says, and removes it, or
 * shuts it down before. What is logged meanwhile is of no interest.
 */
void driver_requests_run(struct fake_bus *bus, struct input *input, const char *driver);

/* Writes bytes of the input anywhere into memory that the device reads. False: there is none. */
bool driver_memory_scribble(struct input *input);
