/* The wiring. */
#include "runtime/base/boot_info.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/base/version.h"
#include "runtime/kernel/boot_heap.h"
#include "runtime/kernel/console.h"
#include "runtime/kernel/power.h"
#include "runtime/kernel/start.h"
#include "runtime/x86_64/descriptors.h"
#include "runtime/x86_64/paging.h"

static void first_task(void *context)
{
	const struct boot_info *boot = context;

	log_info("command line (%s): %s", boot->command_line_source, boot->command_line);
	power_exit(0);
}

_Noreturn void kernel_main(const struct boot_info *boot)
{
	static const struct kernel_config config = {
		.cpus_max = 64,
		.slice_ns = 5 * NS_PER_MS,
		.watchdog_ns = 2 * NS_PER_S,
	};
	struct boot_heap_report report;

	kernel_early_init();
	console_init(boot);
	log_info("Weir %s", weir_version);
	descriptors_init();
	boot_heap_init(boot);
	paging_init(boot, boot_heap());
	boot_heap_report(&report);
	log_info("memory: %llu MB usable", (unsigned long long)(report.total_bytes / MIB));
	kernel_start(&config, boot, boot_heap(), first_task, (void *)boot);
}
