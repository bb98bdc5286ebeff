// SPDX-License-Identifier: BSD-2-Clause
/*
 * The program in the image. The wiring (src/main.c) brings the machine up and calls app_main, in a
 * task that may sleep and use vector registers. A program either has scenarios (scenario.h) and
 * leaves app_main to the library, or has an app_main of its own, which must not return: it ends
 * with power_exit or monitor_run. Only scenarios have the words of the command line checked for
 * them; an app_main calls options_check (runtime/base/options.h), or a misspelt option is ignored.
 */
#pragma once

#include "runtime/base/types.h"

struct memory;
struct pagecache;
struct block_device_table;
struct command_table;

/* What the wiring made; all of it lives on for good. */
struct app_environment {
	struct memory *memory;
	struct pagecache *pagecache;
	struct block_device_table *block_devices;
	struct command_table *commands;
	const char *command_line;
	uint64_t ram_bytes;  /* all RAM of the machine, the firmware's and the image's included */
	uint64_t boot_ns;    /* from leaving boot services to the call of app_main */
	const char *version; /* of the image */
};

_Noreturn void app_main(const struct app_environment *environment);
