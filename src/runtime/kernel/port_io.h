// SPDX-License-Identifier: BSD-2-Clause
/*
 * I/O ports for drivers, which do not know the CPU's room: port_read8/16/32 and port_write8/16/32.
 * Any context.
 */
#pragma once

#include "runtime/x86_64/port.h"
