// SPDX-License-Identifier: BSD-2-Clause
/*
 * The words for each status, which messages end with. The switch has no default, so the compiler
 * warns when a new status has no words here.
 */
#include "status.h"

const char *status_text(status_t status)
{
	switch (status) {
	case STATUS_OK:
		return "success";
	case STATUS_INVALID:
		return "invalid argument";
	case STATUS_NO_MEMORY:
		return "out of memory";
	case STATUS_NOT_FOUND:
		return "not found";
	case STATUS_IO_ERROR:
		return "I/O error";
	case STATUS_TIMEOUT:
		return "timed out";
	case STATUS_READ_ONLY:
		return "read-only";
	case STATUS_GONE:
		return "device is gone";
	case STATUS_UNSUPPORTED:
		return "not supported";
	case STATUS_CORRUPT:
		return "damaged data";
	case STATUS_BUSY:
		return "busy";
	case STATUS_RANGE:
		return "out of range";
	case STATUS_CANCELLED:
		return "cancelled";
	default:
		return "unknown status";
	}
}
