// SPDX-License-Identifier: BSD-2-Clause
/*
 * The scenario boot: how long the start took, and nothing else. It is what other tests start when
 * they want a machine that does nothing by itself.
 */
#include "runtime/base/log.h"
#include "scenario.h"

SCENARIO(boot, "print how long the start took")
{
	const struct app_environment *environment = scenario->environment;

	print("result: boot app_us=%llu ram_bytes=%llu\n", (unsigned long long)(environment->boot_ns / NS_PER_US),
	      (unsigned long long)environment->ram_bytes);
	return STATUS_OK;
}
