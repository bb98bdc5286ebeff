// SPDX-License-Identifier: BSD-2-Clause
/* Requests to the disks of a fake bus, as an input describes them. Each has to end, once. */
#pragma once

#include "fake/drivers/fake_bus.h"
#include "input.h"

void driver_requests_begin(void);

/* Submits a request to one of the disks, if there is one and a request is left. */
void driver_request_submit(struct fake_bus *bus, struct input *input);

/* When the driver has gone: all have ended. */
void driver_requests_end(void);
void driver_requests_free(void);
