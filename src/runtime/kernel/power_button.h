// SPDX-License-Identifier: BSD-2-Clause
/*
 * The power button, where it is a fixed event of ACPI: a press flushes and switches off, as
 * `poweroff` does. A button that is described in AML does nothing; held for four seconds, each cuts
 * the power. ACPI 6.5, section 4.8.2.2.1.1.
 */
#pragma once

#include "runtime/base/status.h"

/*
 * Enters ACPI mode, turns off all its events but this one, and starts the task that waits for it.
 * Once, in a task, after power_ways_prepare. STATUS_OK, too, where there is no such button.
 */
status_t power_button_start(void) MUST_CHECK;
