// SPDX-License-Identifier: BSD-2-Clause
/* Messages go to CPUs that they reach, and so a device is served as long as there is one. */
#include "host/host_test.h"

#include "runtime/base/random.h"
#include "runtime/kernel/interrupt_route.h"

#define CPUS   256
#define ROUNDS 20000

/* Ids around the limit are as likely as all others together. */
static uint32_t id_make(struct random *random)
{
	return (uint32_t)(random_below(random, 2) ? 252 + random_below(random, 8) : random_next(random));
}

START_TEST(the_wanted_cpu_or_else_the_least_used_one_is_taken)
{
	struct interrupt_target targets[CPUS];
	struct random random;

	random_seed(&random, 1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		const unsigned count = 1 + (unsigned)random_below(&random, round % 2 ? 4 : CPUS);
		const int wanted = (int)random_below(&random, count + 1) - 1;
		unsigned least = UINT32_MAX;
		int route;

		for (unsigned i = 0; i < count; i++) {
			targets[i] = (struct interrupt_target){ id_make(&random), (unsigned)random_below(&random, 5) };
			if (targets[i].apic_id < 255 && targets[i].used < least)
				least = targets[i].used;
		}
		route = interrupt_route(targets, count, wanted);
		if (wanted >= 0 && targets[wanted].apic_id < 255) {
			ck_assert_int_eq(route, wanted);
		} else if (least == UINT32_MAX) {
			ck_assert_int_eq(route, INTERRUPT_NO_TARGET);
		} else {
			ck_assert_int_ge(route, 0);
			ck_assert_uint_lt(targets[route].apic_id, 255);
			ck_assert_uint_eq(targets[route].used, least);
		}
	}
}
END_TEST

HOST_TEST_MAIN("interrupt_route", the_wanted_cpu_or_else_the_least_used_one_is_taken)
