// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a function that can fail returns: 0, or one of these negative values. Results travel through
 * out-parameters, which are unchanged on failure unless the function says otherwise.
 */
#pragma once

#include "types.h"

typedef int status_t;

enum {
	STATUS_OK = 0,
	STATUS_INVALID = -1,     /* an argument is wrong; nothing was done */
	STATUS_NO_MEMORY = -2,   /* memory that would satisfy the request cannot be had now */
	STATUS_NOT_FOUND = -3,   /* no such thing */
	STATUS_IO_ERROR = -4,    /* the device reported a failure */
	STATUS_TIMEOUT = -5,     /* the deadline passed, or a device did not answer */
	STATUS_READ_ONLY = -6,   /* the target cannot be written */
	STATUS_GONE = -7,        /* the device has been removed or has failed for good */
	STATUS_UNSUPPORTED = -8, /* the hardware or the firmware lacks what is needed */
	STATUS_CORRUPT = -9,     /* data or a table is damaged */
	STATUS_BUSY = -10,       /* in use; try again later */
	STATUS_RANGE = -11,      /* outside of the object's bounds */
	STATUS_CANCELLED = -12,  /* ended on request before it was done */
};

/* A few words on `status` for people; never NULL. */
const char *status_text(status_t status);
