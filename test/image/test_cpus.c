// SPDX-License-Identifier: BSD-2-Clause
/*
 * All CPUs run, and alike, with all that firmware left on. cpus= and levels= on the command line
 * say how many there are to be, and how many levels the page tables have.
 */
#include "image_test.h"

#include <stdatomic.h>

#include "runtime/base/options.h"
#include "runtime/kernel/cpu.h"
#include "runtime/x86_64/apic.h"
#include "runtime/x86_64/cpu_registers.h"

/* What the kernel does not use, and what would stand in its way. */
#define CR4_FOREIGN                                                                                                            \
	(CR4_FS_GS_BASE | CR4_PROCESS_CONTEXT_ID | CR4_SUPERVISOR_NO_EXEC | CR4_SUPERVISOR_NO_ACCESS | CR4_PROTECTION_KEYS |   \
	 CR4_CONTROL_FLOW_ENFORCE | CR4_SUPERVISOR_KEYS)

struct state {
	uint64_t cr0, cr3, cr4, efer, pat;
	bool x2;
};

static struct {
	struct state first;
	_Atomic unsigned asked, different;
} compared;

/* CR0.TS depends on the task. */
static struct state state_read(void)
{
	return (struct state){
		cr0_read() & ~CR0_TASK_SWITCHED, cr3_read(), cr4_read(), msr_read(MSR_EFER), msr_read(MSR_PAT), apic_is_x2()
	};
}

static void state_compare(void *context)
{
	const struct state state = state_read();

	(void)context;
	atomic_fetch_add(&compared.asked, 1);
	if (state.cr0 != compared.first.cr0 || state.cr3 != compared.first.cr3 || state.cr4 != compared.first.cr4 ||
	    state.efer != compared.first.efer || state.pat != compared.first.pat || state.x2 != compared.first.x2)
		atomic_fetch_add(&compared.different, 1);
}

IMAGE_TEST(cpus_are_alike)
{
	compared.first = state_read();
	atomic_store(&compared.asked, 0);
	atomic_store(&compared.different, 0);
	cpu_run_on_all(state_compare, NULL);
	expect_equal(atomic_load(&compared.asked), cpu_count());
	expect_equal(atomic_load(&compared.different), 0);
	expect_equal(compared.first.cr4 & CR4_FOREIGN, 0);
	expect(compared.first.cr4 & CR4_PAGE_GLOBAL);
	expect(compared.first.cr4 & CR4_MACHINE_CHECK);
}

IMAGE_TEST(cpus_are_as_many_as_expected)
{
	const char *line = test->environment->command_line;
	const unsigned levels = cr4_read() & CR4_LINEAR_ADDRESS_57 ? 5 : 4;

	expect_equal(cpu_count(), options_get_number(line, "cpus", cpu_count()));
	expect_equal(levels, options_get_number(line, "levels", levels));
}
